//! Who reads for a group. A member shows in two ways that it lives: by the lock on its file, which the system frees when
//! its process ends, and by beats, which stand still when its process does.

use rusqlite::{Connection, OptionalExtension, params};

use crate::storage::sqlite::Error;

/// A process that has the log open.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Process {
    /// A random number: process ids come back, and repeat between containers.
    pub(super) id: i64,
    /// For people: process id and host name.
    pub(super) name: String,
}

/// One member.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Member {
    /// Its number, never given again.
    pub(super) id: i64,
    /// Its lock file.
    pub(super) holder: String,
    /// For people: its process.
    pub(super) owner: String,
    /// Moves while its process does.
    pub(super) beat: i64,
}

/// A group of a topic: their numbers.
pub(super) type Place = (i64, i64);

/// The members of a group of a topic, in the order in which they joined.
pub(super) fn all(connection: &Connection, (topic, group): Place) -> Result<Vec<Member>, Error> {
    let sql = "SELECT id, holder, owner, beat FROM member WHERE topic = ?1 AND grp = ?2 ORDER BY id";
    let mut statement = connection.prepare_cached(sql)?;
    let members = statement.query_map([topic, group], |row| {
        Ok(Member { id: row.get(0)?, holder: row.get(1)?, owner: row.get(2)?, beat: row.get(3)? })
    })?;
    Ok(members.collect::<Result<_, _>>()?)
}

/// The group's and the member's number of that lock file, if it is a member's.
pub(super) fn find(connection: &Connection, holder: &str) -> Result<Option<(i64, i64)>, Error> {
    let mut statement = connection.prepare_cached("SELECT grp, id FROM member WHERE holder = ?1")?;
    Ok(statement.query_row([holder], |row| Ok((row.get(0)?, row.get(1)?))).optional()?)
}

/// Adds a member.
pub(super) fn add(connection: &Connection, place: Place, holder: &str, process: &Process) -> Result<i64, Error> {
    let sql = "INSERT INTO member(topic, grp, holder, process, owner, beat) VALUES (?1, ?2, ?3, ?4, ?5, 0)";
    connection.prepare_cached(sql)?.execute(params![place.0, place.1, holder, process.id, process.name])?;
    Ok(connection.last_insert_rowid())
}

/// Removes a member: what it had is free, and what it wanted it wants no more.
pub(super) fn remove(connection: &Connection, (topic, group): Place, member: i64) -> Result<(), Error> {
    for sql in [
        "DELETE FROM member WHERE topic = ?1 AND grp = ?2 AND id = ?3",
        "UPDATE partition_lease SET owner = NULL WHERE topic = ?1 AND grp = ?2 AND owner = ?3",
        "UPDATE partition_lease SET wanted_by = NULL WHERE topic = ?1 AND grp = ?2 AND wanted_by = ?3",
    ] {
        connection.prepare_cached(sql)?.execute([topic, group, member])?;
    }
    Ok(())
}

/// The members of a topic's groups, each with its group, in the order in which they joined.
pub(super) fn of_topic(connection: &Connection, topic: i64) -> Result<Vec<(i64, i64)>, Error> {
    let mut statement = connection.prepare_cached("SELECT grp, id FROM member WHERE topic = ?1 ORDER BY id")?;
    Ok(statement.query_map([topic], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<Result<_, _>>()?)
}

/// A process says that it lives.
pub(super) fn beat(connection: &Connection, process: i64) -> Result<(), Error> {
    connection.prepare_cached("UPDATE member SET beat = beat + 1 WHERE process = ?1")?.execute([process])?;
    Ok(())
}
