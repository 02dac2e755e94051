//! What the owner of a partition starts with: the group's checkpoint, and which messages there are.

use rusqlite::Connection;

use super::checkpoints;
use super::look::Look;
use super::messages;
use super::topics;
use crate::model::{Checkpoint, Position};
use crate::storage::sqlite::Error;
use crate::transport::cursor::{first_kept, past_what_is_gone};
use crate::transport::{OnLostPosition, PartitionInfo, Start};

/// A partition that a member has from now on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Granted {
    /// Which one.
    pub(super) partition: u32,
    /// The number of this ownership.
    pub(super) epoch: i64,
    /// What the group had settled. Where what is gone is to be passed, the stored checkpoint is past it already.
    pub(super) checkpoint: Checkpoint,
    /// The messages there are.
    pub(super) bounds: PartitionInfo,
}

/// Partitions with the ownerships that just began, as their owner finds them.
pub(super) fn restore(
    connection: &Connection,
    look: &Look,
    group: i64,
    claimed: Vec<(u32, i64)>,
) -> Result<Vec<Granted>, Error> {
    if claimed.is_empty() {
        return Ok(Vec::new());
    }
    start(connection, look, group)?;
    let bounds = topics::bounds(connection, look.topic.id)?;
    let granted = claimed.into_iter().filter_map(|(partition, epoch)| {
        let bounds = *bounds.get(usize::try_from(partition).ok()?)?;
        let checkpoint = checkpoint(connection, look, group, partition, bounds).transpose()?;
        Some(checkpoint.map(|checkpoint| Granted { partition, epoch, checkpoint, bounds }))
    });
    granted.collect()
}

/// Gives a group its first checkpoints where it has none, in all partitions at once, so that it keeps its start though
/// it commits nothing. The first member of a new group claims at once.
fn start(connection: &Connection, look: &Look, group: i64) -> Result<(), Error> {
    for (log, bounds) in look.topic.logs.iter().zip(topics::bounds(connection, look.topic.id)?) {
        let first = match look.start {
            Start::Earliest => bounds.first,
            Start::Latest => bounds.end,
            Start::At(time) => messages::first_at(connection, *log, time)?.unwrap_or(bounds.end),
        };
        checkpoints::begin(connection, group, *log, &Checkpoint::plain(Position(first - 1)))?;
    }
    Ok(())
}

fn checkpoint(
    connection: &Connection,
    look: &Look,
    group: i64,
    partition: u32,
    bounds: PartitionInfo,
) -> Result<Option<Checkpoint>, Error> {
    let stored = checkpoints::stored(connection, &look.topic, (group, &look.group), partition)?;
    let (Some(checkpoint), Some(log)) = (stored, look.topic.log(partition)) else { return Ok(None) };
    // A checkpoint of messages that were never written would pass those that will be.
    if checkpoint.highest().0 >= bounds.end {
        return Err(Error::Damaged(format!(
            "{}/{partition}: the checkpoint of group {} is at {}, but messages end before {}",
            look.topic.name,
            look.group,
            checkpoint.highest(),
            bounds.end
        )));
    }
    if look.on_lost_position != OnLostPosition::Fail {
        let next = checkpoint.base().0.saturating_add(1);
        let first = first_kept(&checkpoint, next, bounds, look.on_lost_position);
        store_past(connection, (group, log), &checkpoint, first)?;
    }
    Ok(Some(checkpoint))
}

/// In the claim's own transaction, so that the next owner does not find the same messages lost again.
fn store_past(
    connection: &Connection,
    (group, log): (i64, i64),
    checkpoint: &Checkpoint,
    first: i64,
) -> Result<(), Error> {
    match past_what_is_gone(checkpoint, first) {
        past if past == *checkpoint => Ok(()),
        past => checkpoints::store(connection, group, log, &past),
    }
}
