//! Gives disk space back that is no longer used.

use std::path::Path;
use std::time::Duration;

use rusqlite::Connection;

use super::{Error, connection};

/// How long cutting the write-ahead log waits for readers: it holds writers up meanwhile.
const CUT_WAIT: Duration = Duration::from_millis(50);

/// Makes the file some pages smaller when more than so many are free: about 30 ms of work.
pub(super) fn vacuum(connection: &Connection, above: i64) -> Result<(), Error> {
    let free: i64 = connection.query_row("PRAGMA freelist_count", (), |row| row.get(0))?;
    if free > above {
        let mut statement = connection.prepare("PRAGMA incremental_vacuum(500)")?;
        let mut rows = statement.query(())?;
        // Each step frees one page.
        while rows.next()?.is_some() {}
    }
    Ok(())
}

/// Empties the write-ahead log when it has more than so many bytes. When a reader is in the way nothing happens.
pub(super) fn cut(path: &Path, above: u64) -> Result<(), Error> {
    let mut wal = path.to_owned().into_os_string();
    wal.push("-wal");
    if std::fs::metadata(wal).is_ok_and(|file| file.len() > above) {
        connection::cutter(path, CUT_WAIT)?.query_row("PRAGMA wal_checkpoint(TRUNCATE)", (), |_| Ok(()))?;
    }
    Ok(())
}
