//! An origin of files that goes down and comes back.

use std::time::Duration;

use async_trait::async_trait;

use crate::environment::fetching::{Fetching, Places};
use crate::environment::front::Mood;
use crate::load::{Pace, Until};
use crate::scenario::{Extent, Extents, Scenario};
use crate::stage::Stage;

/// Files that are asked for between two outages.
const FILES: usize = 40;
/// How long an outage lasts, at least; some are twice as long.
const OUTAGE: Duration = Duration::from_millis(1500);
/// How long no file may come once the origin is well.
const PATIENCE: Duration = Duration::from_secs(45);
/// Messages a second of the pipelines beside.
const BESIDE: u32 = 100;

/// See its `about`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Origin;

#[async_trait]
impl Scenario for Origin {
    fn name(&self) -> &'static str {
        "origin"
    }

    fn about(&self) -> &'static str {
        "an origin of files refuses, fails and hangs: every file is there once in the end, with its SHA-256, and none is given up"
    }

    fn extents(&self) -> Extents {
        Extents { short: Extent { messages: 500, faults: 3 }, long: Extent { messages: 10_000, faults: 18 } }
    }

    async fn run(&self, stage: &mut Stage) -> anyhow::Result<()> {
        stage.fleet.start(0)?;
        stage.load(Pace::PerSecond(BESIDE), Until::Enough(stage.extent.messages));
        let folder = stage.folder().join("fetching");
        let mut fetching = Fetching::start(stage.tools(), &folder, Places::in_folder(&folder)).await?;
        for mood in Mood::DOWN.into_iter().cycle().take(stage.extent.faults) {
            let before = fetching.asked();
            fetching.ask_for(FILES).await?;
            // In the middle of the work.
            fetching.until_fetched(before + FILES / 4, PATIENCE).await?;
            fetching.front.be(mood);
            fetching.ask_for(FILES).await?;
            tokio::time::sleep(OUTAGE).await;
            stage.breathe(OUTAGE).await;
            fetching.front.be(Mood::Well);
            stage.count(mood.word());
            // No message meets more outages than its rounds are meant for.
            fetching.until_all(PATIENCE).await?;
        }
        let files = fetching.asked();
        fetching.end().await?.into_iter().for_each(|wrong| stage.blame(wrong));
        stage.note(format!("{files} files"));
        Ok(())
    }
}
