//! Members of a group, and what becomes of their partitions.

use std::num::NonZeroU32;
use std::time::Duration;

use tokio::time::Instant;

use super::cluster::{
    ALL, PATIENCE, Reader, config, kafka, make, name, nothing, one_partition, record, subscription, with,
};
use crate::model::{Checkpoint, Position};
use crate::transport::kafka::config::{Config, GroupProtocol, Property};
use crate::transport::{Commit, CommitError, OnLostPosition, SourceEvent, Start, Subscription, Transport};

/// A reader that has all four partitions of a topic.
async fn owner(config: &Config, topic: &str) -> Reader {
    let mut reader = Reader::of(&kafka(config), topic).await;
    while reader.assignments.len() < 4 {
        reader.event(nothing()).await;
    }
    reader
}

/// Messages of the kept partitions come while those that were asked back are not given.
async fn kept_partitions_flow_while_others_drain(protocol: GroupProtocol) {
    let (topic, config) = (name("kept"), config(protocol));
    make(&topic, 4, &[]).await;
    let sink = kafka(&config).sink(&topic).await.unwrap();
    let mut owner = owner(&config, &topic).await;
    let mut other = Reader::of(&kafka(&config), &topic).await;
    let (asked, reply) = loop {
        let demand = owner.demand(ALL);
        tokio::select! {
            event = owner.event(&demand) => {
                if let SourceEvent::Revoked { partitions, reply } = event {
                    break (partitions, reply);
                }
            }
            _ = other.event(nothing()) => {}
        }
    };
    let kept: Vec<u32> = (0..4).filter(|index| asked.iter().all(|asked| asked.index != *index)).collect();
    // The reply is out: a rebalance is not answered all the while.
    for round in 0..20 {
        sink.write(kept.iter().map(|index| record(*index, round.to_string())).collect()).await;
        let mut came = 0;
        while came < kept.len() {
            let demand = owner.demand(ALL);
            tokio::select! {
                event = owner.event(&demand) => match event {
                    SourceEvent::Messages(batch) => came += batch.messages.len(),
                    event => panic!("{event:?}"),
                },
                event = other.event(nothing()) => {
                    assert!(!matches!(event, SourceEvent::Assigned(given) if !given.is_empty()));
                }
            }
        }
    }
    reply.send(()).unwrap();
    while other.assignments.len() < asked.len() {
        tokio::select! {
            _ = owner.event(nothing()) => {}
            _ = other.event(nothing()) => {}
        }
    }
}

#[tokio::test]
#[ignore = "needs a broker"]
async fn kept_partitions_flow_while_others_drain_classic() {
    kept_partitions_flow_while_others_drain(GroupProtocol::Classic).await;
}

#[tokio::test]
#[ignore = "needs a broker"]
async fn kept_partitions_flow_while_others_drain_consumer() {
    kept_partitions_flow_while_others_drain(GroupProtocol::Consumer).await;
}

/// A guest that is slow for longer than `max.poll.interval.ms` costs no partition: there is no demand, but the source is
/// polled.
#[tokio::test]
#[ignore = "needs a broker"]
async fn a_slow_guest_keeps_its_partitions() {
    let (topic, interval) = (one_partition().await, Duration::from_secs(2));
    let short =
        with(config(GroupProtocol::Classic), &[("session.timeout.ms", "1000"), ("max.poll.interval.ms", "2000")]);
    let sink = kafka(&short).sink(&topic).await.unwrap();
    super::cluster::write(&*sink, 1).await;
    let mut reader = Reader::of(&kafka(&short), &topic).await;
    reader.offsets(1).await;
    let until = Instant::now() + interval * 3;
    while Instant::now() < until {
        let polled = tokio::time::timeout_at(until, reader.source.next(nothing())).await;
        assert!(matches!(polled, Err(_) | Ok(SourceEvent::Messages(_))), "{polled:?}");
    }
    let commit = Commit {
        partition: reader.assignments[&0].partition.clone(),
        epoch: reader.assignments[&0].epoch,
        checkpoint: Checkpoint::plain(Position(0)),
    };
    assert_eq!(reader.source.commit(vec![commit]).await, Ok(()));
}

/// A host that comes back keeps what it had, and the other one is not asked.
#[tokio::test]
#[ignore = "needs a broker"]
async fn a_static_member_that_comes_back_gets_the_same_partitions() {
    let topic = name("static");
    make(&topic, 4, &[]).await;
    // Longer than a busy machine takes to come back.
    let session = [("session.timeout.ms".to_owned(), Property("30000".to_owned()))];
    let of = |id: &str| {
        let Config { mut properties, .. } = config(GroupProtocol::Classic);
        properties.extend(session.clone());
        Config { instance_id: Some(id.to_owned()), properties, ..config(GroupProtocol::Classic) }
    };
    let mut one = Reader::of(&kafka(&of("one")), &topic).await;
    let mut other = Reader::of(&kafka(&of("other")), &topic).await;
    while one.assignments.len() + other.assignments.len() < 4 || other.assignments.is_empty() {
        tokio::select! {
            event = one.event(nothing()) => {
                if let SourceEvent::Revoked { partitions, reply } = event {
                    one.assignments.retain(|index, _| partitions.iter().all(|asked| asked.index != *index));
                    reply.send(()).unwrap();
                }
            }
            _ = other.event(nothing()) => {}
        }
    }
    let had: Vec<u32> = other.assignments.keys().copied().collect();
    drop(other);
    let mut again = Reader::of(&kafka(&of("other")), &topic).await;
    while again.assignments.len() < had.len() {
        tokio::select! {
            event = one.event(nothing()) => assert!(matches!(event, SourceEvent::Messages(_)), "{event:?}"),
            _ = again.event(nothing()) => {}
        }
    }
    assert_eq!(again.assignments.keys().copied().collect::<Vec<_>>(), had);
}

/// A pipeline reads its topic and its retry topic as two members of one group.
async fn one_name_is_enough_for_two_topics(protocol: GroupProtocol) {
    let config = Config { instance_id: Some("one".into()), ..config(protocol) };
    let (work, retry) = (one_partition().await, one_partition().await);
    let transport = kafka(&config);
    let of = |topic: &str| {
        let group = subscription(&work, Start::Earliest, OnLostPosition::Fail).group;
        Subscription { group, ..subscription(topic, Start::Earliest, OnLostPosition::Fail) }
    };
    let mut work_reader = Reader::open(&transport, &of(&work)).await;
    let mut retry_reader = Reader::open(&transport, &of(&retry)).await;
    // Twice, for one could be thrown out by the other. The group goes on only where both are heard.
    for expected in [[0, 1, 2], [3, 4, 5]] {
        for topic in [&work, &retry] {
            super::cluster::write(&*transport.sink(topic).await.unwrap(), 3).await;
        }
        let read = tokio::join!(work_reader.offsets(3), retry_reader.offsets(3));
        assert_eq!(read, (expected.to_vec(), expected.to_vec()));
    }
}

#[tokio::test]
#[ignore = "needs a broker"]
async fn one_name_is_enough_for_two_topics_of_a_classic_group() {
    one_name_is_enough_for_two_topics(GroupProtocol::Classic).await;
}

#[tokio::test]
#[ignore = "needs a broker"]
async fn one_name_is_enough_for_two_topics_of_a_consumer_group() {
    one_name_is_enough_for_two_topics(GroupProtocol::Consumer).await;
}

/// Two hosts of one name: one of them is told so, and why.
#[tokio::test]
#[ignore = "needs a broker"]
async fn a_name_that_another_host_has_is_told() {
    let topic = one_partition().await;
    let config = Config { instance_id: Some("same".into()), ..config(GroupProtocol::Classic) };
    let mut one = Reader::of(&kafka(&config), &topic).await;
    one.batch().await;
    let mut other = Reader::of(&kafka(&config), &topic).await;
    let deadline = Instant::now() + PATIENCE;
    let failure = loop {
        assert!(Instant::now() < deadline, "nobody was told");
        let event = tokio::select! {
            event = one.event(nothing()) => event,
            event = other.event(nothing()) => event,
        };
        if let SourceEvent::Failed(error) = event {
            break error;
        }
    };
    assert!(failure.is_transient() && failure.to_string().contains("instance"), "{failure}");
}

/// A commit without our metadata is a plain checkpoint, and ours is one for others.
#[tokio::test]
#[ignore = "needs a broker"]
async fn offsets_of_another_client_are_checkpoints() {
    use rdkafka::config::FromClientConfig;
    use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
    use rdkafka::{Offset, TopicPartitionList};
    let topic = one_partition().await;
    let transport = kafka(&config(GroupProtocol::Classic));
    super::cluster::write(&*transport.sink(&topic).await.unwrap(), 10).await;
    let subscription = subscription(&topic, Start::Earliest, OnLostPosition::Fail);
    let mut settings = super::cluster::client();
    settings.set("group.id", &*subscription.group).set("enable.auto.commit", "false");
    let other: BaseConsumer = BaseConsumer::from_config(&settings).unwrap();
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(&topic, 0, Offset::Offset(4)).unwrap();
    let (other, list) = tokio::task::spawn_blocking(move || {
        other.commit(&list, CommitMode::Sync).unwrap();
        (other, list)
    })
    .await
    .unwrap();
    let mut reader = Reader::open(&transport, &subscription).await;
    assert_eq!(reader.offsets(6).await, [4, 5, 6, 7, 8, 9]);
    let Checkpointed { partition, epoch } = Checkpointed::of(&reader);
    let checkpoint = Checkpoint::new(Position(6), Position(9), vec![Position(8)]);
    reader.source.commit(vec![Commit { partition, epoch, checkpoint }]).await.unwrap();
    let committed =
        tokio::task::spawn_blocking(move || other.committed_offsets(list, PATIENCE).unwrap()).await.unwrap();
    assert_eq!(committed.elements()[0].offset(), Offset::Offset(7));
}

/// What is settled above the base fits beside the offset up to the bound that the source tells; where the broker takes
/// less than the spec says, the commit fails, and says which setting is wrong.
#[tokio::test]
#[ignore = "needs a broker"]
async fn checkpoints_fit_up_to_their_bound_and_a_bound_that_is_not_the_brokers_is_told() {
    for (bytes, fits) in [(None, true), (NonZeroU32::new(20_000), false)] {
        let topic = one_partition().await;
        let transport = kafka(&Config { checkpoint_bytes: bytes, ..config(GroupProtocol::Classic) });
        super::cluster::write(&*transport.sink(&topic).await.unwrap(), 1).await;
        let mut reader = Reader::of(&transport, &topic).await;
        reader.batch().await;
        let limit = reader.assignments[&0].checkpoint_limit.unwrap();
        let checkpoint = |pairs: i64| {
            let unsettled = (0..pairs).map(|pair| Position(2 * pair + 1)).collect();
            Checkpoint::new(Position(0), Position(2 * pairs), unsettled)
        };
        let largest = (1..).map(checkpoint).take_while(|checkpoint| checkpoint.encode().len() <= limit).last().unwrap();
        assert_eq!(largest.encode().len(), limit);
        let Checkpointed { partition, epoch } = Checkpointed::of(&reader);
        let commit = Commit { partition, epoch, checkpoint: largest.clone() };
        match (fits, reader.source.commit(vec![commit]).await) {
            (true, done) => {
                assert_eq!(done, Ok(()));
                let group = subscription(&topic, Start::Earliest, OnLostPosition::Fail).group;
                assert_eq!(transport.checkpoints(&topic, &group).await.unwrap(), [(0, largest)]);
            }
            (false, Err(CommitError::Unavailable(reason))) => {
                assert!(
                    reason.contains("`checkpoint_bytes`") && reason.contains("`offset.metadata.max.bytes`"),
                    "{reason}"
                );
            }
            (false, done) => panic!("{done:?}"),
        }
    }
}

struct Checkpointed {
    partition: crate::model::Partition,
    epoch: crate::transport::Epoch,
}

impl Checkpointed {
    fn of(reader: &Reader) -> Self {
        let assignment = &reader.assignments[&0];
        Self { partition: assignment.partition.clone(), epoch: assignment.epoch }
    }
}
