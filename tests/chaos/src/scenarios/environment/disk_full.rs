//! Disks that are full for a while: that of the log that everything is written to, that of the files, and that of the
//! checkpoints alone.

use std::sync::OnceLock;
use std::time::Duration;

use anyhow::Context;
use async_trait::async_trait;

use crate::environment::disk::Disk;
use crate::environment::fetching::{Fetching, Places};
use crate::environment::status;
use crate::load::{Pace, Until};
use crate::message::{End, Sent};
use crate::scenario::{Extent, Extents, Scenario};
use crate::setting::Setting;
use crate::stage::Stage;

/// The disk of the log that the hosts share, in KiB: the load of the long version fits, with its write-ahead log.
const LOG_DISK: u32 = 1 << 20;
/// The disk of the files, and that of the tasks with their checkpoints.
const SMALL_DISK: u32 = 128 << 10;
/// How long the disk stays full once the host has said so, at most.
const FULL: Duration = Duration::from_secs(1);
/// How long a host may take until it says that it waits, and how long nothing may come once there is room.
const PATIENCE: Duration = Duration::from_secs(45);
/// Messages that are under way when the log is full, and how long each is in the plugin, in milliseconds.
const SLOW: usize = 200;
const SLOW_MS: u32 = 100;
/// Messages a second: few enough that they fit however long it takes.
const RATE: u32 = 400;
/// Files that are asked for at once.
const FILES: usize = 120;
/// How a pipeline is called that waits.
const WAITING: [&str; 2] = ["blocked", "held"];
/// What a pipeline says whose log is full, as SQLite puts it.
const FULL_LOG: &str = "database or disk is full";
/// What it says where the store is full.
const FULL_STORE: &str = "no space is left";

/// See its `about`.
#[derive(Debug, Default)]
pub(super) struct DiskFull {
    /// Made when it is needed first; kept, for hosts and oracle need it to the end.
    log: OnceLock<Option<Disk>>,
}

impl DiskFull {
    fn log(&self) -> Option<&Disk> {
        self.log.get_or_init(|| Disk::new(LOG_DISK).ok()).as_ref()
    }
}

#[async_trait]
impl Scenario for DiskFull {
    fn name(&self) -> &'static str {
        "disk-full"
    }

    fn about(&self) -> &'static str {
        "the disk of the log, of the files and of the checkpoints is full for a while: hosts wait and say so, nothing is lost or repeated"
    }

    fn extents(&self) -> Extents {
        Extents { short: Extent { messages: 1_500, faults: 3 }, long: Extent { messages: 30_000, faults: 24 } }
    }

    fn setting(&self) -> Setting {
        let bus = self.log().map(|disk| disk.folder().join("bus").display().to_string());
        Setting { bus: bus.unwrap_or_else(|| Setting::default().bus), ..Setting::default() }
    }

    async fn run(&self, stage: &mut Stage) -> anyhow::Result<()> {
        let Some(log) = self.log() else { return Disk::new(LOG_DISK).map(drop).context("there is no disk to fill") };
        let (files, tasks) = (Disk::new(SMALL_DISK)?, Disk::new(SMALL_DISK)?);
        let folder = stage.folder().join("fetching");
        let places = Places {
            tasks: tasks.folder().join("tasks"),
            cache: files.folder().join("cache"),
            ..Places::in_folder(&folder)
        };
        let mut fetching = Fetching::start(stage.tools(), &folder, places).await?;
        stage.overlay(status::LISTENS)?;
        stage.fleet.start(0)?;
        stage.fleet.until_running(0).await?;
        stage.load(Pace::PerSecond(RATE), Until::Enough(stage.extent.messages));
        let beside = [("files disk full", &files, FULL_STORE), ("checkpoints disk full", &tasks, FULL_LOG)];
        for turn in 0..stage.extent.faults {
            match beside.get(turn % 3).copied() {
                Some(full) => full_beside(stage, &mut fetching, full).await.context(full.0)?,
                None => full_log(stage, log).await.context("log disk full")?,
            }
        }
        fetching.until_all(PATIENCE).await?;
        fetching.end().await?.into_iter().for_each(|wrong| stage.blame(wrong));
        Ok(())
    }
}

/// Fills the disk of the log, and frees it once a host says that it waits for it.
async fn full_log(stage: &mut Stage, disk: &Disk) -> anyhow::Result<()> {
    stage.until_ended(stage.ended() + 100).await?;
    let pipeline = *stage.setting.pipelines.first().context("no pipeline")?;
    // More than it can do at once, so that it has something to write when it no longer can.
    let slow = |number| Sent { key: format!("slow-{number}"), end: End::Waited(SLOW_MS) };
    stage.send(pipeline, (0..SLOW).map(slow).collect()).await?;
    disk.fill()?;
    let address = status::address(&stage.fleet.log(0)).context("the host does not say where it can be asked")?;
    let (lockgate, pipeline) = (&stage.fleet.lockgate, pipeline.name());
    let refilling = refill(disk);
    let waiting = status::until_waiting(lockgate, &address, &pipeline, &WAITING, FULL_LOG, PATIENCE);
    let line = tokio::select! {
        line = waiting => line?,
        never = refilling => never?,
    };
    stage.breathe(FULL).await;
    disk.free()?;
    stage.count("log disk full");
    stage.note(format!("log disk full, {}: {}", line.state, line.reason));
    Ok(())
}

/// Fills a disk of the host that fetches in the middle of its work, and frees it once it says that it waits for it.
async fn full_beside(
    stage: &mut Stage,
    fetching: &mut Fetching,
    (what, disk, says): (&'static str, &Disk, &str),
) -> anyhow::Result<()> {
    let before = fetching.asked();
    fetching.ask_for(FILES).await?;
    fetching.until_fetched(before + FILES / 10, PATIENCE).await?;
    disk.fill()?;
    let line = tokio::select! {
        line = fetching.until_waiting(&WAITING, says, PATIENCE) => line?,
        never = refill(disk) => never?,
    };
    stage.breathe(FULL).await;
    disk.free()?;
    stage.count(what);
    stage.note(format!("{what}, {}: {}", line.state, line.reason));
    fetching.until_all(PATIENCE).await
}

/// Keeps a disk full whatever is deleted there.
async fn refill(disk: &Disk) -> anyhow::Result<status::Line> {
    loop {
        tokio::time::sleep(Duration::from_millis(20)).await;
        disk.fill()?;
    }
}
