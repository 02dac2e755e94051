//! One owner at a time for a group of a topic. The epoch counts the owners and fences: what an earlier one commits is
//! refused. No wall clock decides anything.
//!
//! | the lease's holder | a claim |
//! |---|---|
//! | lets go, or its process dies | is granted at once: its lock file is free |
//! | lives, and its process beats | is refused |
//! | lives, and its process has not beaten for as long as a lease lasts, by the claimer's own clock | is granted |

use std::path::PathBuf;
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, params};

use super::topics::{self, Topic};
use super::{checkpoints, holder};
use crate::model::{Checkpoint, Partition, Position};
use crate::storage::sqlite::Error;
use crate::transport::cursor::past_what_is_gone;
use crate::transport::{Commit, OnLostPosition, PartitionInfo, Start};

/// Who asks for a group of a topic.
#[derive(Clone, Debug)]
pub(super) struct Claim {
    /// The topic.
    pub(super) topic: Arc<Topic>,
    /// The group's name.
    pub(super) group: Arc<str>,
    /// Where the group begins when it is new.
    pub(super) start: Start,
    /// Whether what is gone is passed.
    pub(super) on_lost_position: OnLostPosition,
    /// The folder of lock files.
    pub(super) folder: PathBuf,
    /// The claimer's lock file.
    pub(super) holder: String,
    /// The claimer's process.
    pub(super) process: Process,
    /// An owner that has not beaten for too long.
    pub(super) stale: Option<Sign>,
}

/// A process that has the log open.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Process {
    /// A random number: process ids come back, and repeat between containers.
    pub(super) id: i64,
    /// For people: process id and host name.
    pub(super) name: String,
}

/// A sign of life of an owner: it lives as long as the sign changes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Sign {
    holder: String,
    beat: i64,
}

/// The answer to a claim.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Claimed {
    /// The claimer is the owner.
    Granted(Granted),
    /// Another is.
    InUse {
        /// Which one, for people.
        owner: String,
        /// Its sign of life.
        sign: Sign,
    },
}

/// What an owner starts with.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Granted {
    /// The group's number.
    pub(super) group: i64,
    /// The number of this ownership.
    pub(super) epoch: i64,
    /// By partition: what the group had settled, and which messages there are. Where what is gone is to be passed, the
    /// stored checkpoint is past it already.
    pub(super) partitions: Vec<(Checkpoint, PartitionInfo)>,
}

/// Takes the group, unless it is in use. A group that is new gets its first checkpoints, so that it keeps its start
/// though it commits nothing.
pub(super) fn claim(connection: &Connection, claim: &Claim) -> Result<Claimed, Error> {
    let group = checkpoints::group_or_new(connection, &claim.group)?;
    let sql = "SELECT epoch, holder, beat, owner FROM lease WHERE topic = ?1 AND grp = ?2";
    let row = connection
        .prepare_cached(sql)?
        .query_row([claim.topic.id, group], |row| {
            Ok((row.get::<_, i64>(0)?, Sign { holder: row.get(1)?, beat: row.get(2)? }, row.get::<_, String>(3)?))
        })
        .optional()?;
    let mut epoch = 1;
    if let Some((last, sign, owner)) = row {
        if is_in_use(claim, &sign) {
            return Ok(Claimed::InUse { owner, sign });
        }
        epoch = last + 1;
    }
    let sql = "INSERT OR REPLACE INTO lease(topic, grp, epoch, holder, process, owner, beat)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, 0)";
    let Process { id, name } = &claim.process;
    connection.prepare_cached(sql)?.execute(params![claim.topic.id, group, epoch, claim.holder, id, name])?;
    Ok(Claimed::Granted(Granted { group, epoch, partitions: restore(connection, claim, group)? }))
}

fn is_in_use(claim: &Claim, sign: &Sign) -> bool {
    sign.holder != claim.holder && claim.stale.as_ref() != Some(sign) && holder::is_alive(&claim.folder, &sign.holder)
}

fn restore(connection: &Connection, claim: &Claim, group: i64) -> Result<Vec<(Checkpoint, PartitionInfo)>, Error> {
    let bounds = topics::bounds(connection, claim.topic.id)?;
    let restored = (0..).zip(bounds).zip(&claim.topic.logs).map(|((partition, bounds), log)| {
        let stored = checkpoints::stored(connection, &claim.topic, (group, &claim.group), partition)?;
        if let Some(checkpoint) = stored {
            let (checkpoint, bounds) = within(claim, partition, checkpoint, bounds)?;
            if claim.on_lost_position == OnLostPosition::Earliest {
                store_past(connection, (group, *log), &checkpoint, bounds.first)?;
            }
            return Ok((checkpoint, bounds));
        }
        let start = match claim.start {
            Start::Earliest => bounds.first,
            Start::Latest => bounds.end,
        };
        let checkpoint = Checkpoint::plain(Position(start - 1));
        checkpoints::store(connection, group, *log, &checkpoint)?;
        Ok((checkpoint, bounds))
    });
    restored.collect()
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

/// A checkpoint of messages that were never written would pass those that will be.
fn within(
    claim: &Claim,
    partition: u32,
    checkpoint: Checkpoint,
    bounds: PartitionInfo,
) -> Result<(Checkpoint, PartitionInfo), Error> {
    if checkpoint.highest().0 < bounds.end {
        return Ok((checkpoint, bounds));
    }
    Err(Error::Damaged(format!(
        "{}/{partition}: the checkpoint of group {} is at {}, but messages end before {}",
        claim.topic.name,
        claim.group,
        checkpoint.highest(),
        bounds.end
    )))
}

/// Whether an ownership is still the last one.
pub(super) fn is_current(connection: &Connection, topic: i64, group: i64, epoch: i64) -> Result<bool, Error> {
    let sql = "SELECT epoch = ?3 FROM lease WHERE topic = ?1 AND grp = ?2";
    let current = connection.prepare_cached(sql)?.query_row([topic, group, epoch], |row| row.get(0)).optional()?;
    Ok(current.unwrap_or(false))
}

/// Stores the checkpoints of an owner; answers the partitions of those that belong to an ownership that is over.
pub(super) fn commit(
    connection: &Connection,
    topic: &Topic,
    group: i64,
    commits: &[Commit],
) -> Result<Vec<Partition>, Error> {
    let mut refused = Vec::new();
    for commit in commits {
        let epoch = i64::try_from(commit.epoch.0).unwrap_or(-1);
        match topic.log(commit.partition.index) {
            Some(log) if is_current(connection, topic.id, group, epoch)? => {
                checkpoints::store(connection, group, log, &commit.checkpoint)?;
            }
            _ => refused.push(commit.partition.clone()),
        }
    }
    Ok(refused)
}

/// The epochs of a topic's groups.
pub(super) fn epochs(connection: &Connection, topic: i64) -> Result<Vec<(i64, i64)>, Error> {
    let mut statement = connection.prepare_cached("SELECT grp, epoch FROM lease WHERE topic = ?1")?;
    Ok(statement.query_map([topic], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<Result<_, _>>()?)
}

/// A process says that it lives.
pub(super) fn beat(connection: &Connection, process: i64) -> Result<(), Error> {
    connection.prepare_cached("UPDATE lease SET beat = beat + 1 WHERE process = ?1")?.execute([process])?;
    Ok(())
}
