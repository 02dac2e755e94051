//! What is read but not settled, over all partitions of one pipeline: windows, lanes and the bounds together. Pure.
//! Says what may be read (demand), what may start, and which checkpoints to store. Of a retry partition it keeps the
//! head until that is due; nothing behind it is read before.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::config::{InFlight as Limits, Order};
use super::lanes::{Lane, Lanes, Rank};
use super::parking::{Reader, Received};
use super::retry::Tries;
use super::snapshot::Idle;
use super::status::Oldest;
use super::window::{Admission, Ticket, Window};
use crate::model::{Checkpoint, Message, Partition, Position, Timestamp};
use crate::transport::{Assignment, Batch, Commit, Epoch};

mod demand;
mod totals;

pub use demand::{Bounds, Wanted};
use totals::{Changing, Totals};

/// One message on its way to being settled. Whoever has it has its ticket.
#[derive(Debug)]
pub struct Work {
    ticket: Ticket,
    lane: Lane,
    /// The message.
    pub message: Arc<Message>,
    /// How often it failed so far.
    pub tries: Tries,
    /// When it was admitted.
    pub admitted: Timestamp,
    /// The last try that was started; 0 before the first.
    pub attempt: u32,
    /// Whether it is tried alone while the pipeline is held.
    pub trial: bool,
}

impl Work {
    fn new(ticket: Ticket, message: Message, tries: Tries, order: &Order, admitted: Timestamp) -> Self {
        let lane = Lane::of(&message, order);
        Self { ticket, lane, message: Arc::new(message), tries, admitted, attempt: 0, trial: false }
    }

    /// The message's partition.
    pub fn partition(&self) -> &Partition {
        self.ticket.partition()
    }

    /// Where it stands there. Of a parked message that is not where it first stood.
    pub fn position(&self) -> Position {
        self.ticket.position()
    }

    /// The lane that it holds.
    pub fn lane(&self) -> &Lane {
        &self.lane
    }

    /// The try that comes next, 1 for the first.
    pub fn next_attempt(&self) -> u32 {
        self.tries.failed().saturating_add(1)
    }
}

/// Where a message stands that was not started yet.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Standing {
    /// Nothing of its lane runs.
    Ready,
    /// Behind others of this lane.
    Behind(Lane),
    /// Parked until then.
    Parked {
        /// When it is due.
        until: Instant,
    },
}

/// The first message of a retry partition, while it is not due. It holds its ticket, but no lane and none of the
/// bounds: no more is demanded of its partition meanwhile.
#[derive(Debug)]
struct Head {
    work: Work,
    at: Instant,
    due: Timestamp,
}

#[derive(Debug)]
struct Assigned {
    window: Window,
    rank: Rank,
    /// One at most, as long as the source keeps to the demand.
    heads: Vec<Head>,
    /// Of the last parked message that came: when it was or is let start, and when it was due by the clock of who
    /// parked it.
    last_due: Option<(Instant, Timestamp)>,
    /// Since when messages are known to stand there, and up to which.
    known: Option<(Instant, Position)>,
    bytes: u64,
    /// Messages known to stand behind the last one that came; unknown before the first batch.
    lag: Option<u64>,
    stored: Option<Checkpoint>,
    /// How many bytes its checkpoint may have.
    checkpoint_limit: Option<usize>,
    /// Asked back: nothing more is admitted or started.
    closing: bool,
}

impl Assigned {
    /// Messages that are unsettled and may run.
    fn startable(&self) -> usize {
        self.window.unsettled() - self.heads.len()
    }

    /// Notes how far the partition goes, once it is known to go further than before.
    fn know(&mut self, batch: &Batch, now: Instant) {
        let first = batch.messages.first().map_or(batch.passed, |message| message.origin.position);
        if self.known.is_none_or(|(_, to)| first > to) {
            let behind = i64::try_from(batch.lag).unwrap_or(i64::MAX);
            self.known = Some((now, Position(batch.passed.0.saturating_add(behind))));
        }
    }

    /// When a parked message starts that would start then by the wall clock. By that alone each would wait its whole delay
    /// after the one before it, once the clock was set back; so it starts at the latest
    ///
    /// - as long after the last one as it is due after that one,
    /// - its delay after it was first known to stand there.
    fn starts_at(&self, by_clock: Instant, position: Position, (due, delay): (Timestamp, Duration)) -> Instant {
        let last = self.last_due.filter(|(_, before)| *before <= due);
        let behind_the_last = last.map(|(started, before)| started + due.since(before));
        let known = self.known.filter(|(_, to)| position <= *to).map(|(since, _)| since + delay);
        behind_the_last.into_iter().chain(known).fold(by_clock, Instant::min)
    }
}

/// What is known of one partition.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PartitionState {
    /// Which one.
    pub partition: Partition,
    /// What is settled.
    pub checkpoint: Option<Checkpoint>,
    /// Messages admitted and not settled.
    pub unsettled: usize,
    /// The oldest of them, and what it waits for; none when it was given up already.
    pub oldest: Option<Oldest>,
    /// Messages known to stand behind those that came.
    pub lag: Option<u64>,
    /// When its head is due: it is parked, and so is what stands behind it.
    pub due: Option<Timestamp>,
}

/// Everything in flight.
#[derive(Debug)]
pub struct InFlight {
    limits: Limits,
    order: Order,
    reader: Reader,
    partitions: BTreeMap<Partition, Assigned>,
    /// What they add up to. Every change of one of them goes through [`Changing`].
    totals: Totals,
    /// What each partition of new messages may hold of the window, as far as the totals know.
    share: usize,
    lanes: Lanes<Work>,
    /// What is settled and not stored, by topic.
    unstored: BTreeMap<Arc<str>, Unstored>,
}

/// Messages of a topic that are settled, as far as their checkpoints are not durable.
#[derive(Debug, Default)]
struct Unstored {
    settled: usize,
    /// Of these, how many the commit under way covers.
    committing: usize,
}

impl InFlight {
    /// Nothing in flight.
    pub fn new(limits: Limits, order: Order, reader: Reader) -> Self {
        Self {
            limits,
            order,
            reader,
            partitions: BTreeMap::new(),
            totals: Totals::default(),
            share: 0,
            lanes: Lanes::default(),
            unstored: BTreeMap::new(),
        }
    }

    /// Partitions are ours from now on. What belonged to an earlier assignment of them is forgotten.
    pub fn assign(&mut self, assignments: Vec<Assignment>) {
        for Assignment { partition, epoch, checkpoint, checkpoint_limit } in assignments {
            self.remove(std::slice::from_ref(&partition));
            self.unstored.entry(partition.topic.clone()).or_default();
            let window = Window::new(partition.clone(), epoch, checkpoint.clone());
            let rank = if self.reader.is_retry(&partition) { Rank::Due } else { Rank::New };
            let assigned = Assigned {
                window,
                rank,
                heads: Vec::new(),
                last_due: None,
                known: None,
                bytes: 0,
                lag: None,
                stored: checkpoint,
                checkpoint_limit,
                closing: false,
            };
            self.totals.change(Totals::default(), Totals::of(&assigned, self.share));
            self.partitions.insert(partition, assigned);
        }
    }

    /// Takes messages in, and says how many are to run now. Messages of partitions that are not ours are dropped: they
    /// come again to whoever owns them. Records for other pipelines are settled unseen.
    pub fn admit(&mut self, batch: Batch, wall: Timestamp, now: Instant) -> usize {
        let Self { partitions, totals, share, reader, order, lanes, .. } = self;
        let Some(assigned) = partitions.get_mut(&batch.partition) else { return 0 };
        let mut assigned = Changing::new(assigned, totals, *share);
        if assigned.closing {
            return 0;
        }
        assigned.lag = Some(batch.lag);
        assigned.know(&batch, now);
        let mut admitted = 0;
        for message in batch.messages {
            let Admission::Run(ticket) = assigned.window.admit(message.origin.position) else { continue };
            let due = reader.due(&message);
            match reader.receive(message, wall) {
                Received::Now { message, tries } => {
                    admitted += 1;
                    assigned.last_due = due.map(|(due, _)| (now, due));
                    enqueue(lanes, &mut assigned, Work::new(ticket, message, tries, order, wall));
                }
                Received::Later { message, tries, wait } => {
                    let at = due.map_or(now, |due| assigned.starts_at(now + wait, ticket.position(), due).max(now));
                    assigned.last_due = due.map(|(due, _)| (at, due));
                    let work = Work::new(ticket, message, tries, order, wall);
                    assigned.heads.push(Head { work, at, due: wall.after(at - now) });
                }
                Received::NotOurs => assigned.window.settle(ticket),
            }
        }
        assigned.window.pass(batch.passed);
        admitted
    }

    /// When the next head is due.
    pub fn next_due(&self) -> Option<Instant> {
        let topic = self.reader.retry_topic.as_ref().filter(|_| self.totals.heads > 0)?;
        let parked = self.partitions.range(all_of(topic)).flat_map(|(_, assigned)| &assigned.heads);
        parked.map(|head| head.at).min()
    }

    /// Lets the heads start that are due, and says how many.
    pub fn fall_due(&mut self, now: Instant) -> usize {
        let Self { partitions, totals, share, lanes, reader, .. } = self;
        let Some(topic) = reader.retry_topic.as_ref().filter(|_| totals.heads > 0) else { return 0 };
        let mut due = 0;
        for (_, assigned) in partitions.range_mut(all_of(topic)) {
            let mut assigned = Changing::new(assigned, totals, *share);
            let heads: Vec<Head> = assigned.heads.extract_if(.., |head| head.at <= now).collect();
            due += heads.len();
            heads.into_iter().for_each(|head| enqueue(lanes, &mut assigned, head.work));
        }
        due
    }

    /// The next message that may start.
    pub fn start(&mut self) -> Option<Work> {
        self.lanes.start()
    }

    /// Settles a message, and frees its lane and its share of the bounds. Says whether it counted: work of an
    /// assignment that is over changes nothing.
    pub fn settle(&mut self, work: Work) -> bool {
        self.lanes.release(&work.lane);
        let size = work.message.size();
        match self.partitions.get_mut(work.ticket.partition()) {
            Some(assigned) if assigned.window.epoch() == work.ticket.epoch() => {
                let mut assigned = Changing::new(assigned, &mut self.totals, self.share);
                assigned.bytes = assigned.bytes.saturating_sub(size);
                if let Some(unstored) = self.unstored.get_mut(&work.ticket.partition().topic) {
                    unstored.settled += 1;
                }
                assigned.window.settle(work.ticket);
                true
            }
            _ => false,
        }
    }

    /// Gives a message up unsettled: it comes again to whoever owns the partition next.
    pub fn give_up(&mut self, work: Work) {
        self.release(&work.lane);
        if self.owns(&work)
            && let Some(assigned) = self.partitions.get_mut(work.partition())
        {
            let mut assigned = Changing::new(assigned, &mut self.totals, self.share);
            assigned.bytes = assigned.bytes.saturating_sub(work.message.size());
        }
    }

    /// Frees the lane of work that is gone.
    pub fn release(&mut self, lane: &Lane) {
        self.lanes.release(lane);
    }

    /// Whether a message still belongs to an assignment that is ours.
    pub fn owns(&self, work: &Work) -> bool {
        self.is_current(work.partition(), work.ticket.epoch())
    }

    /// Whether nothing more of a message's partition is to start.
    pub fn is_closing(&self, work: &Work) -> bool {
        self.partitions.get(work.partition()).is_none_or(|assigned| assigned.closing)
    }

    /// Whether this assignment of a partition is the one that is ours.
    pub fn is_current(&self, partition: &Partition, epoch: Epoch) -> bool {
        self.partitions.get(partition).is_some_and(|assigned| assigned.window.epoch() == epoch)
    }

    /// The checkpoints of a topic that changed since they were stored. Ends with [`InFlight::stored`] or
    /// [`InFlight::not_stored`].
    pub fn commits(&mut self, topic: &Arc<str>) -> Vec<Commit> {
        if let Some(unstored) = self.unstored.get_mut(topic) {
            unstored.committing = unstored.settled;
        }
        let changed = self.partitions.range(all_of(topic)).filter_map(|(partition, assigned)| {
            let checkpoint = assigned.window.checkpoint().filter(|now| assigned.stored.as_ref() != Some(now))?;
            Some(Commit { partition: partition.clone(), epoch: assigned.window.epoch(), checkpoint })
        });
        changed.collect()
    }

    /// Checkpoints of a topic are durable.
    pub fn stored(&mut self, topic: &str, commits: Vec<Commit>) {
        if let Some(unstored) = self.unstored.get_mut(topic) {
            unstored.settled = unstored.settled.saturating_sub(std::mem::take(&mut unstored.committing));
        }
        for Commit { partition, epoch, checkpoint } in commits {
            if let Some(assigned) = self.partitions.get_mut(&partition)
                && assigned.window.epoch() == epoch
            {
                assigned.stored = Some(checkpoint);
            }
        }
    }

    /// Checkpoints of a topic could not be stored.
    pub fn not_stored(&mut self, topic: &str) {
        if let Some(unstored) = self.unstored.get_mut(topic) {
            unstored.committing = 0;
        }
    }

    /// Whether half of the window has settled since the last durable commits, and some of it in this topic.
    pub fn commit_is_urgent(&self, topic: &str) -> bool {
        let of_topic = self.unstored.get(topic).is_some_and(|unstored| unstored.settled > 0);
        of_topic && self.settled() * 2 >= self.limits.messages.get()
    }

    /// Messages settled since the last durable commits.
    fn settled(&self) -> usize {
        self.unstored.values().map(|unstored| unstored.settled).sum()
    }

    /// Whether these partitions hold nothing that a commit would store.
    pub fn is_stored(&self, partitions: &[Partition]) -> bool {
        let clean = |assigned: &Assigned| assigned.window.checkpoint() == assigned.stored;
        partitions.iter().all(|partition| self.partitions.get(partition).is_none_or(clean))
    }

    /// Admits and starts nothing more of these partitions; what waits is given up.
    pub fn close(&mut self, partitions: &[Partition]) {
        for partition in partitions {
            let given_up: u64 = self.lanes.remove(partition).iter().map(|work| work.message.size()).sum();
            if let Some(assigned) = self.partitions.get_mut(partition) {
                let mut assigned = Changing::new(assigned, &mut self.totals, self.share);
                assigned.closing = true;
                assigned.heads.clear();
                assigned.bytes = assigned.bytes.saturating_sub(given_up);
            }
        }
    }

    /// Forgets partitions: what is still running of them counts no more.
    pub fn remove(&mut self, partitions: &[Partition]) {
        for partition in partitions {
            drop(self.lanes.remove(partition));
            if let Some(assigned) = self.partitions.remove(partition) {
                self.totals.change(Totals::of(&assigned, self.share), Totals::default());
            }
        }
    }

    /// The partitions that are ours.
    pub fn partitions(&self) -> Vec<Partition> {
        self.partitions.keys().cloned().collect()
    }

    /// Messages admitted and not settled.
    pub fn unsettled(&self) -> usize {
        self.totals.new + self.totals.due + self.totals.heads
    }

    /// Whether something is unsettled, known to be unread, or due in these partitions, where there are any. What stands
    /// behind a head that is not due is parked too.
    pub fn idle(&self) -> Idle {
        let waits = |assigned: &Assigned| !assigned.heads.is_empty();
        let is_idle = |assigned: &Assigned| assigned.startable() == 0 && (waits(assigned) || assigned.lag == Some(0));
        if !self.partitions.values().all(is_idle) {
            return Idle::No;
        }
        if self.partitions.values().any(waits) { Idle::ButParked } else { Idle::Yes }
    }

    /// A message that was not started yet.
    pub fn standing(&self, partition: &Partition, position: Position) -> Option<(&Work, Standing)> {
        let is = |work: &Work| work.ticket.position() == position;
        let ready = self.lanes.find_ready(partition, is).map(|work| (work, Standing::Ready));
        let blocked = || self.lanes.find_blocked(partition, is);
        let heads = || self.partitions.get(partition).into_iter().flat_map(|assigned| &assigned.heads);
        let parked = || heads().find(|head| is(&head.work)).map(|head| (&head.work, head.at));
        ready
            .or_else(|| blocked().map(|(work, lane)| (work, Standing::Behind(lane.clone()))))
            .or_else(|| parked().map(|(work, until)| (work, Standing::Parked { until })))
    }

    /// What is known of each partition. `tell` says what it can of a message.
    pub fn states(&self, tell: impl Fn(&Partition, Position) -> Option<Oldest>) -> Vec<PartitionState> {
        let state = |(partition, assigned): (&Partition, &Assigned)| PartitionState {
            partition: partition.clone(),
            checkpoint: assigned.window.checkpoint(),
            unsettled: assigned.window.unsettled(),
            oldest: assigned.window.oldest().and_then(|position| tell(partition, position)),
            lag: assigned.lag,
            due: assigned.heads.iter().map(|head| head.due).min(),
        };
        self.partitions.iter().map(state).collect()
    }
}

/// All partitions of a topic.
fn all_of(topic: &Arc<str>) -> RangeInclusive<Partition> {
    Partition::new(topic.clone(), 0)..=Partition::new(topic.clone(), u32::MAX)
}

/// Puts a message where it may start from.
fn enqueue(lanes: &mut Lanes<Work>, assigned: &mut Assigned, work: Work) {
    assigned.bytes += work.message.size();
    lanes.enqueue(&work.partition().clone(), assigned.rank, work.lane.clone(), work);
}

#[cfg(test)]
mod parked_tests;
#[cfg(test)]
#[path = "in_flight_tests.rs"]
mod tests;
