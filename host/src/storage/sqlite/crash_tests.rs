//! A host that ends while the database writes: what it had written of the log by then, cut within and between its
//! frames, is opened again.

use std::collections::BTreeSet;
use std::fs;

use rusqlite::Connection;
use tempfile::TempDir;

use super::*;

const SCHEMA: Schema =
    Schema { application: 7, version: 1, sql: "CREATE TABLE pair(value INTEGER PRIMARY KEY, pad TEXT)", upgrades: &[] };
/// Bytes at the log's begin, and of a frame of it: a page and what says which.
const HEAD: usize = 32;
const FRAME: usize = 24 + 16_384;

fn open(folder: &TempDir) -> Database {
    let (busy, poll, upkeep_every) = (Duration::from_millis(50), Duration::from_secs(3600), Duration::from_secs(3600));
    let path = folder.path().join("test.sqlite");
    Database::open(Options { path, schema: SCHEMA, busy, poll, upkeep_every, clock: Clock::system(), keeper: None })
        .unwrap()
}

/// Two rows in one transaction, on several pages.
async fn put(database: &Database, value: i64) {
    let pair = move |connection: &Connection| {
        for value in [value, -value] {
            connection.execute("INSERT INTO pair VALUES (?1, ?2)", (value, "x".repeat(20_000)))?;
        }
        Ok(())
    };
    database.write(0, pair).await.unwrap();
}

async fn values(database: &Database) -> BTreeSet<i64> {
    let values = database.read(|connection| {
        let check: String = connection.query_row("PRAGMA integrity_check", (), |row| row.get(0))?;
        assert_eq!(check, "ok");
        let mut statement = connection.prepare("SELECT value FROM pair")?;
        let values: Result<BTreeSet<i64>, _> = statement.query_map((), |row| row.get(0))?.collect();
        Ok(values?)
    });
    values.await.unwrap()
}

#[tokio::test]
async fn a_host_that_ends_at_any_byte_of_its_writes_leaves_each_whole_or_not_at_all_and_loses_none_it_answered() {
    let folder = tempfile::tempdir().unwrap();
    let (file, log) = (folder.path().join("test.sqlite"), folder.path().join("test.sqlite-wal"));
    let database = open(&folder);
    // How long the log was when a write was answered.
    let mut answered = Vec::new();
    for value in 1..=4 {
        put(&database, value).await;
        answered.push((value, usize::try_from(fs::metadata(&log).unwrap().len()).unwrap()));
    }
    let (file, log) = (fs::read(file).unwrap(), fs::read(log).unwrap());
    drop(database);
    let frames = (HEAD..log.len()).step_by(FRAME);
    let cuts = [0, 1, HEAD - 1]
        .into_iter()
        .chain(frames.flat_map(|at| [at, at + 7, at + 24, at + FRAME / 2]))
        .chain([log.len()]);
    let mut most = 0;
    for cut in cuts {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("test.sqlite"), &file).unwrap();
        fs::write(folder.path().join("test.sqlite-wal"), &log[..cut]).unwrap();
        let database = open(&folder);
        let left = values(&database).await;
        let whole = left.iter().copied().max().unwrap_or(0);
        assert_eq!(left, (1..=whole).flat_map(|value| [value, -value]).collect(), "cut at {cut}: half a write is left");
        assert!(whole >= most, "cut at {cut}: more was there before");
        let due = answered.iter().filter(|(_, length)| *length <= cut).map(|(value, _)| *value).max().unwrap_or(0);
        assert!(whole >= due, "cut at {cut}: write {due} was answered, {whole} is there");
        most = whole;
        put(&database, 100).await;
        assert!(values(&database).await.contains(&100), "cut at {cut}: it goes on");
    }
    assert_eq!(most, 4);
}
