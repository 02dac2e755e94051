//! What the log's row stands beside: one thread and one connection that do the same reads and writes, in the log's own
//! tables and with its settings. A thousand messages are read of each partition in turn, and spread over the partitions
//! of the other topic; as many as one of the log's transactions held are written in one, with the checkpoints.

use std::collections::VecDeque;
use std::path::Path;

use anyhow::{Context, ensure};
use lockgate::model::{Headers, MessageId, Position, header};
use lockgate::transport::log::stored;
use rusqlite::{Connection, params};

use super::Run;
use crate::cost::Meter;
use crate::subject::pipeline::{FROM, TO};

/// Messages that are read at once.
const ROWS: usize = 1000;
/// Partitions of each topic.
const PARTITIONS: i64 = 4;

/// A message on its way.
struct Row {
    /// The partition that it was read of.
    partition: usize,
    id: i64,
    key: Option<Vec<u8>>,
    payload: Vec<u8>,
}

/// Moves so many messages, so many at a time.
pub(super) fn run(database: &Path, messages: usize, together: usize) -> anyhow::Result<Run> {
    let mut connection = Connection::open(database)?;
    connection.set_prepared_statement_cache_capacity(64);
    connection.execute_batch(
        "PRAGMA synchronous=FULL; PRAGMA wal_autocheckpoint=1000; PRAGMA cache_size=-16384; PRAGMA temp_store=MEMORY;",
    )?;
    let mode: String = connection.query_row("PRAGMA journal_mode", (), |row| row.get(0))?;
    ensure!(mode == "wal", "the log's file is not in WAL mode but in {mode}");
    let mut from = logs(&connection, FROM)?;
    make(&connection)?;
    let mut to = logs(&connection, TO)?;
    let headers = headers();
    let meter = Meter::start();
    let (mut waiting, mut turn, mut written, mut transactions) = (VecDeque::new(), 0, 0, 0);
    while written < messages {
        while waiting.len() < together && read(&connection, &mut from, turn, &mut waiting)? {
            turn += 1;
        }
        let group: Vec<Row> = waiting.drain(..together.min(waiting.len())).collect();
        ensure!(!group.is_empty(), "the topic ends after {written} messages");
        write(&mut connection, &from, &mut to, &group, headers.as_deref())?;
        written += group.len();
        transactions += 1;
    }
    Ok(Run { cost: meter.stop(), together: written as f64 / f64::from(transactions) })
}

/// A partition, as the tables have it.
struct Log {
    id: i64,
    /// The next position to read, or to write.
    next: i64,
    end: i64,
}

fn logs(connection: &Connection, topic: &str) -> anyhow::Result<Vec<Log>> {
    let sql = "SELECT log.id, log.first, log.end FROM log JOIN topic ON topic.id = log.topic WHERE topic.name = ?1 \
        ORDER BY part";
    let mut statement = connection.prepare(sql)?;
    let log = |row: &rusqlite::Row<'_>| Ok(Log { id: row.get(0)?, next: row.get(1)?, end: row.get(2)? });
    Ok(statement.query_map([topic], log)?.collect::<Result<_, _>>()?)
}

fn make(connection: &Connection) -> anyhow::Result<()> {
    connection.execute("INSERT INTO topic(name) VALUES (?1)", [TO])?;
    let topic = connection.last_insert_rowid();
    for part in 0..PARTITIONS {
        let sql = "INSERT INTO log(topic, part, first, end, bytes) VALUES (?1, ?2, 0, 0, 0)";
        connection.execute(sql, [topic, part])?;
    }
    connection.execute("INSERT INTO grp(name) VALUES ('bench')", ())?;
    Ok(())
}

/// The headers that the host gives a message that it writes.
fn headers() -> Option<Vec<u8>> {
    let mut headers = Headers::default();
    headers.push(header::ID, MessageId::of_origin("bus", TO, 0, Position(0)).as_str().to_owned());
    headers.push(header::ORIGIN_MS, "1772460311000");
    stored::encode(&headers)
}

/// Reads what comes next of the partition whose turn it is. False when nothing is left.
fn read(connection: &Connection, from: &mut [Log], turn: usize, waiting: &mut VecDeque<Row>) -> anyhow::Result<bool> {
    let count = from.len().max(1);
    let mut turns = (turn..turn + count).map(|turn| turn % count);
    let unread = turns.find(|index| from.get(*index).is_some_and(|log| log.next < log.end));
    let Some((partition, log)) = unread.and_then(|index| Some((index, from.get_mut(index)?))) else { return Ok(false) };
    let sql = "SELECT id, key, payload, time, headers FROM message WHERE id >= ?1 AND id < ?2 ORDER BY id LIMIT ?3";
    let mut statement = connection.prepare_cached(sql)?;
    let (first, behind) = (log.id << 40 | log.next, (log.id + 1) << 40);
    let mut rows = statement.query(params![first, behind, ROWS as i64])?;
    while let Some(row) = rows.next()? {
        // Time and headers are read too, as the log does.
        let (_time, _headers): (i64, Option<Vec<u8>>) = (row.get(3)?, row.get(4)?);
        waiting.push_back(Row { partition, id: row.get(0)?, key: row.get(1)?, payload: row.get(2)? });
        log.next += 1;
    }
    Ok(true)
}

/// Writes a group and how far its partitions are settled, in one transaction.
fn write(
    connection: &mut Connection,
    from: &[Log],
    to: &mut [Log],
    group: &[Row],
    headers: Option<&[u8]>,
) -> anyhow::Result<()> {
    let transaction = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    let mut insert = transaction
        .prepare_cached("INSERT INTO message(id, time, key, headers, payload) VALUES (?1, ?2, ?3, ?4, ?5)")?;
    let mut grow = transaction.prepare_cached("UPDATE log SET end = ?2, bytes = bytes + ?3 WHERE id = ?1")?;
    let mut store = transaction
        .prepare_cached("INSERT OR REPLACE INTO checkpoint(grp, log, base, settled) VALUES (1, ?1, ?2, ?3)")?;
    let mut bytes = vec![0; to.len()];
    let mut last = vec![None; from.len()];
    let places = to.len().max(1);
    for (index, row) in group.iter().enumerate() {
        let (log, bytes) = to.get_mut(index % places).zip(bytes.get_mut(index % places)).context("no partition")?;
        let id = log.id << 40 | log.next;
        insert.execute(params![id, 1_772_460_311_000_i64, row.key, headers, row.payload])?;
        log.next += 1;
        *bytes += row.payload.len() as i64;
        *last.get_mut(row.partition).context("no partition")? = Some(row.id);
    }
    for (log, bytes) in to.iter().zip(bytes).filter(|(_, bytes)| *bytes > 0) {
        grow.execute(params![log.id, log.next, bytes])?;
    }
    for (log, last) in from.iter().zip(last) {
        if let Some(last) = last {
            let base = last & ((1 << 40) - 1);
            store.execute(params![log.id, base, base.to_le_bytes()])?;
        }
    }
    drop((insert, grow, store));
    Ok(transaction.commit()?)
}
