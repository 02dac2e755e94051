//! A wall clock that is set while hosts run.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use lockgate::model::header;
use rand::Rng;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::bus::Bus;
use crate::found::Found;
use crate::load::{Pace, Until};
use crate::scenario::{Extent, Extents, Fault, Scenario};
use crate::scenarios::schedule;
use crate::setting::{MADE, RETRY};
use crate::stage::Stage;
use crate::weather::{Station, Weather};

/// How far the clock is set, at most: milliseconds of half a day.
const FURTHEST_MS: i64 = 12 * 3_600_000;
/// The longest that a parked message may take beyond its delay before it is called late; it also waits for a slot, and
/// for a machine that others use.
const SLACK: Duration = Duration::from_secs(10);
/// The group that sees what is parked and what comes back.
const GROUP: &str = "clock";

/// See its `about`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock;

#[async_trait]
impl Scenario for Clock {
    fn name(&self) -> &'static str {
        "clock"
    }

    fn about(&self) -> &'static str {
        "the wall clock is set back and forth by hours: nothing lost, nothing repeated, and parked messages come within their delay"
    }

    fn extents(&self) -> Extents {
        Extents { short: Extent { messages: 3_000, faults: 12 }, long: Extent { messages: 60_000, faults: 120 } }
    }

    async fn run(&self, stage: &mut Stage) -> anyhow::Result<()> {
        Station::surround(stage)?;
        let parked = Parked::watch(stage.bus());
        stage.fleet.start(0)?;
        stage.fleet.start(1)?;
        stage.load(Pace::Ahead(4 * stage.setting.in_flight), Until::Enough(stage.extent.messages));
        schedule::throughout(stage, &[Box::new(Jump)]).await?;
        stage.until_drained().await?;
        let (count, longest) = parked.longest();
        let delay = stage.setting.delay;
        if longest > delay + SLACK {
            stage.blame(format!("a parked message came back after {longest:?}, its delay is {delay:?}"));
        }
        stage.note(format!("{count} parked messages came back, each within {longest:.1?} of a delay of {delay:?}"));
        Ok(())
    }
}

/// Sets the clock, back or forth. Where hosts are in no weather, nothing happens.
#[derive(Clone, Copy, Debug)]
pub(super) struct Jump;

#[async_trait]
impl Fault for Jump {
    fn name(&self) -> &'static str {
        "clock set"
    }

    async fn inflict(&self, stage: &mut Stage) -> anyhow::Result<()> {
        let clock_ms = stage.random.random_range(-FURTHEST_MS..=FURTHEST_MS);
        let station = Station::of(stage);
        Ok(station.set(Weather { clock_ms, ..station.now() })?)
    }
}

/// What is parked, and when it came back, by a clock that nobody sets.
struct Parked {
    seen: Arc<Mutex<Seen>>,
    /// Ends when it is dropped.
    _readers: JoinSet<()>,
}

#[derive(Default)]
struct Seen {
    parked: HashMap<String, Instant>,
    back: Vec<Duration>,
}

impl Parked {
    fn watch(bus: &Arc<Bus>) -> Self {
        let (seen, mut readers) = (Arc::<Mutex<Seen>>::default(), JoinSet::new());
        for topic in [RETRY, MADE] {
            let (bus, seen) = (bus.clone(), seen.clone());
            readers.spawn(async move {
                let followed = bus.follow_as(GROUP, topic, |message| {
                    let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
                    match Found::of(&message) {
                        _ if topic == RETRY => {
                            let id = message.headers.text(header::ID).unwrap_or_default().to_owned();
                            seen.parked.insert(id, Instant::now());
                        }
                        Found::Made { source, .. } => {
                            let back = seen.parked.remove(&source).map(|parked| parked.elapsed());
                            seen.back.extend(back);
                        }
                        Found::Dead { .. } | Found::Strange(_) => {}
                    }
                });
                // Where it cannot be followed, the stage says so: it follows the same topics.
                drop(followed.await);
            });
        }
        Self { seen, _readers: readers }
    }

    /// How many came back, and the longest time that one took.
    fn longest(&self) -> (usize, Duration) {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        (seen.back.len(), seen.back.iter().copied().max().unwrap_or_default())
    }
}
