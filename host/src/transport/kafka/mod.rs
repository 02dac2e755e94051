//! Apache Kafka, by librdkafka.
//!
//! | module | is for |
//! |---|---|
//! | `config`, `properties` | what the spec says, and what the client library is told |
//! | `cluster` | what all that reads and writes on one cluster shares |
//! | `topics` | whether topics are there, how far they go, and how they are made |
//! | `source` | one topic for one group: `member` in the group, `handover` what it asks, `begin` where a partition starts, `reading`, `committing` |
//! | `checkpoint` | checkpoints as offsets with metadata |
//! | `sink`, `producer` | writing |
//! | `look` | topics and groups from outside |
//! | `probe`, `client` | what is wrong when no answer comes |
//! | `message`, `native` | Kafka's messages; what the client library does not wrap |

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use rdkafka::consumer::BaseConsumer;
use rdkafka::error::KafkaResult;

use self::begin::Reads;
use self::client::Plain;
use self::cluster::Cluster;
use self::sink::KafkaSink;
use self::source::KafkaSource;
use super::config::Topic;
use super::{Sink, Source, Subscription, TopicInfo, Transport, TransportError};
use crate::model::{Checkpoint, Clock, Message, Partition, Position, Secrets};

mod begin;
mod checkpoint;
mod client;
mod cluster;
mod committing;
pub mod config;
mod handover;
#[cfg(test)]
mod kafka_broker_tests;
mod look;
mod member;
mod message;
mod native;
mod probe;
mod producer;
mod properties;
mod reading;
mod sink;
mod source;
mod topics;

/// A Kafka cluster.
pub struct Kafka(Arc<Cluster>);

impl Kafka {
    /// Under the transport's name in the spec. Connects to nothing yet. Fails with what is wrong with the settings.
    pub fn new(
        name: &str,
        config: &config::Config,
        topics: BTreeMap<String, Topic>,
        clock: Clock,
        secrets: &Secrets,
    ) -> Result<Self, TransportError> {
        let cluster = Cluster::new(name, config, topics, clock, secrets);
        let wrong = |reason| TransportError::Config { transport: name.into(), reason };
        cluster.map(|cluster| Self(Arc::new(cluster))).map_err(wrong)
    }

    fn physical(&self, topic: &str) -> String {
        super::open::physical_name(&self.0.topics, topic)
    }

    /// Asks on a thread of its own.
    async fn ask<T: Send + 'static>(
        &self,
        question: impl Fn(&BaseConsumer<Plain>) -> KafkaResult<T> + Send + 'static,
    ) -> Result<T, TransportError> {
        let cluster = self.0.clone();
        let asked = tokio::task::spawn_blocking(move || cluster.ask(question)).await;
        let answer = asked.unwrap_or_else(|error| Err(error.to_string()));
        answer.map_err(|reason| self.0.unavailable(reason))
    }

    /// How many partitions a topic has.
    async fn find(&self, topic: &str) -> Result<u32, TransportError> {
        let physical = self.physical(topic);
        let found = self.ask(move |asker| topics::partitions(asker, &physical)).await?;
        found.ok_or_else(|| TransportError::UnknownTopic { transport: self.0.name.clone(), topic: topic.to_owned() })
    }

    /// The same; a topic that is missing is made where the spec says how.
    async fn find_or_create(&self, topic: &str) -> Result<u32, TransportError> {
        let config = self.0.topics.get(topic);
        let Some((config, create)) = config.and_then(|config| Some((config, config.create.as_ref()?))) else {
            return self.find(topic).await;
        };
        let wanted = config.partitions();
        match self.find(topic).await {
            Err(TransportError::UnknownTopic { .. }) => {}
            Ok(partitions) => {
                if create.partitions.is_some() && partitions != wanted {
                    tracing::warn!(transport = %self.0.name, topic, partitions, wanted,
                        "the topic keeps the number of partitions that it has");
                }
                return Ok(partitions);
            }
            failed => return failed,
        }
        let admin = self.0.admin().map_err(|error| self.0.failed(&error))?;
        let made = topics::create(&admin, &self.physical(topic), wanted, create).await;
        made.map_err(|error| TransportError::NotCreated {
            transport: self.0.name.clone(),
            topic: topic.to_owned(),
            reason: client::plain(&error),
        })?;
        self.until_known(topic).await
    }

    /// Brokers hear one after another of a topic that was made.
    async fn until_known(&self, topic: &str) -> Result<u32, TransportError> {
        let until = tokio::time::Instant::now() + topics::PATIENCE;
        loop {
            match self.find(topic).await {
                Err(TransportError::UnknownTopic { .. }) if tokio::time::Instant::now() < until => {
                    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
                }
                found => return found,
            }
        }
    }
}

#[async_trait]
impl Transport for Kafka {
    async fn source(&self, subscription: &Subscription) -> Result<Box<dyn Source>, TransportError> {
        let partitions = self.find_or_create(&subscription.topic).await?;
        let physical = self.physical(&subscription.topic).into();
        let reads = Reads { subscription: subscription.clone(), physical, partitions };
        let source = KafkaSource::new(self.0.clone(), reads);
        Ok(Box::new(source.map_err(|error| self.0.failed(&error))?))
    }

    async fn sink(&self, topic: &str) -> Result<Arc<dyn Sink>, TransportError> {
        let partitions = self.find_or_create(topic).await?;
        let sink = KafkaSink::open(self.0.clone(), topic, &self.physical(topic), partitions).await;
        Ok(Arc::new(sink.map_err(|error| self.0.failed(&error))?))
    }

    async fn topics(&self) -> Result<Vec<TopicInfo>, TransportError> {
        let topics = self.ask(topics::all).await?;
        Ok(super::open::named_as_in_the_spec(&self.0.topics, topics))
    }

    async fn checkpoints(&self, topic: &str, group: &str) -> Result<Vec<(u32, Checkpoint)>, TransportError> {
        let partitions = self.find(topic).await?;
        let (cluster, physical, group) = (self.0.clone(), self.physical(topic), group.to_owned());
        let looked = tokio::task::spawn_blocking(move || cluster.look.checkpoints(&physical, partitions, &group)).await;
        looked.map_err(|error| self.0.unavailable(error.to_string()))?.map_err(|error| self.0.failed(&error))
    }

    async fn read(&self, partition: &Partition, from: Position, max: usize) -> Result<Vec<Message>, TransportError> {
        let partitions = self.find(&partition.topic).await?;
        if partition.index >= partitions {
            let (topic, partition) = (partition.topic.clone(), partition.index);
            return Err(TransportError::UnknownPartition { topic, partition, partitions });
        }
        let (cluster, physical, index) = (self.0.clone(), self.physical(&partition.topic), partition.index);
        let looked = tokio::task::spawn_blocking(move || {
            let bounds = cluster.ask(|asker| topics::bounds_of(asker, &physical, index))?;
            if from.0 >= bounds.end || max == 0 {
                return Ok(Vec::new());
            }
            let from = from.0.max(bounds.first);
            let read = cluster.look.read(&physical, index, from, bounds.end, max);
            read.map(|raw| (physical, raw)).map(|read| vec![read]).map_err(|error| client::plain(&error))
        });
        let looked = looked.await.unwrap_or_else(|error| Err(error.to_string()));
        let read = looked.map_err(|reason| self.0.unavailable(reason))?;
        let message = |physical: &str, raw| message::message(&self.0.name, physical, partition, raw);
        Ok(read
            .into_iter()
            .flat_map(|(physical, raw)| raw.into_iter().map(move |raw| message(&physical, raw)).collect::<Vec<_>>())
            .collect())
    }
}
