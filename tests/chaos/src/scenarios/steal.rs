//! Partitions that move back and forth between hosts, asked for and taken.

use async_trait::async_trait;
use rand_chacha::ChaCha8Rng;

use super::schedule;
use crate::faults;
use crate::scenario::{Extent, Extents, Scenario};
use crate::setting::Setting;
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
        Extents { short: Extent { messages: 8_000, faults: 16 }, long: Extent { messages: 100_000, faults: 300 } }
    }

    fn setting_by(&self, random: &mut ChaCha8Rng) -> Setting {
        Setting::default().varied(random)
    }

    async fn run(&self, stage: &mut Stage) -> anyhow::Result<()> {
        schedule::begin(stage, 2)?;
        schedule::throughout(stage, &[Box::new(faults::Bury), Box::new(faults::Join), Box::new(faults::Leave)]).await?;
        schedule::proves_something(stage).await
    }
}
