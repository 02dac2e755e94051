//! What the sink does beside what its contract says.

use std::sync::Arc;

use rdkafka::config::FromClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};

use super::cluster::{client, config, kafka, make, name, record};
use crate::model::{Partition, Position, Record};
use crate::transport::kafka::config::{Compression, Config, GroupProtocol};
use crate::transport::{Transport, WriteError, Written};

const CLASSIC: GroupProtocol = GroupProtocol::Classic;

/// Java's `Utils.toPositive(Utils.murmur2(key)) % partitions`, computed with its client for eight partitions.
#[tokio::test]
#[ignore = "needs a broker"]
async fn keys_go_where_the_java_client_puts_them() {
    let topic = name("keys");
    make(&topic, 8, &[]).await;
    let sink = kafka(&config(CLASSIC)).sink(&topic).await.unwrap();
    let keys = ["a", "claim-4711", "21", "foobar", "lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8"];
    // murmur2 of Kafka's own test of it: 21 -> -973932308, foobar -> -790332482, the long one -> -58897971.
    let positive = |hash: i32| u32::try_from((hash & 0x7fff_ffff) % 8).unwrap();
    for (key, hash) in keys.iter().skip(2).zip([-973_932_308, -790_332_482, -58_897_971]) {
        let record = Record { key: Some((*key).into()), ..Record::default() };
        assert_eq!(sink.write(vec![record]).await.remove(0).unwrap().unwrap().partition, positive(hash), "{key}");
    }
    for key in keys.iter().take(2) {
        let write = || Record { key: Some((*key).into()), ..Record::default() };
        let (one, again) = (sink.write(vec![write()]).await, sink.write(vec![write()]).await);
        let partition =
            |answers: &[Result<Option<Written>, WriteError>]| answers[0].as_ref().unwrap().unwrap().partition;
        assert_eq!(partition(&one), partition(&again));
    }
}

/// An idempotent producer that lost track of what was written writes nothing any more: what it had is tried again, by
/// another one.
#[tokio::test]
#[ignore = "needs a broker"]
async fn a_producer_that_met_a_fatal_error_is_replaced() {
    let topic = name("fatal");
    make(&topic, 1, &[]).await;
    let transport = kafka(&config(CLASSIC));
    let sink = transport.sink(&topic).await.unwrap();
    assert!(sink.write(vec![record(0, "before")]).await.remove(0).is_ok());
    let admin = transport.0.admin().unwrap();
    let largest = crate::transport::kafka::topics::largest(&admin, &topic).await;
    let producer = transport.0.producer(largest).unwrap();
    let records = || (0..1000).map(|number| record(0, format!("{number}"))).collect::<Vec<_>>();
    let (answers, ()) = tokio::join!(sink.write(records()), async { producer.die() });
    assert!(producer.is_dead());
    let fails = |answer: &Result<_, WriteError>| matches!(answer, Err(WriteError::Unavailable { .. }));
    assert!(answers.iter().all(|answer| answer.is_ok() || fails(answer)), "{answers:?}");
    assert!(fails(answers.last().unwrap()), "the producer died before it had written all: {:?}", answers.last());
    let again = sink.write(records()).await;
    assert!(again.iter().all(Result::is_ok), "{:?}", again.iter().find(|answer| answer.is_err()));
    assert!(!Arc::ptr_eq(&producer, &transport.0.producer(largest).unwrap()));
}

/// Too large for the topic: that record is refused, and the next one is written.
#[tokio::test]
#[ignore = "needs a broker"]
async fn a_record_that_is_too_large_is_refused_and_no_other_is() {
    let topic = name("small");
    make(&topic, 1, &[("max.message.bytes", "10000")]).await;
    let sink = kafka(&config(CLASSIC)).sink(&topic).await.unwrap();
    let sizes = [10, 20_000, 9_000, 9_000, 9_000];
    // What cannot be compressed is as large as it looks.
    let noise = |size: usize| (0..size).map(|_| rand::random::<u8>()).collect::<Vec<u8>>();
    let answers = sink.write(sizes.map(|size| record(0, noise(size))).to_vec()).await;
    let refused: Vec<bool> = answers.iter().map(|answer| matches!(answer, Err(WriteError::Refused { .. }))).collect();
    assert_eq!(refused, [false, true, false, false, false], "{answers:?}");
    assert!(answers.iter().filter(|answer| answer.is_ok()).count() == 4, "{answers:?}");
}

/// The topic takes less than when it was opened.
#[tokio::test]
#[ignore = "needs a broker"]
async fn a_topic_that_takes_less_than_it_did_is_seen() {
    let topic = name("shrinks");
    make(&topic, 1, &[]).await;
    let transport = kafka(&config(CLASSIC));
    let sink = transport.sink(&topic).await.unwrap();
    let admin = transport.0.admin().unwrap();
    let resource = rdkafka::admin::ResourceSpecifier::Topic(&topic);
    let smaller = rdkafka::admin::AlterConfig::new(resource).set("max.message.bytes", "10000");
    admin.alter_configs([&smaller], &rdkafka::admin::AdminOptions::new()).await.unwrap().remove(0).unwrap();
    let noise = |size: usize| record(0, (0..size).map(|_| rand::random::<u8>()).collect::<Vec<u8>>());
    // The broker hears of it a moment after it was said.
    let deadline = tokio::time::Instant::now() + super::cluster::PATIENCE;
    loop {
        match sink.write(vec![noise(50_000)]).await.remove(0) {
            Err(WriteError::Refused { .. }) => break,
            answer => assert!(answer.is_ok() && tokio::time::Instant::now() < deadline, "{answer:?}"),
        }
    }
    assert!(sink.write(vec![noise(5_000)]).await.remove(0).is_ok());
}

#[tokio::test]
#[ignore = "needs a broker"]
async fn records_are_compressed_as_it_is_said() {
    for compression in [Compression::Zstd, Compression::Lz4, Compression::None] {
        let topic = name("compressed");
        make(&topic, 1, &[]).await;
        let transport = kafka(&Config { compression, ..config(CLASSIC) });
        let sink = transport.sink(&topic).await.unwrap();
        sink.write(vec![record(0, vec![b'x'; 100_000])]).await.remove(0).unwrap();
        let read = transport.read(&Partition::new(topic.as_str(), 0), Position(0), 1).await.unwrap();
        assert_eq!(read[0].payload, vec![b'x'; 100_000], "{compression:?}");
    }
}

/// A tombstone of another client is a message without a payload.
#[tokio::test]
#[ignore = "needs a broker"]
async fn a_message_without_a_payload_comes() {
    use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
    let topic = super::cluster::one_partition().await;
    let producer = BaseProducer::from_config(&client()).unwrap();
    producer.send(BaseRecord::<str, str>::to(&topic).key("k")).unwrap();
    tokio::task::spawn_blocking(move || producer.flush(super::cluster::PATIENCE).unwrap()).await.unwrap();
    let transport = kafka(&config(CLASSIC));
    let read = transport.read(&Partition::new(topic.as_str(), 0), Position(0), 1).await.unwrap();
    assert_eq!((read[0].key.as_deref(), read[0].payload.len()), (Some(&b"k"[..]), 0));
    let asker: BaseConsumer = BaseConsumer::from_config(&client()).unwrap();
    let ends = tokio::task::spawn_blocking(move || asker.fetch_watermarks(&topic, 0, super::cluster::PATIENCE));
    assert_eq!(ends.await.unwrap().unwrap(), (0, 1));
}
