//! As many clients as the host has for as many pipelines, with nothing to do: for each topic a member of a group, which
//! reads nothing, and a client that reads by assignment; and one producer for all.

use anyhow::{anyhow, bail};
use rdkafka::config::{FromClientConfig, FromClientConfigAndContext};
use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext};
use rdkafka::error::KafkaError;
use rdkafka::producer::FutureRecord;
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{ClientContext, Message, Offset, TopicPartitionList};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::PARTITIONS;
use super::plain::Idlers;
use super::runtime::{Consumer, Producer};
use super::settings;

/// Runs until its input has ended.
pub(super) async fn run(idlers: &Idlers, mut ended: watch::Receiver<bool>) -> anyhow::Result<()> {
    let Idlers { brokers, topics, to } = idlers;
    let producer = Producer::from_config(&settings::producer(brokers))?;
    let mut clients = JoinSet::new();
    for topic in topics {
        let group = format!("idle-{topic}");
        let member = Consumer::from_config_and_context(&settings::consumer(brokers, &group), Member)?;
        member.subscribe(&[topic])?;
        clients.spawn(async move { Err(never(member.recv().await.map(drop))) });
        let reader = Consumer::from_config(&settings::reader(brokers, &group))?;
        let mut partitions = TopicPartitionList::new();
        for partition in 0..PARTITIONS {
            partitions.add_partition_offset(topic, partition, Offset::Beginning)?;
        }
        reader.assign(&partitions)?;
        clients.spawn(hand_on(reader, producer.clone(), to.clone()));
    }
    tokio::select! {
        biased;
        _ = ended.changed() => Ok(()),
        Some(client) = clients.join_next() => client?,
    }
}

async fn hand_on(reader: Consumer, producer: Producer, to: String) -> anyhow::Result<()> {
    loop {
        let message = reader.recv().await?;
        let record: FutureRecord<'_, (), [u8]> = FutureRecord::to(&to).payload(message.payload().unwrap_or_default());
        let sent = producer.send_result(record).map_err(|(error, _)| anyhow!("cannot produce: {error}"))?;
        if let Err((error, _)) = sent.await? {
            bail!("not delivered: {error}");
        }
    }
}

/// What a member says, though it is to say nothing.
fn never(said: Result<(), KafkaError>) -> anyhow::Error {
    match said {
        Ok(()) => anyhow!("a member that reads nothing was given a message"),
        Err(error) => error.into(),
    }
}

/// Agrees to whatever the group asks, and takes nothing.
struct Member;

impl ClientContext for Member {}

impl ConsumerContext for Member {
    fn rebalance(&self, member: &BaseConsumer<Self>, kind: RDKafkaRespErr, _: &mut TopicPartitionList) {
        let nothing = TopicPartitionList::new();
        let answered = match kind {
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS => member.incremental_assign(&nothing),
            _ => member.incremental_unassign(&nothing),
        };
        if let Err(error) = answered {
            eprintln!("a rebalance was not answered: {error}");
        }
    }
}
