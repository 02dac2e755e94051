//! The JSON of `/status`, and what `lockgate status` and `lockgate top` read. Field names are stable: they are added to,
//! never renamed. Pure: from what pipelines tell.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::About;
use crate::flow::remote::Look;
use crate::flow::snapshot::{self, BOUNDS_MS, Histogram, PartitionState, Snapshot, quantile};
use crate::model::{Checkpoint, Timestamp};

/// A running host.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Status {
    /// Its version.
    pub lockgate: String,
    /// Its wall-clock time, in milliseconds since the Unix epoch.
    pub now_ms: u64,
    /// Its pipelines, in the spec's order.
    pub pipelines: Vec<Pipeline>,
}

/// One pipeline.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Pipeline {
    /// Its name.
    pub name: String,
    /// The kind of messaging system that it reads.
    pub system: String,
    /// The topic that it reads.
    pub topic: String,
    /// Its consumer group.
    pub group: String,
    /// What it does.
    pub state: State,
    /// Why, where it does not take messages.
    pub reason: Option<String>,
    /// What became of messages since the host started.
    pub counts: Counts,
    /// Messages in the plugin.
    pub running: usize,
    /// Messages read and not settled.
    pub unsettled: usize,
    /// Messages not settled, read or not, as far as is known.
    pub lag: Option<u64>,
    /// Time in the plugin, a call.
    pub in_plugin: Durations,
    /// From a message's first entry into Lockgate to its settlement, where it was processed.
    pub latency: Durations,
    /// The partitions that this host has.
    pub partitions: Vec<Partition>,
}

/// What a pipeline does.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It waits for its partitions.
    Starting,
    /// It takes messages.
    Running,
    /// It starts nothing until a held message passes.
    Held,
    /// It admits nothing until something outside works again.
    Blocked,
    /// It admits and starts nothing until it is resumed.
    Paused,
    /// It finishes what runs, and stops.
    Draining,
    /// It was told to stop, and has.
    Stopped,
    /// It cannot go on until somebody acts.
    Failed,
    /// It does not answer.
    Silent,
}

/// What became of messages.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Counts {
    /// Admitted.
    #[serde(rename = "in")]
    pub admitted: u64,
    /// Settled as processed.
    pub done: u64,
    /// Settled as skipped, by reason.
    pub skipped: BTreeMap<String, u64>,
    /// Tries that failed and were repeated.
    pub retried: u64,
    /// Settled as parked: they come again.
    #[serde(default)]
    pub parked: u64,
    /// Settled as dead letters, by code.
    pub dead: BTreeMap<String, u64>,
    /// Bytes moved between origins and stores.
    pub bytes: u64,
}

/// How long things took since the host started.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Durations {
    /// How many there were.
    pub count: u64,
    /// All together.
    pub sum_seconds: f64,
    /// Half of them took at most so long, about.
    pub p50_seconds: Option<f64>,
    /// Nineteen of twenty took at most so long, about.
    pub p95_seconds: Option<f64>,
    /// How many fell into each bucket, not summed up.
    pub buckets: Vec<Bucket>,
}

/// One bucket.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct Bucket {
    /// Up to so long and longer than the one before; none for what is longer than all others.
    pub up_to_seconds: Option<f64>,
    /// How many.
    pub count: u64,
}

/// One partition.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Partition {
    /// The topic.
    pub topic: String,
    /// The partition's number.
    pub partition: u32,
    /// The last offset such that it and all before it are settled.
    pub base: Option<i64>,
    /// Messages settled above the base.
    pub settled_above: u64,
    /// Messages read and not settled.
    pub unsettled: usize,
    /// Messages not settled, read or not; none while it is not known.
    pub lag: Option<u64>,
    /// The oldest message that is read and not settled.
    pub oldest: Option<Oldest>,
}

/// The message that keeps a partition's base where it is.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Oldest {
    /// Its offset.
    pub offset: i64,
    /// Its key as text, cut to 64 characters.
    pub key: Option<String>,
    /// Its id.
    pub message_id: String,
    /// The try that runs or comes next.
    pub attempt: u32,
    /// When it was admitted, in milliseconds since the Unix epoch.
    pub admitted_ms: u64,
    /// What it waits for: `lane`, `slot`, `resume`, `hold`, `topic`, `plugin`, `again`, `trial`, `durable`, `due`.
    pub waits_for: String,
    /// How long until it goes on by itself, where that is known.
    pub wait_seconds: Option<f64>,
    /// All of it in words.
    pub text: String,
}

impl Status {
    /// What is told of these pipelines at one moment; of one that does not answer there is no look.
    pub fn new<'a>(pipelines: impl Iterator<Item = (&'a str, &'a About, Option<Look>)>, now: Timestamp) -> Self {
        let pipelines = pipelines.map(|(name, about, look)| Pipeline::new(name, about, look));
        Self { lockgate: env!("CARGO_PKG_VERSION").to_owned(), now_ms: now.0, pipelines: pipelines.collect() }
    }
}

impl Pipeline {
    /// What is told of one pipeline.
    pub fn new(name: &str, about: &About, look: Option<Look>) -> Self {
        let (state, reason, last) = match look {
            None => (State::Silent, Some("it does not answer".to_owned()), None),
            Some(Look::Ended { failure: Some(failure), last }) => (State::Failed, Some(failure), last),
            Some(Look::Ended { failure: None, last }) => (State::Stopped, Some("it was told to stop".into()), last),
            Some(Look::Alive(snapshot)) => {
                let (state, reason) = told(name, &snapshot.state);
                (state, reason, Some(snapshot))
            }
        };
        let last = last.unwrap_or_else(|| Snapshot::empty(name.into(), snapshot::State::Starting));
        let partitions: Vec<Partition> = last.partitions.iter().map(Partition::new).collect();
        Self {
            name: name.to_owned(),
            system: about.system.to_owned(),
            topic: about.topic.to_string(),
            group: about.group.to_string(),
            state,
            reason,
            counts: Counts::new(last.counts),
            running: last.running,
            unsettled: partitions.iter().map(|partition| partition.unsettled).sum(),
            lag: lag(&partitions),
            in_plugin: Durations::new(&last.measures.in_plugin),
            latency: Durations::new(&last.measures.latency),
            partitions,
        }
    }

    /// The oldest unsettled message of all partitions, by when it was admitted.
    pub fn oldest(&self) -> Option<(&Partition, &Oldest)> {
        let oldest = self.partitions.iter().filter_map(|partition| Some((partition, partition.oldest.as_ref()?)));
        oldest.min_by_key(|(_, oldest)| oldest.admitted_ms)
    }
}

/// Over all partitions; not known while one of them, or which ones there are, is not.
fn lag(partitions: &[Partition]) -> Option<u64> {
    let lags = partitions.iter().map(|partition| partition.lag);
    if partitions.is_empty() { None } else { lags.sum() }
}

fn told(name: &str, state: &snapshot::State) -> (State, Option<String>) {
    use snapshot::State as Told;
    match state {
        Told::Starting => (State::Starting, Some("it waits for its partitions".into())),
        Told::Running => (State::Running, None),
        Told::Held { reason } => (State::Held, Some(reason.clone())),
        Told::Blocked { reason } => (State::Blocked, Some(reason.clone())),
        Told::Paused => (State::Paused, Some(format!("somebody paused it; `lockgate resume {name}` lets it go on"))),
        Told::Draining => (State::Draining, Some("it finishes what runs, and stops".into())),
    }
}

impl State {
    /// Every state, for metrics that tell of each whether it is the one.
    pub const ALL: [Self; 9] = [
        Self::Starting,
        Self::Running,
        Self::Held,
        Self::Blocked,
        Self::Paused,
        Self::Draining,
        Self::Stopped,
        Self::Failed,
        Self::Silent,
    ];

    /// The word in JSON and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Held => "held",
            Self::Blocked => "blocked",
            Self::Paused => "paused",
            Self::Draining => "draining",
            Self::Stopped => "stopped",
            Self::Failed => "failed",
            Self::Silent => "silent",
        }
    }
}

impl Counts {
    fn new(counts: snapshot::Counts) -> Self {
        let snapshot::Counts { admitted, done, skipped, retried, parked, dead, bytes } = counts;
        Self { admitted, done, skipped, retried, parked, dead, bytes }
    }
}

impl Durations {
    fn new(histogram: &Histogram) -> Self {
        let bounds = BOUNDS_MS.iter().map(|ms| Some(*ms as f64 / 1e3)).chain([None]);
        let buckets =
            bounds.zip(histogram.buckets()).map(|(up_to_seconds, count)| Bucket { up_to_seconds, count: *count });
        let at = |share| quantile(histogram.buckets(), share).map(|value: Duration| value.as_secs_f64());
        Self {
            count: histogram.count(),
            sum_seconds: histogram.sum().as_secs_f64(),
            p50_seconds: at(0.5),
            p95_seconds: at(0.95),
            buckets: buckets.collect(),
        }
    }
}

impl Partition {
    fn new(state: &PartitionState) -> Self {
        let checkpoint = state.checkpoint.as_ref();
        Self {
            topic: state.partition.topic.to_string(),
            partition: state.partition.index,
            base: checkpoint.map(|checkpoint| checkpoint.base().0),
            settled_above: checkpoint.map_or(0, Checkpoint::settled_above),
            unsettled: state.unsettled,
            lag: state.lag.map(|unread| unread + state.unsettled as u64),
            oldest: state.oldest.as_ref().map(Oldest::new),
        }
    }
}

impl Oldest {
    fn new(oldest: &snapshot::Oldest) -> Self {
        Self {
            offset: oldest.position.0,
            key: oldest.key.clone(),
            message_id: oldest.message_id.as_str().to_owned(),
            attempt: oldest.attempt,
            admitted_ms: oldest.admitted.0,
            waits_for: oldest.waits.word().to_owned(),
            wait_seconds: oldest.waits.wait().map(|wait| wait.as_secs_f64()),
            text: oldest.to_string(),
        }
    }
}
