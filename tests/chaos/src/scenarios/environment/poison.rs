//! Messages that the plugin fails on in every way there is.

use std::ops::RangeInclusive;

use anyhow::{Context, ensure};
use async_trait::async_trait;
use lockgate::model::header;
use rand::Rng;
use rand::seq::IndexedRandom;

use crate::environment::rate::{Rate, measured, median};
use crate::message::{End, Name, Sent};
use crate::scenario::{Extent, Extents, Scenario};
use crate::setting::{DEAD, Order, Setting, Shape};
use crate::stage::Stage;

/// What is worked at.
const PIPELINE: Shape = Shape { order: Order::Free, partitions: 6 };
/// The keys of good messages begin so.
const GOOD: &str = "good-";
/// How long a good message waits in the plugin, in milliseconds: half a second in the middle, and never all at once.
const WORK_MS: RangeInclusive<u32> = 250..=750;
/// Among so many messages one is poison.
const ONE_IN: usize = 20;
/// The kinds of poison.
const POISON: [End; 4] = [End::Trapped, End::Rejected, End::Spun, End::Greedy];
/// Good messages a phase from which on its rate says something; with fewer, its edges are most of it.
const TELLING: usize = 1_000;
/// The least rate of good messages beside poison, as a part of the rate without.
const LEAST: f64 = 0.95;
/// Fifty at once, so that good messages wait beside poison, and limits that poison meets soon.
const OVERLAY: &str = "
plugins: { faulty: { limits: { memory: 4MiB, cpu: 100ms } } }
pipelines: { free-6: { concurrency: 50, in_flight: { messages: 400 } } }
";

/// See its `about`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Poison;

#[async_trait]
impl Scenario for Poison {
    fn name(&self) -> &'static str {
        "poison"
    }

    fn about(&self) -> &'static str {
        "5 % of the messages trap, are rejected, never end or eat memory: each is a dead letter with its code, and good ones keep 95 % of their rate"
    }

    fn extents(&self) -> Extents {
        Extents { short: Extent { messages: 300, faults: 1 }, long: Extent { messages: 1_000, faults: 4 } }
    }

    fn setting(&self) -> Setting {
        Setting { pipelines: vec![PIPELINE], ..Setting::default() }
    }

    async fn run(&self, stage: &mut Stage) -> anyhow::Result<()> {
        stage.overlay(OVERLAY)?;
        stage.fleet.start(0)?;
        stage.fleet.until_running(0).await?;
        let mut phases = Phases { rate: Rate::of(stage, GOOD), sent: Vec::new(), good: 0 };
        // Instances are made, and the machine is warm.
        phases.run(stage, 100, Beside::Nothing).await?;
        let (mut ratios, good) = (Vec::new(), stage.extent.messages);
        for turn in 0..stage.extent.faults {
            // In turn first, so that a machine that grows slower or quicker favours neither.
            let ratio = if turn % 2 == 0 {
                let alone = phases.run(stage, good, Beside::Nothing).await?;
                phases.run(stage, good, Beside::Poison).await? / alone
            } else {
                let beside = phases.run(stage, good, Beside::Poison).await?;
                beside / phases.run(stage, good, Beside::Nothing).await?
            };
            ratios.push(ratio);
            stage.count("poison");
        }
        phases.check_letters(stage).await?;
        let told = ratios.iter().map(|ratio| format!("{:.1} %", ratio * 100.0)).collect::<Vec<_>>().join(", ");
        stage.note(format!("good messages beside poison keep {told} of their rate"));
        let middle = median(ratios).context("nothing was measured")?;
        if good >= TELLING && middle < LEAST {
            stage.blame(format!("good messages beside poison keep only {:.1} % of their rate", middle * 100.0));
        }
        Ok(())
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Beside {
    Nothing,
    Poison,
}

struct Phases {
    rate: Rate,
    /// Everything that was sent, by number.
    sent: Vec<End>,
    /// Good messages sent.
    good: usize,
}

impl Phases {
    /// Sends so many good messages and what goes beside, waits until all have ended, and gives the good ones' rate.
    async fn run(&mut self, stage: &mut Stage, good: usize, beside: Beside) -> anyhow::Result<f64> {
        let mut messages = Vec::new();
        for number in 0..good {
            let end = End::Waited(stage.random.random_range(WORK_MS));
            messages.push(Sent { key: format!("{GOOD}{number}"), end });
            if beside == Beside::Poison && number % ONE_IN == 0 {
                let end = *POISON.choose(&mut stage.random).context("there is no poison")?;
                messages.push(Sent { key: format!("poison-{number}"), end });
            }
        }
        self.sent.extend(messages.iter().map(|sent| sent.end));
        stage.send(PIPELINE, messages).await?;
        let phase = self.good..self.good + good;
        self.good = phase.end;
        self.rate.until(phase.end, stage.patience).await?;
        stage.until_ended(self.sent.len() as u64).await?;
        self.rate.per_second(measured(phase)).context("the messages ended all at once")
    }

    /// Holds that each dead letter says which poison it was.
    async fn check_letters(&self, stage: &Stage) -> anyhow::Result<()> {
        for letter in stage.bus().everything(DEAD).await? {
            let id = letter.id.as_str();
            let name: Option<Name> = id.parse().ok();
            let end = name.and_then(|name| self.sent.get(name.number)).with_context(|| format!("{id} was not sent"))?;
            let code = letter.headers.text(header::CODE);
            ensure!(code == end.code(), "{id} is dead with the code {code:?} instead of {:?}", end.code());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_in_twenty_is_poison_and_every_kind_has_a_code() {
        assert!(POISON.iter().all(|end| end.code().is_some()));
        let beside = (0..2_000).filter(|number| number % ONE_IN == 0).count();
        assert_eq!(beside * ONE_IN, 2_000);
    }
}
