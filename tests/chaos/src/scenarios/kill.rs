//! Hosts that are killed at random moments.

use async_trait::async_trait;

use super::schedule;
use crate::faults;
use crate::load::{Pace, Until};
use crate::scenario::{Extent, Extents, Scenario};
use crate::stage::Stage;

/// See its `about`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kill;

#[async_trait]
impl Scenario for Kill {
    fn name(&self) -> &'static str {
        "kill"
    }

    fn about(&self) -> &'static str {
        "kill -9 of any host at any moment: nothing lost, at most twice what was in flight repeated, each time"
    }

    fn extents(&self) -> Extents {
        Extents { short: Extent { messages: 5_000, faults: 5 }, long: Extent { messages: 200_000, faults: 50 } }
    }

    async fn run(&self, stage: &mut Stage) -> anyhow::Result<()> {
        stage.fleet.start(0)?;
        stage.fleet.start(1)?;
        stage.load(Pace::Ahead(4 * stage.setting.in_flight), Until::Enough(stage.extent.messages));
        schedule::throughout(stage, &[Box::new(faults::Kill)]).await
    }
}
