//! Hosts that stand still for longer than their leases, and go on.

use std::time::Duration;

use async_trait::async_trait;
use rand_chacha::ChaCha8Rng;

use super::schedule;
use crate::faults;
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
        Extents { short: Extent { messages: 8_000, faults: 5 }, long: Extent { messages: 100_000, faults: 60 } }
    }

    fn setting_by(&self, random: &mut ChaCha8Rng) -> Setting {
        Setting { lease: Duration::from_secs(1), ..Setting::default() }.varied(random)
    }

    async fn run(&self, stage: &mut Stage) -> anyhow::Result<()> {
        schedule::begin(stage, 2)?;
        schedule::throughout(stage, &[Box::new(faults::Pause)]).await?;
        schedule::proves_something(stage).await
    }
}
