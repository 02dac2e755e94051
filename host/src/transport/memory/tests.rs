use std::sync::atomic::{AtomicU32, Ordering};

use super::*;
use crate::model::{Period, Record, Size, Timestamp};
use crate::transport::config::{Create, Retention};
use crate::transport::contract::{PARTITIONS, Subject};
use crate::transport::{Assignment, OnLostPosition, Room, Rooms, SourceEvent, Start, WriteError};

struct InMemory {
    memory: Memory,
    topics: AtomicU32,
}

const EVERY: [u32; PARTITIONS as usize] = [0, 1, 2, 3];

#[async_trait]
impl Subject for InMemory {
    async fn open(&self) -> Arc<dyn Transport> {
        Arc::new(self.memory.clone())
    }

    async fn topic(&self) -> String {
        format!("topic-{}", self.topics.fetch_add(1, Ordering::Relaxed))
    }

    async fn break_reads(&self, topic: &str) {
        self.memory.fail_reads(topic, usize::MAX);
    }

    async fn mend_reads(&self, topic: &str) {
        self.memory.fail_reads(topic, 0);
    }

    async fn take_away(&self, topic: &str, group: &str) {
        self.memory.lose(topic, group, &EVERY);
    }

    async fn give_back(&self, topic: &str, group: &str) {
        self.memory.assign(topic, group, &EVERY);
    }

    async fn forget(&self, topic: &str, partition: u32, before: Position) {
        self.memory.forget(topic, partition, before.0);
    }
}

mod contract {
    use super::*;

    crate::transport_contract!(InMemory { memory: memory(BTreeMap::new()), topics: AtomicU32::new(0) });
}

fn memory(topics: BTreeMap<String, TopicConfig>) -> Memory {
    Memory::new("bus", topics, Clock::from_fn(|| Timestamp(1_000)))
}

fn subscription(on_lost_position: OnLostPosition) -> Subscription {
    Subscription { topic: "t".into(), group: "g".into(), start: Start::Earliest, on_lost_position }
}

async fn write(memory: &Memory, count: usize) -> Vec<Result<Option<crate::transport::Written>, WriteError>> {
    let sink = memory.sink("t").await.unwrap();
    sink.write(vec![Record { partition: Some(0), payload: "0123456789".into(), ..Record::default() }; count]).await
}

fn demand() -> Rooms {
    Rooms([(Partition::new("t", 0), Room { messages: 100, bytes: 1000 })].into())
}

/// The next event that is not news of the lag.
async fn event(source: &mut dyn Source) -> SourceEvent {
    loop {
        match source.next(&demand()).await {
            SourceEvent::Messages(batch) if batch.messages.is_empty() => {}
            event => return event,
        }
    }
}

#[tokio::test]
async fn partitions_that_are_asked_back_stay_until_the_reply() {
    let memory = memory(BTreeMap::new());
    let mut source = memory.source(&subscription(OnLostPosition::Fail)).await.unwrap();
    assert!(matches!(event(&mut *source).await, SourceEvent::Assigned(_)));
    memory.revoke("t", "g", &[0]);
    let SourceEvent::Revoked { partitions, reply } = event(&mut *source).await else { panic!("not revoked") };
    assert_eq!(partitions, [Partition::new("t", 0)]);
    write(&memory, 1).await;
    assert!(matches!(event(&mut *source).await, SourceEvent::Messages(_)), "still ours");
    reply.send(()).unwrap();
    write(&memory, 1).await;
    memory.assign("t", "g", &[0]);
    assert!(matches!(event(&mut *source).await, SourceEvent::Assigned(_)), "nothing came while it was away");
}

#[tokio::test]
async fn a_reply_that_is_dropped_lets_go() {
    let memory = memory(BTreeMap::new());
    let mut source = memory.source(&subscription(OnLostPosition::Fail)).await.unwrap();
    event(&mut *source).await;
    memory.revoke("t", "g", &[0]);
    drop(event(&mut *source).await);
    write(&memory, 1).await;
    memory.assign("t", "g", &[0]);
    assert!(matches!(event(&mut *source).await, SourceEvent::Assigned(_)));
}

#[tokio::test]
async fn a_late_reply_ends_only_the_assignment_that_was_asked_back() {
    let memory = memory(BTreeMap::new());
    let mut source = memory.source(&subscription(OnLostPosition::Fail)).await.unwrap();
    event(&mut *source).await;
    memory.revoke("t", "g", &[0]);
    let SourceEvent::Revoked { reply, .. } = event(&mut *source).await else { panic!("not revoked") };
    memory.lose("t", "g", &[0]);
    assert!(matches!(event(&mut *source).await, SourceEvent::Lost(_)));
    memory.assign("t", "g", &[0]);
    let SourceEvent::Assigned(again) = event(&mut *source).await else { panic!("not assigned") };
    reply.send(()).unwrap();
    // Nothing is to be told now, so that the reply is what is looked at.
    while futures::poll!(source.next(&demand())).is_ready() {}
    write(&memory, 1).await;
    let came = event(&mut *source).await;
    assert!(matches!(&came, SourceEvent::Messages(batch) if batch.messages.len() == 1), "{came:?}");
    let Assignment { partition, epoch, .. } = again[0].clone();
    let commit = crate::transport::Commit { partition, epoch, checkpoint: Checkpoint::plain(Position(0)) };
    assert_eq!(source.commit(vec![commit]).await, Ok(()));
}

#[tokio::test]
async fn partitions_that_are_kept_away_are_given_to_nobody_until_they_are_given_back() {
    let memory = memory(BTreeMap::new());
    let mut first = memory.source(&subscription(OnLostPosition::Fail)).await.unwrap();
    event(&mut *first).await;
    memory.lose("t", "g", &[0]);
    assert!(matches!(event(&mut *first).await, SourceEvent::Lost(_)));
    let mut second = memory.source(&subscription(OnLostPosition::Fail)).await.unwrap();
    // It joins, and asks for one of the three that are left; the first has heard of it then.
    while futures::poll!(second.next(&demand())).is_ready() {}
    let SourceEvent::Revoked { partitions, .. } = event(&mut *first).await else { panic!("not revoked") };
    assert_eq!(partitions, [Partition::new("t", 3)]);
    while futures::poll!(first.next(&demand())).is_ready() {}
    let own = |event: SourceEvent| match event {
        SourceEvent::Assigned(own) => own.into_iter().map(|own| own.partition.index).collect::<Vec<_>>(),
        event => panic!("{event:?}"),
    };
    assert_eq!(own(event(&mut *second).await), [3]);
    memory.assign("t", "g", &[0]);
    assert_eq!(own(event(&mut *second).await), [0], "the other one has two");
}

#[tokio::test]
async fn partitions_that_are_kept_away_come_back_with_the_next_source_of_an_empty_group() {
    let memory = memory(BTreeMap::new());
    let mut source = memory.source(&subscription(OnLostPosition::Fail)).await.unwrap();
    event(&mut *source).await;
    memory.revoke("t", "g", &[0]);
    drop(source);
    let mut source = memory.source(&subscription(OnLostPosition::Fail)).await.unwrap();
    let SourceEvent::Assigned(own) = event(&mut *source).await else { panic!("not assigned") };
    assert_eq!(own.len(), 4);
}

#[tokio::test]
async fn writes_and_commits_fail_when_told_to() {
    let memory = memory(BTreeMap::new());
    memory.fail_writes("t", Some("away"));
    assert!(matches!(write(&memory, 1).await[0], Err(WriteError::Unavailable { .. })));
    memory.fail_writes("t", None);
    memory.refuse_writes("t", Some("too odd"));
    assert!(matches!(write(&memory, 1).await[0], Err(WriteError::Refused { .. })));
    memory.refuse_writes("t", None);
    assert!(write(&memory, 1).await[0].is_ok());
    let mut source = memory.source(&subscription(OnLostPosition::Fail)).await.unwrap();
    event(&mut *source).await;
    memory.fail_commits("t", Some("away"));
    assert!(source.commit(Vec::new()).await.is_err());
    memory.fail_commits("t", None);
    assert!(source.commit(Vec::new()).await.is_ok());
}

#[tokio::test]
async fn messages_that_are_gone_are_told() {
    let memory = memory(BTreeMap::new());
    let mut source = memory.source(&subscription(OnLostPosition::Fail)).await.unwrap();
    event(&mut *source).await;
    write(&memory, 5).await;
    memory.forget("t", 0, 3);
    let (partition, from, to) = (Partition::new("t", 0), Position(0), Position(2));
    let lost = event(&mut *source).await;
    let expected = TransportError::LostPosition { partition, from, to };
    assert!(matches!(&lost, SourceEvent::Failed(error) if *error == expected), "{lost:?}");
    drop(source);
    let mut source = memory.source(&subscription(OnLostPosition::Earliest)).await.unwrap();
    event(&mut *source).await;
    let SourceEvent::Messages(batch) = event(&mut *source).await else { panic!("no messages") };
    assert_eq!(batch.messages[0].origin.position, Position(3));
}

#[tokio::test]
async fn old_messages_and_those_above_the_size_go() {
    let time = Arc::new(std::sync::atomic::AtomicU64::new(1_000));
    let retention = Retention { age: Some(Period::from_millis(500)), size: Some(Size(30)) };
    let create = Some(Create { retention, ..Create::default() });
    let topics = BTreeMap::from([("t".to_owned(), TopicConfig { name: Some("physical".into()), create, needs: None })]);
    let wall = time.clone();
    let memory = Memory::new("bus", topics, Clock::from_fn(move || Timestamp(wall.load(Ordering::Relaxed))));
    write(&memory, 5).await;
    let bounds = async || memory.topics().await.unwrap()[0].partitions[0];
    assert_eq!(bounds().await, crate::transport::PartitionInfo { first: 2, end: 5 });
    time.store(1_501, Ordering::Relaxed);
    write(&memory, 1).await;
    assert_eq!(bounds().await, crate::transport::PartitionInfo { first: 5, end: 6 });
    let names: Vec<_> = memory.topics().await.unwrap().into_iter().map(|topic| topic.name).collect();
    assert_eq!(names, ["physical", "t"]);
}

#[tokio::test]
async fn the_newest_message_stays_though_it_is_larger_than_its_topic_may_be() {
    let retention = Retention { age: None, size: Some(Size(5)) };
    let create = Some(Create { retention, ..Create::default() });
    let memory = memory(BTreeMap::from([("t".to_owned(), TopicConfig { create, ..TopicConfig::default() })]));
    write(&memory, 3).await;
    let bounds = memory.topics().await.unwrap()[0].partitions[0];
    assert_eq!(bounds, crate::transport::PartitionInfo { first: 2, end: 3 });
}
