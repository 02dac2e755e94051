//! The blob emulator: from npm, into the cache, and as a process.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use tempfile::TempDir;

use crate::{cache, cargo};

/// The newest version that runs on Node 20; from 3.36 on it wants a newer one.
const VERSION: &str = "3.35.0";
/// The script of its blob service, in what npm leaves.
const SCRIPT: &str = "node_modules/azurite/dist/src/blob/main.js";

/// How long it may take to start.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often it is looked whether it has ended.
const LOOK: Duration = Duration::from_millis(20);
/// What it says when it is ready, before its URL.
const READY: &str = "successfully listens on ";
/// The account that it always has.
pub const ACCOUNT: &str = "devstoreaccount1";
/// That account's key, which the emulator publishes.
pub const KEY: &str = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

/// How many requests it has answered, by what was asked for.
type Requests = Arc<Mutex<BTreeMap<String, u64>>>;

/// A running emulator, on a free port of the loopback; dropped, it is killed.
pub struct Azurite {
    /// Where the account answers.
    pub endpoint: String,
    requests: Requests,
    child: Child,
    script: PathBuf,
    data: Data,
    folder: TempDir,
}

/// Where its data is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Data {
    /// In memory: over when its process is.
    InMemory,
    /// On disk: there again when its process is.
    OnDisk,
}

impl Azurite {
    /// Starts what [`install`] gave, and waits until it is ready.
    pub fn start(script: &Path, data: Data) -> anyhow::Result<Self> {
        let (folder, requests) = (tempfile::tempdir()?, Requests::default());
        let (child, url) = start(script, data, folder.path(), 0, &requests)?;
        let (endpoint, script) = (format!("{url}/{ACCOUNT}"), script.to_owned());
        Ok(Self { endpoint, requests, child, script, data, folder })
    }

    /// Ends its process as an operator would, with what it was told written; nothing listens then.
    pub fn end(&mut self) -> anyhow::Result<()> {
        cargo::run(Command::new("kill").args(["-TERM", &self.process().to_string()]))?;
        let deadline = Instant::now() + PATIENCE;
        while self.child.try_wait()?.is_none() {
            ensure!(Instant::now() < deadline, "Azurite does not end");
            thread::sleep(LOOK);
        }
        Ok(())
    }

    /// Starts it again after [`Azurite::end`], where it was.
    pub fn begin(&mut self) -> anyhow::Result<()> {
        let port = self.endpoint.rsplit(':').next().and_then(|rest| rest.split('/').next()).unwrap_or_default();
        let port = port.parse().with_context(|| format!("{} has no port", self.endpoint))?;
        (self.child, _) = start(&self.script, self.data, self.folder.path(), port, &self.requests)?;
        Ok(())
    }

    /// How many requests it has answered so far, by what was asked for: `list`, or the HTTP method.
    pub fn requests(&self) -> BTreeMap<String, u64> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The number of its process.
    pub fn process(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Azurite {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn start(script: &Path, data: Data, folder: &Path, port: u16, requests: &Requests) -> anyhow::Result<(Child, String)> {
    let mut command = Command::new("node");
    command.arg(script).args(["--blobHost", "127.0.0.1", "--blobPort", &port.to_string()]);
    command.args(["--skipApiVersionCheck", "--disableTelemetry"]);
    if data == Data::InMemory {
        command.arg("--inMemoryPersistence");
    }
    command.stdin(Stdio::null()).stdout(Stdio::piped()).current_dir(folder);
    let mut child = command.spawn().context("cannot start node, which runs Azurite")?;
    let ready = child.stdout.take().context("Azurite has no output").and_then(|output| url(output, requests.clone()));
    if ready.is_err() {
        // It may have ended by itself.
        let _ = child.kill();
        let _ = child.wait();
    }
    ready.map(|url| (child, url))
}

/// The URL that it names when it is ready. What it prints is read to its end: it would stand still on a full pipe.
fn url(output: impl Read + Send + 'static, requests: Requests) -> anyhow::Result<String> {
    let (ready, url) = mpsc::sync_channel(1);
    thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            if let Some((_, url)) = line.split_once(READY) {
                // Nobody waits any more when it took too long.
                let _ = ready.try_send(url.trim().to_owned());
            } else if let Some(asked) = asked(&line) {
                *requests.lock().unwrap_or_else(PoisonError::into_inner).entry(asked).or_default() += 1;
            }
        }
    });
    url.recv_timeout(PATIENCE).context("Azurite does not start")
}

/// What a line of its access log tells was asked for.
fn asked(line: &str) -> Option<String> {
    let (method, rest) = line.split('"').nth(1)?.split_once(' ')?;
    Some(if rest.contains("comp=list") { "list".to_owned() } else { method.to_owned() })
}

/// Installs it where it is missing, and gives the script of its blob service, for `node`.
pub fn install() -> anyhow::Result<PathBuf> {
    let folder = cache::install(&format!("azurite-{VERSION}"), SCRIPT, npm)
        .context("cannot install Azurite; `cargo xtask test --without azurite` goes without")?;
    Ok(folder.join(SCRIPT))
}

fn npm(folder: &Path) -> anyhow::Result<()> {
    let mut npm = Command::new("npm");
    npm.arg("install").arg("--prefix").arg(folder).args(["--no-audit", "--no-fund", "--no-save", "--loglevel=error"]);
    // What it prints is not the answer of whoever asked for the emulator.
    npm.arg(format!("azurite@{VERSION}")).stdin(Stdio::null()).stdout(Stdio::null());
    cargo::run(&mut npm)?;
    ensure!(folder.join(SCRIPT).exists(), "npm left no blob service in {}", folder.display());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_ready_when_it_names_its_url() {
        let output = "Azurite Blob service is starting at http://127.0.0.1:0\nAzurite Blob service successfully listens \
                      on http://127.0.0.1:41234\nmore\n";
        assert_eq!(url(output.as_bytes(), Requests::default()).unwrap(), "http://127.0.0.1:41234");
    }

    #[test]
    fn one_that_ends_before_it_is_ready_is_not_waited_for() {
        assert!(
            url("Error: listen EADDRINUSE\n".as_bytes(), Requests::default())
                .unwrap_err()
                .to_string()
                .contains("does not start")
        );
    }

    #[test]
    fn requests_are_counted_by_what_is_asked_for() {
        let line = |request: &str| format!("127.0.0.1 - - [28/Nov/2026:01:00:00 +0000] \"{request} HTTP/1.1\" 200 -");
        assert_eq!(asked(&line("GET /a/c?restype=container&comp=list&prefix=x")), Some("list".to_owned()));
        assert_eq!(asked(&line("PUT /a/c/x")), Some("PUT".to_owned()));
        assert_eq!(asked("Azurite Blob service is starting"), None);
    }
}
