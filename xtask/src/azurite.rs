//! The blob emulator: from npm, into the cache, and as a process.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use anyhow::{Context, ensure};
use tempfile::TempDir;

use crate::{cache, cargo};

/// The newest version that runs on Node 20; from 3.36 on it wants a newer one.
const VERSION: &str = "3.35.0";
/// The script of its blob service, in what npm leaves.
const SCRIPT: &str = "node_modules/azurite/dist/src/blob/main.js";

/// How long it may take to start.
const PATIENCE: Duration = Duration::from_secs(60);
/// What it says when it is ready, before its URL.
const READY: &str = "successfully listens on ";
/// The account that it always has.
pub const ACCOUNT: &str = "devstoreaccount1";
/// That account's key, which the emulator publishes.
pub const KEY: &str = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

/// A running emulator, on a free port of the loopback, with its data in memory; dropped, it is killed.
pub struct Azurite {
    /// Where the account answers.
    pub endpoint: String,
    child: Child,
    _folder: TempDir,
}

impl Azurite {
    /// Starts what [`install`] gave, and waits until it is ready.
    pub fn start(script: &Path) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let mut command = Command::new("node");
        command.arg(script).args(["--blobHost", "127.0.0.1", "--blobPort", "0"]);
        command.args(["--inMemoryPersistence", "--skipApiVersionCheck", "--disableTelemetry"]);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).current_dir(folder.path());
        let mut child = command.spawn().context("cannot start node, which runs Azurite")?;
        let output = child.stdout.take().context("Azurite has no output")?;
        // From here on it is killed, whatever fails.
        let mut azurite = Self { endpoint: String::new(), child, _folder: folder };
        azurite.endpoint = format!("{}/{ACCOUNT}", url(output)?);
        Ok(azurite)
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

/// The URL that it names when it is ready. What it prints is read to its end: it would stand still on a full pipe.
fn url(output: impl Read + Send + 'static) -> anyhow::Result<String> {
    let (ready, url) = mpsc::sync_channel(1);
    thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            if let Some((_, url)) = line.split_once(READY) {
                // Nobody waits any more when it took too long.
                let _ = ready.try_send(url.trim().to_owned());
            }
        }
    });
    url.recv_timeout(PATIENCE).context("Azurite does not start")
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
        assert_eq!(url(output.as_bytes()).unwrap(), "http://127.0.0.1:41234");
    }

    #[test]
    fn one_that_ends_before_it_is_ready_is_not_waited_for() {
        assert!(url("Error: listen EADDRINUSE\n".as_bytes()).unwrap_err().to_string().contains("does not start"));
    }
}
