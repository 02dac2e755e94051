//! Entries in a SQLite file, for the processes of one machine.

use std::path::Path;
use std::time::Duration;

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{Conditional, Entry, Failure, Fields, Listed, Version};
use crate::model::{Clock, Timestamp};
use crate::storage::path::RESERVED;
use crate::storage::sqlite::{Database, Error, Options, Schema};

/// The file, in the store's hidden folder.
const FILE: &str = "entries.db";
/// How long a call waits for another process.
const BUSY: Duration = Duration::from_secs(10);
/// What has to be done now and then, which is nothing here.
const UPKEEP: Duration = Duration::from_secs(60);

const SCHEMA: Schema = Schema {
    // `LGce`
    application: 0x4c47_6365,
    version: 1,
    sql: "CREATE TABLE entry(name TEXT PRIMARY KEY, version INTEGER NOT NULL, modified INTEGER NOT NULL,
            fields TEXT NOT NULL) STRICT, WITHOUT ROWID",
    upgrades: &[],
};

/// Keeps entries in a file.
pub(super) struct Sqlite {
    database: Database,
    clock: Clock,
}

impl Sqlite {
    /// Opens the file of a directory store, and makes it where it is missing. Blocks.
    pub(super) fn open(store: &Path, clock: &Clock) -> Result<Self, String> {
        let folder = store.join(RESERVED);
        std::fs::create_dir_all(&folder).map_err(|error| error.to_string())?;
        let database = Database::open(Options {
            path: folder.join(FILE),
            schema: SCHEMA,
            busy: BUSY,
            poll: UPKEEP,
            upkeep_every: UPKEEP,
            clock: clock.clone(),
            keeper: None,
        });
        Ok(Self { database: database.map_err(|error| error.to_string())?, clock: clock.clone() })
    }
}

#[async_trait]
impl Conditional for Sqlite {
    async fn list(&self, folder: &str) -> Result<Vec<Listed>, Failure> {
        // All names that begin with the folder and a slash: the next character after it is `0`.
        let (from, to) = (format!("{folder}/"), format!("{folder}0"));
        Ok(self.database.read(move |connection| all(connection, &from, &to)).await?)
    }

    async fn read(&self, name: &str) -> Result<Option<Entry>, Failure> {
        let name = name.to_owned();
        Ok(self.database.read(move |connection| find(connection, &name)).await?)
    }

    async fn put(&self, name: &str, fields: &Fields, expected: Option<&Version>) -> Result<Option<Version>, Failure> {
        let text = serde_json::to_string(fields).map_err(|error| Failure::Other(error.to_string()))?;
        let (name, expected, now) = (name.to_owned(), expected.cloned(), self.clock.wall());
        let job = move |connection: &Connection| put(connection, &name, &text, expected.as_ref(), now);
        Ok(self.database.write(0, job).await?)
    }
}

fn all(connection: &Connection, from: &str, to: &str) -> Result<Vec<Listed>, Error> {
    let sql = "SELECT name, version, modified FROM entry WHERE name >= ?1 AND name < ?2";
    let mut statement = connection.prepare_cached(sql)?;
    let listed = statement.query_map([from, to], |row| {
        Ok(Listed { name: row.get(0)?, version: version(row, 1)?, modified: modified(row, 2)? })
    })?;
    Ok(listed.collect::<Result<_, _>>()?)
}

fn find(connection: &Connection, name: &str) -> Result<Option<Entry>, Error> {
    let sql = "SELECT version, modified, fields FROM entry WHERE name = ?1";
    let mut statement = connection.prepare_cached(sql)?;
    let found = statement
        .query_row([name], |row| Ok((version(row, 0)?, modified(row, 1)?, row.get::<_, String>(2)?)))
        .optional()?;
    let Some((version, modified, text)) = found else { return Ok(None) };
    let fields = serde_json::from_str(&text).map_err(|error| Error::Damaged(format!("entry {name}: {error}")))?;
    Ok(Some(Entry { version, modified, fields }))
}

fn put(
    connection: &Connection,
    name: &str,
    fields: &str,
    expected: Option<&Version>,
    now: Timestamp,
) -> Result<Option<Version>, Error> {
    let now = i64::try_from(now.0).unwrap_or(i64::MAX);
    let sql = match expected {
        None => {
            "INSERT INTO entry(name, version, modified, fields) VALUES (?1, 1, ?2, ?3) ON CONFLICT DO NOTHING
             RETURNING version, modified"
        }
        Some(_) => {
            "UPDATE entry SET version = version + 1, modified = ?2, fields = ?3
             WHERE name = ?1 AND version = ?4 RETURNING version, modified"
        }
    };
    let mut statement = connection.prepare_cached(sql)?;
    let answered = |row: &Row<'_>| version(row, 0);
    let put = match expected {
        None => statement.query_row(params![name, now, fields], answered),
        // A version that is no number is of no entry here.
        Some(Version(seen)) => {
            statement.query_row(params![name, now, fields, seen.parse().unwrap_or(-1_i64)], answered)
        }
    };
    Ok(put.optional()?)
}

fn version(row: &Row<'_>, at: usize) -> Result<Version, rusqlite::Error> {
    Ok(Version(row.get::<_, i64>(at)?.to_string()))
}

fn modified(row: &Row<'_>, at: usize) -> Result<Timestamp, rusqlite::Error> {
    Ok(Timestamp(u64::try_from(row.get::<_, i64>(at)?).unwrap_or(0)))
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match error {
            Error::Unavailable(reason) => Self::Unavailable(reason),
            Error::Damaged(reason) => Self::Other(reason),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::storage::conditional::contract;

    #[tokio::test]
    async fn two_processes_keep_the_contract() {
        let folder = tempfile::tempdir().unwrap();
        let open = || -> Arc<dyn Conditional> { Arc::new(Sqlite::open(folder.path(), &Clock::system()).unwrap()) };
        contract::run(&open(), &open()).await;
    }

    #[tokio::test]
    async fn what_was_put_is_there_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let open = || Sqlite::open(folder.path(), &Clock::system()).unwrap();
        let fields = Fields::from([("ownerid".to_owned(), "a".to_owned())]);
        let version = open().put("hub/g/ownership/0", &fields, None).await.unwrap().unwrap();
        let again = open();
        let entry = again.read("hub/g/ownership/0").await.unwrap().unwrap();
        assert_eq!((entry.version, entry.fields), (version, fields));
    }
}
