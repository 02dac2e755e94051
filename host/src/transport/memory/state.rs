//! What the memory transport keeps. Plain data behind one lock.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use crate::model::{Checkpoint, Message, Partition, Position, Timestamp};
use crate::transport::config::{self, Retention};
use crate::transport::spread::DEFAULT_PARTITIONS;
use crate::transport::{Commit, Epoch, PartitionInfo, Start};

#[derive(Default)]
pub(super) struct State {
    /// By their names in the system.
    pub(super) topics: BTreeMap<String, Topic>,
    /// Gives sources their numbers.
    pub(super) sources: u64,
}

#[derive(Default)]
pub(super) struct Topic {
    pub(super) logs: Vec<Log>,
    pub(super) groups: BTreeMap<Arc<str>, Group>,
    retention: Retention,
    pub(super) faults: Faults,
}

/// What is to go wrong.
#[derive(Default)]
pub(super) struct Faults {
    /// So often a source fails before it reads again.
    pub(super) reads: usize,
    /// Why commits fail, while they do.
    pub(super) commits: Option<String>,
    /// Why writes fail, while they do.
    pub(super) writes: Option<String>,
    /// Why records are refused, while they are.
    pub(super) refusal: Option<String>,
    /// The most bytes that a record may have, if that is bounded.
    pub(super) largest: Option<u64>,
}

/// One partition.
#[derive(Default)]
pub(super) struct Log {
    /// The position of the oldest message that is kept.
    first: i64,
    messages: VecDeque<Message>,
    bytes: u64,
}

/// What a group has settled, and who reads for it.
pub(super) struct Group {
    /// By partition.
    pub(super) checkpoints: Vec<Checkpoint>,
    /// By partition: the last assignment, and whether it still holds.
    pub(super) assigned: Vec<(Epoch, bool)>,
    /// The source that reads.
    pub(super) owner: Option<u64>,
    /// What that source is still to be told.
    pub(super) orders: VecDeque<Order>,
}

/// What a source is told from outside.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Order {
    Assign(Vec<u32>),
    Revoke(Vec<u32>),
    Lose(Vec<u32>),
}

impl State {
    /// A topic, made where missing.
    pub(super) fn topic(&mut self, name: &str, config: Option<&config::Topic>) -> &mut Topic {
        let topic = self.topics.entry(name.to_owned()).or_insert_with(|| {
            let partitions = config.map_or(DEFAULT_PARTITIONS, config::Topic::partitions);
            Topic { logs: (0..partitions).map(|_| Log::default()).collect(), ..Topic::default() }
        });
        if let Some(create) = config.and_then(|config| config.create.as_ref()) {
            topic.retention = create.retention;
        }
        topic
    }
}

impl Topic {
    pub(super) fn partitions(&self) -> u32 {
        u32::try_from(self.logs.len()).unwrap_or(u32::MAX)
    }

    pub(super) fn log(&self, partition: u32) -> Option<&Log> {
        self.logs.get(usize::try_from(partition).ok()?)
    }

    /// Appends what `make` makes of its position; says which that is. None without such a partition.
    pub(super) fn append(&mut self, partition: u32, make: impl FnOnce(Position) -> Message) -> Option<Position> {
        let log = self.logs.get_mut(usize::try_from(partition).ok()?)?;
        let position = Position(log.end());
        log.push(make(position));
        Some(position)
    }

    /// Removes what is kept no longer, oldest first.
    pub(super) fn trim(&mut self, now: Timestamp) {
        let Retention { age, size } = self.retention;
        let oldest = age.map_or(0, |age| now.0.saturating_sub(u64::try_from(age.0.as_millis()).unwrap_or(u64::MAX)));
        let limit = size.map_or(u64::MAX, |size| size.0);
        loop {
            let bytes: u64 = self.logs.iter().map(|log| log.bytes).sum();
            let is_old = |log: &Log| log.oldest().is_some_and(|time| time.0 < oldest);
            // The newest message of a partition never goes for its size.
            let goes = |log: &&mut Log| is_old(log) || bytes > limit && log.messages.len() > 1;
            match self.logs.iter_mut().filter(goes).min_by_key(|log| log.oldest()) {
                Some(log) => log.pop(),
                None => return,
            }
        }
    }

    /// A group, made where missing, with its first checkpoints.
    pub(super) fn group(&mut self, name: &Arc<str>, start: Start) -> &mut Group {
        let logs = &self.logs;
        self.groups.entry(name.clone()).or_insert_with(|| {
            let checkpoints = logs.iter().map(|log| match start {
                Start::Earliest => Checkpoint::plain(Position(log.first - 1)),
                Start::Latest => Checkpoint::plain(Position(log.end() - 1)),
            });
            let assigned = vec![(Epoch(0), false); logs.len()];
            Group { checkpoints: checkpoints.collect(), assigned, owner: None, orders: VecDeque::new() }
        })
    }
}

impl Log {
    pub(super) fn bounds(&self) -> PartitionInfo {
        PartitionInfo { first: self.first, end: self.end() }
    }

    /// Messages from a position on.
    pub(super) fn from(&self, position: i64) -> impl Iterator<Item = &Message> {
        self.messages.iter().skip(usize::try_from(position.saturating_sub(self.first)).unwrap_or(0))
    }

    /// Removes the messages before a position.
    pub(super) fn forget(&mut self, before: i64) {
        while self.first < before && !self.messages.is_empty() {
            self.pop();
        }
    }

    fn end(&self) -> i64 {
        self.first.saturating_add(i64::try_from(self.messages.len()).unwrap_or(i64::MAX))
    }

    fn oldest(&self) -> Option<Timestamp> {
        self.messages.front().map(|message| message.origin.enqueued)
    }

    fn push(&mut self, message: Message) {
        self.bytes += message.size();
        self.messages.push_back(message);
    }

    fn pop(&mut self) {
        if let Some(message) = self.messages.pop_front() {
            self.bytes -= message.size();
            self.first += 1;
        }
    }
}

impl Group {
    /// Begins a new assignment of a partition.
    pub(super) fn assign(&mut self, partition: u32) -> Option<(Epoch, Checkpoint)> {
        let index = usize::try_from(partition).ok()?;
        let assigned = self.assigned.get_mut(index)?;
        *assigned = (Epoch(assigned.0.0 + 1), true);
        Some((assigned.0, self.checkpoints.get(index)?.clone()))
    }

    /// Partitions with the last assignment of each.
    pub(super) fn epochs(&self, partitions: &[u32]) -> Vec<(u32, Epoch)> {
        let all = (0..).zip(&self.assigned).map(|(index, (epoch, _))| (index, *epoch));
        all.filter(|(index, _)| partitions.contains(index)).collect()
    }

    /// The partitions of which these are still the assignments.
    pub(super) fn current(&self, assignments: Vec<(u32, Epoch)>) -> Vec<u32> {
        let is_current = |(index, epoch): &(u32, Epoch)| {
            let assigned = usize::try_from(*index).ok().and_then(|index| self.assigned.get(index));
            assigned == Some(&(*epoch, true))
        };
        assignments.into_iter().filter(is_current).map(|(index, _)| index).collect()
    }

    /// Ends the assignment of partitions.
    pub(super) fn release(&mut self, partitions: &[u32]) {
        for (index, assigned) in (0..).zip(&mut self.assigned) {
            assigned.1 &= !partitions.contains(&index);
        }
    }

    /// Stores checkpoints; answers the partitions whose assignment is over.
    pub(super) fn commit(&mut self, commits: Vec<Commit>) -> Vec<Partition> {
        let mut refused = Vec::new();
        for Commit { partition, epoch, checkpoint } in commits {
            let index = usize::try_from(partition.index).unwrap_or(usize::MAX);
            match self.assigned.get(index) {
                Some((current, true)) if *current == epoch => self.store(partition.index, &checkpoint),
                _ => refused.push(partition),
            }
        }
        refused
    }

    /// Stores a checkpoint. One that is behind the stored one changes nothing.
    pub(super) fn store(&mut self, partition: u32, checkpoint: &Checkpoint) {
        let stored = usize::try_from(partition).ok().and_then(|index| self.checkpoints.get_mut(index));
        if let Some(stored) = stored.filter(|stored| checkpoint.base() >= stored.base()) {
            *stored = checkpoint.clone();
        }
    }
}

/// The message as a reader sees it who knows the topic under that name.
pub(super) fn named(message: &Message, topic: &Arc<str>) -> Message {
    let mut message = message.clone();
    message.origin.partition.topic = topic.clone();
    message
}
