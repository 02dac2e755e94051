//! Offsets without messages: marks of transactions, and what compaction removed.

use std::time::Duration;

use rdkafka::config::FromClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};

use super::cluster::{Reader, client, config, kafka, make, name, one_partition};
use crate::model::{Position, Record};
use crate::transport::Transport;
use crate::transport::kafka::config::GroupProtocol;

const WAIT: Duration = Duration::from_secs(20);

/// Writes messages in transactions, each either committed or aborted.
fn transactions(topic: &str, ends: &[bool]) {
    let mut settings = client();
    settings.set("transactional.id", topic);
    let producer = BaseProducer::from_config(&settings).unwrap();
    producer.init_transactions(WAIT).unwrap();
    for commit in ends {
        producer.begin_transaction().unwrap();
        for number in 0..2 {
            let (key, payload) = (number.to_string(), format!("{commit}"));
            producer.send(BaseRecord::to(topic).key(&key).payload(&payload).partition(0)).unwrap();
        }
        producer.flush(WAIT).unwrap();
        if *commit { producer.commit_transaction(WAIT) } else { producer.abort_transaction(WAIT) }.unwrap();
    }
}

/// Until everything is passed: the last offset is a mark, which no message follows.
async fn passes_all(topic: &str, expected: &[i64], last: i64) {
    let mut reader = Reader::of(&kafka(&config(GroupProtocol::Classic)), topic).await;
    let mut offsets = Vec::new();
    loop {
        let batch = reader.batch().await;
        offsets.extend(batch.messages.iter().map(|message| message.origin.position.0));
        if batch.passed == Position(last) && batch.lag == 0 {
            break;
        }
    }
    assert_eq!(offsets, expected);
}

#[tokio::test]
#[ignore = "needs a broker"]
async fn marks_of_transactions_are_passed_and_aborted_messages_do_not_come() {
    let topic = one_partition().await;
    let of = topic.clone();
    tokio::task::spawn_blocking(move || transactions(&of, &[true, false, true])).await.unwrap();
    // Two messages and a mark each.
    passes_all(&topic, &[0, 1, 6, 7], 8).await;
}

#[tokio::test]
#[ignore = "needs a broker"]
async fn a_topic_that_ends_with_aborted_messages_is_known_to_be_read_to_its_end() {
    let topic = one_partition().await;
    let of = topic.clone();
    tokio::task::spawn_blocking(move || transactions(&of, &[true, false])).await.unwrap();
    passes_all(&topic, &[0, 1], 5).await;
}

#[tokio::test]
#[ignore = "needs a broker"]
async fn what_compaction_removed_is_passed() {
    let topic = name("compacted");
    let settings = [
        ("cleanup.policy", "compact"),
        ("min.cleanable.dirty.ratio", "0.001"),
        ("segment.ms", "100"),
        ("min.compaction.lag.ms", "0"),
        ("delete.retention.ms", "100"),
    ];
    make(&topic, 1, &settings).await;
    let transport = kafka(&config(GroupProtocol::Classic));
    let sink = transport.sink(&topic).await.unwrap();
    let record = || Record { key: Some("k".into()), payload: "x".into(), partition: Some(0), ..Record::default() };
    let partition = crate::model::Partition::new(topic.as_str(), 0);
    let deadline = tokio::time::Instant::now() + super::cluster::PATIENCE;
    let mut written: i64 = 0;
    // Only segments that are full are cleaned, and that by and by.
    let first = loop {
        assert!(tokio::time::Instant::now() < deadline, "nothing was compacted");
        sink.write(vec![record()]).await.remove(0).unwrap();
        written += 1;
        let kept = transport.read(&partition, Position(0), 1).await.unwrap();
        let first = kept[0].origin.position;
        if first > Position(0) {
            break first;
        }
    };
    assert!(first.0 < written);
    let mut reader = Reader::of(&transport, &topic).await;
    let batch = loop {
        let batch = reader.batch().await;
        if batch.lag == 0 {
            break batch;
        }
    };
    assert_eq!(batch.passed, Position(written - 1));
}
