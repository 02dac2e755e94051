//! What can be done to processes.

use std::time::Duration;

use anyhow::Context;
use async_trait::async_trait;
use rand::Rng;
use rand::seq::IndexedRandom;

use crate::scenario::Fault;
use crate::stage::Stage;

/// Hosts at once, at most.
pub const SEATS: usize = 4;

/// All of them.
pub fn all() -> Vec<Box<dyn Fault>> {
    vec![Box::new(Kill), Box::new(Stop), Box::new(Join), Box::new(Leave), Box::new(Pause), Box::new(Bury)]
}

/// Kills a host in the middle of whatever it does, and starts another one.
#[derive(Clone, Copy, Debug)]
pub struct Kill;

#[async_trait]
impl Fault for Kill {
    fn name(&self) -> &'static str {
        "kill"
    }

    async fn inflict(&self, stage: &mut Stage) -> anyhow::Result<()> {
        let seat = any(stage)?;
        stage.allow_hard_end();
        stage.fleet.kill(seat).await?;
        stage.fleet.start(seat)
    }
}

/// Stops a host cleanly, and starts another one.
#[derive(Clone, Copy, Debug)]
pub struct Stop;

#[async_trait]
impl Fault for Stop {
    fn name(&self) -> &'static str {
        "stop"
    }

    async fn inflict(&self, stage: &mut Stage) -> anyhow::Result<()> {
        let seat = any(stage)?;
        stage.fleet.stop(seat).await?;
        stage.fleet.start(seat)
    }
}

/// Adds a host, where there is room for one.
#[derive(Clone, Copy, Debug)]
pub struct Join;

#[async_trait]
impl Fault for Join {
    fn name(&self) -> &'static str {
        "join"
    }

    async fn inflict(&self, stage: &mut Stage) -> anyhow::Result<()> {
        let free = stage.fleet.free(SEATS);
        free.choose(&mut stage.random).map_or(Ok(()), |seat| stage.fleet.start(*seat))
    }
}

/// Stops a host cleanly, where it is not the last one.
#[derive(Clone, Copy, Debug)]
pub struct Leave;

#[async_trait]
impl Fault for Leave {
    fn name(&self) -> &'static str {
        "leave"
    }

    async fn inflict(&self, stage: &mut Stage) -> anyhow::Result<()> {
        if stage.fleet.moving().len() < 2 {
            return Ok(());
        }
        let seat = any(stage)?;
        stage.fleet.dismiss(seat).await
    }
}

/// Lets a host stand still for longer than its lease, beside another one that takes over, and go on.
#[derive(Clone, Copy, Debug)]
pub struct Pause;

#[async_trait]
impl Fault for Pause {
    fn name(&self) -> &'static str {
        "pause"
    }

    async fn inflict(&self, stage: &mut Stage) -> anyhow::Result<()> {
        if stage.fleet.moving().len() < 2 {
            Join.inflict(stage).await?;
        }
        let seat = any(stage)?;
        stage.allow_hard_end();
        stage.fleet.pause(seat).await?;
        let lease = stage.setting.lease;
        tokio::time::sleep(lease * 3 / 2).await;
        stage.breathe(Duration::from_millis(500)).await;
        stage.fleet.resume(seat).await
    }
}

/// Takes the partitions of one pipeline from a host that lives, as another one does that finds it dead. They go to whoever
/// looks first, the same one not excepted.
#[derive(Clone, Copy, Debug)]
pub struct Bury;

#[async_trait]
impl Fault for Bury {
    fn name(&self) -> &'static str {
        "bury"
    }

    async fn inflict(&self, stage: &mut Stage) -> anyhow::Result<()> {
        let which = stage.random.random_range(0..SEATS);
        let pipeline = stage.setting.pipelines.choose(&mut stage.random).copied().context("there is no pipeline")?;
        stage.allow_repeats(pipeline, stage.setting.repeats());
        stage.bus().log().bury(&pipeline.topic(), &pipeline.name(), which).await?;
        Ok(())
    }
}

/// The seat of a host that moves.
fn any(stage: &mut Stage) -> anyhow::Result<usize> {
    let moving = stage.fleet.moving();
    moving.choose(&mut stage.random).copied().context("no host runs")
}
