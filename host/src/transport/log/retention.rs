//! Removes what is kept no longer, oldest first, a few messages at a time, so that writers hardly wait. Does not look
//! at who has read what: a group that falls behind its topic's retention is told so by its source.

use std::collections::VecDeque;

use rusqlite::{Connection, params};

use super::{schema, topics};
use crate::model::Timestamp;
use crate::storage::sqlite::{Error, Upkeep};
use crate::transport::config::Retention;

/// Messages removed in one transaction, at most.
const STEP: usize = 1000;
/// Bytes removed in one transaction, about: the one that reaches it still goes.
const STEP_BYTES: i64 = 16 << 20;
/// Messages looked at at a time.
const LOOK: i64 = 128;

/// Removes some of what is kept no longer in any topic.
pub(super) fn step(connection: &Connection, now: Timestamp) -> Result<Upkeep, Error> {
    let mut budget = Budget { messages: STEP, bytes: STEP_BYTES };
    for (topic, retention) in bounded_topics(connection)? {
        trim(connection, topic, retention, now, &mut budget)?;
        if budget.is_spent() {
            return Ok(Upkeep::More);
        }
    }
    Ok(Upkeep::Done)
}

/// What one transaction may still remove.
struct Budget {
    messages: usize,
    bytes: i64,
}

impl Budget {
    fn is_spent(&self) -> bool {
        self.messages == 0 || self.bytes <= 0
    }

    fn spend(&mut self, bytes: i64) {
        self.messages -= 1;
        self.bytes -= bytes;
    }
}

fn bounded_topics(connection: &Connection) -> Result<Vec<(i64, Retention)>, Error> {
    let sql = "SELECT id, retain_ms, retain_bytes FROM topic WHERE retain_ms IS NOT NULL OR retain_bytes IS NOT NULL";
    let mut statement = connection.prepare_cached(sql)?;
    let topics = statement.query_map((), |row| Ok((row.get(0)?, topics::retention_of(row.get(1)?, row.get(2)?))))?;
    Ok(topics.collect::<Result<_, _>>()?)
}

/// Removes messages of a topic until none is too old and they are not too many, or the budget is spent.
fn trim(
    connection: &Connection,
    topic: i64,
    keep: Retention,
    now: Timestamp,
    budget: &mut Budget,
) -> Result<(), Error> {
    let mut logs = logs_of(connection, topic)?;
    let mut bytes: i64 = logs.iter().map(|log| log.bytes).sum();
    let limit = keep.size.map_or(i64::MAX, |size| i64::try_from(size.0).unwrap_or(i64::MAX));
    let age = keep.age.map(|age| i64::try_from(age.0.as_millis()).unwrap_or(i64::MAX));
    let oldest = age.map_or(i64::MIN, |age| i64::try_from(now.0).unwrap_or(i64::MAX).saturating_sub(age));
    while !budget.is_spent() {
        for log in &mut logs {
            log.look(connection)?;
        }
        let goes = |log: &&mut Log| log.age().is_some_and(|time| time < oldest) || bytes > limit && log.has_several();
        let Some(log) = logs.iter_mut().filter(goes).min_by_key(|log| log.age()) else { break };
        let size = log.remove();
        bytes -= size;
        budget.spend(size);
    }
    for log in logs {
        log.store(connection)?;
    }
    Ok(())
}

/// The old end of one log.
struct Log {
    id: i64,
    /// The oldest position that is kept, before and after.
    first: (i64, i64),
    end: i64,
    bytes: i64,
    /// Times and sizes of the oldest messages.
    heads: VecDeque<(i64, i64)>,
}

fn logs_of(connection: &Connection, topic: i64) -> Result<Vec<Log>, Error> {
    let mut statement = connection.prepare_cached("SELECT id, first, end, bytes FROM log WHERE topic = ?1")?;
    let logs = statement.query_map([topic], |row| {
        let first = row.get(1)?;
        Ok(Log { id: row.get(0)?, first: (first, first), end: row.get(2)?, bytes: row.get(3)?, heads: VecDeque::new() })
    })?;
    Ok(logs.collect::<Result<_, _>>()?)
}

impl Log {
    /// Looks at the oldest messages, where those seen are removed already.
    fn look(&mut self, connection: &Connection) -> Result<(), Error> {
        if !self.heads.is_empty() || self.first.1 >= self.end {
            return Ok(());
        }
        let (from, to) = schema::rows_from(self.id, self.first.1);
        let sql = "SELECT time, length(payload) + ifnull(length(headers), 0) + ifnull(length(key), 0) FROM message
            WHERE id >= ?1 AND id < ?2 ORDER BY id LIMIT ?3";
        let mut statement = connection.prepare_cached(sql)?;
        let heads = statement.query_map(params![from, to, LOOK], |row| Ok((row.get(0)?, row.get(1)?)))?;
        self.heads = heads.collect::<Result<_, _>>()?;
        Ok(())
    }

    /// The time of the oldest message.
    fn age(&self) -> Option<i64> {
        self.heads.front().map(|(time, _)| *time)
    }

    /// Whether there are messages behind the oldest one. The newest never goes for its size: it could not be read at
    /// all where it is larger than its topic may be.
    fn has_several(&self) -> bool {
        self.age().is_some() && self.first.1 + 1 < self.end
    }

    /// Removes the oldest message; says what it weighed.
    fn remove(&mut self) -> i64 {
        let Some((_, size)) = self.heads.pop_front() else { return 0 };
        self.first.1 += 1;
        self.bytes -= size;
        size
    }

    fn store(self, connection: &Connection) -> Result<(), Error> {
        let (before, first) = self.first;
        if first == before {
            return Ok(());
        }
        let (from, to) = (schema::row_id(self.id, before), schema::row_id(self.id, first));
        connection.prepare_cached("DELETE FROM message WHERE id >= ?1 AND id < ?2")?.execute([from, to])?;
        let sql = "UPDATE log SET first = ?2, bytes = ?3 WHERE id = ?1";
        connection.prepare_cached(sql)?.execute([self.id, first, self.bytes])?;
        Ok(())
    }
}
