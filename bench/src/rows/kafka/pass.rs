//! From topic to topic through a plugin that parses each message, adds a field and emits it, and through one that emits
//! the payload as it came.

use std::time::Instant;

use anyhow::ensure;
use rdkafka::Message;

use super::Ground;
use crate::Setup;
use crate::cost::Cost;
use crate::figure::Figure;
use crate::program::kafka::{Change, Client, Fill, Link, PARTITIONS, Plain, Task, Topic};
use crate::rounds::{Subject, interleave, median, ratio};
use crate::subject::messages::claim;
use crate::table::{Bar, Baseline, Line};

/// Messages of one run. The first are for everything to begin, and are not measured.
const MESSAGES: u64 = 240_000;
/// Messages after which it is measured.
const BEGUN: u64 = 40_000;
/// Messages of each partition that are looked at afterwards.
const LOOKED_AT: i64 = 100;

/// One run.
#[derive(Clone, Copy, Debug)]
struct Run {
    cost: Cost,
    messages: usize,
    /// The most memory that the client had, in bytes.
    peak: u64,
}

/// Who hands the messages on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Who {
    Lockgate,
    Bare,
}

/// Measures it.
pub(in crate::rows) fn run(setup: &Setup) -> anyhow::Result<Vec<Line>> {
    let ground = Ground::open(setup)?;
    let from = ground.site.drive(ground.cluster.make("claims", PARTITIONS, &[]))?;
    let claims = (0..MESSAGES).map(|number| Fill { payload: claim(number), ..Fill::default() });
    ground.cluster.fill(&from, "none", claims)?;
    let pass = |who, change| ground.site.drive(pass(&ground, &from, who, change));
    // A broker's first messages are several times as dear as those that follow.
    pass(Who::Bare, Change::Nothing)?;
    let mut subjects: [Subject<'_, Run>; 4] = [
        Box::new(|| pass(Who::Bare, Change::Enrich)),
        Box::new(|| pass(Who::Lockgate, Change::Enrich)),
        Box::new(|| pass(Who::Lockgate, Change::Nothing)),
        Box::new(|| pass(Who::Bare, Change::Nothing)),
    ];
    let runs = interleave(setup.runs, &mut subjects)?;
    let [bare, guest, guest_as_it_came, bare_as_it_came] = runs.as_slice() else { return Ok(Vec::new()) };
    let enriched = lines("one field added", guest, ("bare rdkafka and serde_json", bare), 8.0, Bar::RatioAtLeast(0.6));
    let as_it_came = lines("payload as it came", guest_as_it_came, ("bare rdkafka", bare_as_it_came), 6.0, Bar::Open);
    Ok([enriched, as_it_came].concat())
}

/// What a message costs, and how many go through in a second.
fn lines(what: &str, runs: &[Run], (beside, bare): (&str, &[Run]), more: f64, rate: Bar) -> Vec<Line> {
    let line = |of: &str, value: fn(&Run) -> f64, figure: fn(f64) -> Figure, bar, notes| Line {
        what: format!("Kafka to plugin (a component) to Kafka, 1 KiB, {what}: {of}"),
        figure: figure(median(runs.iter().map(value))),
        baseline: Some(Baseline {
            what: beside.into(),
            figure: figure(median(bare.iter().map(value))),
            ratio: ratio(runs, bare, value),
        }),
        bar,
        notes,
    };
    let peak = |runs: &[Run]| Figure::Bytes(median(runs.iter().map(|run| run.peak as f64)));
    let memory = format!("At most {} of memory; {beside} {}.", peak(runs), peak(bare));
    let cpu = |run: &Run| run.cost.cpu_micros_each(run.messages);
    vec![
        line("client CPU", cpu, Figure::MicrosEach, Bar::MoreAtMost(Figure::MicrosEach(more)), vec![memory]),
        line("messages", |run| run.cost.rate(run.messages), Figure::PerSecond, rate, Vec::new()),
    ]
}

async fn pass(ground: &Ground<'_>, from: &Topic, who: Who, change: Change) -> anyhow::Result<Run> {
    let to = ground.cluster.make(ground.name("enriched"), PARTITIONS, &[]).await?;
    let link = ground.link(from, &to);
    let mut client = start(ground, &link, who, change).await?;
    let begun = ground.cluster.until(&to, BEGUN, &mut client).await?;
    let (began, before) = (Instant::now(), client.cpu()?);
    let ended = ground.cluster.until(&to, MESSAGES, &mut client).await?;
    let cost = Cost { wall: began.elapsed(), cpu: client.cpu()?.saturating_sub(before) };
    let peak = client.peak()?;
    ground.finish(client, &link, from).await?;
    check(ground, from, &to, change)?;
    ground.cluster.remove(to).await?;
    Ok(Run { cost, messages: usize::try_from(ended - begun)?, peak })
}

async fn start(ground: &Ground<'_>, link: &Link, who: Who, change: Change) -> anyhow::Result<Client> {
    match who {
        Who::Bare => Ok(Client::Plain(Plain::start(&Task::Pass(link.clone(), change)).await?)),
        Who::Lockgate => {
            let as_it_came = change == Change::Nothing;
            ground.host(link, "compression: none", &format!("config: {{ as_it_came: {as_it_came} }}"))
        }
    }
}

/// Fails unless every message came through once, and those that are looked at as they should.
fn check(ground: &Ground<'_>, from: &Topic, to: &Topic, change: Change) -> anyhow::Result<()> {
    let there = ground.cluster.count(to)?;
    ensure!(there == MESSAGES, "{there} messages came through, where {MESSAGES} were to come");
    let came: Vec<_> = ground.cluster.read(from, i64::MAX)?;
    let came: std::collections::HashSet<&[u8]> = came.iter().filter_map(|message| message.payload()).collect();
    for message in ground.cluster.read(to, LOOKED_AT)? {
        let payload = message.payload().unwrap_or_default();
        let before = match (change, payload.strip_suffix(br#","enriched":true}"#)) {
            (Change::Nothing, _) => payload.to_vec(),
            (Change::Enrich, Some(fields)) => [fields, b"}"].concat(),
            (Change::Enrich, None) => Vec::new(),
        };
        ensure!(came.contains(before.as_slice()), "a message came through as {}", String::from_utf8_lossy(payload));
    }
    Ok(())
}
