//! Many partitions and many messages, in bounded memory.

use rdkafka::config::FromClientConfig;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};

use super::cluster::{ALL, PATIENCE, Reader, client, config, kafka, make, name};
use crate::transport::kafka::config::GroupProtocol;
use crate::transport::{Room, SourceEvent};

const PARTITIONS: i32 = 50;
const MESSAGES: usize = 1_000_000;

fn fill(topic: &str) {
    let mut settings = client();
    settings.set("linger.ms", "50").set("queue.buffering.max.messages", "100000");
    let producer = BaseProducer::from_config(&settings).unwrap();
    for number in 0..MESSAGES {
        let payload = number.to_string();
        let partition = i32::try_from(number).unwrap() % PARTITIONS;
        let mut record = BaseRecord::<str, str>::to(topic).partition(partition).payload(&payload);
        while let Err((error, back)) = producer.send(record) {
            assert!(matches!(error, KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull)), "{error}");
            record = back;
            producer.poll(std::time::Duration::from_millis(10));
        }
    }
    producer.flush(PATIENCE).unwrap();
}

/// Resident memory of this process, in bytes.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() << 10
}

#[tokio::test]
#[ignore = "needs a broker"]
async fn a_million_messages_in_fifty_partitions_are_joined_read_and_drained_in_bounded_memory() {
    let topic = name("million");
    make(&topic, PARTITIONS, &[]).await;
    let of = topic.clone();
    tokio::task::spawn_blocking(move || fill(&of)).await.unwrap();
    let mut reader = Reader::of(&kafka(&config(GroupProtocol::Classic)), &topic).await;
    let (mut came, mut least, mut most) = (0, u64::MAX, 0);
    while came < MESSAGES {
        let demand = reader.demand(Room { messages: 1000, ..ALL });
        if let SourceEvent::Messages(batch) = reader.event(&demand).await {
            came += batch.messages.len();
            if came % 1000 == 0 {
                (least, most) = (least.min(resident()), most.max(resident()));
            }
        }
    }
    assert_eq!(came, MESSAGES);
    // Other tests run in this process too; all messages together would be some hundred MiB.
    assert!(most < 600 << 20, "{} MiB", most >> 20);
    assert!(least <= most);
}
