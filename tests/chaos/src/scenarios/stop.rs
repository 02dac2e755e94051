//! Hosts that are stopped cleanly at random moments.

use async_trait::async_trait;
use rand_chacha::ChaCha8Rng;

use super::schedule;
use crate::faults;
use crate::scenario::{Extent, Extents, Scenario};
use crate::setting::Setting;
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
        Extents { short: Extent { messages: 8_000, faults: 10 }, long: Extent { messages: 100_000, faults: 150 } }
    }

    fn setting_by(&self, random: &mut ChaCha8Rng) -> Setting {
        Setting::default().varied(random)
    }

    async fn run(&self, stage: &mut Stage) -> anyhow::Result<()> {
        schedule::begin(stage, 2)?;
        schedule::throughout(stage, &[Box::new(faults::Stop)]).await
    }
}
