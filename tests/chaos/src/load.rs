//! Sends messages while hosts run.

use std::sync::Arc;
use std::time::Duration;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::bus::Bus;
use crate::ledger::Ledger;
use crate::message::{End, Name, Sent};
use crate::setting::{Setting, Shape};

/// Keys of one pipeline.
const KEYS: u32 = 40;
/// Messages that are written at once.
const CHUNK: usize = 50;

/// How quickly messages are sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Pace {
    /// As quickly as the log takes them.
    AtOnce,
    /// So that each pipeline always has about so many before it.
    Ahead(usize),
    /// So many a second, all pipelines together.
    PerSecond(u32),
}

/// How long messages are sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Until {
    /// Until there are so many.
    Sent(usize),
    /// Until there are so many, and until it is told that it is enough.
    Enough(usize),
}

/// Messages that are being sent.
#[derive(Debug)]
pub struct Load {
    enough: watch::Sender<bool>,
    task: JoinHandle<anyhow::Result<()>>,
}

struct Sender {
    bus: Arc<Bus>,
    ledger: Arc<Ledger>,
    pipelines: Vec<Shape>,
    random: ChaCha8Rng,
    pace: Pace,
}

impl Load {
    /// Begins to send to the pipelines of a setting.
    pub fn begin(bus: Arc<Bus>, ledger: Arc<Ledger>, setting: &Setting, seed: u64, pace: Pace, until: Until) -> Self {
        let (enough, told) = watch::channel(false);
        let random = ChaCha8Rng::seed_from_u64(seed);
        let sender = Sender { bus, ledger, pipelines: setting.pipelines.clone(), random, pace };
        Self { enough, task: tokio::spawn(sender.send(until, told)) }
    }

    /// Waits until it has sent as many as it has to, and ends it then.
    pub async fn end(mut self) -> anyhow::Result<()> {
        self.enough.send_replace(true);
        (&mut self.task).await?
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Sender {
    async fn send(mut self, until: Until, enough: watch::Receiver<bool>) -> anyhow::Result<()> {
        let (least, mut ended, start) = (until.least(), self.ledger.ended(), Instant::now());
        let mut sent = 0;
        while sent < least || matches!(until, Until::Enough(_)) && !*enough.borrow() {
            let before = sent;
            for shape in self.pipelines.clone() {
                if self.has_room(shape) {
                    sent += self.chunk(shape).await?;
                }
            }
            match self.pace {
                Pace::PerSecond(rate) => {
                    let due = Duration::from_secs_f64(sent as f64 / f64::from(rate.max(1)));
                    tokio::time::sleep_until(start + due).await;
                }
                // Nothing may end for long: it may be enough meanwhile.
                _ if sent == before => _ = tokio::time::timeout(WAIT, ended.changed()).await,
                _ => {}
            }
        }
        Ok(())
    }

    fn has_room(&self, shape: Shape) -> bool {
        match self.pace {
            Pace::AtOnce | Pace::PerSecond(_) => true,
            Pace::Ahead(ahead) => self.ledger.oracle().open(&shape.name()) < ahead,
        }
    }

    /// Sends some messages to a pipeline.
    async fn chunk(&mut self, shape: Shape) -> anyhow::Result<usize> {
        let any = |random: &mut ChaCha8Rng| {
            let key = format!("{}-{}", shape.name(), random.random_range(0..KEYS));
            Sent { key, end: End::any(random) }
        };
        let messages = (0..CHUNK).map(|_| any(&mut self.random)).collect();
        write(&self.bus, &self.ledger, shape, messages).await
    }
}

/// Writes messages to a pipeline's topic, and tells the oracle before and after; says how many.
pub async fn write(bus: &Bus, ledger: &Ledger, pipeline: Shape, messages: Vec<Sent>) -> anyhow::Result<usize> {
    let mut names: Vec<Name> = Vec::with_capacity(messages.len());
    let mut records = Vec::with_capacity(messages.len());
    for sent in messages {
        if let Some(name) = ledger.oracle().sending(&pipeline.name(), sent.clone()) {
            records.push(sent.record(&name));
            names.push(name);
        }
    }
    // Who does not know whether a message stands there sends it again; it runs as often as it stands there.
    let twice = |messages: usize| ledger.oracle().allow(&pipeline.name(), messages as u64);
    let places = bus.write(&pipeline.topic(), records, twice).await?;
    let mut oracle = ledger.oracle();
    names.iter().zip(places).for_each(|(name, place)| oracle.written(name, place));
    Ok(names.len())
}

/// How often it is looked whether it is enough, where nothing ends.
const WAIT: Duration = Duration::from_millis(100);

impl Until {
    fn least(self) -> usize {
        match self {
            Self::Sent(least) | Self::Enough(least) => least,
        }
    }
}
