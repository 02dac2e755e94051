//! A Kafka broker: from Maven, into the cache, and as a process. One node that is its own controller, on free ports of the
//! loopback, with a data folder of its own. It makes no topic by itself.
//!
//! | listener | who may |
//! |---|---|
//! | [`Broker::bootstrap`] | anybody, in plain text |
//! | [`Broker::tls`] | anybody, over TLS |
//! | [`Broker::sasl`] | over TLS, the user `lockgate` with the password `lockgate-secret` by PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512, and whoever has a token (OAUTHBEARER), which nobody need have signed |

mod install;
mod java;
mod listeners;
mod properties;

use std::fs;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use tempfile::TempDir;

pub use install::{Installed, install};
use java::{LOOK, Process, last_lines};
use listeners::Listeners;
pub use properties::SESSION;

/// How long it may take to start: many times what it takes on a machine that does nothing else.
const PATIENCE: Duration = Duration::from_secs(120);
/// What it logs when it is ready.
const READY: &str = "Kafka Server started";
/// What it logs when somebody else has one of its ports.
const TAKEN: &str = "Address already in use";
/// How often it is tried on other ports.
const TRIES: usize = 3;

/// A running broker, or one that was stopped and can be started again; dropped, it is killed and its data removed.
pub struct Broker {
    installed: Installed,
    listeners: Listeners,
    ca: PathBuf,
    process: Option<Process>,
    /// After the process, so that nobody writes there any more when it is removed.
    folder: TempDir,
}

/// How a start ended.
enum Started {
    Ready(Process),
    /// Somebody else has one of the ports.
    Taken,
}

impl Broker {
    /// Starts one without a message, and waits until it is ready.
    pub fn start(installed: &Installed) -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new().prefix("lockgate-kafka-").tempdir()?;
        let data = folder.path().join("data");
        copy_files(&installed.data(), &data).with_context(|| format!("cannot make {}", data.display()))?;
        for _ in 0..TRIES {
            let listeners = Listeners::free()?;
            let properties = properties::server(&listeners, &data, installed);
            fs::write(folder.path().join("server.properties"), properties)?;
            if let Started::Ready(process) = started(installed, folder.path(), &listeners)? {
                let (installed, ca) = (installed.clone(), installed.authority());
                return Ok(Self { installed, listeners, ca, process: Some(process), folder });
            }
        }
        bail!("Kafka does not start: {TRIES} times somebody else was quicker to take one of its ports")
    }

    /// Where it answers in plain text, as `host:port`.
    pub fn bootstrap(&self) -> &str {
        &self.listeners.plaintext
    }

    /// Where it answers over TLS.
    pub fn tls(&self) -> &str {
        &self.listeners.tls
    }

    /// Where it answers over TLS whoever signs in.
    pub fn sasl(&self) -> &str {
        &self.listeners.sasl
    }

    /// The authority whose certificate it shows, in PEM.
    pub fn ca(&self) -> &Path {
        &self.ca
    }

    /// The number of its process, while it runs.
    pub fn process(&self) -> Option<u32> {
        self.process.as_ref().map(Process::id)
    }

    /// Kills it, as `kill -9` does, and waits until it is gone.
    pub fn kill(&mut self) {
        self.process = None;
    }

    /// Stops it, as service managers do, and waits until it has ended.
    pub fn stop(&mut self) {
        if let Some(process) = self.process.take() {
            process.stop();
        }
    }

    /// Starts it again on its ports and its data, and waits until it is ready. One that runs is stopped before.
    pub fn restart(&mut self) -> anyhow::Result<()> {
        self.stop();
        match started(&self.installed, self.folder.path(), &self.listeners)? {
            Started::Ready(process) => self.process = Some(process),
            Started::Taken => bail!("Kafka does not start again: somebody else has taken one of its ports"),
        }
        Ok(())
    }

    /// What a tool of Kafka's says of it: a class, and its arguments besides `--bootstrap-server`.
    pub fn tool(&self, class: &str, arguments: &[&str]) -> anyhow::Result<String> {
        let mut tool = java::command(&self.installed.jars(), class);
        tool.args(["--bootstrap-server", self.bootstrap()]).args(arguments).stdin(Stdio::null());
        let done = tool.output().context("cannot start java, which runs Kafka's tools")?;
        let output = String::from_utf8_lossy(&done.stdout).into_owned();
        let told = || format!("{output}{}", last_lines(&String::from_utf8_lossy(&done.stderr)));
        ensure!(done.status.success(), "`{class} {}` failed: {}\n{}", arguments.join(" "), done.status, told());
        Ok(output)
    }

    /// The variables by which tests know it.
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        vec![
            ("LOCKGATE_KAFKA", self.bootstrap().to_owned()),
            ("LOCKGATE_KAFKA_TLS", self.tls().to_owned()),
            ("LOCKGATE_KAFKA_SASL", self.sasl().to_owned()),
            ("LOCKGATE_KAFKA_CA", self.ca.display().to_string()),
            ("LOCKGATE_KAFKA_JARS", self.installed.jars().display().to_string()),
        ]
    }
}

/// Starts what a folder holds, and waits until it is ready.
fn started(installed: &Installed, folder: &Path, listeners: &Listeners) -> anyhow::Result<Started> {
    let mut process = Process::start(&installed.jars(), folder)?;
    let deadline = Instant::now() + PATIENCE;
    loop {
        let ended = process.ended()?;
        let log = process.log()?;
        match ended {
            Some(_) if log.contains(TAKEN) => return Ok(Started::Taken),
            Some(status) => bail!("Kafka does not start: {status}\n{}", last_lines(&log)),
            None if log.contains(READY) && TcpStream::connect(&listeners.plaintext).is_ok() => {
                return Ok(Started::Ready(process));
            }
            None if Instant::now() > deadline => bail!("Kafka does not start in time:\n{}", last_lines(&log)),
            None => thread::sleep(LOOK),
        }
    }
}

/// Copies the files of a folder into a new one.
fn copy_files(from: &Path, to: &Path) -> std::io::Result<()> {
    fs::create_dir(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        fs::copy(entry.path(), to.join(entry.file_name()))?;
    }
    Ok(())
}

#[cfg(test)]
mod kafka_broker_tests;
