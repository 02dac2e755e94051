//! The Event Hubs emulator as a process, on free ports of the loopback: the program of `tests/emulator`, which
//! [`cargo::programs`](crate::cargo::programs) builds. What it keeps is gone with it.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use anyhow::{Context, ensure};
use serde_json::Value;
use tempfile::TempDir;

/// How long it may take to start: many times what it takes on a machine that does nothing else.
const PATIENCE: Duration = Duration::from_secs(60);
/// The key that is good for everything, in every configuration that is used here.
const KEY: &str = "RootManageSharedAccessKey";
/// The name of a configuration, and of a certificate, in a folder.
const CONFIG: &str = "hubs.yaml";
const CA: &str = "ca.pem";

/// What tests find: no hubs, for each adds its own, and keys for everything, to send and to receive.
const TESTS: &str = "\
# What clients have to bear on a loopback.
settle_ms: 0
keys:
  RootManageSharedAccessKey: { key: SAS_KEY_VALUE }
  sender: { key: SENDER_KEY_VALUE, rights: [send] }
  listener: { key: LISTENER_KEY_VALUE, rights: [listen] }
jwt: { secret: not-a-secret }
";

/// A running emulator; dropped, it is killed. When this process ends without that, it ends too.
pub struct Emulator {
    said: Said,
    ca: PathBuf,
    child: Child,
    /// After the process, so that nobody writes there any more when it is removed.
    _folder: TempDir,
}

/// What it says when it is ready.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Said {
    address: String,
    control: String,
    connection_string: String,
}

impl Emulator {
    /// Starts the program with what a file says, but for where it listens, and waits until it is ready.
    pub fn start(program: &Path, config: &Path) -> anyhow::Result<Self> {
        Self::start_in(tempfile::tempdir()?, program, config)
    }

    /// The same without hubs, as tests want it.
    pub fn for_tests(program: &Path) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let config = folder.path().join(CONFIG);
        fs::write(&config, TESTS).with_context(|| format!("cannot write {}", config.display()))?;
        Self::start_in(folder, program, &config)
    }

    fn start_in(folder: TempDir, program: &Path, config: &Path) -> anyhow::Result<Self> {
        let ca = folder.path().join(CA);
        let mut command = Command::new(program);
        command.arg("--config").arg(config).arg("--ca").arg(&ca).arg("--attached");
        command.args(["--listen", "127.0.0.1:0", "--control", "127.0.0.1:0"]);
        if std::env::var_os("EMULATOR_LOG").is_none() {
            command.env("EMULATOR_LOG", "warn");
        }
        // Its input is ours as long as we are there: it ends with that.
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().with_context(|| format!("cannot start {}", program.display()))?;
        let output = child.stdout.take().context("the Event Hubs emulator has no output")?;
        // From here on it is killed, whatever fails.
        let said = Said { address: String::new(), control: String::new(), connection_string: String::new() };
        let mut emulator = Self { said, ca, child, _folder: folder };
        emulator.said = said_by(output)?;
        Ok(emulator)
    }

    /// Where clients connect, by all ways, as `host:port`.
    pub fn address(&self) -> &str {
        &self.said.address
    }

    /// Where hubs and faults are asked for, as a URL.
    pub fn control(&self) -> &str {
        &self.said.control
    }

    /// What a client connects with that may do everything.
    pub fn connection_string(&self) -> &str {
        &self.said.connection_string
    }

    /// The authority whose certificate it shows, in PEM.
    pub fn ca(&self) -> &Path {
        &self.ca
    }

    /// The number of its process.
    pub fn process(&self) -> u32 {
        self.child.id()
    }

    /// Asks its control for something, in the words of the emulator's README; what that answers.
    pub fn ask(&self, method: &str, path: &str, body: &Value) -> anyhow::Result<Value> {
        let asked = || format!("cannot ask the Event Hubs emulator to {method} {path}");
        let (head, answer) = ask(self.control(), method, path, &body.to_string()).with_context(asked)?;
        let is_done = head.split(' ').nth(1).is_some_and(|status| status.starts_with('2'));
        ensure!(is_done, "the Event Hubs emulator does not {method} {path}: {answer}");
        serde_json::from_str(&answer).with_context(asked)
    }

    /// The variables by which tests know it.
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        vec![
            ("LOCKGATE_EVENT_HUBS", self.connection_string().to_owned()),
            ("LOCKGATE_EVENT_HUBS_CONTROL", self.control().to_owned()),
            ("LOCKGATE_EVENT_HUBS_CA", self.ca.display().to_string()),
        ]
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A request, and the answer to it: its head and its body.
fn ask(url: &str, method: &str, path: &str, body: &str) -> anyhow::Result<(String, String)> {
    let mut control = TcpStream::connect(url.trim_start_matches("http://"))?;
    control.set_read_timeout(Some(PATIENCE))?;
    write!(control, "{method} {path} HTTP/1.0\r\nContent-Length: {}\r\n\r\n{body}", body.len())?;
    let mut answer = String::new();
    control.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").context("the answer has no head")?;
    Ok((head.to_owned(), body.to_owned()))
}

/// What it says when it is ready. What it prints is read to its end: it would stand still on a full pipe.
fn said_by(output: impl Read + Send + 'static) -> anyhow::Result<Said> {
    let (ready, said) = mpsc::sync_channel(1);
    thread::spawn(move || {
        let (mut lines, mut text) = (BufReader::new(output).lines().map_while(Result::ok), Vec::new());
        let found = lines.by_ref().find_map(|line| {
            text.push(line);
            said_in(&text)
        });
        if let Some(said) = found {
            // Nobody waits any more when it took too long.
            let _ = ready.try_send(said);
        }
        lines.for_each(drop);
    });
    said.recv_timeout(PATIENCE).context("the Event Hubs emulator does not start")
}

/// The same in the lines so far; `None` where there is more to come.
fn said_in(lines: &[String]) -> Option<Said> {
    let places = lines.iter().find_map(|line| line.strip_prefix("listens on "))?;
    let (address, control) = places.split_once(", control on ")?;
    let key = format!(";SharedAccessKeyName={KEY};");
    let connection_string = lines.iter().find(|line| line.contains(&key))?.clone();
    // The last that it says.
    lines.iter().find(|line| line.starts_with("whom to trust "))?;
    Some(Said { address: address.to_owned(), control: control.to_owned(), connection_string })
}

#[cfg(test)]
mod tests {
    use super::*;

    const STRING: &str = "Endpoint=sb://localhost:1;SharedAccessKeyName=RootManageSharedAccessKey;SharedAccessKey=x";

    #[test]
    fn it_is_ready_when_it_has_said_all_that_there_is_to_know() {
        let other = "Endpoint=sb://localhost:1;SharedAccessKeyName=other;SharedAccessKey=y";
        let output = format!(
            "listens on 127.0.0.1:1, control on http://127.0.0.1:2\n{other}\n{STRING}\nwhom to trust is in /ca.pem\nx\n"
        );
        let said = said_by(std::io::Cursor::new(output)).unwrap();
        assert_eq!((said.address.as_str(), said.control.as_str()), ("127.0.0.1:1", "http://127.0.0.1:2"));
        assert_eq!(said.connection_string, STRING);
    }

    #[test]
    fn one_that_ends_before_it_is_ready_is_not_waited_for() {
        for output in ["", "listens on 127.0.0.1:1, control on http://127.0.0.1:2\n"] {
            assert!(said_by(output.as_bytes()).unwrap_err().to_string().contains("does not start"));
        }
    }
}
