//! The host as a process: `lockgate run` on a spec that a row wrote, and what it takes of the machine.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use tokio::process::{Child, Command};

use super::Site;
use crate::process;

/// How long a host may take to start or to end.
const PATIENCE: Duration = Duration::from_secs(120);
/// How much of its log an error shows, in bytes.
const LOG_SHOWN: usize = 4 << 10;

/// A running host; dropped, it is killed.
#[derive(Debug)]
pub(crate) struct Host {
    child: Child,
    log: PathBuf,
}

impl Host {
    /// Starts it in a folder, on a spec, with what it logs in a file there.
    pub(crate) fn start(site: &Site<'_>, folder: &Path, spec: &str) -> anyhow::Result<Self> {
        let (file, log) = (folder.join("pipelines.yaml"), folder.join("host.log"));
        fs::write(&file, spec).with_context(|| format!("cannot write {}", file.display()))?;
        let program = &site.setup.lockgate;
        let child = Command::new(program)
            .arg("run")
            .current_dir(folder)
            .env("LOCKGATE_CACHE_DIR", site.compiled())
            .env_remove("LOCKGATE_LOG")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&log)?)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("cannot start {}", program.display()))?;
        Ok(Self { child, log })
    }

    /// The number of its process.
    pub(crate) fn process(&self) -> anyhow::Result<u32> {
        self.child.id().context("the host has ended already")
    }

    /// Fails when it has ended.
    pub(crate) fn lives(&mut self) -> anyhow::Result<()> {
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => bail!("the host ended with {status}:\n{}", self.log()),
        }
    }

    /// The end of its log.
    pub(crate) fn log(&self) -> String {
        let log = fs::read(&self.log).unwrap_or_default();
        let end = log.get(log.len().saturating_sub(LOG_SHOWN)..).unwrap_or_default();
        String::from_utf8_lossy(end).into_owned()
    }

    /// How many lines of its log say something.
    pub(crate) fn said(&self, what: &str) -> usize {
        String::from_utf8_lossy(&fs::read(&self.log).unwrap_or_default())
            .lines()
            .filter(|line| line.contains(what))
            .count()
    }

    /// The most memory that it had so far, in bytes.
    pub(crate) fn peak(&self) -> anyhow::Result<u64> {
        process::most_resident(self.process()?)
    }

    /// The memory that it has now, in bytes.
    pub(crate) fn resident(&self) -> anyhow::Result<u64> {
        process::resident(self.process()?)
    }

    /// The CPU time that it took so far.
    pub(crate) fn cpu(&self) -> anyhow::Result<Duration> {
        process::cpu_of(self.process()?)
    }

    /// Tells it to stop, and waits until it has; gives the end of its log.
    pub(crate) async fn stop(mut self) -> anyhow::Result<String> {
        let process = self.process()?.to_string();
        let told = Command::new("kill").args(["-TERM", &process]).status().await.context("cannot run kill")?;
        ensure!(told.success(), "kill -TERM {process}: {told}");
        let ended = tokio::time::timeout(PATIENCE, self.child.wait()).await;
        let Ok(status) = ended else { bail!("the host does not end:\n{}", self.log()) };
        let status = status?;
        ensure!(status.success(), "the host ended with {status}:\n{}", self.log());
        Ok(self.log())
    }
}
