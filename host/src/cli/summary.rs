//! What became of messages, at the end of a run: a table for people, JSON for machines.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;
use tokio::time::Instant;

use super::run::Until;
use super::table::Table;
use crate::flow::in_flight::PartitionState;
use crate::flow::pipeline::End;
use crate::flow::snapshot::{Counts, Idle, Snapshot, State};
use crate::flow::supervisor::Ending;
use crate::model::{Checkpoint, Timestamp};

/// What is known of one pipeline while it runs and after.
#[derive(Clone, Debug)]
pub(super) struct Tracked {
    /// As it told last.
    pub(super) last: Option<Snapshot>,
    /// Why it ended, when it failed.
    pub(super) failure: Option<String>,
    /// When the next parked message is due, as far as it told before it began to stop.
    due: Option<Timestamp>,
    started: Instant,
    /// When something last became of a message.
    moved: Instant,
}

impl Tracked {
    /// A pipeline that starts now.
    pub(super) fn new(now: Instant) -> Self {
        Self { last: None, failure: None, due: None, started: now, moved: now }
    }

    /// Takes in what it tells.
    pub(super) fn update(&mut self, snapshot: Snapshot, now: Instant) {
        if self.last.as_ref().is_none_or(|last| last.counts != snapshot.counts) {
            self.moved = now;
        }
        // What is parked is given up like everything that did not start.
        if snapshot.state != State::Draining {
            self.due = snapshot.partitions.iter().filter_map(|partition| partition.due).min();
        }
        self.last = Some(snapshot);
    }

    /// Takes in how it ended.
    pub(super) fn end(&mut self, ending: Ending, now: Instant) {
        if let Some(last) = ending.last {
            self.update(last, now);
        }
        self.failure = match ending.end {
            End::Stopped => None,
            End::Failed { reason } | End::Broken { reason } => Some(reason),
        };
    }

    /// Whether nothing is left to do, as far as it told.
    pub(super) fn is_idle(&self, until: Until) -> bool {
        let is_idle = |idle| match until {
            Until::Due => idle != Idle::No,
            Until::Parked => idle == Idle::Yes,
        };
        self.failure.is_some() || self.last.as_ref().is_some_and(|last| is_idle(last.idle))
    }

    /// From the start to the last thing that became of a message.
    fn worked(&self) -> Duration {
        self.moved - self.started
    }

    /// Bytes moved a second, in 10^6.
    pub(super) fn megabytes_per_second(&self) -> f64 {
        let bytes = self.last.as_ref().map_or(0, |last| last.counts.bytes);
        bytes as f64 / 1e6 / self.worked().as_secs_f64().max(0.001)
    }
}

/// All pipelines of a run.
#[derive(Serialize)]
pub(super) struct Summary {
    pipelines: Vec<Pipeline>,
}

#[derive(Serialize)]
struct Pipeline {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<String>,
    #[serde(rename = "in")]
    admitted: u64,
    done: u64,
    skipped: BTreeMap<String, u64>,
    retried: u64,
    /// Settled as parked, each time that they were.
    parked: u64,
    /// When the next of those is due that are still parked.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_due: Option<String>,
    dead: BTreeMap<String, u64>,
    bytes: u64,
    seconds: f64,
    megabytes_per_second: f64,
    partitions: Vec<Partition>,
}

#[derive(Serialize)]
struct Partition {
    topic: String,
    partition: u32,
    base: Option<i64>,
    settled_above: u64,
    unsettled_above: usize,
    lag: Option<u64>,
}

impl Summary {
    /// Of the pipelines as they told last.
    pub(super) fn new<'a>(pipelines: impl Iterator<Item = (&'a str, &'a Tracked)>) -> Self {
        Self { pipelines: pipelines.map(|(name, tracked)| pipeline(name, tracked)).collect() }
    }
}

fn pipeline(name: &str, tracked: &Tracked) -> Pipeline {
    let counts = tracked.last.as_ref().map_or_else(Counts::default, |last| last.counts.clone());
    Pipeline {
        name: name.to_owned(),
        failure: tracked.failure.clone(),
        admitted: counts.admitted,
        done: counts.done,
        skipped: counts.skipped,
        retried: counts.retried,
        parked: counts.parked,
        next_due: tracked.due.map(|due| due.to_string()),
        dead: counts.dead,
        bytes: counts.bytes,
        seconds: tracked.worked().as_secs_f64(),
        megabytes_per_second: tracked.megabytes_per_second(),
        partitions: tracked.last.iter().flat_map(|last| &last.partitions).map(partition).collect(),
    }
}

fn partition(state: &PartitionState) -> Partition {
    let checkpoint = state.checkpoint.as_ref();
    Partition {
        topic: state.partition.topic.to_string(),
        partition: state.partition.index,
        base: checkpoint.map(|checkpoint| checkpoint.base().0),
        settled_above: checkpoint.map_or(0, Checkpoint::settled_above),
        unsettled_above: checkpoint.map_or(0, |checkpoint| checkpoint.unsettled().len()),
        lag: state.lag,
    }
}

impl std::fmt::Display for Summary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut table =
            Table::new(["PIPELINE", "IN", "DONE", "SKIPPED", "RETRIED", "PARKED", "DEAD", "MB/S", "CHECKPOINTS"]);
        for pipeline in &self.pipelines {
            table.row([
                pipeline.name.clone(),
                pipeline.admitted.to_string(),
                pipeline.done.to_string(),
                total(&pipeline.skipped).to_string(),
                pipeline.retried.to_string(),
                pipeline.parked.to_string(),
                total(&pipeline.dead).to_string(),
                format!("{:.1}", pipeline.megabytes_per_second),
                checkpoints(&pipeline.partitions),
            ]);
        }
        write!(f, "{table}")?;
        for pipeline in &self.pipelines {
            reasons(f, &pipeline.name, "skipped", &pipeline.skipped)?;
            reasons(f, &pipeline.name, "dead", &pipeline.dead)?;
            if let Some(due) = &pipeline.next_due {
                write!(
                    f,
                    "\n{} parked: messages still wait for a later round; the next one is due at {due}",
                    pipeline.name
                )?;
            }
            if let Some(failure) = &pipeline.failure {
                write!(f, "\n{} failed: {failure}", pipeline.name)?;
            }
        }
        Ok(())
    }
}

/// `partition:base`, with `+n` where messages are settled above it.
fn checkpoints(partitions: &[Partition]) -> String {
    let one = |partition: &Partition| {
        let base = partition.base.map_or("-".into(), |base| base.to_string());
        let above = if partition.settled_above > 0 { format!("+{}", partition.settled_above) } else { String::new() };
        format!("{}:{base}{above}", partition.partition)
    };
    partitions.iter().map(one).collect::<Vec<_>>().join(" ")
}

fn total(counts: &BTreeMap<String, u64>) -> u64 {
    counts.values().sum()
}

fn reasons(
    f: &mut std::fmt::Formatter<'_>,
    pipeline: &str,
    what: &str,
    counts: &BTreeMap<String, u64>,
) -> std::fmt::Result {
    counts.iter().try_for_each(|(reason, count)| write!(f, "\n{pipeline} {what}: {count} {reason}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Partition;

    /// A snapshot of a pipeline whose retry partition waits for its head, until that time if there is one.
    fn parked(state: State, idle: Idle, due: Option<u64>) -> Snapshot {
        let partition = PartitionState {
            partition: Partition::new("parked", 0),
            checkpoint: None,
            unsettled: 1,
            oldest: None,
            lag: Some(3),
            due: due.map(Timestamp),
        };
        let counts = Counts { parked: 4, ..Counts::default() };
        Snapshot { counts, idle, partitions: vec![partition], ..Snapshot::empty("p".into(), state) }
    }

    #[test]
    fn what_is_parked_is_waited_for_only_when_asked() {
        let mut tracked = Tracked::new(crate::model::Clock::system().now());
        let mut told = |idle| {
            tracked.update(parked(State::Running, idle, Some(60_000)), tracked.started);
            [Until::Due, Until::Parked].map(|until| tracked.is_idle(until))
        };
        assert_eq!(
            [told(Idle::No), told(Idle::ButParked), told(Idle::Yes)],
            [[false, false], [true, false], [true; 2]]
        );
    }

    #[test]
    fn what_is_still_parked_at_the_end_is_told_with_when_it_is_due() {
        let mut tracked = Tracked::new(crate::model::Clock::system().now());
        tracked.update(parked(State::Running, Idle::ButParked, Some(60_000)), tracked.started);
        tracked.update(parked(State::Draining, Idle::ButParked, None), tracked.started);
        let summary = Summary::new([("p", &tracked)].into_iter());
        assert!(summary.to_string().contains("the next one is due at 1970-01-01T00:01:00.000Z"), "{summary}");
        let json = serde_json::to_value(&summary).unwrap();
        let told = &json["pipelines"][0];
        assert_eq!((&told["parked"], &told["next_due"]), (&4.into(), &"1970-01-01T00:01:00.000Z".into()));
        tracked.update(parked(State::Running, Idle::Yes, None), tracked.started);
        assert!(!Summary::new([("p", &tracked)].into_iter()).to_string().contains("still wait"));
    }

    #[test]
    fn time_counts_until_something_last_became_of_a_message() {
        let start = crate::model::Clock::system().now();
        let snapshot = |done| Snapshot {
            counts: Counts { done, bytes: 4_000_000, ..Counts::default() },
            ..Snapshot::empty("p".into(), State::Running)
        };
        let mut tracked = Tracked::new(start);
        tracked.update(snapshot(1), start + Duration::from_secs(2));
        tracked.update(snapshot(1), start + Duration::from_secs(60));
        assert_eq!((tracked.worked(), tracked.megabytes_per_second()), (Duration::from_secs(2), 2.0));
    }
}
