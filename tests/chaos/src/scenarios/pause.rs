//! Hosts that stand still for longer than their leases, and go on.

use std::time::Duration;

use async_trait::async_trait;

use super::schedule;
use crate::faults;
use crate::load::{Pace, Until};
use crate::scenario::{Extent, Extents, Scenario};
use crate::setting::Setting;
use crate::stage::Stage;

/// See its `about`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pause;

#[async_trait]
impl Scenario for Pause {
    fn name(&self) -> &'static str {
        "pause"
    }

    fn about(&self) -> &'static str {
        "SIGSTOP for longer than the lease while another host takes over, then SIGCONT: nothing lost, no checkpoint goes back"
    }

    fn extents(&self) -> Extents {
        Extents { short: Extent { messages: 4_000, faults: 4 }, long: Extent { messages: 60_000, faults: 40 } }
    }

    fn setting(&self) -> Setting {
        Setting { lease: Duration::from_secs(1), ..Setting::default() }
    }

    async fn run(&self, stage: &mut Stage) -> anyhow::Result<()> {
        stage.fleet.start(0)?;
        stage.fleet.start(1)?;
        stage.load(Pace::Ahead(4 * stage.setting.in_flight), Until::Enough(stage.extent.messages));
        schedule::throughout(stage, &[Box::new(faults::Pause)]).await
    }
}
