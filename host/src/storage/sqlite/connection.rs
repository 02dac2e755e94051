//! How a connection is opened. The settings are measured ones: 16 KiB pages keep messages of a few KiB inline and the
//! write-ahead log small, and a busy handler that sleeps one millisecond shares the file fairly where the built-in
//! back-off starves one of three writers.

use std::path::Path;
use std::thread;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, TransactionBehavior};

use super::{Error, Options, Schema};

/// The wait before a lock is tried again.
const BUSY_WAIT: Duration = Duration::from_millis(1);
/// Statements that a connection keeps prepared.
const STATEMENTS: usize = 64;

/// The connection that writes. Makes the file and its tables where missing.
pub(super) fn writer(options: &Options) -> Result<Connection, Error> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let deadline = options.clock.now() + options.busy;
    loop {
        // Changing the journal mode and making tables fail at once, handler or not, while others write.
        match open(&options.path, flags, options.busy).and_then(|mut connection| {
            set_up(&mut connection, &options.schema)?;
            Ok(connection)
        }) {
            Err(Error::Unavailable(_)) if options.clock.now() < deadline => thread::sleep(BUSY_WAIT * 5),
            outcome => return outcome,
        }
    }
}

/// A connection that only reads. The file exists.
pub(super) fn reader(path: &Path, busy: Duration) -> Result<Connection, Error> {
    open(path, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX, busy)
}

/// A connection that cuts the write-ahead log, waiting no longer than `busy` for readers. The file exists.
pub(super) fn cutter(path: &Path, busy: Duration) -> Result<Connection, Error> {
    open(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX, busy)
}

fn open(path: &Path, flags: OpenFlags, busy: Duration) -> Result<Connection, Error> {
    let mut connection = Connection::open_with_flags(path, flags)?;
    let tries = i32::try_from(busy.as_millis() / BUSY_WAIT.as_millis()).unwrap_or(i32::MAX);
    connection.busy_handler(Some(move |count| {
        thread::sleep(BUSY_WAIT);
        count < tries
    }))?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    // FULL: a commit is on the disk before it is answered.
    connection.execute_batch(
        "PRAGMA synchronous=FULL; PRAGMA wal_autocheckpoint=1000; PRAGMA cache_size=-16384; PRAGMA temp_store=MEMORY;",
    )?;
    Ok(connection)
}

fn set_up(connection: &mut Connection, schema: &Schema) -> Result<(), Error> {
    let pages: i64 = connection.query_row("PRAGMA page_count", (), |row| row.get(0))?;
    if pages == 0 {
        // These count only before the first table.
        connection.execute_batch("PRAGMA page_size=16384; PRAGMA auto_vacuum=INCREMENTAL;")?;
    }
    let mode: String = connection.query_row("PRAGMA journal_mode", (), |row| row.get(0))?;
    if mode != "wal" {
        let mode: String = connection.query_row("PRAGMA journal_mode=WAL", (), |row| row.get(0))?;
        if mode != "wal" {
            return Err(Error::Unavailable(format!(
                "the file system takes no write-ahead log: journal mode is {mode}"
            )));
        }
    }
    // One transaction, or another process could make the tables between the looks.
    let look = connection.transaction()?;
    let standing = standing(&look, schema)?;
    drop(look);
    if standing == Some(schema.version) {
        return Ok(());
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    make(&transaction, schema)?;
    Ok(transaction.commit()?)
}

/// Makes the tables, or makes those of an earlier version into today's.
fn make(connection: &Connection, schema: &Schema) -> Result<(), Error> {
    match standing(connection, schema)? {
        None => {
            connection.execute_batch(schema.sql)?;
            connection.pragma_update(None, "application_id", schema.application)?;
        }
        Some(standing) => {
            for (_, sql) in schema.upgrades.iter().filter(|(version, _)| *version >= standing) {
                connection.execute_batch(sql)?;
            }
        }
    }
    Ok(connection.pragma_update(None, "user_version", schema.version)?)
}

/// The version of the tables, if there are any. A file of another kind, or of a version that cannot be brought up to
/// today's, is refused.
fn standing(connection: &Connection, schema: &Schema) -> Result<Option<i32>, Error> {
    let application: i32 = connection.query_row("PRAGMA application_id", (), |row| row.get(0))?;
    let version: i32 = connection.query_row("PRAGMA user_version", (), |row| row.get(0))?;
    let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", (), |row| row.get(0))?;
    if (application, version, tables) == (0, 0, 0) {
        return Ok(None);
    }
    if application != schema.application {
        return Err(Error::Damaged("the file is an SQLite database of something else".into()));
    }
    if version != schema.version && schema.upgrades.iter().all(|(earlier, _)| *earlier != version) {
        return Err(Error::Damaged(format!(
            "the file has format {version}, this version of Lockgate reads format {}: use the version that made the \
            file, or give this one another folder",
            schema.version
        )));
    }
    Ok(Some(version))
}
