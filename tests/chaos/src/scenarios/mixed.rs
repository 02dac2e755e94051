//! Everything at once.

use async_trait::async_trait;

use super::schedule;
use crate::load::{Pace, Until};
use crate::scenario::{Extent, Extents, Scenario};
use crate::stage::Stage;

/// See its `about`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mixed;

#[async_trait]
impl Scenario for Mixed {
    fn name(&self) -> &'static str {
        "mixed"
    }

    fn about(&self) -> &'static str {
        "faults of every kind in any order: nothing lost, repeats within what each of them allows"
    }

    fn extents(&self) -> Extents {
        Extents { short: Extent { messages: 5_000, faults: 10 }, long: Extent { messages: 100_000, faults: 80 } }
    }

    async fn run(&self, stage: &mut Stage) -> anyhow::Result<()> {
        stage.fleet.start(0)?;
        stage.fleet.start(1)?;
        stage.load(Pace::Ahead(4 * stage.setting.in_flight), Until::Enough(stage.extent.messages));
        schedule::throughout(stage, &super::mixed()).await
    }
}
