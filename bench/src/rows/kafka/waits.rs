//! Messages that wait in the plugin, one partition of Kafka: how much later all of them are done than in a bare `rdkafka`
//! and tokio loop with the same timers, and how much more CPU that takes.
//!
//! All of a run's messages come at once, when the client is there and has begun each of its lanes once: so neither its
//! start is measured, nor how it reads a topic that is far ahead. What has waited is done and emits nothing; behind the
//! last message of each lane stands one more, which is emitted when it has waited, and so tells when the lane is through.

use std::time::Duration;

use anyhow::{Context, ensure};
use rdkafka::Message;
use rdkafka::message::OwnedMessage;
use tokio::time::sleep;

use super::Ground;
use crate::Setup;
use crate::figure::Figure;
use crate::program::kafka::{Client, Fill, Lanes, Link, Plain, Task, Topic};
use crate::rounds::{Subject, interleave, median, ratio};
use crate::table::{Bar, Baseline, Line};

/// Messages of one run.
const MESSAGES: usize = 10_000;
/// Messages in the plugin at once.
const CONCURRENCY: usize = 100;
/// Keys of the messages.
const KEYS: usize = 20;
/// How long the messages wait by which lanes are begun: so long that all are begun beside each other.
const BEGIN: Duration = Duration::from_millis(200);
/// How long the messages wait that tell that a lane is through: longer than any before them.
const THROUGH: Duration = Duration::from_millis(10);
/// How long a client is left alone before its messages come.
const SETTLED: Duration = Duration::from_secs(1);

/// An order, as both sides have it.
#[derive(Clone, Copy)]
struct Order {
    name: &'static str,
    /// In the spec.
    spec: &'static str,
    lanes: Lanes,
    /// Messages that must have been emitted before all lanes are begun.
    begun: usize,
    /// Lanes that are kept apart, of which each tells that it is through.
    apart: usize,
}

const ORDERS: [Order; 3] = [
    Order { name: "none", spec: "none", lanes: Lanes::Together(CONCURRENCY), begun: CONCURRENCY, apart: 1 },
    Order { name: "20 keys", spec: "key", lanes: Lanes::ByKey, begun: KEYS, apart: KEYS },
    Order { name: "partition", spec: "partition", lanes: Lanes::One, begun: 1, apart: 1 },
];

/// One run, in seconds.
#[derive(Clone, Copy, Debug)]
struct Run {
    wall: f64,
    cpu: f64,
}

/// Measures it in every order.
pub(in crate::rows) fn run(setup: &Setup) -> anyhow::Result<Vec<Line>> {
    let ground = Ground::open(setup)?;
    // The broker's first group and first topic take a while.
    for order in ORDERS.iter().take(1) {
        ground.site.drive(bare(&ground, order))?;
    }
    let lines = ORDERS.iter().map(|order| lines(setup, &ground, order));
    Ok(lines.collect::<anyhow::Result<Vec<_>>>()?.concat())
}

fn lines(setup: &Setup, ground: &Ground<'_>, order: &Order) -> anyhow::Result<Vec<Line>> {
    let mut subjects: [Subject<'_, Run>; 2] =
        [Box::new(|| ground.site.drive(bare(ground, order))), Box::new(|| ground.site.drive(lockgate(ground, order)))];
    let runs = interleave(setup.runs, &mut subjects)?;
    let [bare, guest] = runs.as_slice() else { return Ok(Vec::new()) };
    let line = |of: &str, value: fn(&Run) -> f64, most| Line {
        what: format!(
            "10,000 messages of 0-5 ms from Kafka wait in the plugin (a component), order {}{of}",
            order.name
        ),
        figure: Figure::Seconds(median(guest.iter().map(value))),
        baseline: Some(Baseline {
            what: "a bare rdkafka and tokio loop in that order".into(),
            figure: Figure::Seconds(median(bare.iter().map(value))),
            ratio: ratio(guest, bare, value),
        }),
        bar: Bar::RatioAtMost(most),
        notes: Vec::new(),
    };
    Ok(vec![line("", |run| run.wall, 1.25), line(": client CPU", |run| run.cpu, 6.0)])
}

async fn bare(ground: &Ground<'_>, order: &Order) -> anyhow::Result<Run> {
    let place = Place::make(ground).await?;
    let client = Client::Plain(Plain::start(&Task::Wait(place.link.clone(), order.lanes)).await?);
    place.measure(ground, order, client).await
}

async fn lockgate(ground: &Ground<'_>, order: &Order) -> anyhow::Result<Run> {
    let place = Place::make(ground).await?;
    let pipeline = format!("concurrency: {CONCURRENCY}\n    order: {}", order.spec);
    let client = ground.host(&place.link, "compression: none", &pipeline)?;
    place.measure(ground, order, client).await
}

/// The topics of one run.
struct Place {
    from: Topic,
    to: Topic,
    link: Link,
}

impl Place {
    async fn make(ground: &Ground<'_>) -> anyhow::Result<Self> {
        // When messages are there is for the broker to say.
        let times = [("message.timestamp.type", "LogAppendTime")];
        let from = ground.cluster.make(ground.name("waits"), 1, &times).await?;
        let to = ground.cluster.make(ground.name("waited"), 1, &[]).await?;
        let link = ground.link(&from, &to);
        Ok(Self { from, to, link })
    }

    async fn measure(&self, ground: &Ground<'_>, order: &Order, mut client: Client) -> anyhow::Result<Run> {
        let cluster = &ground.cluster;
        cluster.fill(&self.from, "none", (0..order.begun).map(|lane| tells(lane, BEGIN)))?;
        cluster.until(&self.to, order.begun as u64, &mut client).await?;
        sleep(SETTLED).await;
        let before = client.threads()?;
        let messages = (0..MESSAGES).map(waits).chain((0..order.apart).map(|lane| tells(lane, THROUGH)));
        cluster.fill(&self.from, "none", messages)?;
        let through = order.begun + order.apart;
        let there = cluster.until(&self.to, through as u64, &mut client).await?;
        let cpu = client.threads()?.since(&before).as_secs_f64();
        ensure!(there == through as u64, "{there} messages tell that they have waited, where {through} were to");
        ground.finish(client, &self.link, &self.from).await?;
        let wall = self.time(ground, order)?;
        // Nothing can be quicker, unless it is out of order.
        let least = least(order.lanes).as_secs_f64();
        ensure!(wall >= least, "messages that wait for {least} s one after another were through in {wall} s");
        cluster.remove(self.from.clone()).await?;
        cluster.remove(self.to.clone()).await?;
        Ok(Run { wall, cpu })
    }

    /// From when the first message was there until the last lane was through, in seconds.
    fn time(&self, ground: &Ground<'_>, order: &Order) -> anyhow::Result<f64> {
        let millis = |message: &OwnedMessage| message.timestamp().to_millis();
        let came = ground.cluster.read(&self.from, order.begun as i64 + 1)?;
        let came = came.last().and_then(millis).context("it is not known when the messages came")?;
        let through = ground.cluster.read(&self.to, i64::MAX)?;
        let through = through.iter().filter_map(millis).max().context("it is not known when they were through")?;
        Ok((through - came) as f64 / 1e3)
    }
}

/// A message that waits, and no more.
fn waits(message: usize) -> Fill {
    let wait = wait(message).as_millis().to_string();
    Fill { key: Some((message % KEYS).to_string()), headers: vec![(enrich::WAIT_MS, wait)], payload: b"{}".to_vec() }
}

/// A message that is emitted when it has waited.
fn tells(lane: usize, wait: Duration) -> Fill {
    let headers = vec![(enrich::WAIT_MS, wait.as_millis().to_string()), (enrich::HAND_ON, "yes".into())];
    Fill { key: Some((lane % KEYS).to_string()), headers, payload: b"{}".to_vec() }
}

/// How long a message waits: evenly spread over 0 to 5 ms, and the same in every run.
fn wait(message: usize) -> Duration {
    let spread = (message as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
    Duration::from_millis(spread % 6)
}

/// What the messages take that must wait for each other.
fn least(lanes: Lanes) -> Duration {
    let waits = |from: usize, step: usize| (0..MESSAGES).skip(from).step_by(step).map(wait).sum();
    match lanes {
        Lanes::Together(count) => waits(0, 1) / u32::try_from(count).unwrap_or(u32::MAX),
        Lanes::ByKey => (0..KEYS).map(|key| waits(key, KEYS)).max().unwrap_or_default(),
        Lanes::One => waits(0, 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_must_wait_for_each_other_takes_what_it_takes_in_all() {
        let seconds = |lanes| least(lanes).as_secs_f64();
        assert!((24.0..26.0).contains(&seconds(Lanes::One)), "{}", seconds(Lanes::One));
        assert!((1.2..1.5).contains(&seconds(Lanes::ByKey)), "{}", seconds(Lanes::ByKey));
        assert!((0.24..0.26).contains(&seconds(Lanes::Together(100))), "{}", seconds(Lanes::Together(100)));
    }
}
