//! One key whose message does not end for long.

use std::ops::RangeInclusive;
use std::time::Duration;

use anyhow::Context;
use async_trait::async_trait;
use rand::Rng;

use crate::environment::rate::{Rate, measured};
use crate::message::{End, Sent};
use crate::scenario::{Extent, Extents, Scenario};
use crate::setting::{Order, Setting, Shape};
use crate::stage::Stage;

/// What is worked at.
const PIPELINE: Shape = Shape { order: Order::Key, partitions: 4 };
/// The keys of good messages begin so.
const GOOD: &str = "good-";
/// The key that is stuck.
const STUCK: &str = "stuck";
/// Messages behind the one that is stuck: fewer than what its partition may hold.
const FOLLOWERS: usize = 30;
/// How long a good message waits in the plugin, in milliseconds: half a second in the middle, and never all at once.
const WORK_MS: RangeInclusive<u32> = 250..=750;
/// Good messages that end a second, at most: a hundred at once.
const BEST: usize = 200;
/// The longest that a message is stuck, in seconds.
const LONGEST: usize = 60;
/// Seconds from which on a rate says something.
const TELLING: usize = 10;
/// The least rate of good messages beside the stuck one, as a part of the rate without.
const LEAST: f64 = 0.95;
/// A hundred at once: the one that is stuck takes one place of them.
const OVERLAY: &str = "pipelines: { keyed-4: { concurrency: 100, in_flight: { messages: 400 } } }";

/// See its `about`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stuck;

#[async_trait]
impl Scenario for Stuck {
    fn name(&self) -> &'static str {
        "stuck"
    }

    fn about(&self) -> &'static str {
        "one key is stuck for up to a minute: the others keep 95 % of their rate, and its own messages follow in their order"
    }

    fn extents(&self) -> Extents {
        let messages = |seconds| seconds * BEST;
        Extents {
            short: Extent { messages: messages(3), faults: 1 },
            long: Extent { messages: messages(LONGEST), faults: 1 },
        }
    }

    fn setting(&self) -> Setting {
        Setting { pipelines: vec![PIPELINE], ..Setting::default() }
    }

    async fn run(&self, stage: &mut Stage) -> anyhow::Result<()> {
        stage.overlay(OVERLAY)?;
        stage.fleet.start(0)?;
        stage.fleet.until_running(0).await?;
        let (seconds, mut phases) = (stage.extent.messages / BEST, Phases { rate: Rate::of(stage, GOOD), good: 0 });
        // While it is stuck nothing of it ends, and the others may have by then.
        stage.patience += Duration::from_secs(seconds as u64);
        let aside = (stage.extent.messages / 3).max(2 * BEST);
        phases.run(stage, 100, Vec::new()).await?;
        let before = phases.run(stage, aside, Vec::new()).await?;
        let beside = phases.run(stage, stage.extent.messages, stuck(seconds)).await?;
        stage.count("stuck key");
        stage.until_drained().await?;
        let after = phases.run(stage, aside, Vec::new()).await?;
        let ratio = beside / f64::midpoint(before, after);
        let told = format!("{:.1} % of their rate while a key is stuck for {seconds} s", ratio * 100.0);
        if seconds >= TELLING && ratio < LEAST {
            stage.blame(format!("the other keys keep only {told}"));
        }
        stage.note(format!("the other keys keep {told}: {before:.0}, {beside:.0}, {after:.0} messages a second"));
        Ok(())
    }
}

/// A message that is stuck for so long, and those behind it.
fn stuck(seconds: usize) -> Vec<Sent> {
    let message = |end| Sent { key: STUCK.to_owned(), end };
    let first = message(End::Waited(u32::try_from(seconds * 1000).unwrap_or(u32::MAX)));
    std::iter::once(first).chain((0..FOLLOWERS).map(|_| message(End::Made))).collect()
}

struct Phases {
    rate: Rate,
    /// Good messages sent.
    good: usize,
}

impl Phases {
    /// Sends these and so many good messages, waits until the good ones have ended, and gives their rate.
    async fn run(&mut self, stage: &mut Stage, good: usize, mut messages: Vec<Sent>) -> anyhow::Result<f64> {
        messages.extend((0..good).map(|number| {
            let end = End::Waited(stage.random.random_range(WORK_MS));
            Sent { key: format!("{GOOD}{number}"), end }
        }));
        stage.send(PIPELINE, messages).await?;
        let phase = self.good..self.good + good;
        self.good = phase.end;
        self.rate.until(phase.end, stage.patience).await?;
        self.rate.per_second(measured(phase)).context("the messages ended all at once")
    }
}
