//! A broker that is killed and comes back.

use std::time::Duration;

use async_trait::async_trait;
use rand_chacha::ChaCha8Rng;
use tokio::time::Instant;

use super::schedule;
use crate::scenario::{Extent, Extents, Fault, Scenario, Whose};
use crate::setting::Setting;
use crate::stage::Stage;

/// How long the broker is away, at least: to start takes it some seconds more.
const AWAY: Duration = Duration::from_secs(5);
/// How long members of groups may say nothing, where they decide it: longer than a short outage with what follows it.
const SESSION: Duration = Duration::from_secs(12);
/// Messages that have to end before the broker goes, each time.
const BETWEEN: u64 = 500;

/// See its `about`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Outage;

#[async_trait]
impl Scenario for Outage {
    fn name(&self) -> &'static str {
        "outage"
    }

    fn about(&self) -> &'static str {
        "kill -9 of the broker, which comes back after 5 s or after longer than a session: hosts go on by themselves, nothing lost, repeats as after a hard end"
    }

    fn extents(&self) -> Extents {
        Extents { short: Extent { messages: 2_000, faults: 2 }, long: Extent { messages: 40_000, faults: 16 } }
    }

    fn setting_by(&self, random: &mut ChaCha8Rng) -> Setting {
        Setting { lease: SESSION, ..Setting::default() }.varied(random)
    }

    fn broker(&self) -> Whose {
        Whose::Own
    }

    async fn run(&self, stage: &mut Stage) -> anyhow::Result<()> {
        schedule::begin(stage, 2)?;
        let longer = stage.setting.lease + AWAY;
        for turn in 0..stage.extent.faults {
            stage.until_ended(stage.ended() + BETWEEN).await?;
            let (name, away) = if turn % 2 == 0 { ("short outage", AWAY) } else { ("long outage", longer) };
            stage.inflict(&Away { name, away }).await?;
            let back = Instant::now();
            stage.until_ended(stage.ended() + BETWEEN).await?;
            stage.note(format!("{name}: {BETWEEN} messages ended within {:.1?} of its end", back.elapsed()));
        }
        stage.until_ended(stage.extent.messages as u64).await
    }
}

/// Kills the broker, and starts it again after some time.
struct Away {
    name: &'static str,
    away: Duration,
}

#[async_trait]
impl Fault for Away {
    fn name(&self) -> &'static str {
        self.name
    }

    async fn inflict(&self, stage: &mut Stage) -> anyhow::Result<()> {
        let broker = stage.broker()?;
        // Each host may lose all that it has, as if it had ended itself.
        stage.fleet.moving().iter().for_each(|_| stage.allow_hard_end());
        broker.kill().await?;
        stage.stand(self.away).await?;
        broker.restart().await
    }
}
