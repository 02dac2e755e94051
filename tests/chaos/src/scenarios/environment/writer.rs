//! Another process that writes to the hosts' database for longer than it should.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use async_trait::async_trait;
use rand::Rng;
use rusqlite::{Connection, OpenFlags};

use crate::load::{Pace, Until};
use crate::scenario::{Extent, Extents, Fault, Scenario};
use crate::scenarios::schedule;
use crate::stage::Stage;

/// How long it waits for its turn.
const PATIENCE: Duration = Duration::from_secs(60);
/// The database in the folder of a log.
const FILE: &str = "log.sqlite";

/// See its `about`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Writer;

#[async_trait]
impl Scenario for Writer {
    fn name(&self) -> &'static str {
        "writer"
    }

    fn about(&self) -> &'static str {
        "another process holds the database's writer again and again, longer than leases too: hosts wait, nothing is lost or repeated"
    }

    fn extents(&self) -> Extents {
        Extents { short: Extent { messages: 3_000, faults: 4 }, long: Extent { messages: 40_000, faults: 30 } }
    }

    async fn run(&self, stage: &mut Stage) -> anyhow::Result<()> {
        stage.fleet.start(0)?;
        stage.fleet.start(1)?;
        stage.load(Pace::Ahead(4 * stage.setting.in_flight), Until::Enough(stage.extent.messages));
        schedule::throughout(stage, &[Box::new(Held)]).await
    }
}

/// Holds the writer for up to twice a lease.
#[derive(Clone, Copy, Debug)]
pub(super) struct Held;

#[async_trait]
impl Fault for Held {
    fn name(&self) -> &'static str {
        "writer held"
    }

    async fn inflict(&self, stage: &mut Stage) -> anyhow::Result<()> {
        let lease = stage.setting.lease;
        let time = lease.mul_f64(stage.random.random_range(0.1..2.0));
        let file = stage.folder().join(&stage.setting.bus).join(FILE);
        tokio::task::spawn_blocking(move || hold(file, time)).await?
    }
}

/// Holds the writer of a database for so long, and writes nothing.
fn hold(file: PathBuf, time: Duration) -> anyhow::Result<()> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(&file, flags)?;
    connection.busy_timeout(PATIENCE)?;
    connection.execute_batch("BEGIN IMMEDIATE").with_context(|| format!("cannot hold {}", file.display()))?;
    std::thread::sleep(time);
    Ok(connection.execute_batch("ROLLBACK")?)
}
