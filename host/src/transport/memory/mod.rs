//! A transport in this process's memory, for tests and trials. Nothing survives the process, and writers wait for
//! nobody. It can be told to fail, and to take partitions away, which the others do only by themselves.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use super::config::Topic as TopicConfig;
use super::{Sink, Source, Subscription, TopicInfo, Transport, TransportError};
use crate::model::{Checkpoint, Clock, Message, Partition, Position};
use state::State;

mod faults;
mod group;
mod sink;
mod source;
mod state;

/// The shape of `memory:` in the spec: nothing to set.
#[derive(Clone, PartialEq, Eq, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {}

/// Topics in this process's memory. Clones share them.
#[derive(Clone)]
pub struct Memory(Arc<Shared>);

struct Shared {
    name: Arc<str>,
    topics: BTreeMap<String, TopicConfig>,
    clock: Clock,
    state: Mutex<State>,
    /// Told whenever the state has changed.
    changed: watch::Sender<()>,
}

impl Memory {
    /// No topics yet; they are made on first use.
    pub fn new(name: &str, topics: BTreeMap<String, TopicConfig>, clock: Clock) -> Self {
        let changed = watch::Sender::new(());
        Self(Arc::new(Shared { name: name.into(), topics, clock, state: Mutex::default(), changed }))
    }

    fn look<T>(&self, topic: &str, look: impl FnOnce(&state::Topic) -> T) -> Result<T, TransportError> {
        let unknown = || TransportError::UnknownTopic { transport: self.0.name.clone(), topic: topic.to_owned() };
        self.0.state().topics.get(&self.0.physical(topic)).map(look).ok_or_else(unknown)
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the state, and wakes who waits for that.
    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let value = change(&mut self.state());
        self.changed.send_replace(());
        value
    }

    fn physical(&self, topic: &str) -> Arc<str> {
        super::open::physical_name(&self.topics, topic).into()
    }

    /// Makes a topic where missing; says how many partitions it has.
    fn make(&self, topic: &str) -> u32 {
        self.change(|state| state.topic(&self.physical(topic), self.topics.get(topic)).partitions())
    }
}

#[async_trait]
impl Transport for Memory {
    async fn source(&self, subscription: &Subscription) -> Result<Box<dyn Source>, TransportError> {
        self.0.make(&subscription.topic);
        Ok(Box::new(source::MemorySource::new(self.0.clone(), subscription.clone())))
    }

    async fn sink(&self, topic: &str) -> Result<Arc<dyn Sink>, TransportError> {
        let partitions = self.0.make(topic);
        Ok(Arc::new(sink::MemorySink::new(self.0.clone(), topic, partitions)))
    }

    async fn topics(&self) -> Result<Vec<TopicInfo>, TransportError> {
        let bounds = |topic: &state::Topic| topic.logs.iter().map(state::Log::bounds).collect();
        let topics = self.0.state().topics.iter().map(|(name, topic)| (name.to_string(), bounds(topic))).collect();
        Ok(super::open::named_as_in_the_spec(&self.0.topics, topics))
    }

    async fn checkpoints(&self, topic: &str, group: &str) -> Result<Vec<(u32, Checkpoint)>, TransportError> {
        self.look(topic, |topic| {
            let group = topic.groups.get(group);
            group.iter().flat_map(|group| (0..).zip(group.checkpoints.iter().cloned())).collect()
        })
    }

    async fn read(&self, partition: &Partition, from: Position, max: usize) -> Result<Vec<Message>, TransportError> {
        self.look(&partition.topic, |topic| {
            let unknown = || TransportError::UnknownPartition {
                topic: partition.topic.clone(),
                partition: partition.index,
                partitions: topic.partitions(),
            };
            let log = topic.log(partition.index).ok_or_else(unknown)?;
            Ok(log.from(from.0).take(max).map(|message| state::named(message, &partition.topic)).collect())
        })?
    }
}

#[cfg(test)]
mod tests;
