//! What the pipeline calls and writes to: a plugin, and sinks on the memory transport. They do what they are told, late
//! or wrongly where chaos says so, and tell the oracle what happens.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures::FutureExt;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::time::sleep;

use super::oracle::Oracle;
use super::script::is_refused;
use crate::model::{Message, Outcome, Record, Verdict};
use crate::plugin::{Attempt, CallError, Plugin};
use crate::transport::{Sink, WriteError, Written};

/// What goes wrong at the moment.
#[derive(Default)]
pub(super) struct Chaos {
    /// Topics that take nothing now.
    pub(super) down: BTreeSet<&'static str>,
    /// Topics that refuse every record.
    pub(super) refusing: BTreeSet<&'static str>,
    /// Calls, writes and commits take their time, and writes may end in the middle.
    pub(super) rough: bool,
    /// A write takes at least so long.
    pub(super) writes_take: Duration,
}

pub(super) struct World {
    pub(super) oracle: Oracle,
    pub(super) chaos: Chaos,
    rng: StdRng,
}

/// Shared by everything that one seed runs; all of it is on one thread.
#[derive(Clone)]
pub(super) struct Shared(Arc<Mutex<World>>);

/// How one write goes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Course {
    Well,
    /// The first records are written, the others not now.
    Partly(usize),
    /// All is written, and said not to be.
    Unsaid,
    /// Nothing is written, nor said.
    Mute,
}

impl Shared {
    pub(super) fn new(oracle: Oracle, seed: u64) -> Self {
        let rng = StdRng::seed_from_u64(seed);
        Self(Arc::new(Mutex::new(World { oracle, chaos: Chaos::default(), rng })))
    }

    pub(super) fn look(&self) -> MutexGuard<'_, World> {
        // What panicked meanwhile is told by whoever joins it.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl World {
    /// How long something takes: mostly nothing, seldom longer than a partition may take to drain.
    pub(super) fn wait(&mut self, longest: u64) -> Duration {
        let rough = self.chaos.rough && self.rng.random_bool(0.5);
        let most = if self.rng.random_bool(0.05) { longest } else { longest / 40 };
        Duration::from_millis(if rough { self.rng.random_range(0..=most) } else { 0 })
    }

    fn course(&mut self, records: usize) -> Course {
        match if self.chaos.rough { self.rng.random_range(0..40) } else { 99 } {
            0 => Course::Partly(self.rng.random_range(0..=records)),
            1 => Course::Unsaid,
            2 => Course::Mute,
            _ => Course::Well,
        }
    }

    fn chance(&mut self) -> bool {
        self.chaos.rough && self.rng.random_bool(0.3)
    }
}

/// Says what each message's script says.
pub(super) struct Scripted {
    pub(super) shared: Shared,
    pub(super) life: u64,
}

#[async_trait]
impl Plugin for Scripted {
    async fn call(&self, message: Arc<Message>, attempt: Attempt) -> Result<Outcome, CallError> {
        let number = attempt.number.get();
        let (begun, wait) = {
            let mut world = self.shared.look();
            let Some((run, index)) = world.oracle.called(self.life, &message, number) else {
                return Ok(Outcome::of(Verdict::Done));
            };
            let wait = world.wait(20_000).max(world.oracle.fates[index].script.takes);
            (Begun { shared: self.shared.clone(), run, index }, wait)
        };
        if !wait.is_zero() {
            sleep(wait).await;
        }
        let mut world = self.shared.look();
        let fate = &world.oracle.fates[begun.index];
        let answer = fate.script.answer(&message, fate.held, number);
        world.oracle.answered(begun.index, number, &answer);
        answer
    }

    fn bytes_moved(&self) -> u64 {
        0
    }
}

/// A call or a write under way. Its end that is not told before is a drop.
struct Begun {
    shared: Shared,
    run: u64,
    index: usize,
}

impl Drop for Begun {
    fn drop(&mut self) {
        self.shared.look().oracle.dropped(self.index, self.run);
    }
}

/// A topic.
pub(super) struct Topic {
    pub(super) shared: Shared,
    pub(super) life: u64,
    pub(super) name: &'static str,
    pub(super) inner: Arc<dyn Sink>,
}

/// Records on their way. When they are dropped there, some arrive nevertheless.
struct OnTheWay<'a> {
    topic: &'a Topic,
    records: Vec<Record>,
    arrives: bool,
}

impl Drop for OnTheWay<'_> {
    fn drop(&mut self) {
        if std::mem::take(&mut self.arrives) {
            self.topic.append(&self.records);
        }
    }
}

impl Topic {
    /// The memory transport writes without waiting.
    fn append(&self, records: &[Record]) -> Vec<Result<Option<Written>, WriteError>> {
        let refusing = self.shared.look().chaos.refusing.contains(self.name);
        let reason = "told to".to_owned();
        let refused = WriteError::Refused { topic: self.name.into(), reason };
        let write = |record: &Record| {
            if refusing || is_refused(&record.payload) {
                return Err(refused.clone());
            }
            let answer = self.inner.write(vec![record.clone()]).now_or_never().unwrap().remove(0);
            if let Ok(Some(written)) = &answer {
                self.shared.look().oracle.durable(self.name, record, written);
            }
            answer
        };
        records.iter().map(write).collect()
    }

    fn unavailable(&self) -> WriteError {
        WriteError::Unavailable { topic: self.name.into(), reason: "told to".into() }
    }

    fn go(&self, records: &[Record], course: Course) -> Vec<Result<Option<Written>, WriteError>> {
        if self.shared.look().chaos.down.contains(self.name) {
            return records.iter().map(|_| Err(self.unavailable())).collect();
        }
        let not_now = |count: usize| std::iter::repeat_n(Err(self.unavailable()), count);
        match course {
            Course::Well => self.append(records),
            Course::Partly(first) => {
                let (first, others) = records.split_at(first);
                self.append(first).into_iter().chain(not_now(others.len())).collect()
            }
            Course::Unsaid => {
                let said = |answer: Result<Option<Written>, WriteError>| {
                    if answer.is_ok() { Err(self.unavailable()) } else { answer }
                };
                self.append(records).into_iter().map(said).collect()
            }
            Course::Mute => Vec::new(),
        }
    }
}

#[async_trait]
impl Sink for Topic {
    async fn write(&self, records: Vec<Record>) -> Vec<Result<Option<Written>, WriteError>> {
        let (begun, before, after, course, arrives) = {
            let mut world = self.shared.look();
            let begun = world.oracle.writes(self.life, self.name, &records);
            let (before, after) = (world.wait(4_000), world.wait(4_000));
            let before = before.max(world.chaos.writes_take);
            (begun, before, after, world.course(records.len()), world.chance())
        };
        let begun = begun.map(|(index, run)| Begun { shared: self.shared.clone(), run, index });
        let mut on_the_way = OnTheWay { topic: self, records, arrives };
        if !before.is_zero() {
            sleep(before).await;
        }
        on_the_way.arrives = false;
        let answers = self.go(&on_the_way.records, course);
        if !after.is_zero() {
            sleep(after).await;
        }
        if let Some(begun) = begun {
            self.shared.look().oracle.written(begun.index, self.name, &on_the_way.records, &answers);
        }
        answers
    }

    fn partitions(&self) -> u32 {
        self.inner.partitions()
    }
}
