//! Reads one topic for one group. Owns all partitions of the topic or none: it claims the group's lease, reads as long
//! as that is its own, and claims again when it is not.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::future::BoxFuture;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::board::View;
use super::fetch::{self, Fetched, Plan, READ_AHEAD};
use super::holder::Holder;
use super::lease::{self, Claim, Claimed, Granted, Sign};
use super::store::Store;
use super::topics::Topic;
use crate::model::{Clock, Partition};
use crate::storage::sqlite::Error;
use crate::transport::cursor::Cursor;
use crate::transport::{
    Assignment, Batch, Commit, CommitError, Demand, Epoch, Source, SourceEvent, Subscription, TransportError,
};

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

/// What runs beside; at most one at a time. It lives in the source, so that a dropped `next` loses nothing.
type Work = BoxFuture<'static, Done>;

enum Done {
    Claimed(Result<Claimed, Error>),
    Fetched(Result<Fetched, Error>),
}

/// A group that is ours.
struct Owned {
    group: i64,
    epoch: i64,
    cursors: Vec<Cursor>,
    /// The partition that is served first; it takes turns.
    turn: usize,
}

pub(super) struct LogSource {
    parts: Parts,
    /// Let go when the source is dropped, and the lease with it.
    holder: Holder,
    view: watch::Receiver<View>,
    owned: Option<Owned>,
    work: Option<Work>,
    /// What is to be told next: a few at most, for nothing is begun before they are.
    events: VecDeque<SourceEvent>,
    /// When to begin something again after a failure, or after the group was in use.
    again: Instant,
    wait: Duration,
    /// The sign of life of another owner, and since when it stands still.
    seen: Option<(Sign, Instant)>,
    /// The group's number, once it was ours: a late commit is refused by it.
    group: Option<i64>,
}

impl LogSource {
    pub(super) fn new(parts: Parts) -> Result<Self, TransportError> {
        let holder = Holder::new(&parts.store.leases).map_err(|error| TransportError::Unavailable {
            transport: parts.transport.clone(),
            reason: format!("no lock file can be made for group {}: {error}", parts.subscription.group),
        })?;
        let view = parts.store.board.watch(parts.topic.id);
        let again = parts.clock.now();
        let (events, wait) = (VecDeque::new(), FIRST_WAIT);
        Ok(Self { parts, holder, view, owned: None, work: None, events, again, wait, seen: None, group: None })
    }

    /// What can be told at once.
    fn ready(&mut self, demand: &Demand) -> Option<SourceEvent> {
        if let Some(event) = self.events.pop_front() {
            return Some(event);
        }
        let now = self.parts.clock.now();
        let view = self.view.borrow_and_update();
        let owned = self.owned.as_mut()?;
        let current = view.epochs.get(&owned.group) == Some(&owned.epoch);
        for (cursor, end) in owned.cursors.iter_mut().zip(&view.ends) {
            cursor.grow(*end);
        }
        drop(view);
        if !current {
            return Some(self.lose());
        }
        let batch = owned.hand_out(demand, now)?;
        Some(SourceEvent::Messages(batch))
    }

    /// The group is somebody else's.
    fn lose(&mut self) -> SourceEvent {
        self.work = None;
        self.again = self.parts.clock.now();
        let lost = self.owned.take().map(|owned| owned.cursors).unwrap_or_default();
        SourceEvent::Lost(lost.iter().map(|cursor| cursor.partition().clone()).collect())
    }

    /// Begins what is to be done next, when it is time.
    fn begin(&mut self, demand: &Demand) {
        if self.work.is_some() || self.parts.clock.now() < self.again {
            return;
        }
        self.work = match &mut self.owned {
            None => Some(self.claim()),
            Some(owned) => owned.plan(&self.parts, demand).map(|plan| fetch(self.parts.store.clone(), plan)),
        };
    }

    fn claim(&self) -> Work {
        let (store, topic) = (self.parts.store.clone(), self.parts.topic.clone());
        let lease = store.timing.lease;
        let now = self.parts.clock.now();
        let stale = self.seen.as_ref().filter(|(_, since)| now.saturating_duration_since(*since) >= lease);
        let claim = Claim {
            topic: topic.clone(),
            group: self.parts.subscription.group.clone(),
            start: self.parts.subscription.start,
            on_lost_position: self.parts.subscription.on_lost_position,
            folder: store.leases.clone(),
            holder: self.holder.id().to_owned(),
            process: store.process.clone(),
            stale: stale.map(|(sign, _)| sign.clone()),
        };
        let job =
            move |connection: &_| Ok((lease::claim(connection, &claim)?, View::read(connection, claim.topic.id)?));
        let board = store.board.clone();
        Box::pin(async move {
            let then = move |(_, view): &(_, View)| board.set(topic.id, view.clone());
            let claimed = store.database.write_then(0, job, then).await;
            Done::Claimed(claimed.map(|(claimed, _)| claimed))
        })
    }

    fn done(&mut self, done: Done) {
        self.work = None;
        match done {
            Done::Claimed(Ok(Claimed::Granted(granted))) => self.granted(granted),
            Done::Claimed(Ok(Claimed::InUse { owner, sign })) => self.in_use(owner, sign),
            Done::Fetched(Ok(Fetched::NotOwned)) => {
                let lost = self.lose();
                self.events.push_back(lost);
            }
            Done::Fetched(Ok(Fetched::Read(partitions))) => {
                self.wait = FIRST_WAIT;
                for (index, read) in partitions {
                    self.read(index, read);
                }
            }
            Done::Claimed(Err(error)) | Done::Fetched(Err(error)) => self.failed(error),
        }
    }

    fn granted(&mut self, Granted { group, epoch, partitions }: Granted) {
        (self.seen, self.group, self.wait) = (None, Some(group), FIRST_WAIT);
        let Parts { topic, .. } = &self.parts;
        let mut assignments = Vec::new();
        let mut owned = Owned { group, epoch, cursors: Vec::new(), turn: 0 };
        for (index, (checkpoint, bounds)) in (0..).zip(partitions) {
            let partition = Partition::new(topic.name.clone(), index);
            let mut cursor = Cursor::new(partition.clone(), checkpoint, bounds.end);
            if let Err(error) = cursor.pass_what_is_gone(bounds.first, &self.parts.subscription) {
                return self.fail(error);
            }
            let epoch = Epoch(u64::try_from(epoch).unwrap_or(0));
            assignments.push(Assignment {
                partition,
                epoch,
                checkpoint: Some(cursor.checkpoint().clone()),
                checkpoint_limit: None,
            });
            owned.cursors.push(cursor);
        }
        self.owned = Some(owned);
        self.events.push_back(SourceEvent::Assigned(assignments));
    }

    fn in_use(&mut self, owner: String, sign: Sign) {
        let now = self.parts.clock.now();
        if self.seen.as_ref().is_none_or(|(seen, _)| *seen != sign) {
            self.seen = Some((sign, now));
        }
        self.again = now + self.parts.store.timing.claim;
        let Subscription { topic, group, .. } = self.parts.subscription.clone();
        self.events.push_back(SourceEvent::Failed(TransportError::GroupInUse { topic, group, owner }));
    }

    fn read(&mut self, index: usize, read: fetch::Read) {
        let Some(cursor) = self.owned.as_mut().and_then(|owned| owned.cursors.get_mut(index)) else { return };
        match read {
            fetch::Read::Messages(messages) => cursor.take_in(messages),
            fetch::Read::Gone { first } => {
                if let Err(error) = cursor.pass_what_is_gone(first, &self.parts.subscription) {
                    self.fail(error);
                }
            }
        }
    }

    fn failed(&mut self, error: Error) {
        let transport = self.parts.transport.clone();
        self.fail(super::failure(&transport, error));
    }

    fn fail(&mut self, error: TransportError) {
        self.again = self.parts.clock.now() + self.wait;
        self.wait = (self.wait * 2).min(LONGEST_WAIT);
        self.events.push_back(SourceEvent::Failed(error));
    }
}

impl Owned {
    /// The next batch, of a partition whose turn it is: messages first, then news of the lag.
    fn hand_out(&mut self, demand: &Demand, now: Instant) -> Option<Batch> {
        let count = self.cursors.len();
        for step in 0..count {
            let index = (self.turn + step) % count;
            let Some(cursor) = self.cursors.get_mut(index) else { continue };
            let room = demand.0.get(cursor.partition()).copied();
            if let Some(batch) = room.and_then(|room| cursor.hand_out(room, now)) {
                self.turn = index + 1;
                return Some(batch);
            }
        }
        self.cursors.iter_mut().find_map(|cursor| cursor.news(now))
    }

    /// What is worth reading, of the partition whose turn it is first.
    fn plan(&mut self, parts: &Parts, demand: &Demand) -> Option<Plan> {
        let count = self.cursors.len();
        let wanted = (0..count).filter_map(|step| {
            let index = (self.turn + step) % count;
            let cursor = self.cursors.get(index)?;
            let room = *demand.0.get(cursor.partition()).filter(|room| cursor.wants(**room))?;
            Some((index, cursor.next(), room))
        });
        let wanted: Vec<_> = wanted.collect();
        (!wanted.is_empty()).then(|| Plan {
            transport: parts.transport.clone(),
            topic: parts.topic.clone(),
            group: self.group,
            epoch: self.epoch,
            bytes: self.room_to_read(),
            wanted,
        })
    }

    /// Bytes that may be read. What is held at this point belongs to partitions that want nothing just now, for what
    /// is wanted was handed out before: where it takes too much of the bound it is put back, lest the others wait.
    fn room_to_read(&mut self) -> u64 {
        if self.held() > READ_AHEAD / 2 {
            self.cursors.iter_mut().for_each(Cursor::put_back);
        }
        READ_AHEAD.saturating_sub(self.held())
    }

    fn held(&self) -> u64 {
        self.cursors.iter().map(Cursor::held).sum()
    }
}

fn fetch(store: Arc<Store>, plan: Plan) -> Work {
    Box::pin(async move { Done::Fetched(store.database.read(move |connection| fetch::fetch(connection, &plan)).await) })
}

/// Waits for the work under way; for ever when there is none. Cancel safe: it stays where it is.
async fn finished(work: &mut Option<Work>) -> Done {
    match work {
        Some(work) => work.await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
impl LogSource {
    /// Bytes that are read and not handed out.
    pub(super) fn held(&self) -> u64 {
        self.owned.as_ref().map_or(0, Owned::held)
    }
}

#[async_trait]
impl Source for LogSource {
    async fn next(&mut self, demand: &Demand) -> SourceEvent {
        loop {
            if let Some(event) = self.ready(demand) {
                return event;
            }
            self.begin(demand);
            let resting = self.work.is_none() && self.parts.clock.now() < self.again;
            tokio::select! {
                biased;
                done = finished(&mut self.work) => self.done(done),
                // The board outlives the source, so this ends only when something changed.
                _ = self.view.changed() => {}
                () = sleep_until(self.again), if resting => {}
            }
        }
    }

    fn commit(&mut self, commits: Vec<Commit>) -> BoxFuture<'static, Result<(), CommitError>> {
        let partitions: Vec<Partition> = commits.iter().map(|commit| commit.partition.clone()).collect();
        let Some(group) = self.group else { return Box::pin(async { Err(CommitError::NotOwned(partitions)) }) };
        let (store, topic) = (self.parts.store.clone(), self.parts.topic.clone());
        Box::pin(async move {
            let job = move |connection: &_| lease::commit(connection, &topic, group, &commits);
            match store.database.write(0, job).await {
                Ok(refused) if refused.is_empty() => Ok(()),
                Ok(refused) => Err(CommitError::NotOwned(refused)),
                Err(error) => Err(CommitError::Unavailable(error.to_string())),
            }
        })
    }
}
