//! How the pipeline of a run is set up.

use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::Arc;
use std::time::Duration;

use rand::Rng;
use rand::rngs::StdRng;

use super::fate::{PIPELINE, RETRY};
use super::script::{LONGEST_WAIT, Rounds};
use crate::flow::config::{self, Order};
use crate::flow::dead_letter::Maker;
use crate::flow::pipeline::Settings;
use crate::flow::retry::Policy;
use crate::model::{Period, Size};

/// The header that may decide order.
pub(super) const LANE: &str = "lane";

/// How a run is set up.
#[derive(Clone, Debug)]
pub(super) struct Setup {
    pub(super) partitions: u32,
    pub(super) concurrency: usize,
    pub(super) window: usize,
    pub(super) bytes: u64,
    pub(super) order: Order,
    pub(super) attempts: u32,
    /// How long messages are parked, and the partitions of the retry topic; none where they never are.
    pub(super) delays: Vec<Duration>,
    pub(super) retry_partitions: u32,
    pub(super) checkpoint_every: Duration,
    pub(super) drain_for: Duration,
    pub(super) checkpoint_limit: Option<usize>,
    /// Keys are shared between partitions.
    pub(super) shared_keys: bool,
    pub(super) steps: usize,
}

impl Setup {
    /// One message after another does not wait, and nothing is small.
    pub(super) fn wide(partitions: u32) -> Self {
        Self {
            partitions,
            concurrency: 20,
            window: 20,
            bytes: 1 << 20,
            order: Order::None,
            attempts: 3,
            delays: Vec::new(),
            retry_partitions: 0,
            checkpoint_every: Duration::from_secs(1),
            drain_for: Duration::from_secs(5),
            checkpoint_limit: None,
            shared_keys: false,
            steps: 0,
        }
    }

    pub(super) fn random(rng: &mut StdRng) -> Self {
        let small = rng.random_bool(0.5);
        // A limit that counts: more may be in flight than fits.
        let checkpoint_limit = rng.random_bool(0.15).then(|| rng.random_range(20..28));
        let window = if checkpoint_limit.is_some() { 40 } else { 20 };
        Self {
            partitions: rng.random_range(1..if small { 3 } else { 5 }),
            concurrency: rng.random_range(1..=8),
            window: rng.random_range(1..=if small { 6 } else { window }),
            bytes: if rng.random_bool(0.3) { 120 } else { 1 << 20 },
            order: [Order::None, Order::Key, Order::Partition, Order::Header(LANE.into())][rng.random_range(0..4)]
                .clone(),
            attempts: rng.random_range(1..=4),
            delays: Vec::new(),
            retry_partitions: 0,
            checkpoint_every: Duration::from_millis([50, 1_000][rng.random_range(0..2)]),
            drain_for: Duration::from_secs([1, 5][rng.random_range(0..2)]),
            checkpoint_limit,
            shared_keys: rng.random_bool(0.3),
            steps: rng.random_range(5..if small { 20 } else { 60 }),
        }
    }

    /// The same, with one or two delays and a retry topic.
    pub(super) fn parking(self, rng: &mut StdRng) -> Self {
        let delays = (0..rng.random_range(1..=2)).map(|_| Duration::from_millis(rng.random_range(500..8_000)));
        let mut delays: Vec<Duration> = delays.collect();
        delays.sort();
        let steps = delays.len() as u32;
        let attempts = if rng.random_bool(0.5) { rng.random_range(1..=2) } else { self.attempts };
        Self { attempts, retry_partitions: rng.random_range(steps..=steps + 2), delays, ..self }
    }

    pub(super) fn rounds(&self) -> Rounds {
        Rounds { attempts: self.attempts, delays: self.delays.clone() }
    }

    pub(super) fn parks(&self) -> bool {
        !self.delays.is_empty()
    }

    pub(super) fn settings(&self) -> Settings {
        let text = |text: &str| Arc::<str>::from(text);
        let maker = Maker { pipeline: text(PIPELINE), plugin: text("g"), version: text("1"), sha256: text("00") };
        let in_place = config::InPlace {
            attempts: NonZeroU32::new(self.attempts).unwrap(),
            first: Period::from_millis(100),
            max: Period(LONGEST_WAIT),
        };
        Settings {
            maker,
            concurrency: self.concurrency,
            in_flight: config::InFlight { messages: NonZeroUsize::new(self.window).unwrap(), bytes: Size(self.bytes) },
            order: self.order.clone(),
            retry: Policy { in_place, delays: self.delays.clone() },
            retry_topic: self.parks().then(|| text(RETRY)),
            checkpoint_every: self.checkpoint_every,
            drain_for: self.drain_for,
        }
    }
}
