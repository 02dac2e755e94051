//! On Event Hubs, by secure WebSocket: Lockgate's transport by itself and the host as the real program, beside the official
//! client, in a namespace of the emulator that shares the machine with them. So CPU is that of the process that is the
//! client.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use tempfile::TempDir;

use crate::Setup;
use crate::cost::Cost;
use crate::figure::Figure;
use crate::program::event_hubs::{Client, GROUP, Namespace, Task};
use crate::program::host::Host;
use crate::program::{Site, quoted};
use crate::rounds::{Subject, interleave, median, ratio};
use crate::table::{Bar, Baseline, Line};

/// Messages that are read or written in one run.
const MOVED: u64 = 200_000;
/// Messages that go through in one run. The first are for everything to begin, and are not measured.
const PASSED: u64 = 160_000;
const BEGUN: u64 = 20_000;
/// Partitions, where a row does not say otherwise.
const PARTITIONS: u32 = 4;
/// Partitions of an idle pipeline.
const MANY: u32 = 32;
/// How long an idle host is left alone, and then looked at.
const SETTLED: Duration = Duration::from_secs(15);
const LOOK: Duration = Duration::from_secs(60);
/// Waits of a host at its defaults: how often it looks at its group, and how long it owns what it does not renew.
const POLL: Duration = Duration::from_secs(5);
const LEASE: Duration = Duration::from_secs(30);
/// What a take-over may take beyond them.
const SLACK: Duration = Duration::from_secs(2);

struct Ground<'a> {
    site: Site<'a>,
    namespace: Namespace,
    named: Cell<usize>,
}

impl<'a> Ground<'a> {
    fn open(setup: &'a Setup) -> anyhow::Result<Self> {
        let site = Site::open(setup)?;
        let namespace = site.drive(Namespace::start(setup))?;
        Ok(Self { site, namespace, named: Cell::new(0) })
    }

    /// A hub that nothing else uses.
    fn hub(&self, partitions: u32) -> anyhow::Result<String> {
        self.named.set(self.named.get() + 1);
        let hub = format!("hub-{}", self.named.get());
        self.namespace.make(&hub, partitions)?;
        Ok(hub)
    }

    /// The host on one pipeline from hub to hub.
    fn host(&self, from: &str, to: &str) -> anyhow::Result<(Host, TempDir)> {
        let spec = format!(
            r#"{}
plugins: {{ enrich: {{ component: {} }} }}
pipelines:
  bench:
    from: {{ topic: {from}, group: {GROUP}, start: earliest }}
    plugin: enrich
    to: {{ enriched: {{ topic: {to} }} }}
    dead_letter: {{ topic: {to}, spill: none }}
"#,
            self.namespace.spec(),
            quoted(&self.site.setup.enrich)
        );
        let folder = self.site.folder()?;
        Ok((Host::start(&self.site, folder.path(), &spec)?, folder))
    }
}

/// Reading and writing by Lockgate's transport.
pub(super) fn run_moves(setup: &Setup) -> anyhow::Result<Vec<Line>> {
    let ground = Ground::open(setup)?;
    let mut lines = Vec::new();
    for partitions in [1, PARTITIONS] {
        let hub = ground.hub(partitions)?;
        ground.site.drive(ground.namespace.fill(&hub, partitions, MOVED))?;
        let (count, number) = (MOVED.to_string(), partitions.to_string());
        let run = Cell::new(0);
        let ours = || {
            run.set(run.get() + 1);
            let task = Task::Receive(hub.clone(), MOVED, run.get());
            ground.site.drive(async { timed(ground.namespace.own(task).await?).await })
        };
        let official = || {
            let arguments = ["receive", &hub, &number, &count];
            ground.site.drive(async { timed(ground.namespace.official(&arguments).await?).await })
        };
        let mut subjects: [Subject<'_, Cost>; 2] = [Box::new(official), Box::new(ours)];
        lines.push(line(setup, &mut subjects, &format!("1 KiB received from {partitions} partitions"))?);
    }
    let count = MOVED.to_string();
    let ours = || {
        let hub = ground.hub(PARTITIONS)?;
        ground.site.drive(async { timed(ground.namespace.own(Task::Send(hub, MOVED)).await?).await })
    };
    let official = || {
        let hub = ground.hub(PARTITIONS)?;
        ground.site.drive(async { timed(ground.namespace.official(&["send", &hub, &count]).await?).await })
    };
    let mut subjects: [Subject<'_, Cost>; 2] = [Box::new(official), Box::new(ours)];
    lines.push(line(setup, &mut subjects, "1 KiB sent in batches")?);
    Ok(lines)
}

fn line(setup: &Setup, subjects: &mut [Subject<'_, Cost>], what: &str) -> anyhow::Result<Line> {
    let runs = interleave(setup.runs, subjects)?;
    let [official, ours] = runs.as_slice() else { return Err(anyhow::anyhow!("two subjects were to run")) };
    let rate = |cost: &Cost| cost.rate(MOVED as usize);
    let cpu = |runs: &[Cost]| Figure::MicrosEach(median(runs.iter().map(|cost| cost.cpu_micros_each(MOVED as usize))));
    Ok(Line {
        what: format!("Event Hubs by secure WebSocket, {what}"),
        figure: Figure::PerSecond(median(ours.iter().map(rate))),
        baseline: Some(Baseline {
            what: "the official client".into(),
            figure: Figure::PerSecond(median(official.iter().map(rate))),
            ratio: ratio(ours, official, rate),
        }),
        bar: Bar::RatioAtLeast(0.9),
        notes: vec![format!("Client CPU {} a message; the official client {}.", cpu(ours), cpu(official))],
    })
}

/// From its start, the connections included.
async fn timed(mut client: Client) -> anyhow::Result<Cost> {
    let began = Instant::now();
    client.done().await?;
    Ok(Cost { wall: began.elapsed(), cpu: client.cpu()? })
}

/// From hub to hub through a plugin that parses each message, adds a field and emits it.
pub(super) fn run_pass(setup: &Setup) -> anyhow::Result<Vec<Line>> {
    let ground = Ground::open(setup)?;
    let from = |ground: &Ground<'_>| -> anyhow::Result<String> {
        let hub = ground.hub(PARTITIONS)?;
        ground.site.drive(ground.namespace.fill(&hub, PARTITIONS, PASSED))?;
        Ok(hub)
    };
    let number = PARTITIONS.to_string();
    let official = || {
        let (from, to) = (from(&ground)?, ground.hub(PARTITIONS)?);
        let client = ground.site.drive(ground.namespace.official(&["pass", &from, &to, &number]))?;
        ground.site.drive(passed(&ground, &to, || client.cpu()))
    };
    let ours = || {
        let (from, to) = (from(&ground)?, ground.hub(PARTITIONS)?);
        ground.site.drive(async {
            let (host, _folder) = ground.host(&from, &to)?;
            let cost = passed(&ground, &to, || host.cpu()).await?;
            host.stop().await?;
            Ok(cost)
        })
    };
    let mut subjects: [Subject<'_, Cost>; 2] = [Box::new(official), Box::new(ours)];
    let runs = interleave(setup.runs, &mut subjects)?;
    let [official, ours] = runs.as_slice() else { return Ok(Vec::new()) };
    let messages = (PASSED - BEGUN) as usize;
    let line = |of: &str, value: &dyn Fn(&Cost) -> f64, figure: fn(f64) -> Figure, bar| Line {
        what: format!("Event Hubs to plugin (a component) to Event Hubs, 1 KiB, one field added: {of}"),
        figure: figure(median(ours.iter().map(value))),
        baseline: Some(Baseline {
            what: "the official client and serde_json".into(),
            figure: figure(median(official.iter().map(value))),
            ratio: ratio(ours, official, value),
        }),
        bar,
        notes: Vec::new(),
    };
    let more = Bar::MoreAtMost(Figure::MicrosEach(8.0));
    Ok(vec![
        line("client CPU", &|cost| cost.cpu_micros_each(messages), Figure::MicrosEach, more),
        line("messages", &|cost| cost.rate(messages), Figure::PerSecond, Bar::RatioAtLeast(0.6)),
    ])
}

async fn passed(ground: &Ground<'_>, to: &str, cpu: impl Fn() -> anyhow::Result<Duration>) -> anyhow::Result<Cost> {
    let begun = ground.namespace.until(to, BEGUN).await?;
    let (began, before) = (Instant::now(), cpu()?);
    let ended = ground.namespace.until(to, PASSED).await?;
    ensure!(ended == PASSED, "{ended} messages came, where {PASSED} were to come");
    let cost = Cost { wall: began.elapsed(), cpu: cpu()?.saturating_sub(before) };
    // As if all of them had been measured.
    let share = (PASSED - BEGUN) as f64 / (ended - begun) as f64;
    Ok(Cost { wall: cost.wall.mul_f64(share), cpu: cost.cpu.mul_f64(share) })
}

/// How long it takes until another host has the partitions of one that is stopped, and of one that is killed, at the defaults.
pub(super) fn run_take_over(setup: &Setup) -> anyhow::Result<Vec<Line>> {
    let ground = Ground::open(setup)?;
    let mut lines = Vec::new();
    for (how, is_clean, bar) in [("stopped", true, POLL + SLACK), ("killed", false, LEASE + POLL + SLACK)] {
        let took = (0..setup.runs.min(3)).map(|_| ground.site.drive(take_over(&ground, is_clean)));
        let took = took.collect::<anyhow::Result<Vec<Duration>>>()?;
        lines.push(Line {
            what: format!("another host has the partitions of one that was {how}"),
            figure: Figure::Seconds(took.iter().map(Duration::as_secs_f64).fold(0.0, f64::max)),
            baseline: None,
            bar: Bar::AtMost(Figure::Seconds(bar.as_secs_f64())),
            notes: vec![format!("The longest of {} runs; poll 5 s, lease 30 s.", took.len())],
        });
    }
    Ok(lines)
}

async fn take_over(ground: &Ground<'_>, is_clean: bool) -> anyhow::Result<Duration> {
    let (from, to) = (ground.hub(PARTITIONS)?, ground.hub(1)?);
    let (first, _one) = ground.host(&from, &to)?;
    owned(&first, PARTITIONS as usize).await?;
    let (second, _other) = ground.host(&from, &to)?;
    owned(&second, PARTITIONS as usize / 2).await?;
    let began = Instant::now();
    match is_clean {
        true => drop(first.stop().await?),
        false => drop(first),
    }
    owned(&second, PARTITIONS as usize).await?;
    let took = began.elapsed();
    second.stop().await?;
    Ok(took)
}

/// Waits until a host was given so many partitions.
async fn owned(host: &Host, count: usize) -> anyhow::Result<()> {
    let deadline = Instant::now() + 3 * LEASE;
    while host.said("a partition begins") < count {
        ensure!(Instant::now() < deadline, "the host does not get {count} partitions:\n{}", host.log());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

/// What a pipeline on 32 partitions takes that has nothing to do.
pub(super) fn run_idle(setup: &Setup) -> anyhow::Result<Vec<Line>> {
    let ground = Ground::open(setup)?;
    let (cores, memory, requests) = ground.site.drive(async {
        let (from, to) = (ground.hub(MANY)?, ground.hub(1)?);
        let (host, _folder) = ground.host(&from, &to)?;
        owned(&host, MANY as usize).await?;
        tokio::time::sleep(SETTLED).await;
        let (began, before, asked) = (Instant::now(), host.cpu()?, ground.namespace.storage_requests());
        tokio::time::sleep(LOOK).await;
        let (took, cpu) = (began.elapsed(), host.cpu()?.saturating_sub(before));
        let requests = each_minute(&asked, &ground.namespace.storage_requests(), took);
        let memory = host.resident()? as f64;
        host.stop().await.context("the idle host")?;
        anyhow::Ok((cpu.as_secs_f64() / took.as_secs_f64(), memory, requests))
    })?;
    let line = |what: &str, figure, bar, notes| Line {
        what: format!("an idle pipeline on 32 partitions of Event Hubs: {what}"),
        figure,
        baseline: None,
        bar,
        notes,
    };
    let kinds: Vec<String> = requests.iter().map(|(kind, count)| format!("{count:.0} {kind}")).collect();
    let once = format!("One run of {} s.", LOOK.as_secs());
    let kinds = format!("{}.", kinds.join(", "));
    Ok(vec![
        line("memory", Figure::Bytes(memory), Bar::AtMost(Figure::Bytes(120e6)), vec![once.clone()]),
        line("of one core", Figure::Cores(cores), Bar::AtMost(Figure::Cores(0.01)), vec![once]),
        line("requests of storage a minute", Figure::Count(requests.values().sum()), Bar::Open, vec![kinds]),
    ])
}

/// How many requests a minute came of each kind.
fn each_minute(before: &BTreeMap<String, u64>, after: &BTreeMap<String, u64>, took: Duration) -> BTreeMap<String, f64> {
    let minutes = took.as_secs_f64() / 60.0;
    let come = |(kind, count): (&String, &u64)| {
        let come = count - before.get(kind).copied().unwrap_or(0);
        (kind.clone(), come as f64 / minutes)
    };
    after.iter().map(come).filter(|&(_, come)| come > 0.0).collect()
}
