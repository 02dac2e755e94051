//! Reads messages for a source: one short read transaction for all partitions that want some.

use std::sync::Arc;

use rusqlite::Connection;

use super::lease;
use super::messages::{self, Range};
use super::topics::{self, Topic};
use crate::model::{Message, Partition};
use crate::storage::sqlite::Error;
use crate::transport::Room;

/// Messages read in one transaction, at most.
const MESSAGES: usize = 1000;
/// Bytes that a source has read and not handed out, over all its partitions. One message more may come, whatever its
/// size, or a large one would never.
pub(super) const READ_AHEAD: u64 = 16 << 20;

/// What to read.
pub(super) struct Plan {
    pub(super) transport: Arc<str>,
    pub(super) topic: Arc<Topic>,
    pub(super) group: i64,
    /// At most so many bytes.
    pub(super) bytes: u64,
    /// In order of turn.
    pub(super) wanted: Vec<Wanted>,
}

/// What to read of one partition.
#[derive(Clone, Copy)]
pub(super) struct Wanted {
    /// Its index.
    pub(super) partition: u32,
    /// The ownership that reads.
    pub(super) epoch: i64,
    /// The next position.
    pub(super) from: i64,
    /// Room for messages.
    pub(super) room: Room,
}

/// What came of it, by index of the partition and ownership.
#[derive(Default)]
pub(super) struct Fetched {
    /// Ownerships that are over.
    pub(super) lost: Vec<(u32, i64)>,
    /// Some that were wanted may be missing.
    pub(super) read: Vec<((u32, i64), Read)>,
}

/// What came of one partition.
pub(super) enum Read {
    /// Messages from the wanted position on.
    Messages(Vec<Message>),
    /// The wanted position is no longer kept.
    Gone {
        /// The oldest that is.
        first: i64,
    },
}

/// Reads, in one transaction, as much as the plan and the bounds allow. Each partition gets its share at least.
pub(super) fn fetch(connection: &Connection, plan: &Plan) -> Result<Fetched, Error> {
    let leases = lease::all(connection, (plan.topic.id, plan.group))?;
    let bounds = topics::bounds(connection, plan.topic.id)?;
    let mut bytes = plan.bytes;
    let mut fetched = Fetched::default();
    let share = (MESSAGES / plan.wanted.len().max(1)).max(1);
    for Wanted { partition, epoch, from, room } in plan.wanted.iter().copied() {
        let of = (partition, epoch);
        if !leases.get(&partition).is_some_and(|lease| lease.is_current(epoch)) {
            fetched.lost.push(of);
            continue;
        }
        let index = usize::try_from(partition).unwrap_or(usize::MAX);
        let first = bounds.get(index).map_or(0, |bounds| bounds.first);
        if first > from {
            fetched.read.push((of, Read::Gone { first }));
            continue;
        }
        if bytes == 0 {
            continue;
        }
        let room = Room { messages: room.messages.min(share), bytes: room.bytes.min(bytes) };
        let range = range(plan, partition, from, room);
        let messages = messages::read(connection, &range)?;
        if messages.is_empty() {
            return Err(Error::Damaged(format!("{}: the message at position {from} is missing", range.partition)));
        }
        bytes = bytes.saturating_sub(messages.iter().map(Message::size).sum());
        fetched.read.push((of, Read::Messages(messages)));
    }
    Ok(fetched)
}

fn range(plan: &Plan, partition: u32, from: i64, room: Room) -> Range {
    let partition = Partition::new(plan.topic.name.clone(), partition);
    Range { transport: plan.transport.clone(), topic: plan.topic.clone(), partition, from, room }
}
