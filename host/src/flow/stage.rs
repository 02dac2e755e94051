//! The tasks of one pipeline: calls into the plugin, and effects on their way to being durable. A task owns its work
//! and hands it back when it ends; the loop owns the rest.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::task::{AbortHandle, Id, JoinSet};

use super::in_flight::Work;
use super::lanes::Lane;
use super::router::{Pending, Publication};
use crate::model::{Outcome, Partition};
use crate::plugin::{Attempt, CallError, Plugin};

/// How a message is settled once its effect is durable.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Settlement {
    /// Processed.
    Done,
    /// Dead-lettered under this code.
    Dead {
        /// What to count it by.
        code: String,
    },
}

/// How a task ended.
pub(super) enum Ended {
    /// The plugin answered.
    Called {
        /// The message.
        work: Work,
        /// Its answer.
        called: Result<Outcome, CallError>,
    },
    /// Writing got so far.
    Published {
        /// The message.
        work: Work,
        /// How it is settled then.
        settlement: Settlement,
        /// How far.
        publication: Publication,
    },
    /// It was aborted, and its work with it.
    Aborted {
        /// The lane that the work held.
        lane: Lane,
        /// Whether it was tried alone.
        trial: bool,
    },
    /// It panicked: a bug of the host, and a lost ticket.
    Broken {
        /// What the panic said.
        reason: String,
    },
}

struct Entry {
    partition: Partition,
    lane: Lane,
    trial: bool,
    call: bool,
    abort: AbortHandle,
}

/// The running tasks. Calls are bounded by the pipeline's concurrency, effects by its window.
#[derive(Default)]
pub(super) struct Stages {
    tasks: JoinSet<Ended>,
    entries: HashMap<Id, Entry>,
    calls: usize,
}

impl Stages {
    /// Runs a message through the plugin.
    pub(super) fn call(&mut self, work: Work, plugin: Arc<dyn Plugin>, attempt: Attempt) {
        let entry = (work.partition().clone(), work.lane().clone(), work.trial);
        let abort = self.tasks.spawn(async move {
            let called = plugin.call(work.message.clone(), attempt).await;
            Ended::Called { work, called }
        });
        self.calls += 1;
        self.enter(entry, true, abort);
    }

    /// Makes an effect durable.
    pub(super) fn publish(&mut self, work: Work, settlement: Settlement, pending: Pending) {
        let entry = (work.partition().clone(), work.lane().clone(), work.trial);
        let abort = self.tasks.spawn(async move {
            let publication = pending.write().await;
            Ended::Published { work, settlement, publication }
        });
        self.enter(entry, false, abort);
    }

    /// The next task that ends; waits for ever when none runs. Cancel safe.
    pub(super) async fn next(&mut self) -> Ended {
        let Some(joined) = self.tasks.join_next_with_id().await else {
            return std::future::pending().await;
        };
        let (id, ended) = match joined {
            Ok((id, ended)) => (id, Ok(ended)),
            Err(error) => (error.id(), Err(error)),
        };
        let entry = self.entries.remove(&id);
        if entry.as_ref().is_some_and(|entry| entry.call) {
            self.calls -= 1;
        }
        match (ended, entry) {
            (Ok(ended), _) => ended,
            (Err(error), Some(entry)) if error.is_cancelled() => {
                Ended::Aborted { lane: entry.lane, trial: entry.trial }
            }
            (Err(error), _) => Ended::Broken { reason: error.to_string() },
        }
    }

    /// Messages in the plugin.
    pub(super) fn calls(&self) -> usize {
        self.calls
    }

    /// Whether no task runs for any of these partitions.
    pub(super) fn is_empty_of(&self, partitions: &[Partition]) -> bool {
        !self.entries.values().any(|entry| partitions.contains(&entry.partition))
    }

    /// Aborts the tasks of these partitions; each still ends, as [`Ended::Aborted`] or with what it had finished.
    pub(super) fn abort(&mut self, partitions: &[Partition]) {
        for entry in self.entries.values().filter(|entry| partitions.contains(&entry.partition)) {
            entry.abort.abort();
        }
    }

    fn enter(&mut self, (partition, lane, trial): (Partition, Lane, bool), call: bool, abort: AbortHandle) {
        self.entries.insert(abort.id(), Entry { partition, lane, trial, call, abort });
    }
}
