//! The broker, and topics, groups and transports on it that no other test has.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock, Mutex, Weak};
use std::time::Duration;

use bytes::Bytes;
use rdkafka::admin::{AdminClient, AdminOptions, NewPartitions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::FromClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

use crate::model::{Clock, Partition, Record, Secrets};
use crate::transport::config::Topic;
use crate::transport::kafka::config::{Config, GroupProtocol, Property};
use crate::transport::kafka::member::Member;
use crate::transport::kafka::{Kafka, native};
use crate::transport::{
    Assignment, Batch, Demand, OnLostPosition, Room, Rooms, Sink, Source, SourceEvent, Start, Subscription, Transport,
};

/// Members by topic and group, so that a test can take partitions away from them.
static MEMBERS: Mutex<Vec<(String, String, Weak<Member>)>> = Mutex::new(Vec::new());

/// How long a test waits for the next event.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);
/// Room for everything.
pub(super) const ALL: Room = Room { messages: 10_000, bytes: 1 << 30 };

/// No demand.
pub(super) fn nothing() -> &'static Rooms {
    static NOTHING: LazyLock<Rooms> = LazyLock::new(Rooms::default);
    &NOTHING
}

/// Remembers a member.
pub(crate) fn remember(topic: &str, group: &str, member: &Arc<Member>) {
    let mut members = MEMBERS.lock().unwrap();
    members.retain(|(_, _, member)| member.strong_count() > 0);
    members.push((topic.to_owned(), group.to_owned(), Arc::downgrade(member)));
}

/// By which ids a group knows its members that read a topic.
pub(super) async fn member_ids(topic: &str, group: &str) -> Vec<String> {
    let members: Vec<Arc<Member>> = {
        let members = MEMBERS.lock().unwrap();
        let of = members.iter().filter(|(of, by, _)| of == topic && by == group);
        of.filter_map(|(_, _, member)| member.upgrade()).collect()
    };
    let ids = move || members.iter().filter_map(|member| native::member_id(member)).collect();
    tokio::task::spawn_blocking(ids).await.unwrap()
}

pub(super) fn broker() -> String {
    std::env::var("LOCKGATE_KAFKA").expect("LOCKGATE_KAFKA names no broker")
}

/// A name that nobody has.
pub(super) fn name(what: &str) -> String {
    format!("{what}-{:016x}", rand::random::<u64>())
}

/// What a transport on the broker is told: time-outs as short as the broker allows, for tests wait for them.
pub(super) fn config(protocol: GroupProtocol) -> Config {
    let mut properties = vec![("topic.metadata.refresh.interval.ms", "1000")];
    if protocol == GroupProtocol::Classic {
        properties.extend([("session.timeout.ms", "6000"), ("heartbeat.interval.ms", "200")]);
    }
    with(Config { brokers: vec![broker()], group_protocol: protocol, ..Config::default() }, &properties)
}

/// The same with more properties.
pub(super) fn with(mut config: Config, properties: &[(&str, &str)]) -> Config {
    let property = |(key, value): &(&str, &str)| ((*key).to_owned(), Property((*value).to_owned()));
    config.properties.extend(properties.iter().map(property));
    config
}

pub(super) fn kafka(config: &Config) -> Kafka {
    kafka_with(config, BTreeMap::new())
}

pub(super) fn kafka_with(config: &Config, topics: BTreeMap<String, Topic>) -> Kafka {
    Kafka::new("bus", config, topics, Clock::system(), &Secrets::default()).unwrap()
}

pub(super) fn client() -> ClientConfig {
    let mut client = ClientConfig::new();
    client.set("bootstrap.servers", broker());
    client
}

fn admin() -> AdminClient<DefaultClientContext> {
    AdminClient::from_config(&client()).unwrap()
}

/// Makes a topic.
pub(super) async fn make(topic: &str, partitions: i32, settings: &[(&str, &str)]) {
    let new = NewTopic::new(topic, partitions, TopicReplication::Fixed(1));
    let new = settings.iter().fold(new, |new, (key, value)| new.set(key, value));
    let options = AdminOptions::new().operation_timeout(Some(Duration::from_secs(20)));
    admin().create_topics([&new], &options).await.unwrap().remove(0).unwrap();
    until_known(topic, 1).await;
}

/// Adds partitions to a topic until it has so many.
pub(super) async fn grow(topic: &str, partitions: usize) {
    let new = NewPartitions::new(topic, partitions);
    let options = AdminOptions::new().operation_timeout(Some(Duration::from_secs(20)));
    admin().create_partitions([&new], &options).await.unwrap().remove(0).unwrap();
    until_known(topic, partitions).await;
}

/// The controller knows a topic, and its partitions, before the broker that is asked.
async fn until_known(topic: &str, partitions: usize) {
    let asker: BaseConsumer = BaseConsumer::from_config(&client()).unwrap();
    let (topic, deadline) = (topic.to_owned(), tokio::time::Instant::now() + PATIENCE);
    tokio::task::spawn_blocking(move || {
        let known = |topic: &str| {
            let metadata = asker.fetch_metadata(Some(topic), PATIENCE).unwrap();
            metadata.topics().iter().any(|found| found.error().is_none() && found.partitions().len() >= partitions)
        };
        while !known(&topic) {
            assert!(tokio::time::Instant::now() < deadline, "{topic} is not there");
        }
    })
    .await
    .unwrap();
}

/// A topic of one partition that nobody else has.
pub(super) async fn one_partition() -> String {
    let topic = name("topic");
    make(&topic, 1, &[]).await;
    topic
}

pub(super) async fn delete(topic: &str) {
    admin().delete_topics(&[topic], &AdminOptions::new()).await.unwrap().remove(0).unwrap();
}

/// Removes messages before an offset, as retention does.
pub(super) async fn forget(topic: &str, partition: u32, before: i64) {
    let mut list = TopicPartitionList::new();
    let index = i32::try_from(partition).unwrap();
    list.add_partition_offset(topic, index, Offset::Offset(before)).unwrap();
    admin().delete_records(&list, &AdminOptions::new()).await.unwrap();
}

pub(super) fn subscription(topic: &str, start: Start, on_lost_position: OnLostPosition) -> Subscription {
    Subscription { topic: topic.into(), group: format!("{topic}-group").as_str().into(), start, on_lost_position }
}

/// A source and what it has.
pub(super) struct Reader {
    pub(super) source: Box<dyn Source>,
    pub(super) assignments: BTreeMap<u32, Assignment>,
    topic: Arc<str>,
}

impl Reader {
    pub(super) async fn open(kafka: &Kafka, subscription: &Subscription) -> Self {
        let source = kafka.source(subscription).await.unwrap();
        Self { source, assignments: BTreeMap::new(), topic: subscription.topic.clone() }
    }

    /// From the oldest message on.
    pub(super) async fn of(kafka: &Kafka, topic: &str) -> Self {
        Self::open(kafka, &subscription(topic, Start::Earliest, OnLostPosition::Fail)).await
    }

    pub(super) async fn event(&mut self, demand: &dyn Demand) -> SourceEvent {
        let event = tokio::time::timeout(PATIENCE, self.source.next(demand)).await.expect("no event came");
        match &event {
            SourceEvent::Assigned(given) => {
                self.assignments.extend(given.iter().map(|given| (given.partition.index, given.clone())));
            }
            SourceEvent::Lost(lost) => {
                self.assignments.retain(|index, _| lost.iter().all(|lost| lost.index != *index));
            }
            _ => {}
        }
        event
    }

    /// Room in all partitions that it has.
    pub(super) fn demand(&self, room: Room) -> Rooms {
        Rooms(self.assignments.keys().map(|index| (Partition::new(self.topic.clone(), *index), room)).collect())
    }

    /// The next batch, empty or not.
    pub(super) async fn batch(&mut self) -> Batch {
        loop {
            let demand = self.demand(ALL);
            match self.event(&demand).await {
                SourceEvent::Messages(batch) => return batch,
                SourceEvent::Assigned(_) => {}
                event => panic!("{event:?}"),
            }
        }
    }

    /// The offsets of the next messages.
    pub(super) async fn offsets(&mut self, count: usize) -> Vec<i64> {
        let mut offsets = Vec::new();
        while offsets.len() < count {
            offsets.extend(self.batch().await.messages.iter().map(|message| message.origin.position.0));
        }
        offsets
    }

    /// The first failure.
    pub(super) async fn failure(&mut self) -> crate::transport::TransportError {
        loop {
            let demand = self.demand(ALL);
            if let SourceEvent::Failed(error) = self.event(&demand).await {
                return error;
            }
        }
    }
}

/// A record for a partition.
pub(super) fn record(partition: u32, payload: impl Into<Bytes>) -> Record {
    Record { partition: Some(partition), payload: payload.into(), ..Record::default() }
}

/// Writes so many records into the first partition.
pub(super) async fn write(sink: &dyn Sink, count: usize) {
    let records = (0..count).map(|number| record(0, number.to_string())).collect();
    sink.write(records).await.into_iter().for_each(|answer| assert!(answer.is_ok(), "{answer:?}"));
}
