//! Partitions that move back and forth between hosts, asked for and taken.

use async_trait::async_trait;

use super::schedule;
use crate::faults;
use crate::load::{Pace, Until};
use crate::scenario::{Extent, Extents, Scenario};
use crate::stage::Stage;

/// See its `about`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Steal;

#[async_trait]
impl Scenario for Steal {
    fn name(&self) -> &'static str {
        "steal"
    }

    fn about(&self) -> &'static str {
        "partitions asked for by hosts that come and go, and taken from living ones: nothing lost, repeats only of what was taken"
    }

    fn extents(&self) -> Extents {
        Extents { short: Extent { messages: 5_000, faults: 12 }, long: Extent { messages: 80_000, faults: 150 } }
    }

    async fn run(&self, stage: &mut Stage) -> anyhow::Result<()> {
        stage.fleet.start(0)?;
        stage.fleet.start(1)?;
        stage.load(Pace::Ahead(4 * stage.setting.in_flight), Until::Enough(stage.extent.messages));
        schedule::throughout(stage, &[Box::new(faults::Bury), Box::new(faults::Join), Box::new(faults::Leave)]).await
    }
}
