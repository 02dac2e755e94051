//! The idle row's pipelines on Kafka, beside as many plain clients as the host has there: for each pipeline a member of
//! its group and a client that reads, and one producer for all.

use std::time::Instant;

use anyhow::bail;
use tokio::time::sleep;

use super::Ground;
use crate::Setup;
use crate::figure::Figure;
use crate::program::host::Host;
use crate::program::kafka::{Client, Fill, Idlers, PARTITIONS, Plain, Task, Topic};
use crate::program::task::task;
use crate::rounds::{Subject, interleave, median, ratio};
use crate::rows::idle::{CHAINS, LOOK, MOST_RUNS, SETTLED, spec, url};
use crate::table::{Bar, Baseline, Line};

/// What an idle client takes.
#[derive(Clone, Copy, Debug)]
struct Idle {
    memory: f64,
    cores: f64,
}

/// Memory and CPU of an idle host.
pub(in crate::rows) fn run(setup: &Setup) -> anyhow::Result<Vec<Line>> {
    let ground = Ground::open(setup)?;
    let runs = setup.runs.min(MOST_RUNS);
    let mut subjects: [Subject<'_, Idle>; 2] =
        [Box::new(|| ground.site.drive(bare(&ground))), Box::new(|| ground.site.drive(lockgate(&ground)))];
    let idle = interleave(runs, &mut subjects)?;
    let [bare, host] = idle.as_slice() else { return Ok(Vec::new()) };
    let line = |what: &str, value: fn(&Idle) -> f64, figure: fn(f64) -> Figure, bar| Line {
        what: format!("18 idle pipelines on Kafka: {what}"),
        figure: figure(median(host.iter().map(value))),
        baseline: Some(Baseline {
            what: "as many bare clients".into(),
            figure: figure(median(bare.iter().map(value))),
            ratio: ratio(host, bare, value),
        }),
        bar,
        notes: vec![format!("The median of {runs} runs of {} s.", LOOK.as_secs())],
    };
    Ok(vec![
        line("memory", |idle| idle.memory, Figure::Bytes, Bar::AtMost(Figure::Bytes(120e6))),
        line("of one core", |idle| idle.cores, Figure::Cores, Bar::MoreAtMost(Figure::Cores(0.01))),
    ])
}

/// The topics of one run.
struct Topics {
    pending: Vec<Topic>,
    cached: Vec<Topic>,
    results: Vec<Topic>,
    /// What their names begin with.
    named: String,
}

impl Topics {
    async fn make(ground: &Ground<'_>) -> anyhow::Result<Self> {
        let named = format!("{}-", ground.name("idle"));
        let of = async |kind: &str| {
            let mut topics = Vec::new();
            for chain in 0..CHAINS {
                topics.push(ground.cluster.make(format!("{named}{kind}-{chain}"), PARTITIONS, &[]).await?);
            }
            Ok::<_, anyhow::Error>(topics)
        };
        Ok(Self { pending: of("pending").await?, cached: of("cached").await?, results: of("results").await?, named })
    }

    async fn remove(self, ground: &Ground<'_>) -> anyhow::Result<()> {
        for topic in [self.pending, self.cached, self.results].into_iter().flatten() {
            ground.cluster.remove(topic).await?;
        }
        Ok(())
    }
}

async fn lockgate(ground: &Ground<'_>) -> anyhow::Result<Idle> {
    let topics = Topics::make(ground).await?;
    let (site, folder) = (&ground.site, ground.site.folder()?);
    let kafka = format!(r#"kafka: {{ brokers: ["{}"] }}"#, ground.cluster.brokers());
    let spec = spec(site, folder.path(), &kafka, &topics.named);
    let mut client = Client::Host(Host::start(site, folder.path(), &spec)?, folder);
    for (number, pending) in topics.pending.iter().enumerate() {
        let payload = task(number, &url(site));
        ground.cluster.fill(pending, "none", [Fill { payload, ..Fill::default() }])?;
    }
    for results in &topics.results {
        ground.cluster.until(results, 1, &mut client).await?;
    }
    let idle = watch(client).await?;
    topics.remove(ground).await?;
    Ok(idle)
}

async fn bare(ground: &Ground<'_>) -> anyhow::Result<Idle> {
    let topics = Topics::make(ground).await?;
    let read: Vec<&Topic> = topics.pending.iter().chain(&topics.cached).collect();
    let [to, ..] = topics.results.as_slice() else { bail!("there are no chains") };
    let task = Task::Idle(Idlers {
        brokers: ground.cluster.brokers().to_owned(),
        topics: read.iter().map(|topic| topic.name.clone()).collect(),
        to: to.name.clone(),
    });
    let mut client = Client::Plain(Plain::start(&task).await?);
    for topic in &read {
        ground.cluster.fill(topic, "none", [Fill { payload: b"{}".to_vec(), ..Fill::default() }])?;
    }
    ground.cluster.until(to, read.len() as u64, &mut client).await?;
    let idle = watch(client).await?;
    topics.remove(ground).await?;
    Ok(idle)
}

async fn watch(client: Client) -> anyhow::Result<Idle> {
    sleep(SETTLED).await;
    let (began, before) = (Instant::now(), client.threads()?);
    sleep(LOOK).await;
    let cores = client.threads()?.since(&before).as_secs_f64() / began.elapsed().as_secs_f64();
    let memory = client.resident()? as f64;
    client.stop().await?;
    Ok(Idle { memory, cores })
}
