//! What a partition keeps: events in their order, ready to be sent, until retention takes them. Offsets are where an
//! event would begin if all were written one after the other: they grow, but are no sequence numbers.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;

use super::start::{Position, Start};
use crate::amqp::message::{Event, Mark};
use crate::config::Retention;
use crate::refusal::Refusal;

/// The events of one partition.
#[derive(Debug)]
pub(crate) struct Log {
    events: VecDeque<Kept>,
    retention: Retention,
    /// The bytes of all that is kept.
    bytes: u64,
    next_sequence: i64,
    next_offset: i64,
    /// Of the last event there ever was.
    last: Option<Last>,
}

/// One event.
#[derive(Debug, Clone)]
pub(crate) struct Kept {
    pub(crate) sequence: i64,
    offset: i64,
    enqueued: Timestamp,
    /// The message that receivers get.
    pub(crate) message: Bytes,
}

#[derive(Debug, Clone, Copy)]
struct Last {
    offset: i64,
    enqueued: Timestamp,
}

/// What can be asked about a partition.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Extent {
    /// The sequence number of the oldest event that is kept.
    pub first_sequence: i64,
    /// That of the last event there ever was; -1 before the first.
    pub last_sequence: i64,
    /// Its offset; -1 before the first.
    pub last_offset: i64,
    /// When it came, in milliseconds; 0 before the first.
    pub last_enqueued: i64,
    /// Whether nothing is kept.
    pub is_empty: bool,
}

impl Log {
    /// An empty one.
    pub(crate) fn new(retention: Retention) -> Self {
        Self { events: VecDeque::new(), retention, bytes: 0, next_sequence: 0, next_offset: 0, last: None }
    }

    /// Keeps events; those that are too many or too old go.
    pub(crate) fn append(&mut self, events: Vec<Event>, partition_key: Option<&str>, now: Timestamp) {
        // A clock that was set back must not undo the order.
        let enqueued = self.last.map_or(now, |last| last.enqueued.max(now));
        for event in events {
            let (sequence, offset, size) = (self.next_sequence, self.next_offset, event.size());
            let mark = Mark { sequence, offset, enqueued: enqueued.as_millisecond(), partition_key };
            let message = event.delivered(mark);
            self.bytes += message.len() as u64;
            self.events.push_back(Kept { sequence, offset, enqueued, message });
            self.last = Some(Last { offset, enqueued });
            self.next_sequence += 1;
            // At least one, so that no two events have the same.
            self.next_offset += i64::try_from(size).unwrap_or(i64::MAX).max(1);
        }
        self.forget(now);
    }

    /// Up to so many events from a sequence number on; those that are gone are passed over.
    pub(crate) fn read(&mut self, from: i64, most: usize, now: Timestamp) -> Vec<Kept> {
        self.forget(now);
        let skipped = usize::try_from(from.saturating_sub(self.first_sequence())).unwrap_or(0);
        self.events.iter().skip(skipped).take(most).cloned().collect()
    }

    /// With which sequence number a receiver begins.
    pub(crate) fn begin(&self, start: Start) -> Result<i64, Refusal> {
        let last = self.extent();
        let first_that = |reached: &dyn Fn(&Kept) -> bool| {
            let index = self.events.partition_point(|event| !reached(event));
            self.events.get(index).map_or(self.next_sequence, |event| event.sequence)
        };
        match start.position {
            Position::Earliest => Ok(self.first_sequence()),
            Position::Latest => Ok(self.next_sequence),
            Position::Offset(offset) if offset > last.last_offset => {
                Err(Refusal::beyond_the_end("offset", offset, last.last_offset))
            }
            Position::Sequence(sequence) if sequence > last.last_sequence => {
                Err(Refusal::beyond_the_end("sequence number", sequence, last.last_sequence))
            }
            Position::Offset(offset) => Ok(first_that(&|event| start.reaches(event.offset, offset))),
            Position::Sequence(sequence) => Ok(first_that(&|event| start.reaches(event.sequence, sequence))),
            Position::Enqueued(time) => Ok(first_that(&|event| start.reaches(event.enqueued.as_millisecond(), time))),
        }
    }

    /// What can be asked about it.
    pub(crate) fn extent(&self) -> Extent {
        Extent {
            first_sequence: self.first_sequence(),
            last_sequence: self.next_sequence - 1,
            last_offset: self.last.map_or(-1, |last| last.offset),
            last_enqueued: self.last.map_or(0, |last| last.enqueued.as_millisecond()),
            is_empty: self.events.is_empty(),
        }
    }

    /// Lets go of what stands before a sequence number, as retention does.
    pub(crate) fn forget_before(&mut self, sequence: i64) {
        while self.events.front().is_some_and(|event| event.sequence < sequence) {
            self.drop_first();
        }
    }

    fn first_sequence(&self) -> i64 {
        self.events.front().map_or(self.next_sequence, |event| event.sequence)
    }

    /// Lets go of what is too much, or by now too old.
    pub(crate) fn forget(&mut self, now: Timestamp) {
        let Retention { events, bytes, seconds } = self.retention;
        let oldest = seconds.and_then(|seconds| now.checked_sub(Duration::from_secs(seconds.get())).ok());
        while let Some(event) = self.events.front() {
            let is_too_old = oldest.is_some_and(|oldest| event.enqueued < oldest);
            if self.events.len() <= events.get() && self.bytes <= bytes.get() && !is_too_old {
                break;
            }
            self.drop_first();
        }
    }

    fn drop_first(&mut self) {
        if let Some(event) = self.events.pop_front() {
            self.bytes -= event.message.len() as u64;
        }
    }
}

impl Start {
    fn reaches(self, of_event: i64, wanted: i64) -> bool {
        if self.inclusive { of_event >= wanted } else { of_event > wanted }
    }
}

#[cfg(test)]
mod tests;
