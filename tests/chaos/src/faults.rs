//! What can be done to processes.

use std::time::Duration;

use anyhow::{Context, bail};
use async_trait::async_trait;
use rand::Rng;
use rand::seq::IndexedRandom;

use crate::on::On;
use crate::scenario::Fault;
use crate::stage::Stage;

/// Hosts at once, at most.
pub const SEATS: usize = 4;

/// All that go along with others.
pub fn all() -> Vec<Box<dyn Fault>> {
    let hard: [Box<dyn Fault>; 5] = [Box::new(Kill), Box::new(Cut), Box::new(Crash), Box::new(Freeze), Box::new(Bury)];
    let clean: [Box<dyn Fault>; 3] = [Box::new(Stop), Box::new(Join), Box::new(Leave)];
    hard.into_iter().chain(clean).collect()
}

/// Kills a host in the middle of whatever it does, and starts another one.
#[derive(Clone, Copy, Debug)]
pub struct Kill;

#[async_trait]
impl Fault for Kill {
    fn name(&self) -> &'static str {
        "kill"
    }

    fn is_possible(&self, stage: &Stage) -> bool {
        has_moving(stage)
    }

    async fn inflict(&self, stage: &mut Stage) -> anyhow::Result<()> {
        let seat = any(stage)?;
        stage.allow_hard_end();
        stage.fleet.kill(seat).await?;
        stage.fleet.start(seat)
    }
}

/// Stops a host, and kills it while it drains.
#[derive(Clone, Copy, Debug)]
pub struct Cut;

#[async_trait]
impl Fault for Cut {
    fn name(&self) -> &'static str {
        "cut"
    }

    fn is_possible(&self, stage: &Stage) -> bool {
        has_moving(stage)
    }

    async fn inflict(&self, stage: &mut Stage) -> anyhow::Result<()> {
        let seat = any(stage)?;
        stage.allow_hard_end();
        stage.fleet.tell_to_stop(seat).await?;
        stage.breathe(Duration::from_millis(50)).await;
        stage.fleet.kill(seat).await?;
        stage.fleet.start(seat)
    }
}

/// Kills all hosts, one right after the other, and starts as many.
#[derive(Clone, Copy, Debug)]
pub struct Crash;

#[async_trait]
impl Fault for Crash {
    fn name(&self) -> &'static str {
        "crash"
    }

    async fn inflict(&self, stage: &mut Stage) -> anyhow::Result<()> {
        let seats: Vec<usize> = stage.fleet.moving().into_iter().chain(stage.fleet.paused()).collect();
        for seat in &seats {
            stage.allow_hard_end();
            stage.fleet.kill(*seat).await?;
        }
        seats.into_iter().try_for_each(|seat| stage.fleet.start(seat))
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

    fn is_possible(&self, stage: &Stage) -> bool {
        has_moving(stage)
    }

    async fn inflict(&self, stage: &mut Stage) -> anyhow::Result<()> {
        let seat = any(stage)?;
        stage.fleet.stop(seat).await?;
        stage.fleet.start(seat)
    }
}

/// Adds a host.
#[derive(Clone, Copy, Debug)]
pub struct Join;

#[async_trait]
impl Fault for Join {
    fn name(&self) -> &'static str {
        "join"
    }

    fn is_possible(&self, stage: &Stage) -> bool {
        !stage.fleet.free(SEATS).is_empty()
    }

    async fn inflict(&self, stage: &mut Stage) -> anyhow::Result<()> {
        let free = stage.fleet.free(SEATS);
        free.choose(&mut stage.random).map_or(Ok(()), |seat| stage.fleet.start(*seat))
    }
}

/// Stops a host cleanly.
#[derive(Clone, Copy, Debug)]
pub struct Leave;

#[async_trait]
impl Fault for Leave {
    fn name(&self) -> &'static str {
        "leave"
    }

    fn is_possible(&self, stage: &Stage) -> bool {
        stage.fleet.moving().len() > 1
    }

    async fn inflict(&self, stage: &mut Stage) -> anyhow::Result<()> {
        let seat = any(stage)?;
        stage.fleet.dismiss(seat).await
    }
}

/// Lets a host stand still for longer than its lease, beside another one that takes over, and go on. On a log, one that was
/// caught in the middle of a write keeps the file locked, and nobody could take over: it goes on at once, and is caught
/// again. Elsewhere no host stands in the way of another one.
#[derive(Clone, Copy, Debug)]
pub struct Pause;

/// How long the others may take to go on without a host that stands still, before it counts as one that locks the file.
const LOCKED_AFTER: Duration = Duration::from_millis(400);
/// A host that locks the file is caught so often before that is given up.
const CATCHES: usize = 50;

#[async_trait]
impl Fault for Pause {
    fn name(&self) -> &'static str {
        "pause"
    }

    async fn inflict(&self, stage: &mut Stage) -> anyhow::Result<()> {
        if stage.fleet.moving().len() < 2 {
            Join.inflict(stage).await?;
        }
        stage.allow_hard_end();
        for _ in 0..CATCHES {
            let seat = any(stage)?;
            stage.fleet.pause(seat).await?;
            let others_go_on = stage.on() != On::Log || stage.more_ends_within(LOCKED_AFTER).await;
            if others_go_on {
                tokio::time::sleep(stage.setting.lease * 3 / 2).await;
            }
            stage.breathe(Duration::from_millis(200)).await;
            stage.fleet.resume(seat).await?;
            if others_go_on {
                return Ok(());
            }
        }
        bail!("whenever a host stood still, no other one went on")
    }
}

/// Lets a host stand still for longer than its lease, while other faults go on.
#[derive(Clone, Copy, Debug)]
pub struct Freeze;

#[async_trait]
impl Fault for Freeze {
    fn name(&self) -> &'static str {
        "freeze"
    }

    fn is_possible(&self, stage: &Stage) -> bool {
        stage.fleet.moving().len() > 1
    }

    async fn inflict(&self, stage: &mut Stage) -> anyhow::Result<()> {
        let seat = any(stage)?;
        stage.allow_hard_end();
        let lease = stage.setting.lease;
        let longer = lease.mul_f64(stage.random.random_range(1.0..2.0));
        stage.fleet.pause_for(seat, longer).await
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
        stage.allow_repeats(pipeline, stage.setting.repeats(pipeline));
        stage.bus().log()?.bury(&pipeline.topic(), &pipeline.name(), which).await?;
        Ok(())
    }
}

fn has_moving(stage: &Stage) -> bool {
    !stage.fleet.moving().is_empty()
}

/// The seat of a host that moves.
fn any(stage: &mut Stage) -> anyhow::Result<usize> {
    let moving = stage.fleet.moving();
    moving.choose(&mut stage.random).copied().context("no host runs")
}
