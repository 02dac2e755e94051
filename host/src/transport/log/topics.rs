//! Topics and their partitions as they stand in the tables.

use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, params};

use super::schema::LOGS;
use crate::storage::sqlite::Error;
use crate::transport::PartitionInfo;
use crate::transport::config::{Retention, Topic as TopicConfig};
use crate::transport::spread::DEFAULT_PARTITIONS;

/// A topic. Never changes once it is made.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Topic {
    /// Its number.
    pub(super) id: i64,
    /// Its name in the spec.
    pub(super) name: Arc<str>,
    /// Its name in the tables.
    pub(super) physical: Arc<str>,
    /// The numbers of its logs, by partition.
    pub(super) logs: Vec<i64>,
}

impl Topic {
    /// How many partitions it has.
    pub(super) fn partitions(&self) -> u32 {
        u32::try_from(self.logs.len()).unwrap_or(u32::MAX)
    }

    /// The log of a partition.
    pub(super) fn log(&self, partition: u32) -> Option<i64> {
        self.logs.get(usize::try_from(partition).ok()?).copied()
    }
}

/// The topic with that name, if there is one.
pub(super) fn find(connection: &Connection, name: &Arc<str>, physical: &Arc<str>) -> Result<Option<Topic>, Error> {
    let id: Option<i64> = connection
        .prepare_cached("SELECT id FROM topic WHERE name = ?1")?
        .query_row([&**physical], |row| row.get(0))
        .optional()?;
    let Some(id) = id else { return Ok(None) };
    let mut statement = connection.prepare_cached("SELECT id FROM log WHERE topic = ?1 ORDER BY part")?;
    let logs = statement.query_map([id], |row| row.get(0))?.collect::<Result<_, _>>()?;
    Ok(Some(Topic { id, name: name.clone(), physical: physical.clone(), logs }))
}

/// The topic with that name, made when there is none, and the retention that holds though `create` does not say it.
///
/// | the spec says | what holds |
/// |---|---|
/// | `create` with `retention` | that |
/// | `create` without | messages are kept for ever |
/// | no `create` | what an earlier spec said; that one is answered |
pub(super) fn find_or_create(
    connection: &Connection,
    name: &Arc<str>,
    physical: &Arc<str>,
    config: Option<&TopicConfig>,
) -> Result<(Topic, Option<Retention>), Error> {
    let topic = match find(connection, name, physical)? {
        Some(topic) => topic,
        None => {
            let partitions = config.map_or(DEFAULT_PARTITIONS, TopicConfig::partitions);
            let id = insert(connection, physical)?;
            let logs = (0..partitions).map(|part| insert_log(connection, id, part)).collect::<Result<_, _>>()?;
            Topic { id, name: name.clone(), physical: physical.clone(), logs }
        }
    };
    let earlier = match config.and_then(|config| config.create.as_ref()) {
        Some(create) => {
            set_retention(connection, topic.id, create.retention)?;
            None
        }
        None => Some(retention(connection, topic.id)?).filter(|retention| *retention != Retention::default()),
    };
    Ok((topic, earlier))
}

/// The retention that holds for a topic.
pub(super) fn retention(connection: &Connection, topic: i64) -> Result<Retention, Error> {
    let row = connection
        .prepare_cached("SELECT retain_ms, retain_bytes FROM topic WHERE id = ?1")?
        .query_row([topic], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(retention_of(row.0, row.1))
}

/// What the two columns say.
pub(super) fn retention_of(ms: Option<i64>, bytes: Option<i64>) -> Retention {
    let number = |number: i64| u64::try_from(number).unwrap_or(0);
    Retention {
        age: ms.map(number).map(crate::model::Period::from_millis),
        size: bytes.map(number).map(crate::model::Size),
    }
}

/// All topics by their names in the tables, with their partitions.
pub(super) fn all(connection: &Connection) -> Result<Vec<(String, Vec<PartitionInfo>)>, Error> {
    let sql = "SELECT topic.name, log.first, log.end FROM topic JOIN log ON log.topic = topic.id
        ORDER BY topic.name, log.part";
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query(())?;
    let mut topics: Vec<(String, Vec<PartitionInfo>)> = Vec::new();
    while let Some(row) = rows.next()? {
        let name: String = row.get(0)?;
        let partition = PartitionInfo { first: row.get(1)?, end: row.get(2)? };
        match topics.last_mut() {
            Some((last, partitions)) if *last == name => partitions.push(partition),
            _ => topics.push((name, vec![partition])),
        }
    }
    Ok(topics)
}

/// The oldest kept position and the end of each log of a topic, by partition.
pub(super) fn bounds(connection: &Connection, topic: i64) -> Result<Vec<PartitionInfo>, Error> {
    let mut statement = connection.prepare_cached("SELECT first, end FROM log WHERE topic = ?1 ORDER BY part")?;
    let bounds = statement.query_map([topic], |row| Ok(PartitionInfo { first: row.get(0)?, end: row.get(1)? }))?;
    Ok(bounds.collect::<Result<_, _>>()?)
}

fn insert(connection: &Connection, physical: &str) -> Result<i64, Error> {
    connection.prepare_cached("INSERT INTO topic(name) VALUES (?1)")?.execute([physical])?;
    Ok(connection.last_insert_rowid())
}

fn insert_log(connection: &Connection, topic: i64, part: u32) -> Result<i64, Error> {
    let sql = "INSERT INTO log(topic, part, first, end, bytes) VALUES (?1, ?2, 0, 0, 0)";
    connection.prepare_cached(sql)?.execute(params![topic, part])?;
    match connection.last_insert_rowid() {
        log if log < LOGS => Ok(log),
        _ => Err(Error::Unavailable("the log holds no more partitions: remove it or use another folder".into())),
    }
}

fn set_retention(connection: &Connection, topic: i64, wanted: Retention) -> Result<(), Error> {
    if retention(connection, topic)? == wanted {
        return Ok(());
    }
    let number = |number: u128| i64::try_from(number).unwrap_or(i64::MAX);
    let age = wanted.age.map(|age| number(age.0.as_millis()));
    let size = wanted.size.map(|size| number(size.0.into()));
    let sql = "UPDATE topic SET retain_ms = ?2, retain_bytes = ?3 WHERE id = ?1";
    connection.prepare_cached(sql)?.execute(params![topic, age, size])?;
    Ok(())
}
