//! What the rows on Kafka share: a broker of their own with its topics, seen from outside of whoever is measured, and the
//! clients that take turns on it, the host and the plain ones. Everything here is bare `rdkafka`: nothing that is measured
//! tells its own figures.
//!
//! | module | is for |
//! |---|---|
//! | `client` | the process that is measured, whichever it is |
//! | `plain` | the plain clients' process; `pass`, `wait` and `idle` are what it does, `frontier` what it may commit |
//! | `settings`, `runtime` | what librdkafka is told; on what its asynchronous clients run |

mod client;
mod frontier;
mod idle;
mod pass;
mod plain;
mod runtime;
mod settings;
mod wait;

pub(crate) use client::Client;
pub(crate) use plain::{Change, Idlers, Lanes, Link, Plain, Task, obey};

use std::time::Duration;

use anyhow::{Context, bail, ensure};
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::FromClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, OwnedHeaders, OwnedMessage};
use rdkafka::producer::{BaseRecord, Producer, ThreadedProducer};
use rdkafka::{Message, Offset, TopicPartitionList};
use tokio::time::{Instant, sleep};
use xtask::kafka::{self, Broker};

/// Partitions of a topic, where a row does not say otherwise.
pub(crate) const PARTITIONS: i32 = 4;
/// How long a call may take.
const CALL: Duration = Duration::from_secs(30);
/// How long a topic may take to be filled, and to be worked off.
const PATIENCE: Duration = Duration::from_secs(600);
/// How often a topic is looked at while something is waited for.
const LOOK: Duration = Duration::from_millis(20);
/// The wait while a producer's queue is full.
const FULL: Duration = Duration::from_millis(1);
/// The name of whoever looks from outside. It joins no group.
const OUTSIDE: &str = "outside";

/// A broker, seen from outside; dropped, it is gone with its topics.
pub(crate) struct Cluster {
    broker: Broker,
    admin: AdminClient<DefaultClientContext>,
    asker: BaseConsumer,
}

/// A topic that is there.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Topic {
    /// Its name.
    pub(crate) name: String,
    partitions: i32,
}

/// A message that a topic is filled with.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Fill {
    /// The key, if it has one.
    pub(crate) key: Option<String>,
    /// The headers.
    pub(crate) headers: Vec<(&'static str, String)>,
    /// The body.
    pub(crate) payload: Vec<u8>,
}

impl Cluster {
    /// Starts a broker.
    pub(crate) fn start() -> anyhow::Result<Self> {
        let broker = Broker::start(&kafka::install()?)?;
        let settings = settings::reader(broker.bootstrap(), OUTSIDE);
        let (admin, asker) = (AdminClient::from_config(&settings)?, BaseConsumer::from_config(&settings)?);
        Ok(Self { broker, admin, asker })
    }

    /// Where it answers.
    pub(crate) fn brokers(&self) -> &str {
        self.broker.bootstrap()
    }

    /// Makes a topic, whose settings may differ from the broker's.
    pub(crate) async fn make(
        &self,
        name: impl Into<String>,
        partitions: i32,
        settings: &[(&str, &str)],
    ) -> anyhow::Result<Topic> {
        let name = name.into();
        // What is removed makes room at once, not after a minute.
        let mut wanted =
            NewTopic::new(&name, partitions, TopicReplication::Fixed(1)).set("file.delete.delay.ms", "1000");
        for (key, value) in settings {
            wanted = wanted.set(key, value);
        }
        for made in self.admin.create_topics([&wanted], &AdminOptions::new()).await? {
            made.map_err(|(topic, code)| code_of(&topic, code, "made"))?;
        }
        let topic = Topic { name, partitions };
        self.until_known(&topic).await?;
        Ok(topic)
    }

    /// A topic that was just made is not everywhere at once.
    async fn until_known(&self, topic: &Topic) -> anyhow::Result<()> {
        let deadline = Instant::now() + CALL;
        while let Err(error) = self.ends(topic) {
            ensure!(Instant::now() < deadline, "topic {} is not there: {error:#}", topic.name);
            sleep(LOOK).await;
            // Or the client goes by what it heard first.
            self.asker.fetch_metadata(Some(&topic.name), CALL)?;
        }
        Ok(())
    }

    /// Removes a topic that nobody needs any more.
    pub(crate) async fn remove(&self, topic: Topic) -> anyhow::Result<()> {
        for removed in self.admin.delete_topics(&[&topic.name], &AdminOptions::new()).await? {
            removed.map_err(|(topic, code)| code_of(&topic, code, "removed"))?;
        }
        Ok(())
    }

    /// Writes messages to an empty topic, evenly over its partitions; they are durable then.
    pub(crate) fn fill(
        &self,
        topic: &Topic,
        compression: &str,
        messages: impl IntoIterator<Item = Fill>,
    ) -> anyhow::Result<()> {
        let before = self.count(topic)?;
        let producer = ThreadedProducer::from_config(&settings::filler(self.brokers(), compression))?;
        let mut written = 0;
        for (message, partition) in messages.into_iter().zip((0..topic.partitions).cycle()) {
            write(&producer, topic, partition, &message)?;
            written += 1;
        }
        producer.flush(PATIENCE).with_context(|| format!("topic {} cannot be filled", topic.name))?;
        let there = self.count(topic)? - before;
        ensure!(there == written, "{there} of {written} messages came into topic {}", topic.name);
        Ok(())
    }

    /// Where each partition of a topic ends.
    pub(crate) fn ends(&self, topic: &Topic) -> anyhow::Result<Vec<i64>> {
        let mut asked = topic.list();
        asked.set_all_offsets(Offset::End)?;
        offsets(&self.asker.offsets_for_times(asked, CALL)?)
    }

    /// How many messages a topic holds, of which none was removed.
    pub(crate) fn count(&self, topic: &Topic) -> anyhow::Result<u64> {
        Ok(u64::try_from(self.ends(topic)?.iter().sum::<i64>())?)
    }

    /// How far a group has committed each partition of a topic.
    pub(crate) fn committed(&self, group: &str, topic: &Topic) -> anyhow::Result<Vec<i64>> {
        let asker = BaseConsumer::from_config(&settings::reader(self.brokers(), group))?;
        offsets(&asker.committed_offsets(topic.list(), CALL)?)
    }

    /// Waits until a topic holds at least so many messages; gives how many it holds. Fails when the client ends, or when
    /// it takes too long.
    pub(crate) async fn until(&self, topic: &Topic, count: u64, client: &mut Client) -> anyhow::Result<u64> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let there = self.count(topic)?;
            if there >= count {
                return Ok(there);
            }
            client.lives()?;
            if Instant::now() > deadline {
                bail!("{} holds {there} of {count} messages after {PATIENCE:?}\n{}", topic.name, client.log());
            }
            sleep(LOOK).await;
        }
    }

    /// The first messages of each partition of a topic, so many at most.
    pub(crate) fn read(&self, topic: &Topic, of_each: i64) -> anyhow::Result<Vec<OwnedMessage>> {
        let ends: Vec<i64> = self.ends(topic)?.into_iter().map(|end| end.min(of_each)).collect();
        let mut left: i64 = ends.iter().sum();
        let reader: BaseConsumer = settings::reader(self.brokers(), OUTSIDE).create()?;
        let mut list = topic.list();
        list.set_all_offsets(Offset::Beginning)?;
        reader.assign(&list)?;
        let mut messages = Vec::new();
        while left > 0 {
            let message =
                reader.poll(CALL).with_context(|| format!("{left} messages of {} do not come", topic.name))??;
            let end = usize::try_from(message.partition()).ok().and_then(|index| ends.get(index));
            if end.is_some_and(|end| message.offset() < *end) {
                messages.push(message.detach());
                left -= 1;
            }
        }
        Ok(messages)
    }
}

impl Topic {
    fn list(&self) -> TopicPartitionList {
        let mut list = TopicPartitionList::new();
        for partition in 0..self.partitions {
            list.add_partition(&self.name, partition);
        }
        list
    }
}

fn code_of(topic: &str, code: RDKafkaErrorCode, done: &str) -> anyhow::Error {
    anyhow::anyhow!("topic {topic} cannot be {done}: {code}")
}

fn write(
    producer: &ThreadedProducer<rdkafka::producer::DefaultProducerContext>,
    topic: &Topic,
    partition: i32,
    message: &Fill,
) -> anyhow::Result<()> {
    let mut record: BaseRecord<'_, str, [u8]> =
        BaseRecord::to(&topic.name).partition(partition).payload(&message.payload);
    record.key = message.key.as_deref();
    if !message.headers.is_empty() {
        let headers = OwnedHeaders::new_with_capacity(message.headers.len());
        let with =
            |headers: OwnedHeaders, (key, value): &(&str, String)| headers.insert(Header { key, value: Some(value) });
        record.headers = Some(message.headers.iter().fold(headers, with));
    }
    loop {
        match producer.send(record) {
            Ok(()) => return Ok(()),
            Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                record = back;
                std::thread::sleep(FULL);
            }
            Err((error, _)) => bail!("topic {} cannot be filled: {error}", topic.name),
        }
    }
}

/// The offsets of a list, by partition; 0 where there is none.
fn offsets(list: &TopicPartitionList) -> anyhow::Result<Vec<i64>> {
    let mut elements = list.elements();
    elements.sort_by_key(|element| element.partition());
    let offset = |element: &rdkafka::topic_partition_list::TopicPartitionListElem<'_>| {
        element.error().with_context(|| format!("partition {} of {}", element.partition(), element.topic()))?;
        Ok(match element.offset() {
            Offset::Offset(offset) => offset,
            _ => 0,
        })
    };
    elements.iter().map(offset).collect()
}
