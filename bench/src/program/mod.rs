//! What the rows that run the real program share: the host as a process, the topics that it reads and writes, the
//! origin of its files, and the plain loop that it is held against. Host, origin and loop are processes of their own,
//! so that each has what the machine gives to one, and the same origin serves both sides. Origin and loop are this
//! program again, called by a word that no row is called by. So are the plain clients of
//! Kafka, and Lockgate's transport on Event Hubs by itself.

pub(crate) mod bare;
pub(crate) mod bus;
pub(crate) mod event_hubs;
pub(crate) mod host;
pub(crate) mod kafka;
pub(crate) mod origin;
pub(crate) mod task;

use std::path::{Path, PathBuf};

use anyhow::Context;
use tempfile::TempDir;
use tokio::process::Command;
use tokio::runtime::{Builder, Runtime};

use crate::Setup;

/// The word that makes this program the origin.
const ORIGIN: &str = "as-origin";
/// The word that makes this program the plain loop.
const BARE: &str = "as-bare";
/// The word that makes this program Lockgate's transport on Event Hubs by itself.
const HUBS: &str = "as-hubs-client";
/// The word that makes this program a plain client of Kafka.
const PLAIN: &str = "as-plain-client";

/// What this program was called to be instead of the benchmark, done; none where it was called to be that.
pub(crate) fn part() -> Option<anyhow::Result<()>> {
    match std::env::args().nth(1)?.as_str() {
        ORIGIN => Some(in_parallel(origin::serve())),
        BARE => Some(in_parallel(bare::obey())),
        HUBS => Some(in_parallel(event_hubs::obey())),
        PLAIN => Some(in_parallel(kafka::obey())),
        _ => None,
    }
}

/// This program, called by a word.
fn own(word: &str) -> anyhow::Result<Command> {
    let mut command = Command::new(std::env::current_exe().context("cannot tell which program runs")?);
    command.arg(word).kill_on_drop(true);
    Ok(command)
}

/// On as many threads as there are processors, as the host runs.
fn in_parallel(part: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    Builder::new_multi_thread().enable_all().build()?.block_on(part)
}

/// Where a row runs, and with what.
pub(crate) struct Site<'a> {
    /// What is run.
    pub(crate) setup: &'a Setup,
    /// The origin of the files.
    pub(crate) origin: origin::Origin,
    /// What drives a row. It mostly waits, so it has no thread but the one that asks.
    runtime: Runtime,
    folder: TempDir,
}

impl<'a> Site<'a> {
    /// Starts the origin, and makes a folder. Both go with the site.
    pub(crate) fn open(setup: &'a Setup) -> anyhow::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let folder = tempfile::Builder::new().prefix("lockgate-bench-").tempdir().context("cannot make a folder")?;
        let origin = runtime.block_on(origin::Origin::start())?;
        Ok(Self { setup, origin, runtime, folder })
    }

    /// Runs what drives a row.
    pub(crate) fn drive<T>(&self, row: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
        self.runtime.block_on(row)
    }

    /// A folder of its own for one run; it goes with what is given back.
    pub(crate) fn folder(&self) -> anyhow::Result<TempDir> {
        let made = tempfile::Builder::new().prefix("run-").tempdir_in(self.folder.path());
        made.with_context(|| format!("cannot make a folder in {}", self.folder.path().display()))
    }

    /// Where hosts keep compiled components: all runs share it, as all starts of a host on one machine do.
    pub(crate) fn compiled(&self) -> PathBuf {
        self.folder.path().join("compiled")
    }
}

/// A path as YAML reads it, whatever is in it.
pub(crate) fn quoted(path: &Path) -> String {
    serde_json::Value::from(path.display().to_string()).to_string()
}
