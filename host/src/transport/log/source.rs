//! Reads one topic for one group, as a member of it: looks at the group now and then and whenever something has changed
//! that concerns it, reads the partitions that it was granted, and lets go what others ask for once it is told to.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use futures::{FutureExt, StreamExt};
use rusqlite::Connection;
use tokio::sync::{oneshot, watch};
use tokio::time::{Instant, sleep_until};

use super::board::{Group, View};
use super::fetch::Fetched;
use super::holder::Holder;
use super::lease::{self, Lease};
use super::look::{self, Looked};
use super::reading::Reading;
use super::signs::Signs;
use super::store::Store;
use super::topics::Topic;
use super::work::{self, Done, Seat, Work};
use crate::model::{Clock, Partition};
use crate::transport::balance;
use crate::transport::{Commit, CommitError, Demand, Source, SourceEvent, Subscription, TransportError};

/// The wait before a failed read is tried again; it doubles.
const FIRST_WAIT: Duration = Duration::from_millis(100);
/// The longest of these waits.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// What a source is made of.
pub(super) struct Parts {
    pub(super) transport: Arc<str>,
    pub(super) store: Arc<Store>,
    pub(super) topic: Arc<Topic>,
    pub(super) subscription: Subscription,
    pub(super) clock: Clock,
}

pub(super) struct LogSource {
    parts: Parts,
    /// Let go when the source is dropped, so that others know though the tables could not be told.
    holder: Holder,
    view: watch::Receiver<View>,
    /// Once it has joined.
    seat: Option<Seat>,
    reading: Reading,
    work: Option<Work>,
    /// What is to be told next: a few at most, for nothing is begun before they are.
    events: VecDeque<SourceEvent>,
    /// Ends when partitions that were asked back may go; at most one for each ownership.
    replies: FuturesUnordered<BoxFuture<'static, Vec<(u32, i64)>>>,
    /// Ownerships that may go and are still to be ended in the tables.
    ending: Vec<(u32, i64)>,
    signs: Signs,
    /// When to look at the group again.
    next_look: Instant,
    /// When to begin something again after a failure.
    again: Instant,
    wait: Duration,
    /// Whether a failure was told, and nothing since.
    troubled: bool,
}

impl LogSource {
    pub(super) fn new(parts: Parts) -> Result<Self, TransportError> {
        let holder = Holder::new(&parts.store.leases).map_err(|error| TransportError::Unavailable {
            transport: parts.transport.clone(),
            reason: format!("no lock file can be made for group {}: {error}", parts.subscription.group),
        })?;
        let view = parts.store.board.watch(parts.topic.id);
        let now = parts.clock.now();
        Ok(Self {
            parts,
            holder,
            view,
            seat: None,
            reading: Reading::default(),
            work: None,
            events: VecDeque::new(),
            replies: FuturesUnordered::new(),
            ending: Vec::new(),
            signs: Signs::default(),
            next_look: now,
            again: now,
            wait: FIRST_WAIT,
            troubled: false,
        })
    }

    /// What can be told at once. What may go goes before anything more of it is handed out.
    fn ready(&mut self, demand: &dyn Demand) -> Option<SourceEvent> {
        self.observe();
        while let Some(Some(ending)) = self.replies.next().now_or_never() {
            self.let_go(ending);
        }
        if let Some(event) = self.events.pop_front() {
            return Some(event);
        }
        self.reading.hand_out(demand, self.parts.clock.now()).map(SourceEvent::Messages)
    }

    /// Sees what has changed: how far partitions go, which are lost, which are wanted, and whether to look.
    fn observe(&mut self) {
        if !self.view.has_changed().unwrap_or(false) {
            return;
        }
        let view = self.view.borrow_and_update();
        self.reading.grow(&view.ends);
        let Some(Seat { group, member }) = self.seat else { return };
        let nobody = Group::default();
        let Group { members, leases } = view.groups.get(&group).unwrap_or(&nobody);
        let lease = |index: u32| leases.get(&index).copied().unwrap_or_default();
        let lost = self.reading.end(|index, epoch| !lease(index).is_current(epoch));
        let by_another = |Lease { owner, wanted_by, .. }: Lease| {
            wanted_by != owner && wanted_by.is_some_and(|asker| members.contains(&asker))
        };
        let asked = self.reading.ask_back(|index| by_another(lease(index)));
        let holdings = look::holdings(leases, self.parts.topic.partitions());
        if !members.contains(&member) || !balance::step(&member, members, &holdings).is_empty() {
            self.next_look = self.parts.clock.now();
        }
        drop(view);
        self.lost(lost);
        self.asked_back(asked);
    }

    fn lost(&mut self, partitions: Vec<Partition>) {
        if !partitions.is_empty() {
            self.events.push_back(SourceEvent::Lost(partitions));
        }
    }

    fn asked_back(&mut self, (partitions, ending): (Vec<Partition>, Vec<(u32, i64)>)) {
        if partitions.is_empty() {
            return;
        }
        let (reply, replied) = oneshot::channel();
        self.events.push_back(SourceEvent::Revoked { partitions, reply });
        // A reply that is dropped lets go too.
        self.replies.push(Box::pin(async move {
            let _ = replied.await;
            ending
        }));
    }

    /// Ownerships may go, as far as they are not over already.
    fn let_go(&mut self, ending: Vec<(u32, i64)>) {
        self.reading.end(|index, epoch| ending.contains(&(index, epoch)));
        self.ending.extend(ending);
    }

    /// Begins what is to be done next, when it is time: others wait for what is let go, and messages do not go away.
    fn begin(&mut self, demand: &dyn Demand) {
        let now = self.parts.clock.now();
        if self.work.is_some() || now < self.again {
            return;
        }
        self.work = match self.seat {
            Some(seat) if !self.ending.is_empty() => Some(work::release(&self.parts, seat, self.ending.clone())),
            Some(seat) if now < self.next_look => {
                let plan = self.reading.plan(&self.parts, seat.group, demand);
                plan.map(|plan| work::fetch(self.parts.store.clone(), plan))
            }
            _ => Some(self.look()),
        };
    }

    fn look(&self) -> Work {
        let owned = self.reading.epochs().chain(self.ending.iter().copied()).collect();
        let stale = self.signs.stale(self.parts.store.timing.lease);
        work::look(&self.parts, self.holder.id(), owned, stale)
    }

    fn done(&mut self, done: Done) {
        self.work = None;
        match done {
            Done::Looked(Ok(looked)) => self.looked(looked),
            Done::Released(Ok(released)) => self.ending.retain(|ending| !released.contains(ending)),
            Done::Fetched(Ok(Fetched { lost, read })) => {
                (self.wait, self.troubled) = (FIRST_WAIT, false);
                let lost = self.reading.end(|index, epoch| lost.contains(&(index, epoch)));
                self.lost(lost);
                for (of, read) in read {
                    if let Err(error) = self.reading.read(of, read, &self.parts.subscription) {
                        self.fail(error);
                    }
                }
            }
            Done::Looked(Err(error)) | Done::Fetched(Err(error)) | Done::Released(Err(error)) => {
                let transport = self.parts.transport.clone();
                self.fail(super::failure(&transport, error));
            }
        }
    }

    fn looked(&mut self, Looked { group, member, signs, dead, granted }: Looked) {
        let (now, timing) = (self.parts.clock.now(), self.parts.store.timing);
        self.seat = Some(Seat { group, member });
        self.signs.see(signs, now, timing.lease);
        self.next_look = now + timing.poll;
        // It has said already what it knew before this source had its seat.
        self.view.mark_changed();
        for host in dead {
            tracing::info!(topic = %self.parts.topic.name, group = %self.parts.subscription.group, host,
                "a host of the group is gone: its partitions are free");
        }
        let mut assignments = Vec::new();
        for granted in granted {
            let (assignment, passed) = self.reading.begin(granted, &self.parts.subscription);
            assignments.push(assignment);
            if let Err(error) = passed {
                self.fail(error);
            }
        }
        // One that has nothing to read would never be heard to be well again.
        let recovered = self.troubled && self.reading.is_empty();
        if !assignments.is_empty() || recovered {
            self.troubled = false;
            self.events.push_back(SourceEvent::Assigned(assignments));
        }
    }

    fn fail(&mut self, error: TransportError) {
        self.again = self.parts.clock.now() + self.wait;
        self.wait = (self.wait * 2).min(LONGEST_WAIT);
        self.troubled = true;
        self.events.push_back(SourceEvent::Failed(error));
    }
}

#[cfg(test)]
impl LogSource {
    /// Bytes that are read and not handed out.
    pub(super) fn held(&self) -> u64 {
        self.reading.held()
    }
}

#[async_trait]
impl Source for LogSource {
    async fn next(&mut self, demand: &dyn Demand) -> SourceEvent {
        loop {
            if let Some(event) = self.ready(demand) {
                return event;
            }
            self.begin(demand);
            let rests = self.work.is_none();
            tokio::select! {
                biased;
                Some(ending) = self.replies.next() => self.let_go(ending),
                done = work::finished(&mut self.work) => self.done(done),
                // The board outlives the source, so this ends only when something changed.
                _ = self.view.changed() => self.view.mark_changed(),
                () = sleep_until(self.again.max(self.next_look)), if rests => {}
            }
        }
    }

    fn commit(&mut self, commits: Vec<Commit>) -> BoxFuture<'static, Result<(), CommitError>> {
        // Of no checkpoints none is refused, though it may have no seat yet.
        if commits.is_empty() {
            return Box::pin(async { Ok(()) });
        }
        let Some(Seat { group, .. }) = self.seat else {
            let partitions = commits.into_iter().map(|commit| commit.partition).collect();
            return Box::pin(async { Err(CommitError::NotOwned(partitions)) });
        };
        let (store, topic) = (self.parts.store.clone(), self.parts.topic.clone());
        Box::pin(async move {
            let job = move |connection: &Connection| lease::commit(connection, &topic, group, &commits);
            match store.database.write(0, job).await {
                Ok(refused) if refused.is_empty() => Ok(()),
                Ok(refused) => Err(CommitError::NotOwned(refused)),
                Err(error) => Err(CommitError::Unavailable(error.to_string())),
            }
        })
    }
}

impl Drop for LogSource {
    /// The others may begin at once, and exactly behind what was committed before.
    fn drop(&mut self) {
        let (board, topic, holder) = (self.parts.store.board.clone(), self.parts.topic.id, self.holder.id().to_owned());
        let leave = move |connection: &Connection| {
            look::leave(connection, topic, &holder)?;
            View::read(connection, topic)
        };
        self.parts.store.database.post(leave, move |view| board.set(topic, view.clone()));
    }
}
