//! Messages that wait for as long as they say, in a tokio loop: so many at once, or a queue for each key, or one after
//! another. What has waited is committed once a second, up to the first that has not.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use rdkafka::config::FromClientConfig;
use rdkafka::consumer::{CommitMode, Consumer as _};
use rdkafka::message::{BorrowedMessage, Headers};
use rdkafka::producer::FutureRecord;
use rdkafka::{Message, Offset, TopicPartitionList};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::time::{MissedTickBehavior, interval, sleep};

use super::frontier::Frontier;
use super::plain::{Lanes, Link};
use super::runtime::{Consumer, Producer};
use super::settings;

/// Messages that wait behind others of their lane, at most.
const BEHIND: usize = 1000;
/// How often offsets are committed.
const COMMIT: Duration = Duration::from_secs(1);

/// What a message asks for.
struct Work {
    offset: i64,
    wait: Duration,
    /// What is handed on once it has waited.
    handed_on: Option<Vec<u8>>,
}

/// Runs until its input has ended.
pub(super) async fn run(link: &Link, lanes: Lanes, mut ended: watch::Receiver<bool>) -> anyhow::Result<()> {
    let consumer = Consumer::from_config(&settings::consumer(&link.brokers, &link.group))?;
    consumer.subscribe(&[&link.from])?;
    let (failed, mut failures) = mpsc::channel(1);
    let worker = Worker {
        producer: Producer::from_config(&settings::producer(&link.brokers))?,
        to: link.to.clone(),
        frontier: Arc::default(),
        failed,
    };
    let frontier = worker.frontier.clone();
    let mut lanes = Running::new(lanes, worker);
    let mut commit = interval(COMMIT);
    commit.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            biased;
            Some(error) = failures.recv() => return Err(error),
            _ = ended.changed() => break,
            _ = commit.tick() => settled(&frontier, &consumer, &link.from, CommitMode::Async)?,
            message = consumer.recv() => {
                let message = message?;
                at(&frontier).begin(message.offset());
                lanes.start(message.key().unwrap_or_default(), work(&message)?).await?;
            }
        }
    }
    // Before the input ends all was seen to have ended.
    settled(&frontier, &consumer, &link.from, CommitMode::Sync)
}

fn at(frontier: &Mutex<Frontier>) -> std::sync::MutexGuard<'_, Frontier> {
    frontier.lock().unwrap_or_else(PoisonError::into_inner)
}

fn work(message: &BorrowedMessage<'_>) -> anyhow::Result<Work> {
    let headers = message.headers().context("a message has no headers")?;
    let named = |name: &str| headers.iter().find(|header| header.key == name).and_then(|header| header.value);
    let wait = named(enrich::WAIT_MS).context("a message does not say for how long it waits")?;
    let handed_on = named(enrich::HAND_ON).and_then(|_| message.payload()).map(<[u8]>::to_vec);
    let wait = Duration::from_millis(std::str::from_utf8(wait)?.parse()?);
    Ok(Work { offset: message.offset(), wait, handed_on })
}

fn settled(frontier: &Mutex<Frontier>, consumer: &Consumer, topic: &str, mode: CommitMode) -> anyhow::Result<()> {
    let Some(next) = at(frontier).next() else { return Ok(()) };
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(topic, 0, Offset::Offset(next))?;
    Ok(consumer.commit(&list, mode)?)
}

/// What does the work.
#[derive(Clone)]
struct Worker {
    producer: Producer,
    to: String,
    frontier: Arc<Mutex<Frontier>>,
    failed: mpsc::Sender<anyhow::Error>,
}

impl Worker {
    async fn work(&self, work: Work) {
        sleep(work.wait).await;
        if let Some(payload) = &work.handed_on
            && let Err(error) = self.hand_on(payload).await
        {
            // One failure is enough.
            let _ = self.failed.try_send(error);
            return;
        }
        at(&self.frontier).settle(work.offset);
    }

    async fn hand_on(&self, payload: &[u8]) -> anyhow::Result<()> {
        let record: FutureRecord<'_, (), [u8]> = FutureRecord::to(&self.to).payload(payload);
        let sent = self.producer.send_result(record).map_err(|(error, _)| anyhow!("cannot produce: {error}"))?;
        match sent.await? {
            Ok(_) => Ok(()),
            Err((error, _)) => bail!("not delivered: {error}"),
        }
    }
}

/// Lanes that run.
enum Running {
    Together(Arc<Semaphore>, Worker),
    Queues { by_key: bool, queues: HashMap<Vec<u8>, mpsc::Sender<Work>>, worker: Worker },
}

impl Running {
    fn new(lanes: Lanes, worker: Worker) -> Self {
        match lanes {
            Lanes::Together(count) => Self::Together(Arc::new(Semaphore::new(count)), worker),
            Lanes::ByKey => Self::Queues { by_key: true, queues: HashMap::new(), worker },
            Lanes::One => Self::Queues { by_key: false, queues: HashMap::new(), worker },
        }
    }

    /// Starts work, once there is room for it.
    async fn start(&mut self, key: &[u8], work: Work) -> anyhow::Result<()> {
        match self {
            Self::Together(places, worker) => {
                let (place, worker) = (places.clone().acquire_owned().await?, worker.clone());
                tokio::spawn(async move {
                    worker.work(work).await;
                    drop(place);
                });
                Ok(())
            }
            Self::Queues { by_key, queues, worker } => {
                let key = if *by_key { key } else { &[] };
                if let Some(queue) = queues.get(key) {
                    return queue.send(work).await.context("a queue has ended");
                }
                let queue = queue(worker.clone());
                queue.send(work).await.context("a queue has ended")?;
                queues.insert(key.to_vec(), queue);
                Ok(())
            }
        }
    }
}

/// A queue whose work is done one after another.
fn queue(worker: Worker) -> mpsc::Sender<Work> {
    let (queue, mut behind) = mpsc::channel(BEHIND);
    tokio::spawn(async move {
        while let Some(work) = behind.recv().await {
            worker.work(work).await;
        }
    });
    queue
}
