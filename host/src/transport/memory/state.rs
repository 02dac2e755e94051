//! What the memory transport keeps. Plain data behind one lock.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::group::Group;
use crate::model::{Checkpoint, Message, Position, Timestamp};
use crate::transport::config::{self, Retention};
use crate::transport::spread::DEFAULT_PARTITIONS;
use crate::transport::{PartitionInfo, Start};

#[derive(Default)]
pub(super) struct State {
    /// By their names in the system.
    pub(super) topics: BTreeMap<Arc<str>, Topic>,
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
    /// How long a stored checkpoint may be.
    pub(super) checkpoint_limit: Option<usize>,
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

impl State {
    /// A topic, made where missing.
    pub(super) fn topic(&mut self, name: &Arc<str>, config: Option<&config::Topic>) -> &mut Topic {
        let topic = self.topics.entry(name.clone()).or_insert_with(|| {
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
        if age.is_none() && size.is_none() {
            return;
        }
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
                Start::At(time) => {
                    let late = log.from(log.first).find(|message| message.origin.enqueued >= time);
                    let first = late.map_or_else(|| log.end(), |message| message.origin.position.0);
                    Checkpoint::plain(Position(first - 1))
                }
            });
            Group::new(checkpoints.collect())
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

/// The message as a reader sees it who knows the topic under that name.
pub(super) fn named(message: &Message, topic: &Arc<str>) -> Message {
    let mut message = message.clone();
    message.origin.partition.topic = topic.clone();
    message
}
