//! What of a pipeline's messages is under way: calls into the plugin, and effects on their way to being durable. The work
//! stays here while its call or its effect runs, and is handed back when that ends; the loop owns the rest.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures::future::{AbortHandle, AbortRegistration, Abortable, BoxFuture};
use futures::stream::FuturesUnordered;
use futures::{FutureExt, StreamExt};
use slab::Slab;
use tokio::time::Instant;

use super::in_flight::Work;
use super::router::{Pending, Publication};
use super::runners::{Answer, Answered, Job, Runners, words};
use super::spill::{RestoreError, Spill};
use super::status::{Oldest, Waits};
use crate::model::{Outcome, Partition, Position};
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

/// How a call or an effect ended.
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
    /// It was aborted.
    Aborted {
        /// The message.
        work: Work,
    },
    /// It panicked: a bug of the host.
    Broken {
        /// What the panic said.
        reason: String,
    },
}

struct Entry {
    /// Its number among all so far.
    number: u64,
    work: Work,
    kind: Kind,
    abort: AbortHandle,
}

/// What is under way.
enum Kind {
    /// It is in the plugin.
    Call { since: Instant },
    /// It makes so many bytes durable.
    Publish { bytes: u64, attempt: Try, settlement: Settlement },
}

/// Whether an effect was tried before.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Try {
    /// No.
    First,
    /// Its topic was unavailable.
    Again,
}

/// How writing ended.
enum Wrote {
    Publication(Publication),
    Aborted,
    Panicked(String),
}

/// What is under way. Calls are bounded by the pipeline's concurrency, effects by its window.
pub(super) struct Stages {
    entries: Slab<Entry>,
    runners: Runners,
    /// Writing only waits, so it needs no task of its own. Each with its entry.
    writing: FuturesUnordered<BoxFuture<'static, (usize, Wrote)>>,
    /// Begun so far.
    begun: u64,
    calls: usize,
    /// Bytes on their way to being durable.
    publishing: u64,
    /// Effects that are tried again.
    repeats: usize,
}

impl Stages {
    /// Nothing under way yet. Messages go through this plugin, with what was spilled of them.
    pub(super) fn new(plugin: Arc<dyn Plugin>, spill: Option<Arc<dyn Spill>>) -> Self {
        Self {
            entries: Slab::new(),
            runners: Runners::new(plugin, spill),
            writing: FuturesUnordered::new(),
            begun: 0,
            calls: 0,
            publishing: 0,
            repeats: 0,
        }
    }

    /// Runs a message through the plugin once [`Stages::hand_over`] follows.
    pub(super) fn call(&mut self, mut work: Work, attempt: Attempt, since: Instant) {
        work.attempt = attempt.number.get();
        let message = work.message.clone();
        self.calls += 1;
        let (key, abort) = self.enter(work, Kind::Call { since });
        self.runners.add(Job { key, message, attempt, abort });
    }

    /// Lets run what was called since the last time.
    pub(super) fn hand_over(&mut self) {
        self.runners.hand_over();
    }

    /// Makes an effect durable.
    pub(super) fn publish(&mut self, work: Work, settlement: Settlement, pending: Pending, attempt: Try) {
        let bytes = pending.size();
        self.publishing += bytes;
        self.repeats += usize::from(attempt == Try::Again);
        let (key, abort) = self.enter(work, Kind::Publish { bytes, attempt, settlement });
        let write = AssertUnwindSafe(Abortable::new(pending.write(), abort)).catch_unwind();
        let wrote = write.map(move |written| match written {
            Ok(Ok(publication)) => (key, Wrote::Publication(publication)),
            Ok(Err(_)) => (key, Wrote::Aborted),
            Err(panic) => (key, Wrote::Panicked(words(&*panic))),
        });
        self.writing.push(wrote.boxed());
    }

    /// What ends next; waits for ever when nothing is under way. Cancel safe.
    pub(super) async fn next(&mut self) -> Ended {
        std::future::poll_fn(|context| self.poll_next(context)).await
    }

    fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Ended> {
        loop {
            if let Poll::Ready(Some((key, wrote))) = self.writing.poll_next_unpin(context) {
                if let Some(entry) = self.leave(key) {
                    return Poll::Ready(written(entry, wrote));
                }
                continue;
            }
            let Some(Answered { key, answer, .. }) = ready!(self.runners.poll_answer(context)) else {
                return Poll::Pending;
            };
            if let Some(entry) = self.leave(key) {
                return Poll::Ready(answered(entry, answer));
            }
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

    /// Whether nothing is under way for any of these partitions.
    pub(super) fn is_empty_of(&self, partitions: &[Partition]) -> bool {
        partitions.is_empty() || !self.works().any(|work| partitions.contains(work.partition()))
    }

    /// Aborts what is under way for these partitions; each still ends, as [`Ended::Aborted`] or with what it had
    /// finished. They end in the order in which they began, so that what follows is the same every time.
    pub(super) fn abort(&mut self, partitions: &[Partition]) {
        let entries = self.entries.iter().map(|(_, entry)| entry);
        let mut begun: Vec<&Entry> = entries.filter(|entry| partitions.contains(entry.work.partition())).collect();
        begun.sort_unstable_by_key(|entry| entry.number);
        begun.iter().for_each(|entry| entry.abort.abort());
    }

    /// What is told of a message that is under way. `trouble` is what keeps effects from becoming durable.
    pub(super) fn find(
        &self,
        partition: &Partition,
        position: Position,
        now: Instant,
        trouble: Option<&str>,
    ) -> Option<Oldest> {
        let is = |work: &Work| work.partition() == partition && work.position() == position;
        let (_, Entry { work, kind, .. }) = self.entries.iter().find(|(_, entry)| is(&entry.work))?;
        let waits = match kind {
            Kind::Call { since } => Waits::Plugin { since: now.saturating_duration_since(*since) },
            Kind::Publish { attempt: Try::Again, .. } => Waits::Durable { reason: trouble.map(str::to_owned) },
            Kind::Publish { attempt: Try::First, .. } => Waits::Durable { reason: None },
        };
        Some(Oldest::new(position, &work.message, work.attempt, work.admitted, waits))
    }

    fn works(&self) -> impl Iterator<Item = &Work> {
        self.entries.iter().map(|(_, entry)| &entry.work)
    }

    fn enter(&mut self, work: Work, kind: Kind) -> (usize, AbortRegistration) {
        let (abort, registration) = AbortHandle::new_pair();
        self.begun += 1;
        (self.entries.insert(Entry { number: self.begun, work, kind, abort }), registration)
    }

    fn leave(&mut self, key: usize) -> Option<Entry> {
        let entry = self.entries.try_remove(key)?;
        match &entry.kind {
            Kind::Call { .. } => self.calls -= 1,
            Kind::Publish { bytes, attempt, .. } => {
                self.publishing -= bytes;
                self.repeats -= usize::from(*attempt == Try::Again);
            }
        }
        Some(entry)
    }
}

fn answered(Entry { work, kind, .. }: Entry, answer: Answer) -> Ended {
    match (answer, kind) {
        (Answer::Called(called), Kind::Call { since }) => Ended::Called { work, called, since },
        (Answer::Unread(error), _) => Ended::Unread { work, error },
        (Answer::Aborted, _) => Ended::Aborted { work },
        (Answer::Panicked(reason), _) => Ended::Broken { reason },
        (Answer::Called(_), Kind::Publish { .. }) => mixed_up(),
    }
}

fn written(Entry { work, kind, .. }: Entry, wrote: Wrote) -> Ended {
    match (wrote, kind) {
        (Wrote::Publication(publication), Kind::Publish { settlement, .. }) => {
            Ended::Published { work, settlement, publication }
        }
        (Wrote::Aborted, _) => Ended::Aborted { work },
        (Wrote::Panicked(reason), _) => Ended::Broken { reason },
        (Wrote::Publication(_), Kind::Call { .. }) => mixed_up(),
    }
}

fn mixed_up() -> Ended {
    Ended::Broken { reason: "a call and an effect were taken for each other".into() }
}
