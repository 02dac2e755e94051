//! The tasks of one pipeline: calls into the plugin, and effects on their way to being durable. A task owns its work
//! and hands it back when it ends; the loop owns the rest.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::task::{AbortHandle, Id, JoinSet};
use tokio::time::Instant;

use super::in_flight::Work;
use super::lanes::Lane;
use super::router::{Pending, Publication};
use super::spill::{RestoreError, Spill, whole};
use super::status::{Oldest, Waits};
use crate::model::{Message, Outcome, Partition, Position, Timestamp};
use crate::plugin::{Attempt, CallError, Plugin};

/// How a message is settled once its effect is durable.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Settlement {
    /// Processed.
    Done,
    /// Parked.
    Parked,
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
        /// When it was called.
        since: Instant,
    },
    /// The plugin was not called, for a part of the message lies in a store and was not read back.
    Unread {
        /// The message.
        work: Work,
        /// Why.
        error: RestoreError,
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
    /// Its number among all tasks so far.
    number: u64,
    about: About,
    kind: Kind,
    abort: AbortHandle,
}

/// What is known of a task's work while the task has it.
struct About {
    partition: Partition,
    position: Position,
    lane: Lane,
    trial: bool,
    message: Arc<Message>,
    admitted: Timestamp,
    attempt: u32,
}

impl About {
    fn new(work: &Work) -> Self {
        Self {
            partition: work.partition().clone(),
            position: work.position(),
            lane: work.lane().clone(),
            trial: work.trial,
            message: work.message.clone(),
            admitted: work.admitted,
            attempt: work.attempt,
        }
    }
}

/// What a task does.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// It is in the plugin.
    Call { since: Instant },
    /// It makes so many bytes durable.
    Publish { bytes: u64, attempt: Try },
}

/// Whether an effect was tried before.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Try {
    /// No.
    First,
    /// Its topic was unavailable.
    Again,
}

/// The running tasks. Calls are bounded by the pipeline's concurrency, effects by its window.
#[derive(Default)]
pub(super) struct Stages {
    tasks: JoinSet<Ended>,
    entries: HashMap<Id, Entry>,
    /// Tasks begun so far.
    begun: u64,
    calls: usize,
    /// Bytes on their way to being durable.
    publishing: u64,
    /// Effects that are tried again.
    repeats: usize,
}

impl Stages {
    /// Runs a message through the plugin from now on, with what was spilled of it.
    pub(super) fn call(
        &mut self,
        mut work: Work,
        plugin: Arc<dyn Plugin>,
        attempt: Attempt,
        spill: Option<Arc<dyn Spill>>,
        since: Instant,
    ) {
        work.attempt = attempt.number.get();
        let about = About::new(&work);
        let abort = self.tasks.spawn(async move {
            let message = match whole(&work.message, spill.as_deref()).await {
                Ok(message) => message,
                Err(error) => return Ended::Unread { work, error },
            };
            let called = plugin.call(message, attempt).await;
            Ended::Called { work, called, since }
        });
        self.enter(about, Kind::Call { since }, abort);
    }

    /// Makes an effect durable.
    pub(super) fn publish(&mut self, work: Work, settlement: Settlement, pending: Pending, attempt: Try) {
        let about = About::new(&work);
        let kind = Kind::Publish { bytes: pending.size(), attempt };
        let abort = self.tasks.spawn(async move {
            let publication = pending.write().await;
            Ended::Published { work, settlement, publication }
        });
        self.enter(about, kind, abort);
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
        if let Some(entry) = &entry {
            self.leave(entry.kind);
        }
        match (ended, entry) {
            (Ok(ended), _) => ended,
            (Err(error), Some(entry)) if error.is_cancelled() => {
                Ended::Aborted { lane: entry.about.lane, trial: entry.about.trial }
            }
            (Err(error), _) => Ended::Broken { reason: error.to_string() },
        }
    }

    /// Messages in the plugin.
    pub(super) fn calls(&self) -> usize {
        self.calls
    }

    /// Bytes on their way to being durable.
    pub(super) fn publishing(&self) -> u64 {
        self.publishing
    }

    /// Whether an effect is under way that was unavailable before.
    pub(super) fn repeats(&self) -> bool {
        self.repeats > 0
    }

    /// Whether no task runs for any of these partitions.
    pub(super) fn is_empty_of(&self, partitions: &[Partition]) -> bool {
        !self.entries.values().any(|entry| partitions.contains(&entry.about.partition))
    }

    /// Aborts the tasks of these partitions; each still ends, as [`Ended::Aborted`] or with what it had finished.
    /// They end in the order in which they began, so that what follows is the same every time.
    pub(super) fn abort(&mut self, partitions: &[Partition]) {
        let of = self.entries.values().filter(|entry| partitions.contains(&entry.about.partition));
        let mut begun: Vec<&Entry> = of.collect();
        begun.sort_unstable_by_key(|entry| entry.number);
        begun.iter().for_each(|entry| entry.abort.abort());
    }

    /// What is told of a message that a task has. `trouble` is what keeps effects from becoming durable.
    pub(super) fn find(
        &self,
        partition: &Partition,
        position: Position,
        now: Instant,
        trouble: Option<&str>,
    ) -> Option<Oldest> {
        let is = |about: &About| about.partition == *partition && about.position == position;
        let Entry { about, kind, .. } = self.entries.values().find(|entry| is(&entry.about))?;
        let waits = match kind {
            Kind::Call { since } => Waits::Plugin { since: now.saturating_duration_since(*since) },
            Kind::Publish { attempt: Try::Again, .. } => Waits::Durable { reason: trouble.map(str::to_owned) },
            Kind::Publish { attempt: Try::First, .. } => Waits::Durable { reason: None },
        };
        Some(Oldest::new(about.position, &about.message, about.attempt, about.admitted, waits))
    }

    fn enter(&mut self, about: About, kind: Kind, abort: AbortHandle) {
        match kind {
            Kind::Call { .. } => self.calls += 1,
            Kind::Publish { bytes, attempt } => {
                self.publishing += bytes;
                self.repeats += usize::from(attempt == Try::Again);
            }
        }
        self.begun += 1;
        let number = self.begun;
        self.entries.insert(abort.id(), Entry { number, about, kind, abort });
    }

    fn leave(&mut self, kind: Kind) {
        match kind {
            Kind::Call { .. } => self.calls -= 1,
            Kind::Publish { bytes, attempt } => {
                self.publishing -= bytes;
                self.repeats -= usize::from(attempt == Try::Again);
            }
        }
    }
}
