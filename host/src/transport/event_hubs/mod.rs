//! Azure Event Hubs, by AMQP through a WebSocket or by itself. A topic is a hub, a position an event's sequence number.
//! The service keeps events and nothing of who reads them: who owns which partition, and how far each group has come,
//! stands in a store of the spec, as the official clients keep it. It does not tell a writer where its events stand, and
//! never makes a hub or a consumer group.
//!
//! | module | is for |
//! |---|---|
//! | `config` | what the spec says |
//! | `client` | connections, links and requests, and what the service refuses |
//! | `message` | events as messages, and records as events |
//! | `layout`, `owners`, `group` | who owns what, and how far it is settled: entries in the store |
//! | `source` | one topic for one group: `growth` of its partitions, `start` where a partition begins, `reading` its partitions, a `link` for each with its `reader`, whose events come in `sequence` |
//! | `sink` | writing: what many write is put together by `gather`, in `batches` of what the hub takes |
//! | `look` | hubs and groups from outside |

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::stream::{StreamExt, TryStreamExt, iter};

use self::client::{Client, Failure};
use self::layout::Layout;
use self::look::Looks;
use self::sink::HubSink;
use self::source::HubSource;
use super::config::{Ownership, Topic};
use super::{Means, PartitionInfo, Sink, Source, Subscription, TopicInfo, Transport, TransportError};
use crate::model::{Checkpoint, Clock, Message, Partition, Position};
use crate::storage::conditional::{self, Conditional};
use crate::storage::config::Config as Store;

mod batches;
mod client;
pub mod config;
#[cfg(test)]
mod event_hubs_emulator;
#[cfg(test)]
mod event_hubs_namespace;
mod gather;
mod group;
mod growth;
mod layout;
mod link;
mod look;
mod message;
mod owners;
mod reader;
mod reading;
mod sequence;
mod sink;
mod source;
mod start;

/// Partitions that are asked about at once.
const AT_ONCE: usize = 16;

/// A namespace of Event Hubs. Clones are the same one.
#[derive(Clone)]
pub struct EventHubs(Arc<Namespace>);

/// What all that reads and writes in a namespace shares.
struct Namespace {
    /// The transport's name in the spec.
    name: Arc<str>,
    client: Client,
    /// Where ownerships and checkpoints are kept.
    entries: Arc<dyn Conditional>,
    /// Which store that is, by its name in the spec.
    store: String,
    ownership: Ownership,
    topics: BTreeMap<String, Topic>,
    /// The topics that the spec names.
    named: BTreeSet<String>,
    looks: Looks,
    clock: Clock,
    /// After how much silence a link asks whether there is nothing.
    watch: Duration,
    /// How often a hub that is read is asked how many partitions it has.
    growth: Duration,
}

impl EventHubs {
    /// Under the transport's name in the spec. Connects to nothing yet; blocks while it opens the store of checkpoints.
    /// Fails with what is wrong with the settings.
    pub fn open(
        name: &str,
        config: &config::Config,
        ownership: Ownership,
        topics: &BTreeMap<String, Topic>,
        means: &Means,
    ) -> Result<Self, TransportError> {
        let name: Arc<str> = name.into();
        let client = Client::new(name.clone(), config, &means.secrets, &means.clock)?;
        let entries = entries(&config.checkpoints, means);
        let entries = entries.map_err(|reason| TransportError::Config { transport: name.clone(), reason })?;
        Ok(Self(Arc::new(Namespace {
            name,
            looks: Looks::new(config.look_in()),
            client,
            entries,
            store: config.checkpoints.clone(),
            ownership,
            topics: topics.clone(),
            named: means.topics.clone(),
            clock: means.clock.clone(),
            watch: link::WATCH,
            growth: growth::EVERY,
        })))
    }
}

#[cfg(test)]
impl EventHubs {
    /// The same, whose sources ask so often for more partitions.
    fn asking_for_more(mut self, every: Duration) -> Self {
        if let Some(namespace) = Arc::get_mut(&mut self.0) {
            namespace.growth = every;
        }
        self
    }

    /// The same, whose links look after so much silence.
    fn watching(mut self, watch: Duration) -> Self {
        if let Some(namespace) = Arc::get_mut(&mut self.0) {
            namespace.watch = watch;
        }
        self
    }
}

/// The entries of the store that is to keep ownerships and checkpoints. One in memory would keep them from every other
/// host, and from this one when it is started again.
fn entries(store: &str, means: &Means) -> Result<Arc<dyn Conditional>, String> {
    let config = means.stores.get(store);
    let config = config.ok_or_else(|| format!("the spec has no store `{store}` to keep checkpoints in"))?;
    if matches!(config, Store::Memory {}) {
        return Err(format!("the store `{store}` cannot keep checkpoints: it is gone with the process"));
    }
    let opened = conditional::open(store, config, &means.secrets, &means.clock);
    opened.map_err(|error| format!("{error}; {}", error.help()))
}

impl Namespace {
    /// A topic's hub.
    fn hub(&self, topic: &str) -> String {
        super::open::physical_name(&self.topics, topic)
    }

    /// How many partitions a topic has.
    async fn partitions(&self, topic: &str) -> Result<u32, TransportError> {
        let hub = self.client.hub(&self.hub(topic)).await.map_err(|failure| match failure {
            // A connection string that is for another hub.
            Failure::NotAllowed(_) => {
                TransportError::Config { transport: self.name.clone(), reason: failure.to_string() }
            }
            failure => self.error(topic, failure),
        })?;
        Ok(hub.partitions)
    }

    /// How far the partitions of a hub go.
    async fn bounds(&self, hub: &str, partitions: u32) -> Result<Vec<PartitionInfo>, Failure> {
        let asked = (0..partitions).map(async |partition| {
            let bounds = self.client.partition(hub, partition).await?;
            Ok(PartitionInfo { first: bounds.first, end: bounds.end })
        });
        iter(asked).buffered(AT_ONCE).try_collect().await
    }

    /// Where a group's entries lie.
    fn layout(&self, hub: &str, group: &str) -> Layout {
        Layout::new(self.client.namespace(), hub, group)
    }

    /// What a failure means that concerns a topic as a whole. What an operator can mend without Lockgate is tried again.
    fn error(&self, topic: &str, failure: Failure) -> TransportError {
        match failure {
            Failure::NotFound(_) => {
                TransportError::UnknownTopic { transport: self.name.clone(), topic: topic.to_owned() }
            }
            failure => self.unavailable(failure.to_string()),
        }
    }

    fn unavailable(&self, reason: String) -> TransportError {
        TransportError::Unavailable { transport: self.name.clone(), reason }
    }

    /// That the store of ownerships and checkpoints fails.
    fn store_failed(&self, reason: impl std::fmt::Display) -> TransportError {
        self.unavailable(format!("store {} of ownerships and checkpoints: {reason}", self.store))
    }
}

#[async_trait]
impl Transport for EventHubs {
    async fn source(&self, subscription: &Subscription) -> Result<Box<dyn Source>, TransportError> {
        let partitions = self.0.partitions(&subscription.topic).await?;
        Ok(Box::new(HubSource::new(self.0.clone(), subscription, partitions)))
    }

    async fn sink(&self, topic: &str) -> Result<Arc<dyn Sink>, TransportError> {
        let partitions = self.0.partitions(topic).await?;
        Ok(Arc::new(HubSink::new(self.0.clone(), topic, partitions)))
    }

    async fn look_at_group(&self, topic: &str, group: &str) -> Result<(), TransportError> {
        match self.0.client.group(&self.0.hub(topic), group).await {
            Err(Failure::NotFound(_)) => {
                let (transport, topic, group) = (self.0.name.clone(), topic.into(), group.into());
                Err(TransportError::UnknownGroup { transport, topic, group })
            }
            looked => looked.map_err(|failure| self.0.error(topic, failure)),
        }
    }

    async fn topics(&self) -> Result<Vec<TopicInfo>, TransportError> {
        let hubs: BTreeSet<String> = self.0.named.iter().map(|topic| self.0.hub(topic)).collect();
        let mut found = Vec::new();
        for hub in hubs {
            let asked = async { self.0.bounds(&hub, self.0.client.hub(&hub).await?.partitions).await };
            match asked.await {
                Ok(bounds) => found.push((hub, bounds)),
                Err(Failure::NotFound(_)) => {}
                Err(failure) => return Err(self.0.error(&hub, failure)),
            }
        }
        Ok(super::open::named_as_in_the_spec(&self.0.topics, found))
    }

    async fn checkpoints(&self, topic: &str, group: &str) -> Result<Vec<(u32, Checkpoint)>, TransportError> {
        let partitions = self.0.partitions(topic).await?;
        let layout = self.0.layout(&self.0.hub(topic), group);
        let stored = group::stored(&*self.0.entries, &layout, partitions).await;
        let stored = stored.map_err(|failure| self.0.store_failed(failure))?;
        Ok(stored.into_iter().map(|(partition, kept)| (partition, kept.checkpoint)).collect())
    }

    async fn read(&self, partition: &Partition, from: Position, max: usize) -> Result<Vec<Message>, TransportError> {
        let partitions = self.0.partitions(&partition.topic).await?;
        if partition.index >= partitions {
            let (topic, partition) = (partition.topic.clone(), partition.index);
            return Err(TransportError::UnknownPartition { topic, partition, partitions });
        }
        let hub = self.0.hub(&partition.topic);
        let read = self.0.looks.read(&self.0.client, &self.0.name, &hub, partition, from, max).await;
        read.map_err(|failure| match failure {
            Failure::Stolen(_) | Failure::NotAllowed(_) | Failure::Quota(_) => self.0.unavailable(format!(
                "{failure}; say a consumer group that nobody reads in as the transport's `look_in`"
            )),
            failure => self.0.error(&partition.topic, failure),
        })
    }
}
