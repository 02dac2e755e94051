//! A namespace of Event Hubs that misbehaves, while messages flow.

use std::time::Duration;

use async_trait::async_trait;
use rand::Rng;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

use super::schedule;
use crate::scenario::{Extent, Extents, Fault, Scenario};
use crate::setting::Setting;
use crate::stage::Stage;

/// See its `about`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Namespace;

#[async_trait]
impl Scenario for Namespace {
    fn name(&self) -> &'static str {
        "namespace"
    }

    fn about(&self) -> &'static str {
        "connections that drop, a hub that stands still, tokens that expire, partitions that are taken, throttling: nothing lost, repeated at most what was being written or was taken"
    }

    fn extents(&self) -> Extents {
        Extents { short: Extent { messages: 8_000, faults: 12 }, long: Extent { messages: 50_000, faults: 120 } }
    }

    fn setting_by(&self, random: &mut ChaCha8Rng) -> Setting {
        Setting::default().varied(random)
    }

    async fn run(&self, stage: &mut Stage) -> anyhow::Result<()> {
        schedule::begin(stage, 2)?;
        let faults: [Box<dyn Fault>; 5] =
            [Box::new(Dropped), Box::new(StandsStill), Box::new(Expired), Box::new(Taken), Box::new(Busy)];
        schedule::throughout(stage, &faults).await
    }
}

/// How long a hub is out of order, at most.
const OUT: Duration = Duration::from_secs(2);

/// One of the scenario's hubs.
fn any_hub(stage: &mut Stage) -> (String, u32) {
    let topics = stage.setting.topics();
    let (topic, partitions) = topics.choose(&mut stage.random).cloned().unwrap_or_default();
    (format!("{}-{topic}", Namespace.name()), partitions)
}

async fn ask(stage: &Stage, method: &'static str, path: String, body: Value) -> anyhow::Result<()> {
    stage.namespace()?.ask(method, path, body).await
}

/// Gives a hub a fault for some time.
async fn out_of_order(stage: &mut Stage, hub: &str, fault: Value) -> anyhow::Result<()> {
    ask(stage, "PUT", format!("/hubs/{hub}/faults"), fault).await?;
    stage.breathe(OUT).await;
    ask(stage, "PUT", format!("/hubs/{hub}/faults"), json!({})).await
}

/// Drops all connections to every hub.
#[derive(Clone, Copy, Debug)]
struct Dropped;

#[async_trait]
impl Fault for Dropped {
    fn name(&self) -> &'static str {
        "dropped"
    }

    async fn inflict(&self, stage: &mut Stage) -> anyhow::Result<()> {
        // What was written and not answered is written again.
        stage.allow_hard_end();
        for (topic, _) in stage.setting.topics() {
            ask(stage, "POST", format!("/hubs/{}-{topic}/drop", Namespace.name()), json!({})).await?;
        }
        Ok(())
    }
}

/// Lets a hub answer nothing for some time.
#[derive(Clone, Copy, Debug)]
struct StandsStill;

#[async_trait]
impl Fault for StandsStill {
    fn name(&self) -> &'static str {
        "stands still"
    }

    async fn inflict(&self, stage: &mut Stage) -> anyhow::Result<()> {
        stage.allow_hard_end();
        let (hub, _) = any_hub(stage);
        out_of_order(stage, &hub, json!({ "frozen": true })).await
    }
}

/// Lets the tokens of all links to a hub expire.
#[derive(Clone, Copy, Debug)]
struct Expired;

#[async_trait]
impl Fault for Expired {
    fn name(&self) -> &'static str {
        "expired"
    }

    async fn inflict(&self, stage: &mut Stage) -> anyhow::Result<()> {
        stage.allow_hard_end();
        let (hub, _) = any_hub(stage);
        ask(stage, "POST", format!("/hubs/{hub}/expire"), json!({})).await
    }
}

/// Ends the link to a partition of a pipeline, as a reader with a higher epoch does.
#[derive(Clone, Copy, Debug)]
struct Taken;

#[async_trait]
impl Fault for Taken {
    fn name(&self) -> &'static str {
        "taken"
    }

    async fn inflict(&self, stage: &mut Stage) -> anyhow::Result<()> {
        let Some(shape) = stage.setting.pipelines.choose(&mut stage.random).copied() else { return Ok(()) };
        stage.allow_repeats(shape, stage.setting.repeats(shape));
        let partition = stage.random.random_range(0..shape.partitions).to_string();
        let hub = format!("{}-{}", Namespace.name(), shape.topic());
        ask(stage, "POST", "/steal".to_owned(), json!({ "hub": hub, "group": shape.name(), "partition": partition }))
            .await
    }
}

/// Throttles a hub for some time.
#[derive(Clone, Copy, Debug)]
struct Busy;

#[async_trait]
impl Fault for Busy {
    fn name(&self) -> &'static str {
        "busy"
    }

    async fn inflict(&self, stage: &mut Stage) -> anyhow::Result<()> {
        let (hub, _) = any_hub(stage);
        out_of_order(stage, &hub, json!({ "server_busy": true })).await
    }
}
