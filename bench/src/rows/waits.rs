//! Messages that wait in the plugin: how much later all of them are done than in a bare loop with the same timers.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::StreamExt;
use futures::future::join_all;
use lockgate::flow::config::Order;
use lockgate::model::{Clock, Record};
use lockgate::plugin::Plugin;
use lockgate::plugin::config::Limits;
use tokio::runtime::Runtime;
use tokio::time::sleep;

use crate::Setup;
use crate::figure::Figure;
use crate::rounds::{Subject, interleave, median, ratio};
use crate::subject::messages::fill;
use crate::subject::pipeline::{Course, FROM};
use crate::subject::plugins::{Counted, Enrich, Expected, Waiting, Wanted};
use crate::subject::{memory, runtime};
use crate::table::{Bar, Baseline, Line};

/// Messages of one run.
const MESSAGES: usize = 10_000;
/// Messages in the plugin at once.
const CONCURRENCY: usize = 100;
/// Keys, where messages have some.
const KEYS: usize = 20;
/// Messages read and not settled: as the spec has it where it says nothing.
const IN_FLIGHT: usize = 1000;

/// Measures it in every order.
pub(crate) fn run(setup: &Setup) -> anyhow::Result<Vec<Line>> {
    let waiting = Bench { runtime: runtime()?, enrich: Enrich::new(&setup.enrich, CONCURRENCY)? };
    let orders = [("none", Order::None, 1.25), ("20 keys", Order::Key, 1.2), ("partition", Order::Partition, 1.2)];
    let lines = orders.into_iter().map(|(name, order, most)| waiting.lines(setup, name, &order, most));
    Ok(lines.collect::<anyhow::Result<Vec<_>>>()?.concat())
}

struct Bench {
    runtime: Runtime,
    enrich: Enrich,
}

impl Bench {
    /// One order: with the component, which the bar is for, and with a native plugin.
    fn lines(&self, setup: &Setup, name: &str, order: &Order, most: f64) -> anyhow::Result<Vec<Line>> {
        let mut subjects: [Subject<'_, f64>; 3] = [
            Box::new(|| Ok(self.bare(order).as_secs_f64())),
            Box::new(|| {
                let wanted = Wanted { concurrency: CONCURRENCY, limits: Limits::default(), thorough: false };
                let plugin = self.runtime.block_on(self.enrich.pool(wanted))?;
                let expected = Expected::new(MESSAGES);
                self.pipeline(order, Arc::new(Counted { plugin, expected: expected.clone() }), expected)
            }),
            Box::new(|| {
                let expected = Expected::new(MESSAGES);
                self.pipeline(order, Arc::new(Waiting { expected: expected.clone() }), expected)
            }),
        ];
        let times = interleave(setup.runs, &mut subjects)?;
        let [bare, guest, native] = times.as_slice() else { return Ok(Vec::new()) };
        let line = |plugin: &str, times: &[f64], bar| Line {
            what: format!("10,000 messages of 0-5 ms wait in {plugin}, order {name}"),
            figure: Figure::Seconds(median(times.iter().copied())),
            baseline: Some(Baseline {
                what: "a bare loop in that order".into(),
                figure: Figure::Seconds(median(bare.iter().copied())),
                ratio: ratio(times, bare, |time| *time),
            }),
            bar,
            notes: Vec::new(),
        };
        Ok(vec![
            line("the plugin (a component)", guest, Bar::RatioAtMost(most)),
            line("a native plugin", native, Bar::Open),
        ])
    }

    fn pipeline(&self, order: &Order, plugin: Arc<dyn Plugin>, expected: Arc<Expected>) -> anyhow::Result<f64> {
        self.runtime.block_on(async {
            let transport = memory(1, Clock::system());
            fill(&*transport, FROM, (0..MESSAGES).map(record)).await?;
            let course = Course {
                transport,
                plugin,
                expected,
                outputs: &[],
                concurrency: CONCURRENCY,
                in_flight: IN_FLIGHT,
                order: order.clone(),
            };
            Ok(course.run(MESSAGES).await?.wall.as_secs_f64())
        })
    }

    /// The same waits with nothing around them.
    fn bare(&self, order: &Order) -> Duration {
        let waits = || (0..MESSAGES).map(wait);
        let one_after_another = async |waits: Vec<Duration>| {
            for wait in waits {
                sleep(wait).await;
            }
        };
        let of_key = |key| waits().skip(key).step_by(KEYS).collect::<Vec<_>>();
        self.runtime.block_on(async {
            let began = Instant::now();
            match order {
                Order::None => futures::stream::iter(waits()).for_each_concurrent(CONCURRENCY, sleep).await,
                Order::Key | Order::Header(_) => drop(join_all((0..KEYS).map(of_key).map(one_after_another)).await),
                Order::Partition => one_after_another(waits().collect()).await,
            }
            began.elapsed()
        })
    }
}

/// How long a message waits: evenly spread over 0 to 5 ms, and the same in every run.
fn wait(message: usize) -> Duration {
    let spread = (message as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
    Duration::from_millis(spread % 6)
}

fn record(message: usize) -> Record {
    let mut record = Record { key: Some(Bytes::from((message % KEYS).to_string())), ..Record::default() };
    record.headers.push(enrich::WAIT_MS, wait(message).as_millis().to_string());
    record
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_are_spread_evenly_over_all_and_over_the_messages_of_a_key() {
        let mean = |waits: &mut dyn Iterator<Item = Duration>| {
            let (count, sum) = waits.fold((0, Duration::ZERO), |(count, sum), wait| (count + 1, sum + wait));
            sum.as_secs_f64() * 1e3 / f64::from(count)
        };
        assert!((mean(&mut (0..MESSAGES).map(wait)) - 2.5).abs() < 0.05);
        for key in 0..KEYS {
            let mean = mean(&mut (0..MESSAGES).map(wait).skip(key).step_by(KEYS));
            assert!((mean - 2.5).abs() < 0.3, "{key}: {mean}");
        }
    }
}
