//! One owner at a time for each partition of a topic in a group. The epoch counts the owners and fences: what an earlier
//! one fetches or commits is refused. No clock decides anything here.

use std::collections::HashMap;

use rusqlite::{Connection, Row, params};

use super::checkpoints;
use super::member::Place;
use super::topics::Topic;
use crate::model::Partition;
use crate::storage::sqlite::Error;
use crate::transport::Commit;

/// Who has a partition.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Lease {
    /// Counts the owners; zero before the first.
    pub(super) epoch: i64,
    /// A member; nobody when it is none any more.
    pub(super) owner: Option<i64>,
    /// The member that is to have it next.
    pub(super) wanted_by: Option<i64>,
}

impl Lease {
    /// Whether an ownership is the last one, and holds.
    pub(super) fn is_current(&self, epoch: i64) -> bool {
        self.epoch == epoch && self.owner.is_some()
    }
}

/// The leases of a group, by partition. Those that nobody had yet are missing.
pub(super) type Leases = HashMap<u32, Lease>;

/// The leases of a group of a topic.
pub(super) fn all(connection: &Connection, (topic, group): Place) -> Result<Leases, Error> {
    let sql = "SELECT part, epoch, owner, wanted_by FROM partition_lease WHERE topic = ?1 AND grp = ?2";
    let mut statement = connection.prepare_cached(sql)?;
    let leases = statement.query_map([topic, group], |row| Ok((row.get(0)?, lease(row, 1)?)))?;
    Ok(leases.collect::<Result<_, _>>()?)
}

/// The leases of a topic's groups, each with its group and partition.
pub(super) fn of_topic(connection: &Connection, topic: i64) -> Result<Vec<(i64, u32, Lease)>, Error> {
    let sql = "SELECT grp, part, epoch, owner, wanted_by FROM partition_lease WHERE topic = ?1";
    let mut statement = connection.prepare_cached(sql)?;
    let leases = statement.query_map([topic], |row| Ok((row.get(0)?, row.get(1)?, lease(row, 2)?)))?;
    Ok(leases.collect::<Result<_, _>>()?)
}

fn lease(row: &Row<'_>, at: usize) -> Result<Lease, rusqlite::Error> {
    Ok(Lease { epoch: row.get(at)?, owner: row.get(at + 1)?, wanted_by: row.get(at + 2)? })
}

/// Begins the next ownership of a partition, which must be free; says which one it is.
pub(super) fn claim(connection: &Connection, place: Place, partition: u32, member: i64) -> Result<i64, Error> {
    let sql = "INSERT INTO partition_lease(topic, grp, part, epoch, owner) VALUES (?1, ?2, ?3, 1, ?4)
        ON CONFLICT DO UPDATE SET epoch = epoch + 1, owner = excluded.owner, wanted_by = NULL RETURNING epoch";
    let mut statement = connection.prepare_cached(sql)?;
    Ok(statement.query_row(params![place.0, place.1, partition, member], |row| row.get(0))?)
}

/// A member is to have a partition next.
pub(super) fn ask(connection: &Connection, place: Place, partition: u32, member: i64) -> Result<(), Error> {
    let sql = "UPDATE partition_lease SET wanted_by = ?4 WHERE topic = ?1 AND grp = ?2 AND part = ?3";
    connection.prepare_cached(sql)?.execute(params![place.0, place.1, partition, member])?;
    Ok(())
}

/// Ends ownerships of partitions, as far as they are the last ones. Who wants a partition is to have it next.
pub(super) fn release(connection: &Connection, place: Place, ending: &[(u32, i64)]) -> Result<(), Error> {
    let sql = "UPDATE partition_lease SET owner = NULL WHERE topic = ?1 AND grp = ?2 AND part = ?3 AND epoch = ?4";
    let mut statement = connection.prepare_cached(sql)?;
    for (partition, epoch) in ending {
        statement.execute(params![place.0, place.1, partition, epoch])?;
    }
    Ok(())
}

/// Stores the checkpoints of an owner; answers the partitions of those that belong to an ownership that is over.
pub(super) fn commit(
    connection: &Connection,
    topic: &Topic,
    group: i64,
    commits: &[Commit],
) -> Result<Vec<Partition>, Error> {
    let leases = all(connection, (topic.id, group))?;
    let mut refused = Vec::new();
    for commit in commits {
        let epoch = i64::try_from(commit.epoch.0).unwrap_or(-1);
        let index = commit.partition.index;
        match topic.log(index) {
            Some(log) if leases.get(&index).is_some_and(|lease| lease.is_current(epoch)) => {
                checkpoints::store(connection, group, log, &commit.checkpoint)?;
            }
            _ => refused.push(commit.partition.clone()),
        }
    }
    Ok(refused)
}
