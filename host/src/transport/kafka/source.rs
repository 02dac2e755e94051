//! Reads one topic for one group, by two clients: a member of the group and a reader, for librdkafka stops all reading of
//! a client while a rebalance of it is not answered. Nothing blocks: the clients are polled without waiting, whenever they
//! have something and at least once a second, whatever the demand, so that the group never takes this member for gone
//! while a guest is slow; what waits for a broker runs on a thread of its own.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use futures::FutureExt;
use futures::future::BoxFuture;
use futures::stream::{FuturesUnordered, StreamExt};
use rdkafka::consumer::Consumer;
use rdkafka::error::{KafkaError, KafkaResult};
use tokio::sync::{Notify, oneshot};
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep, sleep_until};

use super::begin::{Begun, Reads, Wanted};
use super::checkpoint::limit;
use super::client::plain;
use super::cluster::Cluster;
use super::committing::Committing;
use super::handover::{Beginning, Open};
use super::member::{Member, Said, answer, is_fenced, is_of_the_way, told};
use super::probe::Probe;
use super::reading::{Fault, Reading};
use super::topics;
use crate::model::Partition;
use crate::transport::beginning::beyond_the_end;
use crate::transport::{
    Assignment, Commit, CommitError, Demand, Epoch, PartitionInfo, Source, SourceEvent, TransportError,
};

/// How often the clients are polled though nothing wakes: far more often than any `max.poll.interval.ms`.
const TICK: Duration = Duration::from_secs(1);
/// The wait before a failure is tried again.
const AGAIN: Duration = Duration::from_secs(1);
/// The wait before a member that the group refused for good is replaced: two hosts of one `instance_id` throw each other
/// out, and are not to do it all the time.
const REPLACE: Duration = Duration::from_secs(10);
/// Things that a client says at once, at most.
const AT_ONCE: usize = 16;

/// Counts assignments in this process.
static EPOCHS: AtomicU64 = AtomicU64::new(1);

pub(super) struct KafkaSource {
    cluster: Arc<Cluster>,
    reads: Arc<Reads>,
    wake: Arc<Notify>,
    member: Arc<Member>,
    reading: Reading,
    committing: Arc<Committing>,
    /// What the group waits for. At most one thing at a time.
    open: Open,
    events: VecDeque<SourceEvent>,
    /// Positions that are gone: how far their partitions go is being asked.
    lookups: FuturesUnordered<BoxFuture<'static, Lookup>>,
    probe: Probe,
    /// When the clients are polled though nothing woke.
    tick: Instant,
    /// Partitions that are ours and are still to be begun, unasked, and when.
    later: Wanted,
    later_at: Instant,
    /// When a member that gets nothing any more is replaced by a new one.
    replace: Option<Instant>,
}

type Lookup = (u32, Epoch, KafkaResult<PartitionInfo>);

impl KafkaSource {
    pub(super) fn new(cluster: Arc<Cluster>, reads: Reads) -> KafkaResult<Self> {
        let (wake, physical) = (Arc::new(Notify::new()), reads.physical.clone());
        let (member, reader) = cluster.clients(&physical, &reads.subscription.group, &wake)?;
        let reading = Reading::new(cluster.name.clone(), physical.clone(), reader, wake.clone());
        Ok(Self {
            committing: Arc::new(Committing::new(member.clone(), physical.clone())),
            probe: Probe::new(cluster.clone(), physical),
            tick: cluster.clock.now(),
            later_at: cluster.clock.now(),
            cluster,
            reads: Arc::new(reads),
            wake,
            member,
            reading,
            open: Open::Nothing,
            events: VecDeque::new(),
            lookups: FuturesUnordered::new(),
            later: Wanted::default(),
            replace: None,
        })
    }

    /// What can be told at once.
    fn ready(&mut self, demand: &dyn Demand) -> Option<SourceEvent> {
        let now = self.cluster.clock.now();
        if now >= self.tick {
            self.tick = now + TICK;
            self.reading.tick(now);
        }
        self.listen(now);
        self.go_on(now);
        while let Some(Some(found)) = self.lookups.next().now_or_never() {
            self.found(found);
        }
        if let Some(event) = self.events.pop_front() {
            return Some(event);
        }
        let mut faults = Vec::new();
        let batch = self.reading.next(demand, now, &mut faults);
        faults.into_iter().for_each(|fault| self.fault(fault));
        batch.map(SourceEvent::Messages).or_else(|| self.events.pop_front())
    }

    /// Hears what the clients have to say.
    fn listen(&mut self, now: Instant) {
        for _ in 0..AT_ONCE {
            let failed = self.member.poll(Duration::ZERO).and_then(Result::err);
            let said = if self.open.is_unasked() { None } else { self.member.context().next() };
            // What is logged comes by a poll too.
            let silent = failed.is_none() && said.is_none() && !self.member.context().heard();
            if let Some(error) = failed {
                self.member_failed(&error, now);
            }
            if let Some(said) = said {
                self.said(said, now);
            }
            if silent {
                break;
            }
        }
        // Its messages come by the partitions' own queues.
        if let Some(Err(error)) = self.reading.reader.poll(Duration::ZERO) {
            self.reading.reader.context().trouble.note(&plain(&error));
        }
        let troubles = [self.member.context().trouble.take(), self.reading.reader.context().trouble.take()];
        if let Some(reason) = troubles.into_iter().flatten().next() {
            self.probe.suspect(reason, now);
        }
        if let Some(event) = self.probe.next(now) {
            self.events.push_back(event);
        }
    }

    fn said(&mut self, said: Said, now: Instant) {
        match said {
            Said::Given(indexes) => {
                if !indexes.is_empty() {
                    self.is_heard_of();
                }
                self.open = self.begin(indexes.into(), true);
            }
            Said::AskedBack(indexes) => self.asked_back(indexes),
            Said::Lost(indexes) => {
                self.is_heard_of();
                self.forget_later(&indexes);
                self.lose(&indexes);
            }
            Said::Fenced(reason) => self.fenced(&reason, now),
        }
    }

    fn begin(&self, wanted: Wanted, is_asked: bool) -> Open {
        Open::Beginning(Beginning::start(&self.member, &self.reads, &self.wake, wanted, is_asked))
    }

    /// The group goes on with this member: it need not be replaced, unless it is dead.
    fn is_heard_of(&mut self) {
        if self.member.client().fatal_error().is_none() {
            self.replace = None;
        }
    }

    fn forget_later(&mut self, indexes: &[u32]) {
        self.later.indexes.retain(|index| !indexes.contains(index));
    }

    fn asked_back(&mut self, indexes: Vec<u32>) {
        self.forget_later(&indexes);
        let owned = self.reading.indexes();
        let partitions: Vec<Partition> =
            indexes.iter().filter(|index| owned.contains(index)).map(|index| self.partition(*index)).collect();
        if partitions.is_empty() {
            return told(answer(&self.member, false));
        }
        let (reply, replied) = oneshot::channel();
        self.events.push_back(SourceEvent::Revoked { partitions, reply });
        self.open = Open::Asking(indexes, replied);
    }

    fn lose(&mut self, indexes: &[u32]) {
        let lost = self.reading.end(indexes);
        if !lost.is_empty() {
            self.events.push_back(SourceEvent::Lost(lost));
        }
    }

    /// The group has gone on without this member, which it may know by a refused commit only: all is lost, and what the
    /// group still waits for is answered, so that the client finds out too and joins again. It may join so that it takes
    /// itself for one that keeps what it had, and tells of nothing: one that stays silent is replaced.
    fn fenced(&mut self, reason: &str, now: Instant) {
        tracing::warn!(target: "lockgate::kafka", transport = %self.cluster.name, topic = %self.reads.subscription.topic,
            group = %self.reads.subscription.group, reason, "the group has gone on without this host");
        self.open.answer(&self.member);
        self.later = Wanted::default();
        let had = self.reading.indexes();
        self.lose(&had);
        let is_dead = self.member.client().fatal_error().is_some();
        if self.replace.is_none() && (is_dead || !had.is_empty()) {
            if is_dead {
                self.fail(&format!("the group refuses this host: {reason}"));
            }
            self.replace = Some(now + REPLACE);
        }
    }

    fn member_failed(&mut self, error: &KafkaError, now: Instant) {
        if is_fenced(error) || self.member.client().fatal_error().is_some() {
            let fatal = self.member.client().fatal_error().map(|(_, reason)| reason);
            self.fenced(&fatal.unwrap_or_else(|| plain(error)), now);
        } else if is_of_the_way(error) {
            self.probe.suspect(plain(error), now);
        } else {
            self.fail(&plain(error));
        }
    }

    /// Goes on with what the group waits for.
    fn go_on(&mut self, now: Instant) {
        if self.replace.is_some_and(|at| at <= now) {
            self.replace_member(now);
        }
        match std::mem::replace(&mut self.open, Open::Nothing) {
            Open::Nothing if self.later.indexes.is_empty() || now < self.later_at => {}
            Open::Nothing => {
                let later = std::mem::take(&mut self.later);
                self.open = self.begin(later, false);
            }
            Open::Beginning(mut beginning) => match beginning.found() {
                None => self.open = Open::Beginning(beginning),
                Some(found) => self.found_out(beginning, found, now),
            },
            Open::Waiting(wanted, at) if at <= now => self.open = self.begin(wanted, true),
            Open::Waiting(wanted, at) => self.open = Open::Waiting(wanted, at),
            Open::Asking(indexes, mut replied) => match replied.try_recv() {
                Err(oneshot::error::TryRecvError::Empty) => self.open = Open::Asking(indexes, replied),
                _ => {
                    self.reading.end(&indexes);
                    told(answer(&self.member, false));
                }
            },
        }
    }

    /// Where partitions begin is known, or cannot be found out now.
    fn found_out(&mut self, mut beginning: Beginning, found: KafkaResult<Begun>, now: Instant) {
        let is_asked = beginning.is_asked;
        match found {
            Ok(begun) => self.begun(begun, is_asked, now),
            Err(error) if is_fenced(&error) => {
                if is_asked {
                    told(answer(&self.member, true));
                }
                self.fenced(&plain(&error), now);
            }
            Err(error) => {
                let reason = self.member.context().trouble.explain(&error);
                self.fail(&format!("it cannot be found out where the group is: {reason}"));
                let wanted = std::mem::take(&mut beginning.wanted);
                match is_asked {
                    true => self.open = Open::Waiting(wanted, now + AGAIN),
                    false => self.begin_later(wanted, now + AGAIN),
                }
            }
        }
        // What the group has said meanwhile was not heard.
        self.wake.notify_one();
    }

    fn begin_later(&mut self, Wanted { indexes, refused, unknown }: Wanted, at: Instant) {
        self.later.indexes.extend(indexes);
        self.later.refused.extend(refused);
        self.later.unknown |= unknown;
        self.later_at = at;
    }

    /// Where partitions begin is known: queues are split off, reading begins, and the group is answered if it waits.
    fn begun(&mut self, Begun { member, places, later }: Begun, is_asked: bool, now: Instant) {
        if is_asked {
            self.committing.is_known_as(member);
        }
        let (mut cursors, mut assignments, mut lost) = (Vec::new(), Vec::new(), Vec::new());
        let checkpoint_limit = Some(limit(self.cluster.config.checkpoint_bytes()));
        for place in places {
            let epoch = Epoch(EPOCHS.fetch_add(1, Ordering::Relaxed));
            let (partition, checkpoint) = (place.cursor.partition().clone(), Some(place.cursor.checkpoint().clone()));
            self.committing.begin(partition.index, place.cursor.checkpoint());
            assignments.push(Assignment { partition, epoch, checkpoint, checkpoint_limit });
            lost.extend(place.lost);
            cursors.push((epoch, place.cursor));
        }
        if let Err(error) = self.reading.begin(cursors) {
            self.fail(&plain(&error));
        }
        if is_asked {
            told(answer(&self.member, true));
        }
        for (index, code) in &later {
            self.fail(&format!("it cannot be found out how far {} goes: {code}", self.partition(*index)));
        }
        if !later.is_empty() {
            let indexes: Vec<u32> = later.into_iter().map(|(index, _)| index).collect();
            self.begin_later(Wanted { indexes, unknown: true, ..Wanted::default() }, now + AGAIN);
        }
        if !assignments.is_empty() {
            self.events.push_back(SourceEvent::Assigned(assignments));
        }
        self.events.extend(lost.into_iter().map(SourceEvent::Failed));
    }

    fn fault(&mut self, fault: Fault) {
        match fault {
            Fault::Failed(partition, code, reason) => {
                self.fail(&format!("{partition} cannot be read: {code}: {reason}"))
            }
            Fault::Position(index, epoch) => self.look_up(index, epoch, Duration::ZERO),
        }
    }

    /// Asks how far a partition goes, after a wait.
    fn look_up(&self, index: u32, epoch: Epoch, wait: Duration) {
        let (member, physical) = (self.member.clone(), self.reads.physical.clone());
        self.lookups.push(Box::pin(async move {
            sleep(wait).await;
            let bounds = spawn_blocking(move || topics::bounds_of(&member, &physical, index));
            (index, epoch, bounds.await.unwrap_or(Err(KafkaError::Canceled)))
        }));
    }

    /// Goes on where a position was gone, unless the subscription says not to.
    fn found(&mut self, (index, epoch, bounds): Lookup) {
        let Some(cursor) = self.reading.cursor(index, epoch) else { return };
        match bounds {
            Err(error) => {
                self.fail(&plain(&error));
                self.look_up(index, epoch, AGAIN);
            }
            Ok(PartitionInfo { first, end }) => {
                cursor.grow(end);
                let (next, partition) = (cursor.next(), cursor.partition().clone());
                if next <= end {
                    return match cursor.pass_what_is_gone(first, &self.reads.subscription) {
                        Ok(()) => self.reading.restart(index),
                        Err(error) => self.events.push_back(SourceEvent::Failed(error)),
                    };
                }
                match beyond_the_end(&partition, next, end, &self.reads.subscription) {
                    Some(error) => self.events.push_back(SourceEvent::Failed(error)),
                    // Begun anew, as the subscription says; this assignment's positions are over.
                    None => {
                        self.lose(&[index]);
                        let wanted = Wanted { indexes: vec![index], refused: [index].into(), ..Wanted::default() };
                        self.begin_later(wanted, self.cluster.clock.now());
                    }
                }
            }
        }
    }

    /// A client that met a fatal error does nothing any more, and one that takes itself for another than the group does
    /// gets nothing.
    fn replace_member(&mut self, now: Instant) {
        self.open.answer(&self.member);
        self.later = Wanted::default();
        self.lose(&self.reading.indexes());
        match self.cluster.clients(&self.reads.physical, &self.reads.subscription.group, &self.wake) {
            Ok((member, reader)) => {
                std::mem::replace(&mut self.member, member.clone()).context().close();
                let (transport, physical) = (self.cluster.name.clone(), self.reads.physical.clone());
                self.reading = Reading::new(transport, physical, reader, self.wake.clone());
                self.committing = Arc::new(Committing::new(member, self.reads.physical.clone()));
                self.replace = None;
            }
            Err(error) => {
                self.fail(&plain(&error));
                self.replace = Some(now + AGAIN);
            }
        }
    }

    fn partition(&self, index: u32) -> Partition {
        Partition::new(self.reads.subscription.topic.clone(), index)
    }

    fn fail(&mut self, reason: &str) {
        let (transport, reason) = (self.cluster.name.clone(), reason.to_owned());
        self.events.push_back(SourceEvent::Failed(TransportError::Unavailable { transport, reason }));
    }

    /// When to look again though nothing wakes.
    fn next_look(&self) -> Instant {
        let later = (!self.later.indexes.is_empty()).then_some(self.later_at);
        [self.open.due(), later, self.replace, self.probe.due()].into_iter().flatten().fold(self.tick, Instant::min)
    }
}

impl Drop for KafkaSource {
    /// The others of the group get the partitions at once, and begin exactly behind what was committed before.
    fn drop(&mut self) {
        self.member.context().close();
        self.open.answer(&self.member);
        self.reading.end(&self.reading.indexes());
    }
}

#[async_trait]
impl Source for KafkaSource {
    async fn next(&mut self, demand: &dyn Demand) -> SourceEvent {
        loop {
            if let Some(event) = self.ready(demand) {
                return event;
            }
            let look = self.next_look();
            let Self { open, lookups, wake, .. } = self;
            tokio::select! {
                biased;
                // Where it ended is seen, as all else is, by `ready`.
                () = open.replied() => {}
                Some(found) = lookups.next() => self.found(found),
                () = wake.notified() => {}
                () = sleep_until(look) => {}
            }
        }
    }

    fn commit(&mut self, commits: Vec<Commit>) -> BoxFuture<'static, Result<(), CommitError>> {
        let (mine, over): (Vec<Commit>, Vec<Commit>) =
            commits.into_iter().partition(|commit| self.reading.is_current(commit.partition.index, commit.epoch));
        let over: Vec<Partition> = over.into_iter().map(|commit| commit.partition).collect();
        let committing = self.committing.clone();
        Box::pin(async move {
            let done = if mine.is_empty() { Ok(()) } else { committing.commit(mine).await };
            match done {
                Ok(()) if over.is_empty() => Ok(()),
                Ok(()) => Err(CommitError::NotOwned(over)),
                Err(CommitError::NotOwned(lost)) => Err(CommitError::NotOwned(over.into_iter().chain(lost).collect())),
                Err(unavailable) => Err(unavailable),
            }
        })
    }
}
