//! What all that reads and writes on one cluster shares: its settings, a client that asks, and its producers.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};

use rdkafka::admin::AdminClient;
use rdkafka::config::FromClientConfigAndContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, KafkaResult};
use tokio::sync::Notify;

use super::client::{Plain, Trouble};
use super::config::Config;
use super::look::Look;
use super::member::{self, Member};
use super::native::Closing;
use super::producer::Producer;
use super::properties::Properties;
use super::topics;
use crate::model::{Clock, Secrets};
use crate::transport::TransportError;
use crate::transport::config::Topic;

/// A cluster. Opens connections when something is asked of it.
pub(super) struct Cluster {
    /// The transport's name in the spec.
    pub(super) name: Arc<str>,
    pub(super) config: Config,
    pub(super) clock: Clock,
    pub(super) topics: BTreeMap<String, Topic>,
    pub(super) look: Look,
    properties: Properties,
    asker: OnceLock<Arc<Closing<Plain>>>,
    admin: OnceLock<Arc<AdminClient<Plain>>>,
    /// One for each size that topics take at most: commonly one for all.
    producers: Mutex<BTreeMap<u64, Weak<Producer>>>,
}

impl Cluster {
    pub(super) fn new(
        name: &str,
        config: &Config,
        topics: BTreeMap<String, Topic>,
        clock: Clock,
        secrets: &Secrets,
    ) -> Result<Self, String> {
        let properties = Properties::new(config, secrets)?;
        Ok(Self {
            name: name.into(),
            config: config.clone(),
            clock,
            topics,
            look: Look::new(properties.clone()),
            properties,
            asker: OnceLock::new(),
            admin: OnceLock::new(),
            producers: Mutex::default(),
        })
    }

    /// A member of a group that reads a topic, and the client that reads for it.
    pub(super) fn clients(
        &self,
        topic: &str,
        group: &str,
        wake: &Arc<Notify>,
    ) -> KafkaResult<(Arc<Member>, Arc<Closing<Plain>>)> {
        let reader = self.properties.reader(group);
        let plain = Plain { trouble: Trouble::waking(wake.clone()) };
        let mut reader = BaseConsumer::from_config_and_context(&reader, plain)?;
        let waker = wake.clone();
        reader.set_nonempty_callback(move || waker.notify_one());
        let member = member::join(&self.properties.member(group, topic), topic, wake)?;
        #[cfg(test)]
        super::kafka_broker_tests::remember(topic, group, &member);
        Ok((member, Arc::new(Closing::new(reader))))
    }

    /// The client that asks.
    pub(super) fn asker(&self) -> KafkaResult<Arc<Closing<Plain>>> {
        if let Some(asker) = self.asker.get() {
            return Ok(asker.clone());
        }
        let asker = BaseConsumer::from_config_and_context(&self.properties.asker(), Plain::default())?;
        Ok(self.asker.get_or_init(|| Arc::new(Closing::new(asker))).clone())
    }

    /// Whether the cluster knows a topic; says why not. Blocks for as long as one waits for a broker.
    pub(super) fn answers(&self, topic: &str) -> Result<(), String> {
        match self.ask(|asker| topics::partitions(asker, topic)) {
            Ok(Some(_)) => Ok(()),
            Ok(None) => Err(format!("topic `{topic}` is not there any more")),
            Err(error) => Err(error),
        }
    }

    /// Asks, and explains where no answer comes. Blocks.
    pub(super) fn ask<T>(&self, question: impl Fn(&BaseConsumer<Plain>) -> KafkaResult<T>) -> Result<T, String> {
        let asker = self.asker().map_err(|error| error.to_string())?;
        // Its callbacks, which say what is wrong, come by its queue.
        let hear = || drop(asker.poll(std::time::Duration::ZERO));
        hear();
        question(&asker).map_err(|error| {
            hear();
            asker.context().trouble.explain(&error)
        })
    }

    /// What topics are made and described with.
    pub(super) fn admin(&self) -> KafkaResult<Arc<AdminClient<Plain>>> {
        if let Some(admin) = self.admin.get() {
            return Ok(admin.clone());
        }
        let admin = AdminClient::from_config_and_context(&self.properties.asker(), Plain::default())?;
        Ok(self.admin.get_or_init(|| Arc::new(admin)).clone())
    }

    /// The producer for topics that take so many bytes at most.
    pub(super) fn producer(&self, largest: u64) -> KafkaResult<Arc<Producer>> {
        let mut producers = self.producers.lock().unwrap_or_else(PoisonError::into_inner);
        let known = producers.get(&largest).and_then(Weak::upgrade).filter(|producer| !producer.is_dead());
        if let Some(producer) = known {
            return Ok(producer);
        }
        let producer = Arc::new(Producer::new(&self.properties.producer(largest))?);
        producers.retain(|_, producer| producer.strong_count() > 0);
        producers.insert(largest, Arc::downgrade(&producer));
        Ok(producer)
    }

    /// The most bytes of a record that a producer has room for.
    pub(super) fn producer_queue(&self) -> u64 {
        self.properties.producer_queue()
    }

    /// That the cluster cannot be asked now.
    pub(super) fn unavailable(&self, reason: impl Into<String>) -> TransportError {
        TransportError::Unavailable { transport: self.name.clone(), reason: reason.into() }
    }

    /// What a failed call means.
    pub(super) fn failed(&self, error: &KafkaError) -> TransportError {
        self.unavailable(super::client::plain(error))
    }
}
