//! The log's file: filled once, copied for every run; and what can be told of it from outside.

use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use anyhow::Context;
use lockgate::model::{Clock, Record};
use lockgate::transport::config::Config;
use lockgate::transport::{Means, Transport, log};
use tempfile::TempDir;

use crate::figure::Figure;
use crate::rounds::median;
use crate::subject::messages::fill;
use crate::subject::pipeline::FROM;

/// A log whose first topic is full.
pub(super) struct Filled(TempDir);

impl Filled {
    /// Beside the program, so that it is on a disk and not in memory.
    pub(super) fn new(records: impl Iterator<Item = Record>) -> anyhow::Result<Self> {
        let folder = folder()?;
        let transport = open(folder.path())?;
        crate::subject::runtime()?.block_on(fill(&*transport, FROM, records))?;
        // With the last one who has it open the whole of it goes into one file.
        drop(transport);
        Ok(Self(folder))
    }

    /// A folder with a log of its own, which lies on the disk already.
    pub(super) fn copy(&self) -> anyhow::Result<TempDir> {
        let folder = folder()?;
        let (from, to) = (database(self.0.path()), database(folder.path()));
        fs::copy(&from, &to).with_context(|| format!("cannot copy {}", from.display()))?;
        File::open(&to)?.sync_all()?;
        Ok(folder)
    }

    /// What the disk takes to make a page durable.
    pub(super) fn disk(&self) -> anyhow::Result<String> {
        const PAGE: [u8; 16 << 10] = [7; 16 << 10];
        let mut file = tempfile::tempfile_in(self.0.path())?;
        let mut times = Vec::new();
        for _ in 0..200 {
            let began = Instant::now();
            file.write_all(&PAGE)?;
            file.sync_data()?;
            times.push(began.elapsed().as_secs_f64());
        }
        let time = Figure::Seconds(median(times));
        Ok(format!("The disk makes 16 KiB durable in {time} (median of 200 appends)."))
    }
}

fn folder() -> anyhow::Result<TempDir> {
    let program = std::env::current_exe().context("cannot tell where this program lies")?;
    let beside = program.parent().context("this program lies nowhere")?;
    TempDir::with_prefix_in("bench-log-", beside).context("no folder can be made beside this program")
}

/// The database in a log's folder.
pub(super) fn database(folder: &Path) -> PathBuf {
    folder.join("log.sqlite")
}

/// The log in a folder.
pub(super) fn open(folder: &Path) -> anyhow::Result<Arc<dyn Transport>> {
    let log = Some(log::Config { path: folder.to_owned() });
    let config = Config { log, ..Config::default() };
    Ok(lockgate::transport::open("bus", &config, &Means::new(Clock::system()))?)
}

/// Transactions that were written so far into a log that is open: SQLite counts them in the index of its write-ahead
/// log, at the place that its documentation calls `iChange`.
pub(super) fn transactions(folder: &Path) -> anyhow::Result<u32> {
    let index = folder.join("log.sqlite-shm");
    let read = || {
        let mut file = File::open(&index)?;
        let mut count = [0; 4];
        file.seek(SeekFrom::Start(8))?;
        file.read_exact(&mut count)?;
        Ok::<_, std::io::Error>(u32::from_ne_bytes(count))
    };
    read().with_context(|| format!("cannot read {}", index.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transactions_are_counted() {
        let folder = tempfile::tempdir().unwrap();
        let connection = rusqlite::Connection::open(database(folder.path())).unwrap();
        connection.execute_batch("PRAGMA journal_mode=WAL; CREATE TABLE x(y);").unwrap();
        let before = transactions(folder.path()).unwrap();
        for _ in 0..3 {
            connection.execute_batch("BEGIN; INSERT INTO x VALUES (1); INSERT INTO x VALUES (2); COMMIT").unwrap();
        }
        assert_eq!(transactions(folder.path()).unwrap() - before, 3);
    }
}
