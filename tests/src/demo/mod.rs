//! The demo: some hundred tasks with known ends, the real host, and a comparison of what became of each with what had
//! to. Killed at any moment and started again, it goes on.
//!
//! | part | is for |
//! |---|---|
//! | [`task`], [`fate`] | the tasks, and what has to become of them |
//! | [`state`] | what is remembered over a kill |
//! | [`compare`] | differences between what is and what had to be |
//! | `event_hubs` | the same in a namespace of Event Hubs |
//! | [`guard`] | no host outlives its demo |
//! | [`report`] | what is said at the end |

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;

use crate::simulators::file_origin::{FileOrigin, Ports};
use crate::support::files::hashes;
use crate::support::lockgate::{Lockgate, Outgoing, Seen};

pub mod compare;
mod event_hubs;
pub mod fate;
pub mod guard;
mod overlay;
pub mod report;
pub mod state;
pub mod task;

use compare::Found;
use state::State;
use task::{Domain, Task};

/// How long a late file waits for its first byte: longer than the overlay lets the host wait.
const LATE: Duration = Duration::from_secs(4);

/// Where a demo takes place.
#[derive(Clone, Debug)]
pub struct Place {
    /// The host's program.
    pub program: PathBuf,
    /// The spec that the demo lays its overlay over.
    pub spec: PathBuf,
    /// The working folder, where what is relative in the spec begins.
    pub root: PathBuf,
    /// Where everything that the demo makes is kept.
    pub folder: PathBuf,
}

/// A demo whose origin is up.
pub struct Demo {
    /// The host's program, with the demo's spec.
    pub lockgate: Lockgate,
    /// Where the files come from.
    pub origin: FileOrigin,
    /// All tasks.
    pub tasks: Vec<Task>,
    folder: PathBuf,
}

impl Demo {
    /// A new demo, in a folder that is made anew.
    pub async fn begin(place: &Place, tasks: usize) -> anyhow::Result<Self> {
        let folder = &place.folder;
        if folder.exists() {
            fs::remove_dir_all(folder).with_context(|| format!("cannot clear {}", folder.display()))?;
        }
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let origin = FileOrigin::start(Ports::ANY, LATE).await?;
        let state = State { ports: origin.ports(), signed_ms: jiff::Timestamp::now().as_millisecond(), tasks };
        let overlay = overlay::overlay(folder, state.ports);
        state::write(&folder.join("overlay.yaml"), overlay.as_bytes())?;
        state.write(folder)?;
        Self::new(place, origin, &state)
    }

    /// The demo that a folder remembers.
    pub async fn resume(place: &Place) -> anyhow::Result<Self> {
        let state = State::read(&place.folder)?;
        let origin = FileOrigin::start(state.ports, LATE).await?;
        Self::new(place, origin, &state)
    }

    fn new(place: &Place, origin: FileOrigin, state: &State) -> anyhow::Result<Self> {
        let specs = [place.spec.clone(), place.folder.join("overlay.yaml")];
        let lockgate = Lockgate::new(place.program.clone(), &place.root, &specs);
        Ok(Self { lockgate, origin, tasks: state.tasks()?, folder: place.folder.clone() })
    }

    /// Publishes what is not published for sure.
    pub async fn publish(&self) -> anyhow::Result<()> {
        for domain in Domain::ALL {
            if state::is_published(&self.folder, domain) {
                continue;
            }
            let tasks = self.tasks.iter().filter(|task| task.domain == domain);
            let messages: Vec<Outgoing> = tasks.map(Task::message).collect();
            self.lockgate.send(&domain.topic("downloads-pending"), &messages).await?;
            state::mark_published(&self.folder, domain)?;
        }
        Ok(())
    }

    /// Every difference between what became of the tasks and what had to.
    pub async fn differences(&self) -> anyhow::Result<Vec<String>> {
        self.differences_with(hashed(self.folder.join("lake")).await?).await
    }

    /// The same, where the lake is elsewhere: given SHA-256 by path of every file in it.
    pub async fn differences_with(&self, stored: BTreeMap<String, String>) -> anyhow::Result<Vec<String>> {
        let found = Found {
            stored,
            cached: hashed(self.folder.join("cache")).await?.into_keys().collect(),
            letters: self.of_both_domains("dlq").await?,
            results: self.of_both_domains("downloads-results").await?,
            strayed: self.origin.strayed(),
        };
        let tasks = self.tasks.clone();
        Ok(tokio::task::spawn_blocking(move || compare::differences(&tasks, &found)).await?)
    }

    async fn of_both_domains(&self, topic: &str) -> anyhow::Result<Vec<Seen>> {
        let mut all = Vec::new();
        for domain in Domain::ALL {
            all.extend(self.lockgate.tail(&domain.topic(topic)).await?);
        }
        Ok(all)
    }

    /// Where everything that it makes is kept.
    pub fn folder(&self) -> &Path {
        &self.folder
    }
}

async fn hashed(folder: PathBuf) -> anyhow::Result<BTreeMap<String, String>> {
    tokio::task::spawn_blocking(move || hashes(&folder)).await?
}
