//! Hosts that are killed at random moments.

use async_trait::async_trait;
use rand_chacha::ChaCha8Rng;

use super::schedule;
use crate::faults;
use crate::scenario::{Extent, Extents, Scenario};
use crate::setting::Setting;
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
        "kill -9 of any host at any moment, of all at once, and of one that drains: nothing lost, at most twice what was in flight repeated, each time"
    }

    fn extents(&self) -> Extents {
        Extents { short: Extent { messages: 8_000, faults: 8 }, long: Extent { messages: 300_000, faults: 100 } }
    }

    fn setting_by(&self, random: &mut ChaCha8Rng) -> Setting {
        Setting::default().varied(random)
    }

    async fn run(&self, stage: &mut Stage) -> anyhow::Result<()> {
        schedule::begin(stage, 2)?;
        schedule::throughout(stage, &[Box::new(faults::Kill), Box::new(faults::Cut), Box::new(faults::Crash)]).await
    }
}
