//! Hosts that come and go.

use std::time::Duration;

use async_trait::async_trait;
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use tokio::time::{MissedTickBehavior, interval};

use super::schedule;
use crate::faults::{Join, Leave};
use crate::scenario::{Extent, Extents, Fault, Scenario};
use crate::setting::Setting;
use crate::stage::Stage;

/// How often a host comes or goes.
const EVERY: Duration = Duration::from_millis(250);

/// See its `about`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Churn;

#[async_trait]
impl Scenario for Churn {
    fn name(&self) -> &'static str {
        "churn"
    }

    fn about(&self) -> &'static str {
        "a host comes or goes cleanly every 250 ms, one to four of them: nothing lost, nothing repeated"
    }

    fn extents(&self) -> Extents {
        Extents { short: Extent { messages: 8_000, faults: 40 }, long: Extent { messages: 100_000, faults: 600 } }
    }

    fn setting_by(&self, random: &mut ChaCha8Rng) -> Setting {
        Setting::default().varied(random)
    }

    async fn run(&self, stage: &mut Stage) -> anyhow::Result<()> {
        schedule::begin(stage, 1)?;
        stage.until_ended(1).await?;
        let mut ticks = interval(EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        for _ in 0..stage.extent.faults {
            ticks.tick().await;
            let comes = stage.random.random() && Join.is_possible(stage) || !Leave.is_possible(stage);
            let fault: &dyn Fault = if comes { &Join } else { &Leave };
            stage.inflict(fault).await?;
        }
        Ok(())
    }
}
