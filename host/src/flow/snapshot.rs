//! What a pipeline tells of itself, and what it can be told.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::oneshot;

pub use super::in_flight::PartitionState;
pub use super::measures::{BOUNDS_MS, Histogram, Measures, quantile};
pub use super::status::{Oldest, Waits};

/// What a pipeline is doing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum State {
    /// Waits for its partitions.
    Starting,
    /// Takes messages.
    Running,
    /// Starts nothing until a held message passes.
    Held {
        /// What the plugin says.
        reason: String,
    },
    /// Admits nothing until something outside works again.
    Blocked {
        /// What fails.
        reason: String,
    },
    /// Finishes what runs and starts nothing until it is resumed.
    Paused,
    /// Finishes what runs, and stops.
    Draining,
}

/// Whether anything is left to do, as far as the pipeline knows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Idle {
    /// Something is unread, unsettled or due.
    No,
    /// Only what is parked and not due.
    ButParked,
    /// Nothing at all.
    Yes,
}

/// What became of messages since the pipeline started.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Counts {
    /// Admitted.
    pub admitted: u64,
    /// Settled as processed.
    pub done: u64,
    /// Settled as skipped, by reason.
    pub skipped: BTreeMap<String, u64>,
    /// Tries that failed and were repeated.
    pub retried: u64,
    /// Settled as parked; counted as admitted again when they are due.
    pub parked: u64,
    /// Settled as dead letters, by code.
    pub dead: BTreeMap<String, u64>,
    /// Bytes that the plugin moved between origins and stores.
    pub bytes: u64,
}

/// Reasons and codes counted apart; what comes later is counted under `other`.
const KINDS: usize = 100;

impl Counts {
    /// Counts one under a word that a guest chose.
    pub fn count(counts: &mut BTreeMap<String, u64>, word: &str) {
        Self::count_many(counts, word, 1);
    }

    /// Adds what another life of the pipeline counted.
    pub fn add(&mut self, other: &Self) {
        self.admitted += other.admitted;
        self.done += other.done;
        self.retried += other.retried;
        self.parked += other.parked;
        self.bytes += other.bytes;
        other.skipped.iter().for_each(|(word, count)| Self::count_many(&mut self.skipped, word, *count));
        other.dead.iter().for_each(|(word, count)| Self::count_many(&mut self.dead, word, *count));
    }

    fn count_many(counts: &mut BTreeMap<String, u64>, word: &str, count: u64) {
        let word = if counts.len() < KINDS || counts.contains_key(word) { word } else { "other" };
        *counts.entry(word.to_owned()).or_default() += count;
    }
}

/// A pipeline at one moment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Snapshot {
    /// Its name.
    pub pipeline: Arc<str>,
    /// What it is doing.
    pub state: State,
    /// What became of messages.
    pub counts: Counts,
    /// How long things took.
    pub measures: Measures,
    /// Messages in the plugin.
    pub running: usize,
    /// Whether anything is left to do.
    pub idle: Idle,
    /// Its partitions.
    pub partitions: Vec<PartitionState>,
}

impl Snapshot {
    /// A pipeline that has nothing.
    pub fn empty(pipeline: Arc<str>, state: State) -> Self {
        Self {
            pipeline,
            state,
            counts: Counts::default(),
            measures: Measures::default(),
            running: 0,
            idle: Idle::No,
            partitions: Vec::new(),
        }
    }
}

/// What a pipeline can be told.
#[derive(Debug)]
pub enum Command {
    /// Answer with a snapshot.
    Snapshot(oneshot::Sender<Snapshot>),
    /// Admit and start nothing more; what runs finishes and is stored, and partitions are kept.
    Pause,
    /// Go on.
    Resume,
    /// Finish what runs within `drain_for`, store the checkpoint, end.
    Stop,
}
