//! Groups and their checkpoints in the tables.

use rusqlite::{Connection, OptionalExtension, params};

use super::topics::Topic;
use crate::model::{Checkpoint, Partition};
use crate::storage::sqlite::Error;

/// The number of a group, if there is such a one.
pub(super) fn group(connection: &Connection, name: &str) -> Result<Option<i64>, Error> {
    let mut statement = connection.prepare_cached("SELECT id FROM grp WHERE name = ?1")?;
    Ok(statement.query_row([name], |row| row.get(0)).optional()?)
}

/// The number of a group, made where missing.
pub(super) fn group_or_new(connection: &Connection, name: &str) -> Result<i64, Error> {
    if let Some(group) = group(connection, name)? {
        return Ok(group);
    }
    connection.prepare_cached("INSERT INTO grp(name) VALUES (?1)")?.execute([name])?;
    Ok(connection.last_insert_rowid())
}

/// The stored checkpoint of a group in one partition.
pub(super) fn stored(
    connection: &Connection,
    topic: &Topic,
    (group, name): (i64, &str),
    partition: u32,
) -> Result<Option<Checkpoint>, Error> {
    let row = connection
        .prepare_cached("SELECT base, settled FROM checkpoint WHERE grp = ?1 AND log = ?2")?
        .query_row(params![group, topic.log(partition)], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let Some((base, settled)) = row else { return Ok(None) };
    let damaged = |reason: String| {
        let partition = Partition::new(topic.name.clone(), partition);
        Error::Damaged(format!("{partition}: the checkpoint of group {name} cannot be read: {reason}"))
    };
    decode(base, settled).map(Some).map_err(damaged)
}

fn decode(base: i64, settled: Vec<u8>) -> Result<Checkpoint, String> {
    let checkpoint = Checkpoint::decode(&settled).map_err(|error| error.to_string())?;
    if checkpoint.base().0 == base { Ok(checkpoint) } else { Err(format!("its base is not {base}")) }
}

/// Stores a group's first checkpoint in a partition; where it has one, nothing changes.
pub(super) fn begin(connection: &Connection, group: i64, log: i64, checkpoint: &Checkpoint) -> Result<(), Error> {
    let sql = "INSERT INTO checkpoint(grp, log, base, settled) VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING";
    connection.prepare_cached(sql)?.execute(params![group, log, checkpoint.base().0, checkpoint.encode()])?;
    Ok(())
}

/// Stores a checkpoint. One that is behind the stored one changes nothing.
pub(super) fn store(connection: &Connection, group: i64, log: i64, checkpoint: &Checkpoint) -> Result<(), Error> {
    let sql = "INSERT INTO checkpoint(grp, log, base, settled) VALUES (?1, ?2, ?3, ?4)
        ON CONFLICT DO UPDATE SET base = excluded.base, settled = excluded.settled WHERE excluded.base >= base";
    connection.prepare_cached(sql)?.execute(params![group, log, checkpoint.base().0, checkpoint.encode()])?;
    Ok(())
}
