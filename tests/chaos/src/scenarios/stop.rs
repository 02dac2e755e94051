//! Hosts that are stopped cleanly at random moments.

use async_trait::async_trait;

use super::schedule;
use crate::faults;
use crate::load::{Pace, Until};
use crate::scenario::{Extent, Extents, Scenario};
use crate::stage::Stage;

/// See its `about`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stop;

#[async_trait]
impl Scenario for Stop {
    fn name(&self) -> &'static str {
        "stop"
    }

    fn about(&self) -> &'static str {
        "SIGTERM to any host at any moment, and another one in its place: nothing lost, nothing repeated"
    }

    fn extents(&self) -> Extents {
        Extents { short: Extent { messages: 5_000, faults: 6 }, long: Extent { messages: 60_000, faults: 60 } }
    }

    async fn run(&self, stage: &mut Stage) -> anyhow::Result<()> {
        stage.fleet.start(0)?;
        stage.fleet.start(1)?;
        stage.load(Pace::Ahead(4 * stage.setting.in_flight), Until::Enough(stage.extent.messages));
        schedule::throughout(stage, &[Box::new(faults::Stop)]).await
    }
}
