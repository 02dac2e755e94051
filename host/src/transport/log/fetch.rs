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
    pub(super) epoch: i64,
    /// At most so many bytes.
    pub(super) bytes: u64,
    /// Index of the partition, next position, and room for messages, in order of turn.
    pub(super) wanted: Vec<(usize, i64, Room)>,
}

/// What came of it.
pub(super) enum Fetched {
    /// The group is somebody else's.
    NotOwned,
    /// By index of the partition. Some that were wanted may be missing.
    Read(Vec<(usize, Read)>),
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
    if !lease::is_current(connection, plan.topic.id, plan.group, plan.epoch)? {
        return Ok(Fetched::NotOwned);
    }
    let bounds = topics::bounds(connection, plan.topic.id)?;
    let mut bytes = plan.bytes;
    let mut read = Vec::new();
    let share = (MESSAGES / plan.wanted.len().max(1)).max(1);
    for (index, from, room) in &plan.wanted {
        let first = bounds.get(*index).map_or(0, |bounds| bounds.first);
        if first > *from {
            read.push((*index, Read::Gone { first }));
            continue;
        }
        if bytes == 0 {
            break;
        }
        let room = Room { messages: room.messages.min(share), bytes: room.bytes.min(bytes) };
        let range = range(plan, *index, *from, room);
        let messages = messages::read(connection, &range)?;
        if messages.is_empty() {
            return Err(Error::Damaged(format!("{}: the message at position {from} is missing", range.partition)));
        }
        bytes = bytes.saturating_sub(messages.iter().map(Message::size).sum());
        read.push((*index, Read::Messages(messages)));
    }
    Ok(Fetched::Read(read))
}

fn range(plan: &Plan, index: usize, from: i64, room: Room) -> Range {
    let index = u32::try_from(index).unwrap_or(u32::MAX);
    let partition = Partition::new(plan.topic.name.clone(), index);
    Range { transport: plan.transport.clone(), topic: plan.topic.clone(), partition, from, room }
}
