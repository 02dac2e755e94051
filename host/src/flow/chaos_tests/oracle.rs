//! Knows every message that was sent and sees everything that a pipeline does: what it is told, what it calls, writes
//! and stores. Says what is wrong as soon as it happens. It judges by what is durable outside of the pipeline, never
//! by what the pipeline says of itself.
//!
//! | it holds | by looking at |
//! |---|---|
//! | a checkpoint passes only what has left as it was to | every commit and every snapshot |
//! | a message leaves in the allowed ways, its letter saying why | every write |
//! | repeats only of what no stored checkpoint covers, at most twice the window a crash | every call, every crash |
//! | nothing starts or comes while a topic is unavailable or a message is held | every call, every batch |
//! | messages of a lane are one after another, in order; one that is parked may be passed, one in place never | every call |
//! | what is parked comes back, not before it is due, and its attempts count on; a guest fault is never parked | every call, every write, the end |
//! | records of another pipeline are passed over | every call, the end |
//! | nothing of a lost partition, or of a pipeline that is gone, is written | every write |

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::time::Duration;

use tokio::time::Instant;

use super::fate::{Doing, Fate, PIPELINE};
use super::script::{Ending, PLACE};
use crate::flow::in_flight::PartitionState;
use crate::model::{Checkpoint, Headers, Message, MessageId, Partition, Position, Record, header};
use crate::transport::{Assignment, Commit, Epoch};

mod calls;
mod writes;

/// What the pipeline promises in this run.
#[derive(Clone, Debug)]
pub(super) struct Promises {
    pub(super) window: usize,
    pub(super) concurrency: usize,
    /// Partitions of the retry topic: each may have one message more than the window.
    pub(super) retry_partitions: usize,
    pub(super) drain_for: Duration,
    pub(super) checkpoint_limit: Option<usize>,
}

/// An assignment as the pipeline was told.
#[derive(Debug)]
struct Assigned {
    /// Over all partitions and lives.
    number: u64,
    epoch: Epoch,
    checkpoint: Option<Checkpoint>,
    /// Asked back since.
    closing: Option<Instant>,
}

pub(super) struct Oracle {
    promises: Promises,
    start: Instant,
    trace: String,
    /// Says at once what it notes, for a run that does not come to its end.
    pub(super) aloud: bool,
    wrong: Option<String>,
    pub(super) fates: Vec<Fate>,
    by_id: HashMap<MessageId, usize>,
    /// Which record of which message has this id in this topic.
    by_record: HashMap<(&'static str, MessageId), (usize, usize)>,
    /// Who stands in the retry topic.
    by_place: HashMap<(Partition, Position), usize>,
    /// Where records of another pipeline stand.
    strangers: Vec<(Partition, Position)>,
    assigned: BTreeMap<Partition, Assigned>,
    assignments: u64,
    stored: BTreeMap<Partition, Checkpoint>,
    life: u64,
    alive: bool,
    /// A partition came while others were ours: until they have given way, all together may exceed the window.
    joined: bool,
    calls: u64,
    held: BTreeMap<usize, Instant>,
}

impl Oracle {
    pub(super) fn new(promises: Promises) -> Self {
        Self {
            promises,
            start: Instant::now(),
            trace: String::new(),
            aloud: false,
            wrong: None,
            fates: Vec::new(),
            by_id: HashMap::new(),
            by_record: HashMap::new(),
            by_place: HashMap::new(),
            strangers: Vec::new(),
            assigned: BTreeMap::new(),
            assignments: 0,
            stored: BTreeMap::new(),
            life: 0,
            alive: false,
            joined: false,
            calls: 0,
            held: BTreeMap::new(),
        }
    }

    /// What is wrong, once something is.
    pub(super) fn wrong(&self) -> Option<&str> {
        self.wrong.as_deref()
    }

    pub(super) fn trace(&self) -> &str {
        &self.trace
    }

    pub(super) fn note(&mut self, what: impl std::fmt::Display) {
        if self.aloud {
            println!("{:>9.3}  {what}", self.start.elapsed().as_secs_f64());
        }
        let _ = writeln!(self.trace, "{:>9.3}  {what}", self.start.elapsed().as_secs_f64());
    }

    pub(super) fn blame(&mut self, what: impl Into<String>) {
        let what = what.into();
        self.note(format_args!("WRONG: {what}"));
        self.wrong.get_or_insert(what);
    }

    /// A message stands in its topic.
    pub(super) fn sent(&mut self, fate: Fate) {
        let (index, name) = (self.fates.len(), fate.name());
        self.note(format_args!("sent {name} lane {:?} {:?} {:?}", fate.lane, fate.ending, fate.script));
        self.by_id.insert(fate.id.clone(), index);
        for (record, planned) in fate.planned.iter().enumerate() {
            self.by_record.insert((planned.topic, planned.id.clone()), (index, record));
        }
        self.fates.push(fate);
    }

    /// A record of another pipeline stands in the retry topic.
    pub(super) fn strange(&mut self, partition: Partition, position: Position) {
        self.note(format_args!("another pipeline's: {partition}/{position}"));
        self.strangers.push((partition, position));
    }

    /// A message is parked in this place.
    fn parked(&mut self, index: usize, partition: Partition, position: Position) {
        if !matches!(self.fates[index].ending, Ending::Parked { .. }) {
            return;
        }
        let fate = self.fates[index].parked(partition.clone(), position);
        self.note(format_args!("{} is parked as {} {:?}", self.fates[index].name(), fate.name(), fate.ending));
        self.by_place.insert((partition, position), self.fates.len());
        self.fates.push(fate);
    }

    /// Marks what was parked with the place where it stands.
    pub(super) fn mark(&self, message: &mut Message) {
        let place = (message.origin.partition.clone(), message.origin.position);
        if let Some(index) = self.by_place.get(&place) {
            message.headers.set(PLACE, index.to_string());
        }
    }

    /// Whose a message is.
    fn index(&self, id: &MessageId, headers: &Headers) -> Option<usize> {
        Fate::place(headers).or_else(|| self.by_id.get(id).copied())
    }

    /// Whose a record is, and which of its records.
    fn record(&self, topic: &'static str, record: &Record) -> Option<(usize, usize)> {
        let id = MessageId::given(record.headers.text(header::ID)?);
        let (index, number) = *self.by_record.get(&(topic, id))?;
        Some((Fate::place(&record.headers).unwrap_or(index), number))
    }

    /// A pipeline begins; its number.
    pub(super) fn born(&mut self) -> u64 {
        self.life += 1;
        (self.alive, self.joined) = (true, false);
        self.life
    }

    /// The pipeline was killed: what it had begun will repeat, within bounds.
    pub(super) fn crashed(&mut self) {
        let begun = |fate: &&Fate| self.assigned.get(&fate.partition).is_some_and(|of| of.number == fate.assignment);
        let covered = |fate: &Fate| self.stored_covers(fate);
        let repeats = self.fates.iter().filter(begun).filter(|fate| !covered(fate)).count();
        let (window, partitions) = (self.promises.window, self.assigned.len());
        let over = if self.joined { window.max(partitions) } else { 0 };
        let bound = 2 * window.max(partitions) + over + self.promises.retry_partitions;
        self.gone();
        self.note(format_args!("crash: {repeats} may repeat"));
        if repeats > bound {
            self.blame(format!("{repeats} messages repeat after a crash, more than {bound}"));
        }
    }

    /// The pipeline ended cleanly: nothing that settled repeats.
    pub(super) fn stopped(&mut self) {
        let assigned = self.assigned.iter().map(|(partition, assigned)| (partition.clone(), assigned.number));
        for (partition, number) in assigned.collect::<Vec<_>>() {
            self.released(&partition, number);
        }
        self.gone();
    }

    /// The pipeline ended without its last checkpoint.
    pub(super) fn gone(&mut self) {
        self.alive = false;
        self.assigned.clear();
        self.held.clear();
        for fate in &mut self.fates {
            fate.doing = Doing::Nothing;
        }
    }

    /// Partitions come to the pipeline.
    pub(super) fn assigned(&mut self, assignments: &[Assignment]) {
        let topics: Vec<_> = assignments.iter().map(|assignment| &assignment.partition.topic).collect();
        self.joined |= self.assigned.keys().any(|partition| topics.contains(&&partition.topic));
        for Assignment { partition, epoch, checkpoint, .. } in assignments {
            self.note(format_args!("assigned {partition} {epoch:?} {checkpoint:?}"));
            self.leave(partition);
            self.assignments += 1;
            let (number, epoch, checkpoint) = (self.assignments, *epoch, checkpoint.clone());
            self.assigned.insert(partition.clone(), Assigned { number, epoch, checkpoint, closing: None });
        }
    }

    /// A partition is asked back; the number of its assignment.
    pub(super) fn asked_back(&mut self, partition: &Partition) -> u64 {
        self.note(format_args!("asked back {partition}"));
        let assigned = self.assigned.get_mut(partition);
        let number = assigned.map_or(0, |assigned| {
            assigned.closing.get_or_insert(Instant::now());
            assigned.number
        });
        for (index, fate) in self.fates.iter_mut().enumerate().filter(|(_, fate)| fate.partition == *partition) {
            if matches!(fate.doing, Doing::BackingOff | Doing::Held) {
                fate.doing = Doing::Nothing;
            }
            self.held.remove(&index);
        }
        number
    }

    /// The pipeline let an assignment of a partition go that was asked back, or stopped.
    pub(super) fn released(&mut self, partition: &Partition, number: u64) {
        if self.assigned.get(partition).is_none_or(|assigned| assigned.number != number) {
            return;
        }
        self.note(format_args!("released {partition}"));
        let settled = |fate: &&Fate| fate.partition == *partition && fate.settled == Some(number);
        let left_out = self.fates.iter().filter(settled).find(|fate| !self.stored_covers(fate)).map(Fate::name);
        if let Some(name) = left_out {
            self.blame(format!("{name} was settled when its partition was let go, and will repeat"));
        }
        self.leave(partition);
        self.assigned.remove(partition);
    }

    /// A partition is gone.
    pub(super) fn lost(&mut self, partition: &Partition) {
        self.note(format_args!("lost {partition}"));
        self.leave(partition);
        self.assigned.remove(partition);
    }

    /// What runs or is being written is aborted by the pipeline, and ends by itself.
    fn leave(&mut self, partition: &Partition) {
        for (index, fate) in self.fates.iter_mut().enumerate().filter(|(_, fate)| fate.partition == *partition) {
            if !matches!(fate.doing, Doing::Running { .. } | Doing::Writing { .. }) {
                fate.doing = Doing::Nothing;
            }
            fate.judged = false;
            self.held.remove(&index);
        }
    }

    /// Messages come to the pipeline.
    pub(super) fn handed(&mut self, partition: &Partition, positions: &[i64]) {
        self.note(format_args!("handed {partition}: {positions:?}"));
        if let Some(why) = self.why_nothing_may_start() {
            self.blame(format!("messages are admitted though {why}"));
        }
    }

    /// Why neither a message may start nor one come. What happened at this very moment the loop may not know yet.
    fn why_nothing_may_start(&self) -> Option<String> {
        let now = Instant::now();
        let stuck = |fate: &&Fate| match fate.doing {
            Doing::Stuck { since } => since < now && !self.is_over(&fate.partition),
            Doing::Writing { again } => again,
            _ => false,
        };
        if let Some(fate) = self.fates.iter().find(stuck) {
            return Some(format!("{} waits for a topic", fate.name()));
        }
        let held = self.held.iter().find(|(_, since)| **since < now);
        held.map(|(index, _)| format!("{} is held", self.fates[*index].name()))
    }

    /// Whether the time to drain a partition is over, so that what waits in it may be given up.
    fn is_over(&self, partition: &Partition) -> bool {
        let assigned = self.assigned.get(partition);
        assigned
            .is_none_or(|assigned| assigned.closing.is_some_and(|at| at + self.promises.drain_for <= Instant::now()))
    }

    fn stored_covers(&self, fate: &Fate) -> bool {
        self.stored.get(&fate.partition).is_some_and(|stored| stored.is_settled(Position(fate.position)))
    }

    /// The pipeline begins to store checkpoints.
    pub(super) fn commits(&mut self, commits: &[Commit]) {
        for Commit { partition, epoch, checkpoint } in commits {
            self.note(format_args!("commits {partition} {checkpoint:?}"));
            let stale = self.assigned.get(partition).is_none_or(|assigned| assigned.epoch != *epoch);
            let behind = self.stored.get(partition).is_some_and(|stored| stored.base() > checkpoint.base());
            let too_long = self.promises.checkpoint_limit.is_some_and(|limit| checkpoint.encode().len() > limit);
            for (is, what) in [(stale, "is not ours"), (behind, "moves back"), (too_long, "is too long to be stored")] {
                if is {
                    self.blame(format!("checkpoint {checkpoint:?} of {partition} {what}"));
                }
            }
            self.judge(partition, checkpoint);
        }
    }

    /// A checkpoint is durable.
    pub(super) fn stored(&mut self, partition: Partition, checkpoint: Checkpoint) {
        self.note(format_args!("stored {partition} {checkpoint:?}"));
        self.judge(&partition, &checkpoint);
        self.stored.insert(partition, checkpoint);
    }

    /// What the pipeline says of itself.
    pub(super) fn snapshot(&mut self, partitions: &[PartitionState]) {
        for state in partitions {
            if let Some(checkpoint) = &state.checkpoint {
                self.judge(&state.partition, checkpoint);
            }
        }
    }

    fn judge(&mut self, partition: &Partition, checkpoint: &Checkpoint) {
        let passed = |fate: &&Fate| fate.partition == *partition && checkpoint.is_settled(Position(fate.position));
        let wrong = self.fates.iter().filter(passed).find(|fate| !fate.has_left()).map(Fate::name);
        if let Some(name) = wrong {
            self.blame(format!("checkpoint {checkpoint:?} of partition {partition} passes {name}, which has not left"));
        }
    }

    /// Whether everything has left and is stored as settled.
    pub(super) fn is_over_and_done(&self) -> bool {
        let passed = |(partition, position): &(Partition, Position)| {
            self.stored.get(partition).is_some_and(|stored| stored.is_settled(*position))
        };
        let left = self.fates.iter().all(|fate| fate.has_left() && self.stored_covers(fate));
        left && self.strangers.iter().all(passed)
    }

    /// How every message stands, for a failure.
    pub(super) fn account(&self) -> String {
        let line =
            |fate: &Fate| format!("{} {:?} {:?} left {}\n", fate.name(), fate.ending, fate.doing, fate.has_left());
        format!("pipeline {PIPELINE}, {:?}, stored {:?}\n", self.promises, self.stored)
            + &self.fates.iter().map(line).collect::<String>()
    }
}
