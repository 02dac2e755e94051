//! The partitions that a source reads. Each has its own queue, split off the client's, and is taken of only while there
//! is demand: what nobody takes fills its bound, and the client fetches no more of it.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::consumer::Consumer;
use rdkafka::error::{KafkaResult, RDKafkaErrorCode as Code};
use rdkafka::{Offset, TopicPartitionList};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::client::Plain;
use super::message::message;
use super::native::{Closing, Queue, Signal, Taken};
use super::topics::{self, number};
use crate::model::{Message, Partition};
use crate::transport::cursor::Cursor;
use crate::transport::{Batch, Demand, Epoch, Room};

/// Messages taken at once, at most.
const AT_ONCE: usize = 256;
/// When a partition that failed is begun anew.
const AGAIN: Duration = Duration::from_secs(5);

/// All partitions of a source.
pub(super) struct Reading {
    pub(super) transport: Arc<str>,
    /// The topic's name in Kafka.
    pub(super) physical: Arc<str>,
    pub(super) reader: Arc<Closing<Plain>>,
    pub(super) wake: Arc<Notify>,
    owned: BTreeMap<u32, Owned>,
    /// The partition that was served last.
    turn: u32,
}

/// A partition that this source has.
struct Owned {
    epoch: Epoch,
    cursor: Cursor,
    queue: Queue,
    /// Whether the queue may hold something.
    more: bool,
    /// Whether its end is to be looked at.
    look: bool,
    /// Bytes of the largest message of late.
    large: u64,
    /// When it is begun anew, where it failed.
    again: Option<Instant>,
}

/// What became of a partition while it was read.
pub(super) enum Fault {
    /// The position is gone, or beyond the end.
    Position(u32, Epoch),
    /// Reading failed.
    Failed(Partition, Code, String),
}

impl Reading {
    pub(super) fn new(transport: Arc<str>, physical: Arc<str>, reader: Arc<Closing<Plain>>, wake: Arc<Notify>) -> Self {
        Self { transport, physical, reader, wake, owned: BTreeMap::new(), turn: 0 }
    }

    /// Begins to read partitions at their cursors. Queues are split off before, so that nothing comes by the common one.
    pub(super) fn begin(&mut self, cursors: Vec<(Epoch, Cursor)>) -> KafkaResult<()> {
        let mut list = TopicPartitionList::new();
        for (epoch, cursor) in cursors {
            let index = cursor.partition().index;
            let signal = Signal::new(self.wake.clone());
            let Some(queue) = Queue::split(self.reader.clone(), &self.physical, number(index), signal) else {
                continue;
            };
            list.add_partition_offset(&self.physical, number(index), Offset::Offset(cursor.next()))?;
            let owned = Owned { epoch, cursor, queue, more: true, look: true, large: 0, again: None };
            self.owned.insert(index, owned);
        }
        if list.count() == 0 { Ok(()) } else { self.reader.incremental_assign(&list) }
    }

    /// Reads these no longer; gives those that were read.
    pub(super) fn end(&mut self, indexes: &[u32]) -> Vec<Partition> {
        let mut list = TopicPartitionList::new();
        let mut ended = Vec::new();
        for index in indexes {
            if let Some(owned) = self.owned.remove(index) {
                list.add_partition(&self.physical, number(*index));
                ended.push(owned.cursor.partition().clone());
            }
        }
        if list.count() > 0
            && let Err(error) = self.reader.incremental_unassign(&list)
        {
            tracing::warn!(target: "lockgate::kafka", %error, "partitions are not let go by their reader");
        }
        ended
    }

    pub(super) fn indexes(&self) -> Vec<u32> {
        self.owned.keys().copied().collect()
    }

    /// Whether this assignment of a partition is not over.
    pub(super) fn is_current(&self, index: u32, epoch: Epoch) -> bool {
        self.owned.get(&index).is_some_and(|owned| owned.epoch == epoch)
    }

    /// The cursor of an assignment.
    pub(super) fn cursor(&mut self, index: u32, epoch: Epoch) -> Option<&mut Cursor> {
        self.owned.get_mut(&index).filter(|owned| owned.epoch == epoch).map(|owned| &mut owned.cursor)
    }

    /// Looks at the ends of all partitions again, and begins those anew that failed some time ago.
    pub(super) fn tick(&mut self, now: Instant) {
        let mut failed = Vec::new();
        for (index, owned) in &mut self.owned {
            owned.look = true;
            if owned.again.is_some_and(|again| again <= now) {
                owned.again = None;
                failed.push(*index);
            }
        }
        failed.into_iter().for_each(|index| self.restart(index));
    }

    /// Has the client read a partition from its cursor on, whatever it was about before.
    pub(super) fn restart(&mut self, index: u32) {
        let Some(owned) = self.owned.get_mut(&index) else { return };
        owned.more = true;
        let mut list = topics::list(&self.physical, [index]);
        let next = Offset::Offset(owned.cursor.next());
        let again = self.reader.incremental_unassign(&list).and_then(|()| list.set_all_offsets(next));
        if let Err(error) = again.and_then(|()| self.reader.incremental_assign(&list)) {
            tracing::warn!(target: "lockgate::kafka", partition = %owned.cursor.partition(), %error,
                "a partition is not read; it is begun anew");
            owned.again = Some(Instant::now() + AGAIN);
        }
    }

    /// The next batch: of the first partition behind the last served that has one, else news of the lag.
    pub(super) fn next(&mut self, demand: &dyn Demand, now: Instant, faults: &mut Vec<Fault>) -> Option<Batch> {
        let Self { owned, transport, physical, turn, .. } = self;
        let behind = (Bound::Excluded(*turn), Bound::Unbounded);
        let indexes: Vec<u32> = owned.range(behind).chain(owned.range(..=*turn)).map(|(index, _)| *index).collect();
        for index in indexes {
            let Some(owned) = owned.get_mut(&index) else { continue };
            owned.observe();
            if owned.cursor.is_empty() && !owned.more {
                continue;
            }
            let Some(room) = demand.room(owned.cursor.partition()) else { continue };
            if owned.cursor.is_empty() {
                owned.take_in(transport, physical, room, faults, now);
            }
            if let Some(batch) = owned.cursor.hand_out(room, now) {
                *turn = index;
                return Some(batch);
            }
        }
        owned.values_mut().find_map(|owned| owned.news(now))
    }
}

impl Owned {
    /// Sees whether something came.
    fn observe(&mut self) {
        if self.queue.signal().lower() {
            (self.more, self.look) = (true, true);
        }
    }

    /// Takes messages of the queue, as many as there is room for; by its size the last one may be too many.
    fn take_in(&mut self, transport: &Arc<str>, physical: &str, room: Room, faults: &mut Vec<Fault>, now: Instant) {
        let partition = self.cursor.partition().clone();
        let (mut count, mut bytes) = (0, 0);
        while count < room.messages.min(AT_ONCE) && (bytes < room.bytes || count == 0) {
            // Small messages by the hundred, large ones as they are wanted.
            let fitting = room.bytes.saturating_sub(bytes) / self.large.max(256);
            let most = usize::try_from(fitting).unwrap_or(AT_ONCE).clamp(1, room.messages.min(AT_ONCE) - count);
            let taken = self.queue.take(most);
            self.more = taken.len() == most;
            let mut messages: Vec<Message> = Vec::with_capacity(taken.len());
            let (mut end, mut large) = (None, 0);
            for taken in taken {
                match taken {
                    Taken::Message(raw) => {
                        let message = message(transport, physical, &partition, raw);
                        large = large.max(message.size());
                        bytes += message.size();
                        messages.push(message);
                    }
                    Taken::End(offset) => end = Some(offset),
                    Taken::Failed(code, reason) => self.failed(code, reason, faults, now),
                }
            }
            if !messages.is_empty() {
                (self.large, self.again) = (large, None);
            }
            count += messages.len();
            self.cursor.take_in(messages);
            if let Some(end) = end {
                self.again = None;
                self.cursor.reach(end);
            }
            if !self.more {
                break;
            }
        }
        self.look_at_the_end();
    }

    fn failed(&mut self, code: Code, reason: String, faults: &mut Vec<Fault>, now: Instant) {
        let partition = self.cursor.partition().clone();
        match code {
            Code::AutoOffsetReset | Code::OffsetOutOfRange => faults.push(Fault::Position(partition.index, self.epoch)),
            code => {
                self.again = Some(now + AGAIN);
                faults.push(Fault::Failed(partition, code, reason));
            }
        }
    }

    fn news(&mut self, now: Instant) -> Option<Batch> {
        if self.look {
            self.look_at_the_end();
        }
        // Before the first answer of the broker nothing is known to tell.
        self.cursor.news(now)
    }

    fn look_at_the_end(&mut self) {
        self.look = false;
        if let Some(end) = self.queue.end() {
            self.cursor.grow(end);
        }
    }
}
