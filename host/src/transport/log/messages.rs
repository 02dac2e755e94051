//! Messages in the tables: appended in the writer's transaction, read by range.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use rusqlite::{Connection, Row, params};

use super::headers;
use super::schema::{self, POSITIONS};
use super::topics::Topic;
use crate::model::header;
use crate::model::{Message, MessageId, Origin, Partition, Position, Record, Timestamp};
use crate::storage::sqlite::Error;
use crate::transport::{Room, Written};

/// A record as it is stored, and the partition that was chosen for it.
pub(super) struct Placed {
    partition: u32,
    key: Option<Bytes>,
    headers: Option<Vec<u8>>,
    payload: Bytes,
}

impl Placed {
    /// The record in that partition.
    pub(super) fn new(partition: u32, record: Record) -> Self {
        Self { partition, headers: headers::encode(&record.headers), key: record.key, payload: record.payload }
    }

    /// What it takes up, in bytes.
    pub(super) fn size(&self) -> u64 {
        let key = self.key.as_ref().map_or(0, Bytes::len);
        let headers = self.headers.as_ref().map_or(0, Vec::len);
        (self.payload.len() + headers + key) as u64
    }
}

/// Appends records in order, and says where each stands.
pub(super) fn append<'r>(
    connection: &Connection,
    topic: &Topic,
    records: impl Iterator<Item = &'r Placed> + Clone,
    time: Timestamp,
) -> Result<Vec<Written>, Error> {
    let mut ends = make_room(connection, topic, records.clone())?;
    let sql = "INSERT INTO message(id, time, key, headers, payload) VALUES (?1, ?2, ?3, ?4, ?5)";
    let mut statement = connection.prepare_cached(sql)?;
    let time = i64::try_from(time.0).unwrap_or(i64::MAX);
    let mut written = Vec::new();
    for record in records {
        let missing = || no_log(topic, record.partition);
        let (log, next) = ends.get_mut(&record.partition).ok_or_else(missing)?;
        let id = schema::row_id(*log, *next);
        statement.execute(params![id, time, record.key.as_deref(), record.headers, &record.payload[..]])?;
        written.push(Written { partition: record.partition, position: Position(*next) });
        *next += 1;
    }
    Ok(written)
}

/// Moves the ends of the logs; answers, by partition, its log and the position of the first new message.
fn make_room<'r>(
    connection: &Connection,
    topic: &Topic,
    records: impl Iterator<Item = &'r Placed>,
) -> Result<BTreeMap<u32, (i64, i64)>, Error> {
    let mut more: BTreeMap<u32, (i64, u64)> = BTreeMap::new();
    for record in records {
        let (count, bytes) = more.entry(record.partition).or_default();
        *count += 1;
        *bytes += record.size();
    }
    let sql = "UPDATE log SET end = end + ?2, bytes = bytes + ?3 WHERE id = ?1 RETURNING end";
    let mut statement = connection.prepare_cached(sql)?;
    let mut ends = BTreeMap::new();
    for (partition, (count, bytes)) in more {
        let log = topic.log(partition).ok_or_else(|| no_log(topic, partition))?;
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
        let end: i64 = statement.query_row(params![log, count, bytes], |row| row.get(0))?;
        if end > POSITIONS {
            let place = Partition::new(topic.name.clone(), partition);
            return Err(Error::Unavailable(format!("{place} holds no more messages")));
        }
        ends.insert(partition, (log, end - count));
    }
    Ok(ends)
}

fn no_log(topic: &Topic, partition: u32) -> Error {
    Error::Damaged(format!("{} has no log", Partition::new(topic.name.clone(), partition)))
}

/// Where to read.
#[derive(Clone, Debug)]
pub(super) struct Range {
    /// The transport's name.
    pub(super) transport: Arc<str>,
    /// The topic.
    pub(super) topic: Arc<Topic>,
    /// The partition.
    pub(super) partition: Partition,
    /// The first position that is wanted.
    pub(super) from: i64,
    /// How much is wanted.
    pub(super) room: Room,
}

/// The first position of a log whose message came at a time or later.
pub(super) fn first_at(connection: &Connection, log: i64, time: Timestamp) -> Result<Option<i64>, Error> {
    let (from, to) = schema::rows_from(log, 0);
    let sql = "SELECT min(id) FROM message WHERE id >= ?1 AND id < ?2 AND time >= ?3";
    let time = i64::try_from(time.0).unwrap_or(i64::MAX);
    let found: Option<i64> = connection.prepare_cached(sql)?.query_row(params![from, to, time], |row| row.get(0))?;
    Ok(found.map(schema::position))
}

/// Messages from a position on, without a hole, as many as there is room for: a single larger one comes alone.
pub(super) fn read(connection: &Connection, range: &Range) -> Result<Vec<Message>, Error> {
    let Some(log) = range.topic.log(range.partition.index) else { return Ok(Vec::new()) };
    let (from, to) = schema::rows_from(log, range.from);
    let limit = i64::try_from(range.room.messages).unwrap_or(i64::MAX);
    let sql = "SELECT id, time, key, headers, payload FROM message WHERE id >= ?1 AND id < ?2 ORDER BY id LIMIT ?3";
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query(params![from, to, limit])?;
    let mut messages: Vec<Message> = Vec::new();
    let mut bytes = 0_u64;
    loop {
        let at = range.from.saturating_add(i64::try_from(messages.len()).unwrap_or(i64::MAX));
        let row = rows.next().map_err(|error| damaged_at(range, at, error))?;
        let Some(row) = row else { return Ok(messages) };
        let message = message(range, row).map_err(|error| damaged_at(range, at, error))?;
        if message.origin.position.0 != at {
            return Err(Error::Damaged(format!("{}: the message at position {at} is missing", range.partition)));
        }
        bytes = bytes.saturating_add(message.size());
        if bytes > range.room.bytes && !messages.is_empty() {
            return Ok(messages);
        }
        messages.push(message);
    }
}

fn message(range: &Range, row: &Row<'_>) -> Result<Message, Error> {
    let position = Position(schema::position(row.get(0)?));
    let time: i64 = row.get(1)?;
    let bytes = |index| -> Result<Option<Bytes>, rusqlite::Error> {
        Ok(row.get_ref(index)?.as_blob_or_null()?.map(Bytes::copy_from_slice))
    };
    let headers = match bytes(3)? {
        Some(encoded) => headers::decode(encoded).ok_or_else(|| Error::Damaged("its headers are damaged".into()))?,
        None => crate::model::Headers::default(),
    };
    let id = headers.text(header::ID).map(MessageId::given);
    let Partition { index, .. } = range.partition;
    Ok(Message {
        id: id.unwrap_or_else(|| MessageId::of_origin(&range.transport, &range.topic.physical, index, position)),
        origin: Origin {
            transport: range.transport.clone(),
            partition: range.partition.clone(),
            position,
            enqueued: Timestamp(u64::try_from(time).unwrap_or(0)),
        },
        key: bytes(2)?,
        headers,
        payload: bytes(4)?.unwrap_or_default(),
    })
}

/// Says where, when it is damage.
fn damaged_at(range: &Range, position: i64, error: impl Into<Error>) -> Error {
    match error.into() {
        Error::Damaged(reason) => {
            Error::Damaged(format!("{}: the message at position {position} cannot be read: {reason}", range.partition))
        }
        error => error,
    }
}
