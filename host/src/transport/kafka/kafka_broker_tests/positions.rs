//! Where groups begin, and positions that are gone.

use super::cluster::{
    ALL, Reader, config, delete, forget, grow, kafka, make, nothing, one_partition, record, subscription, write,
};
use crate::model::{Checkpoint, Position, Timestamp};
use crate::transport::kafka::config::GroupProtocol;
use crate::transport::{Commit, OnLostPosition, Rooms, SourceEvent, Start, Transport, TransportError};

const CLASSIC: GroupProtocol = GroupProtocol::Classic;

#[tokio::test]
#[ignore = "needs a broker"]
async fn a_group_may_begin_at_a_time() {
    let topic = one_partition().await;
    let transport = kafka(&config(CLASSIC));
    let sink = transport.sink(&topic).await.unwrap();
    write(&*sink, 5).await;
    let all = transport.read(&crate::model::Partition::new(topic.as_str(), 0), Position(0), 5).await.unwrap();
    let last = all[4].origin.enqueued;
    let first_so_late = all.iter().position(|message| message.origin.enqueued >= last).unwrap();
    let at = |time| subscription(&topic, Start::At(time), OnLostPosition::Fail);
    let mut reader = Reader::open(&transport, &at(last)).await;
    assert_eq!(reader.offsets(1).await[0], i64::try_from(first_so_late).unwrap());
    // No message is so late: the group begins with the next one.
    let mut future = at(Timestamp(last.0 + 3_600_000));
    future.group = "another".into();
    let mut reader = Reader::open(&transport, &future).await;
    assert_eq!(reader.batch().await.lag, 0);
    write(&*sink, 1).await;
    assert_eq!(reader.offsets(1).await, [5]);
}

/// Nobody was there to read them when they came.
async fn later_partitions_are_read_from_their_beginning(protocol: GroupProtocol) {
    let (topic, kafka) = (one_partition().await, kafka(&config(protocol)));
    write(&*kafka.sink(&topic).await.unwrap(), 3).await;
    let mut reader = Reader::open(&kafka, &subscription(&topic, Start::Latest, OnLostPosition::Fail)).await;
    while reader.assignments.is_empty() {
        reader.event(nothing()).await;
    }
    grow(&topic, 2).await;
    let records = (0..3).map(|number: u8| record(1, vec![number])).collect();
    let wrote = kafka.sink(&topic).await.unwrap().write(records).await;
    assert!(wrote.iter().all(Result::is_ok), "{wrote:?}");
    let mut read = Vec::new();
    while read.len() < 3 {
        let batch = reader.batch().await;
        read.extend(batch.messages.iter().map(|it| (it.origin.partition.index, it.origin.position.0)));
    }
    assert_eq!(read, [(1, 0), (1, 1), (1, 2)]);
}

#[tokio::test]
#[ignore = "needs a broker"]
async fn later_partitions_are_read_from_their_beginning_classic() {
    later_partitions_are_read_from_their_beginning(GroupProtocol::Classic).await;
}

#[tokio::test]
#[ignore = "needs a broker"]
async fn later_partitions_are_read_from_their_beginning_consumer() {
    later_partitions_are_read_from_their_beginning(GroupProtocol::Consumer).await;
}

/// Removes what a running group has not read, and says how it then goes on.
async fn loses(on_lost_position: OnLostPosition) -> Result<Vec<i64>, TransportError> {
    let topic = one_partition().await;
    let transport = kafka(&config(CLASSIC));
    let sink = transport.sink(&topic).await.unwrap();
    write(&*sink, 1).await;
    let mut reader = Reader::open(&transport, &subscription(&topic, Start::Earliest, on_lost_position)).await;
    reader.offsets(1).await;
    let Some(assignment) = reader.assignments.get(&0).cloned() else { panic!("no assignment") };
    let commit =
        Commit { partition: assignment.partition, epoch: assignment.epoch, checkpoint: Checkpoint::plain(Position(0)) };
    reader.source.commit(vec![commit]).await.unwrap();
    drop(reader);
    write(&*sink, 9).await;
    forget(&topic, 0, 5).await;
    let mut reader = Reader::open(&transport, &subscription(&topic, Start::Earliest, on_lost_position)).await;
    if on_lost_position == OnLostPosition::Fail {
        return Err(reader.failure().await);
    }
    while reader.assignments.is_empty() {
        reader.event(&Rooms::default()).await;
    }
    write(&*sink, 1).await;
    let count = if on_lost_position == OnLostPosition::Latest { 1 } else { 6 };
    Ok(reader.offsets(count).await)
}

#[tokio::test]
#[ignore = "needs a broker"]
async fn a_position_that_is_gone_is_treated_as_it_is_said() {
    assert_eq!(loses(OnLostPosition::Earliest).await, Ok(vec![5, 6, 7, 8, 9, 10]));
    assert_eq!(loses(OnLostPosition::Latest).await, Ok(vec![10]));
    let lost = loses(OnLostPosition::Fail).await;
    let expected = (Position(1), Position(4));
    assert!(
        matches!(&lost, Err(TransportError::LostPosition { from, to, .. }) if (*from, *to) == expected),
        "{lost:?}"
    );
}

/// What stands in a new topic of the same name is not what was settled.
#[tokio::test]
#[ignore = "needs a broker"]
async fn a_topic_that_was_made_anew_is_not_taken_for_the_old_one() {
    let topic = one_partition().await;
    let transport = kafka(&config(CLASSIC));
    write(&*transport.sink(&topic).await.unwrap(), 10).await;
    let mut reader = Reader::of(&transport, &topic).await;
    reader.offsets(10).await;
    let assignment = reader.assignments[&0].clone();
    let commit =
        Commit { partition: assignment.partition, epoch: assignment.epoch, checkpoint: Checkpoint::plain(Position(9)) };
    reader.source.commit(vec![commit]).await.unwrap();
    drop((reader, transport));
    // Deleting a topic deletes its groups' offsets, so another group keeps the checkpoint: by hand.
    let group = format!("{topic}-group");
    delete(&topic).await;
    until_gone(&topic).await;
    make(&topic, 1, &[]).await;
    let transport = kafka(&config(CLASSIC));
    write(&*transport.sink(&topic).await.unwrap(), 2).await;
    commit_as_another_client(&topic, &group, 10).await;
    let mut reader = Reader::of(&transport, &topic).await;
    let failure = reader.failure().await;
    assert!(matches!(failure, TransportError::BeyondEnd { .. }), "{failure}");
    drop(reader);
    let again = subscription(&topic, Start::Earliest, OnLostPosition::Earliest);
    let mut reader = Reader::open(&transport, &again).await;
    // Known once the broker has refused to read there: then it is begun anew, and stays so.
    let demand = Rooms([(crate::model::Partition::new(topic.as_str(), 0), ALL)].into());
    while !matches!(reader.event(&demand).await, SourceEvent::Lost(_)) {}
    assert_eq!(reader.offsets(2).await, [0, 1]);
    drop(reader);
    let mut reader = Reader::of(&transport, &topic).await;
    assert_eq!(reader.offsets(2).await, [0, 1]);
}

/// A client that reads what is not committed has come further than the end of what is.
#[tokio::test]
#[ignore = "needs a broker"]
async fn a_position_within_an_open_transaction_is_not_taken_for_one_of_another_topic() {
    use rdkafka::config::FromClientConfig;
    use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
    let topic = one_partition().await;
    let transport = kafka(&config(CLASSIC));
    let mut settings = super::cluster::client();
    settings.set("transactional.id", &topic);
    let of = topic.clone();
    let writer = tokio::task::spawn_blocking(move || {
        let writer: BaseProducer = BaseProducer::from_config(&settings).unwrap();
        writer.init_transactions(super::cluster::PATIENCE).unwrap();
        writer.begin_transaction().unwrap();
        for payload in ["a", "b"] {
            writer.send(BaseRecord::<(), str>::to(&of).payload(payload).partition(0)).unwrap();
        }
        writer.flush(super::cluster::PATIENCE).unwrap();
        writer
    });
    let writer = writer.await.unwrap();
    commit_as_another_client(&topic, &format!("{topic}-group"), 2).await;
    let mut reader = Reader::of(&transport, &topic).await;
    assert_eq!(reader.batch().await.lag, 0);
    let done = tokio::task::spawn_blocking(move || writer.commit_transaction(super::cluster::PATIENCE));
    done.await.unwrap().unwrap();
    write(&*transport.sink(&topic).await.unwrap(), 1).await;
    assert_eq!(reader.offsets(1).await, [3], "behind the two messages and the mark of their transaction");
}

async fn until_gone(topic: &str) {
    let transport = kafka(&config(CLASSIC));
    while transport.topics().await.unwrap().iter().any(|info| info.name == topic) {
        tokio::task::yield_now().await;
    }
}

async fn commit_as_another_client(topic: &str, group: &str, offset: i64) {
    use rdkafka::config::FromClientConfig;
    use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
    use rdkafka::{Offset, TopicPartitionList};
    let mut settings = super::cluster::client();
    settings.set("group.id", group).set("enable.auto.commit", "false");
    let client: BaseConsumer = BaseConsumer::from_config(&settings).unwrap();
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(topic, 0, Offset::Offset(offset)).unwrap();
    // The group may not be empty yet: its last member is just leaving.
    let deadline = tokio::time::Instant::now() + super::cluster::PATIENCE;
    tokio::task::spawn_blocking(move || {
        while let Err(error) = client.commit(&list, CommitMode::Sync) {
            assert!(tokio::time::Instant::now() < deadline, "{error}");
        }
    })
    .await
    .unwrap();
}

/// Retention overtakes a group that reads.
#[tokio::test]
#[ignore = "needs a broker"]
async fn what_goes_while_a_group_waits_is_an_error_where_nothing_else_is_said() {
    let topic = one_partition().await;
    let transport = kafka(&config(CLASSIC));
    let sink = transport.sink(&topic).await.unwrap();
    let subscription = subscription(&topic, Start::Earliest, OnLostPosition::Fail);
    let small = super::cluster::with(
        config(CLASSIC),
        &[("queued.max.messages.kbytes", "1"), ("fetch.message.max.bytes", "1024")],
    );
    let mut reader = Reader::open(&kafka(&small), &subscription).await;
    while reader.assignments.is_empty() {
        reader.event(&Rooms::default()).await;
    }
    // More than is read ahead: 200 batches of their own.
    for _ in 0..200 {
        sink.write(vec![super::cluster::record(0, vec![b'x'; 10_000])]).await.remove(0).unwrap();
    }
    forget(&topic, 0, 200).await;
    let failure = reader.failure().await;
    assert!(matches!(failure, TransportError::LostPosition { .. }), "{failure}");
    assert!(!matches!(reader.event(&Rooms::default()).await, SourceEvent::Assigned(_)));
}
