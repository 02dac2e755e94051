//! The embedded log: topics, partitions, groups and checkpoints in one SQLite file, for several processes on one
//! machine (not on a network file system). A topic that is missing is made when something is opened that reads or
//! writes it; looking never makes one. The sources of a group, in one process or in several, share the partitions of the
//! topic: each takes what is free up to its share, and asks those that have more.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use rusqlite::Connection;

use super::config::{Ownership, Retention, Topic as TopicConfig};
use super::{PartitionInfo, Room, Sink, Source, Subscription, TopicInfo, Transport, TransportError};
use crate::model::{Checkpoint, Clock, Message, Partition, Position};
use crate::storage::sqlite::Error;
use messages::Range;
use store::{Store, Timing};
use topics::Topic;

mod board;
#[cfg(any(test, feature = "testing"))]
mod bury;
mod checkpoints;
mod config;
mod fetch;
mod grant;
mod headers;
mod holder;
mod keeper;
mod lease;
mod look;
mod member;
mod messages;
mod reading;
mod retention;
mod schema;
mod signs;
mod sink;
mod source;
mod store;
#[cfg(feature = "testing")]
pub mod stored;
mod together;
mod topics;
mod work;

pub use config::Config;

/// Messages that one look answers, at most.
const LOOK: usize = 1000;
/// Bytes that one look answers; a single larger message comes alone.
const LOOK_BYTES: u64 = 16 << 20;

/// A log in a folder.
pub struct Log {
    name: Arc<str>,
    store: Arc<Store>,
    topics: BTreeMap<String, TopicConfig>,
    clock: Clock,
    /// Topics found so far: they never change.
    found: Mutex<BTreeMap<String, Arc<Topic>>>,
}

impl Log {
    /// Opens the log in a folder under the transport's name, and makes what is missing. The same folder may be open
    /// more than once, in this process and in others; within a process the first one's `ownership` holds. Blocks for
    /// some milliseconds.
    pub fn open(
        name: &str,
        config: &Config,
        ownership: Ownership,
        topics: BTreeMap<String, TopicConfig>,
        clock: Clock,
    ) -> Result<Self, TransportError> {
        let name: Arc<str> = name.into();
        let store = Store::open(&config.path, &clock, Timing::of(ownership)).map_err(|error| failure(&name, error))?;
        Ok(Self::on(name, store, topics, clock))
    }

    fn on(name: Arc<str>, store: Arc<Store>, topics: BTreeMap<String, TopicConfig>, clock: Clock) -> Self {
        Self { name, store, topics, clock, found: Mutex::default() }
    }

    /// A topic, if there is such a one.
    async fn find(&self, topic: &str) -> Result<Arc<Topic>, TransportError> {
        if let Some(topic) = self.known(topic) {
            return Ok(topic);
        }
        let (name, physical) = self.names(topic);
        match self.ask(move |connection| topics::find(connection, &name, &physical)).await? {
            Some(found) => Ok(self.keep(found)),
            None => Err(TransportError::UnknownTopic { transport: self.name.clone(), topic: topic.to_owned() }),
        }
    }

    /// A topic, made where missing, and kept as its config says.
    async fn find_or_create(&self, topic: &str) -> Result<Arc<Topic>, TransportError> {
        let (name, physical) = self.names(topic);
        let config = self.topics.get(topic).cloned();
        let create = config.as_ref().and_then(|config| config.create.as_ref());
        let wanted = create.and_then(|create| create.partitions).map(u32::from);
        let job = move |connection: &Connection| topics::find_or_create(connection, &name, &physical, config.as_ref());
        let is_new = self.known(topic).is_none();
        let (found, earlier) = self.store.database.write(0, job).await.map_err(|error| failure(&self.name, error))?;
        if let Some(Retention { age, size }) = earlier.filter(|_| is_new) {
            tracing::warn!(transport = %self.name, topic, ?age, ?size,
                "the topic keeps the retention that an earlier spec gave it; `create: {{}}` would keep messages for ever");
        }
        if wanted.is_some_and(|wanted| wanted != found.partitions()) {
            tracing::warn!(transport = %self.name, topic, partitions = found.partitions(), wanted,
                "the topic keeps the number of partitions that it was made with");
        }
        Ok(self.keep(found))
    }

    /// The names of a topic: in the spec, and in the tables.
    fn names(&self, topic: &str) -> (Arc<str>, Arc<str>) {
        (topic.into(), super::open::physical_name(&self.topics, topic).into())
    }

    fn known(&self, topic: &str) -> Option<Arc<Topic>> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner).get(topic).cloned()
    }

    fn keep(&self, topic: Topic) -> Arc<Topic> {
        let topic = Arc::new(topic);
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        found.insert(topic.name.to_string(), topic.clone());
        topic
    }

    async fn ask<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Connection) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, TransportError> {
        self.store.database.read(job).await.map_err(|error| failure(&self.name, error))
    }
}

#[async_trait]
impl Transport for Log {
    async fn source(&self, subscription: &Subscription) -> Result<Box<dyn Source>, TransportError> {
        let parts = source::Parts {
            transport: self.name.clone(),
            store: self.store.clone(),
            topic: self.find_or_create(&subscription.topic).await?,
            subscription: subscription.clone(),
            clock: self.clock.clone(),
        };
        Ok(Box::new(source::LogSource::new(parts)?))
    }

    async fn sink(&self, topic: &str) -> Result<Arc<dyn Sink>, TransportError> {
        let topic = self.find_or_create(topic).await?;
        Ok(Arc::new(sink::LogSink::new(self.store.clone(), topic, self.clock.clone())))
    }

    async fn topics(&self) -> Result<Vec<TopicInfo>, TransportError> {
        let topics = self.ask(topics::all).await?;
        Ok(super::open::named_as_in_the_spec(&self.topics, topics))
    }

    async fn checkpoints(&self, topic: &str, group: &str) -> Result<Vec<(u32, Checkpoint)>, TransportError> {
        let topic = self.find(topic).await?;
        let group = group.to_owned();
        self.ask(move |connection| {
            let Some(number) = checkpoints::group(connection, &group)? else { return Ok(Vec::new()) };
            let stored = (0..topic.partitions()).filter_map(|partition| {
                let stored = checkpoints::stored(connection, &topic, (number, &group), partition).transpose()?;
                Some(stored.map(|checkpoint| (partition, checkpoint)))
            });
            stored.collect()
        })
        .await
    }

    async fn read(&self, partition: &Partition, from: Position, max: usize) -> Result<Vec<Message>, TransportError> {
        let topic = self.find(&partition.topic).await?;
        if topic.log(partition.index).is_none() {
            return Err(TransportError::UnknownPartition {
                topic: topic.name.clone(),
                partition: partition.index,
                partitions: topic.partitions(),
            });
        }
        let room = Room { messages: max.min(LOOK), bytes: LOOK_BYTES };
        let (transport, partition) = (self.name.clone(), partition.clone());
        self.ask(move |connection| {
            let bounds = topics::bounds(connection, topic.id)?;
            let index = usize::try_from(partition.index).unwrap_or(usize::MAX);
            let first = bounds.get(index).map_or(0, |bounds: &PartitionInfo| bounds.first);
            messages::read(connection, &Range { transport, topic, partition, from: from.0.max(first), room })
        })
        .await
    }
}

/// What a failure of the database means to a caller.
fn failure(transport: &Arc<str>, error: Error) -> TransportError {
    let transport = transport.clone();
    match error {
        Error::Unavailable(reason) => TransportError::Unavailable { transport, reason },
        Error::Damaged(reason) => TransportError::Damaged { transport, reason },
    }
}

#[cfg(test)]
mod tests;
