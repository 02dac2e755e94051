//! From topic to topic, one message after another on one thread: polled, changed, produced. What was delivered is
//! committed once a second, up to the first message of a partition that was not.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use rdkafka::config::FromClientConfig;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, DeliveryResult};
use rdkafka::producer::{BaseRecord, Producer, ProducerContext, ThreadedProducer};
use rdkafka::{ClientContext, Message, Offset, TopicPartitionList};
use tokio::sync::watch;

use super::frontier::Frontier;
use super::plain::{Change, Link};
use super::settings;

/// How long a poll waits for a message.
const POLL: Duration = Duration::from_millis(100);
/// How often offsets are committed.
const COMMIT: Duration = Duration::from_secs(1);
/// The wait while the producer's queue is full.
const FULL: Duration = Duration::from_millis(1);
/// How long what is left may take to be delivered.
const PATIENCE: Duration = Duration::from_secs(30);
/// The most partitions of the topic that is read.
const PARTITIONS: usize = 16;

/// Runs until its input has ended.
pub(super) fn run(link: &Link, change: Change, ended: &watch::Receiver<bool>) -> anyhow::Result<()> {
    let consumer = BaseConsumer::from_config(&settings::consumer(&link.brokers, &link.group))?;
    consumer.subscribe(&[&link.from])?;
    let deliveries = Deliveries::default();
    let producer: ThreadedProducer<Deliveries> =
        settings::producer(&link.brokers).create_with_context(deliveries.clone())?;
    let mut committed = Instant::now();
    while !*ended.borrow() {
        if let Some(message) = consumer.poll(POLL) {
            hand_on(&message?, link, change, &producer, &deliveries)?;
        }
        if committed.elapsed() >= COMMIT {
            deliveries.commit(&consumer, &link.from, CommitMode::Async)?;
            committed = Instant::now();
        }
    }
    producer.flush(PATIENCE).context("not everything was delivered")?;
    deliveries.commit(&consumer, &link.from, CommitMode::Sync)
}

fn hand_on(
    message: &BorrowedMessage<'_>,
    link: &Link,
    change: Change,
    producer: &ThreadedProducer<Deliveries>,
    deliveries: &Deliveries,
) -> anyhow::Result<()> {
    let origin = deliveries.begin(message.partition(), message.offset())?;
    let payload = message.payload().unwrap_or_default();
    let changed = match change {
        Change::Enrich => Some(enrich::enrich(payload)?),
        Change::Nothing => None,
    };
    let mut record: BaseRecord<'_, (), [u8], usize> =
        BaseRecord::with_opaque_to(&link.to, origin).payload(changed.as_deref().unwrap_or(payload));
    loop {
        match producer.send(record) {
            Ok(()) => return Ok(()),
            Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                record = back;
                thread::sleep(FULL);
            }
            Err((error, _)) => bail!("cannot produce: {error}"),
        }
    }
}

/// What was read and what of it was delivered, by the partition that it came from.
#[derive(Clone, Default)]
struct Deliveries(Arc<State>);

#[derive(Default)]
struct State {
    frontiers: [Mutex<Frontier>; PARTITIONS],
    failed: OnceLock<KafkaError>,
}

impl Deliveries {
    /// A message was read. Gives what tells its delivery from others.
    fn begin(&self, partition: i32, offset: i64) -> anyhow::Result<usize> {
        let index = usize::try_from(partition)?;
        let frontier = self.0.frontiers.get(index).with_context(|| format!("there is a partition {partition}"))?;
        frontier.lock().unwrap_or_else(PoisonError::into_inner).begin(offset);
        Ok(usize::try_from(offset)? * PARTITIONS + index)
    }

    fn settle(&self, origin: usize) {
        let (offset, index) = (i64::try_from(origin / PARTITIONS).unwrap_or_default(), origin % PARTITIONS);
        if let Some(frontier) = self.0.frontiers.get(index) {
            frontier.lock().unwrap_or_else(PoisonError::into_inner).settle(offset);
        }
    }

    /// Commits what is settled. Fails when something could not be delivered.
    fn commit(&self, consumer: &BaseConsumer, topic: &str, mode: CommitMode) -> anyhow::Result<()> {
        if let Some(error) = self.0.failed.get() {
            bail!("not delivered: {error}");
        }
        let mut list = TopicPartitionList::new();
        for (partition, frontier) in (0..).zip(&self.0.frontiers) {
            if let Some(next) = frontier.lock().unwrap_or_else(PoisonError::into_inner).next() {
                list.add_partition_offset(topic, partition, Offset::Offset(next))?;
            }
        }
        if list.count() > 0 {
            consumer.commit(&list, mode)?;
        }
        Ok(())
    }
}

impl ClientContext for Deliveries {}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = usize;

    fn delivery(&self, delivered: &DeliveryResult<'_>, origin: usize) {
        match delivered {
            Ok(_) => self.settle(origin),
            Err((error, _)) => drop(self.0.failed.set(error.clone())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delivery_is_that_of_the_message_it_came_of() {
        let deliveries = Deliveries::default();
        let origins = [(0, 5), (3, 5), (3, 6)].map(|(partition, offset)| deliveries.begin(partition, offset).unwrap());
        deliveries.settle(origins[1]);
        let next = |index: usize| deliveries.0.frontiers[index].lock().unwrap().next();
        assert_eq!((next(0), next(3), next(1)), (Some(5), Some(6), None));
    }
}
