//! Everything at once.

use std::time::Duration;

use async_trait::async_trait;
use rand_chacha::ChaCha8Rng;

use super::schedule;
use crate::scenario::{Extent, Extents, Scenario};
use crate::setting::Setting;
use crate::stage::Stage;
use crate::weather::Station;

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
        Extents { short: Extent { messages: 8_000, faults: 16 }, long: Extent { messages: 200_000, faults: 250 } }
    }

    fn setting_by(&self, random: &mut ChaCha8Rng) -> Setting {
        Setting { lease: Duration::from_secs(1), ..Setting::default() }.varied(random)
    }

    async fn run(&self, stage: &mut Stage) -> anyhow::Result<()> {
        Station::surround(stage)?;
        schedule::begin(stage, 2)?;
        schedule::throughout(stage, &super::mixed(stage.on())).await
    }
}
