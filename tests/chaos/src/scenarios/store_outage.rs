//! A store of ownership and checkpoints that is away for a while.

use std::time::Duration;

use async_trait::async_trait;
use rand_chacha::ChaCha8Rng;

use super::schedule;
use crate::scenario::{Extent, Extents, Fault, Scenario};
use crate::setting::Setting;
use crate::stage::Stage;

/// How long the store is away: for several leases.
const AWAY: Duration = Duration::from_secs(20);

/// See its `about`.
#[derive(Clone, Copy, Debug)]
pub(super) struct StoreOutage;

#[async_trait]
impl Scenario for StoreOutage {
    fn name(&self) -> &'static str {
        "store-outage"
    }

    fn about(&self) -> &'static str {
        "the store of ownership and checkpoints is away for 20 s, frozen or ended: hosts stop before others may begin, and come back by themselves; nothing lost, repeats as after a hard end"
    }

    fn extents(&self) -> Extents {
        Extents { short: Extent { messages: 4_000, faults: 2 }, long: Extent { messages: 50_000, faults: 6 } }
    }

    fn setting_by(&self, random: &mut ChaCha8Rng) -> Setting {
        Setting::default().varied(random)
    }

    async fn run(&self, stage: &mut Stage) -> anyhow::Result<()> {
        schedule::begin(stage, 2)?;
        schedule::throughout(stage, &[Box::new(Away::Frozen), Box::new(Away::Ended)]).await
    }
}

/// How a store is away.
#[derive(Clone, Copy)]
enum Away {
    /// It takes requests and answers none.
    Frozen,
    /// Its process has ended: nothing listens where it was.
    Ended,
}

#[async_trait]
impl Fault for Away {
    fn name(&self) -> &'static str {
        match self {
            Self::Frozen => "store frozen",
            Self::Ended => "store ended",
        }
    }

    async fn inflict(&self, stage: &mut Stage) -> anyhow::Result<()> {
        stage.fleet.moving().iter().for_each(|_| stage.allow_hard_end());
        let namespace = stage.namespace()?;
        let store = &namespace.azurite;
        match self {
            Self::Frozen => store.pause().await?,
            Self::Ended => store.end().await?,
        }
        let stood = stage.stand(AWAY).await;
        match self {
            Self::Frozen => store.resume().await?,
            Self::Ended => store.begin().await?,
        }
        stood
    }
}
