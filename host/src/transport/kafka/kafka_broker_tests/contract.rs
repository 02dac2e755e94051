//! The contract suite, under both group protocols.

use std::sync::Arc;

use async_trait::async_trait;

use super::cluster::{config, forget, kafka, make, name};
use super::wire;
use crate::model::{Checkpoint, Message, Partition, Position};
use crate::transport::contract::{PARTITIONS, Subject};
use crate::transport::kafka::Kafka;
use crate::transport::kafka::config::GroupProtocol;
use crate::transport::{Sink, Source, Subscription, TopicInfo, Transport, TransportError};

/// Facts use the same names of groups; here a group belongs to its topic, so that they know nothing of each other.
struct Apart(Kafka);

fn group(topic: &str, group: &str) -> String {
    format!("{topic}-{group}")
}

#[async_trait]
impl Transport for Apart {
    async fn source(&self, subscription: &Subscription) -> Result<Box<dyn Source>, TransportError> {
        let group = group(&subscription.topic, &subscription.group).as_str().into();
        self.0.source(&Subscription { group, ..subscription.clone() }).await
    }

    async fn sink(&self, topic: &str) -> Result<Arc<dyn Sink>, TransportError> {
        self.0.sink(topic).await
    }

    async fn topics(&self) -> Result<Vec<TopicInfo>, TransportError> {
        self.0.topics().await
    }

    async fn checkpoints(&self, topic: &str, of: &str) -> Result<Vec<(u32, Checkpoint)>, TransportError> {
        self.0.checkpoints(topic, &group(topic, of)).await
    }

    async fn read(&self, partition: &Partition, from: Position, max: usize) -> Result<Vec<Message>, TransportError> {
        self.0.read(partition, from, max).await
    }
}

struct OnBroker(GroupProtocol);

#[async_trait]
impl Subject for OnBroker {
    async fn open(&self) -> Arc<dyn Transport> {
        Arc::new(Apart(kafka(&config(self.0))))
    }

    async fn topic(&self) -> String {
        let topic = name("contract");
        make(&topic, i32::try_from(PARTITIONS).unwrap(), &[("max.message.bytes", "8388608")]).await;
        topic
    }

    async fn break_reads(&self, topic: &str) {
        wire::deny_reading(topic).await;
    }

    async fn mend_reads(&self, topic: &str) {
        wire::allow_reading(topic).await;
    }

    async fn take_away(&self, topic: &str, of: &str) {
        wire::leave(self.0, topic, &group(topic, of)).await;
    }

    /// A member that was put out joins again by itself.
    async fn give_back(&self, _: &str, _: &str) {}

    async fn forget(&self, topic: &str, partition: u32, before: Position) {
        forget(topic, partition, before.0).await;
    }
}

mod classic {
    use super::*;

    crate::transport_contract!(
        #[ignore = "needs a broker"]
        OnBroker(GroupProtocol::Classic)
    );
}

mod consumer {
    use super::*;

    crate::transport_contract!(
        #[ignore = "needs a broker"]
        OnBroker(GroupProtocol::Consumer)
    );
}
