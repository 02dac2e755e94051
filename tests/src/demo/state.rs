//! What a demo remembers, so that another process goes on with it: it is written before anything else happens.

use std::fs;
use std::path::Path;

use anyhow::Context;
use serde::{Deserialize, Serialize};

use super::task::{Domain, Setting, Task, tasks};
use crate::simulators::file_origin::Ports;

/// What a demo remembers.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize, Serialize)]
pub struct State {
    /// Where its origin listens.
    pub ports: Ports,
    /// When its links were signed, in milliseconds since the Unix epoch.
    pub signed_ms: i64,
    /// How many tasks it has.
    pub tasks: usize,
}

impl State {
    /// As it was written into a folder.
    pub fn read(folder: &Path) -> anyhow::Result<Self> {
        let file = folder.join("state.json");
        let text = fs::read(&file)
            .with_context(|| format!("there is no demo to go on with: cannot read {}", file.display()))?;
        serde_json::from_slice(&text).with_context(|| format!("{} is no state of a demo", file.display()))
    }

    /// Writes it into a folder; it stands there whole or not at all.
    pub fn write(&self, folder: &Path) -> anyhow::Result<()> {
        write(&folder.join("state.json"), &serde_json::to_vec_pretty(self)?)
    }

    /// Its tasks.
    pub fn tasks(&self) -> anyhow::Result<Vec<Task>> {
        let signed = jiff::Timestamp::from_millisecond(self.signed_ms).context("the demo is from no time")?;
        Ok(tasks(self.tasks, Setting { ports: self.ports, signed }))
    }
}

/// Whether the tasks of a domain are published for sure. A demo that is killed between publishing and saying so
/// publishes them twice, which changes nothing: each task is told by itself, not by how often it came.
pub fn is_published(folder: &Path, domain: Domain) -> bool {
    marker(folder, domain).exists()
}

/// Says that they are.
pub fn mark_published(folder: &Path, domain: Domain) -> anyhow::Result<()> {
    write(&marker(folder, domain), b"")
}

fn marker(folder: &Path, domain: Domain) -> std::path::PathBuf {
    folder.join(format!("{}-is-published", domain.word()))
}

/// Writes a file in one step.
pub(super) fn write(file: &Path, content: &[u8]) -> anyhow::Result<()> {
    let beside = file.with_extension("tmp");
    let written = fs::write(&beside, content).and_then(|()| fs::rename(&beside, file));
    written.with_context(|| format!("cannot write {}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_process_knows_the_same_tasks() {
        let folder = tempfile::tempdir().unwrap();
        let ports = Ports { origin: 1, mirror: 2, forbidden: 3 };
        let state = State { ports, signed_ms: 1_772_460_311_000, tasks: 30 };
        state.write(folder.path()).unwrap();
        let again = State::read(folder.path()).unwrap();
        assert_eq!(again, state);
        assert_eq!(again.tasks().unwrap(), state.tasks().unwrap());
    }

    #[test]
    fn without_a_state_there_is_nothing_to_go_on_with() {
        let folder = tempfile::tempdir().unwrap();
        let error = State::read(folder.path()).unwrap_err().to_string();
        assert!(error.contains("no demo to go on with"), "{error}");
    }
}
