use std::collections::BTreeMap;

use super::*;
use crate::model::{Checkpoint, Clock, Position, Record, Timestamp};
use crate::transport::memory::Memory;
use crate::transport::{Assignment, OnLostPosition, Room, Rooms, Start, Subscription, Transport};

const TOPICS: [&str; 2] = ["work", "retry"];

fn memory() -> Memory {
    Memory::new("bus", BTreeMap::new(), Clock::from_fn(|| Timestamp(1_000)))
}

async fn joined(memory: &Memory) -> Box<dyn Source> {
    let mut sources = Vec::new();
    for topic in TOPICS {
        let (start, on_lost_position) = (Start::Earliest, OnLostPosition::Fail);
        let subscription = Subscription { topic: topic.into(), group: "g".into(), start, on_lost_position };
        sources.push(memory.source(&subscription).await.unwrap());
    }
    join(sources)
}

async fn write(memory: &Memory, topic: &str, count: usize) {
    let record = Record { partition: Some(0), ..Record::default() };
    assert!(memory.sink(topic).await.unwrap().write(vec![record; count]).await.iter().all(Result::is_ok));
}

fn demand(messages: usize) -> Rooms {
    let room = Room { messages, bytes: 1_000 };
    Rooms(TOPICS.map(|topic| (Partition::new(topic, 0), room)).into())
}

/// The first partition's assignment of each topic.
async fn assigned(source: &mut dyn Source) -> BTreeMap<String, Assignment> {
    let mut assigned = BTreeMap::new();
    while assigned.len() < TOPICS.len() {
        if let SourceEvent::Assigned(assignments) = source.next(&Rooms::default()).await {
            let first = assignments.into_iter().find(|assignment| assignment.partition.index == 0).unwrap();
            assigned.insert(first.partition.topic.to_string(), first);
        }
    }
    assigned
}

/// Topics and positions of the next messages, as they come one by one.
async fn take(source: &mut dyn Source, count: usize) -> Vec<(String, i64)> {
    let mut came = Vec::new();
    while came.len() < count {
        if let SourceEvent::Messages(batch) = source.next(&demand(1)).await {
            let place = |position: Position| (batch.partition.topic.to_string(), position.0);
            came.extend(batch.messages.iter().map(|message| place(message.origin.position)));
        }
    }
    came
}

fn commit(assignment: &Assignment, base: i64) -> Commit {
    let Assignment { partition, epoch, .. } = assignment.clone();
    Commit { partition, epoch, checkpoint: Checkpoint::plain(Position(base)) }
}

#[tokio::test]
async fn topics_take_turns_though_one_has_always_something() {
    let memory = memory();
    let mut source = joined(&memory).await;
    assigned(&mut *source).await;
    for topic in TOPICS {
        write(&memory, topic, 20).await;
    }
    let came = take(&mut *source, 20).await;
    let of_work = came.iter().filter(|(topic, _)| topic == "work").count();
    assert_eq!(of_work, 10, "{came:?}");
}

#[tokio::test]
async fn a_dropped_next_loses_nothing_of_any_topic() {
    let memory = memory();
    let mut source = joined(&memory).await;
    assigned(&mut *source).await;
    for topic in TOPICS {
        write(&memory, topic, 5).await;
    }
    let mut came = Vec::new();
    while came.len() < 10 {
        // Dropped at once where nothing is ready, and with the other source's answer unheard where something is.
        let Some(event) = source.next(&demand(1)).now_or_never() else { continue };
        if let SourceEvent::Messages(batch) = event {
            came.extend(
                batch.messages.iter().map(|message| (batch.partition.topic.to_string(), message.origin.position.0)),
            );
        }
    }
    came.sort();
    let all = ["retry", "work"].map(|topic| (0..5).map(move |position| (topic.to_owned(), position)));
    assert_eq!(came, all.into_iter().flatten().collect::<Vec<_>>());
}

#[tokio::test]
async fn a_commit_goes_to_its_topics_source_and_what_is_refused_hides_nothing() {
    let memory = memory();
    let mut source = joined(&memory).await;
    let assigned = assigned(&mut *source).await;
    for topic in TOPICS {
        write(&memory, topic, 5).await;
    }
    take(&mut *source, 10).await;
    memory.lose("retry", "g", &[0]);
    let commits = vec![commit(&assigned["work"], 2), commit(&assigned["retry"], 3)];
    let refused = source.commit(commits).await;
    assert_eq!(refused, Err(CommitError::NotOwned(vec![Partition::new("retry", 0)])));
    let base = async |topic| memory.checkpoints(topic, "g").await.unwrap()[0].1.base();
    assert_eq!((base("work").await, base("retry").await), (Position(2), Position(-1)));

    memory.fail_commits("work", Some("away"));
    let commits = vec![commit(&assigned["work"], 4), commit(&assigned["retry"], 4)];
    let unavailable = source.commit(commits).await;
    assert_eq!(unavailable, Err(CommitError::Unavailable("away".into())), "it is to be tried again, all of it");
    memory.fail_commits("work", None);
    assert_eq!(source.commit(vec![commit(&assigned["work"], 4)]).await, Ok(()));
    assert_eq!(base("work").await, Position(4));
}

#[tokio::test]
async fn a_commit_of_a_topic_that_nobody_reads_is_refused() {
    let memory = memory();
    let mut source = joined(&memory).await;
    let assigned = assigned(&mut *source).await;
    let other = Partition::new("other", 0);
    let stray = Commit { partition: other.clone(), ..commit(&assigned["work"], -1) };
    assert_eq!(
        source.commit(vec![stray, commit(&assigned["work"], -1)]).await,
        Err(CommitError::NotOwned(vec![other]))
    );
    assert_eq!(join(Vec::new()).commit(Vec::new()).await, Ok(()));
}

#[tokio::test]
async fn what_is_asked_back_and_lost_of_one_topic_is_told_while_the_other_flows() {
    let memory = memory();
    let mut source = joined(&memory).await;
    assigned(&mut *source).await;
    memory.revoke("retry", "g", &[0]);
    write(&memory, "work", 1).await;
    let mut reply = None;
    let mut came = 0;
    while reply.is_none() || came == 0 {
        match source.next(&demand(9)).await {
            SourceEvent::Revoked { partitions, reply: sender } => {
                assert_eq!(partitions, [Partition::new("retry", 0)]);
                reply = Some(sender);
            }
            SourceEvent::Messages(batch) => came += batch.messages.len(),
            event => panic!("{event:?}"),
        }
    }
    memory.lose("retry", "g", &[0]);
    let lost = loop {
        match source.next(&demand(9)).await {
            SourceEvent::Messages(_) => {}
            event => break event,
        }
    };
    assert!(matches!(&lost, SourceEvent::Lost(partitions) if *partitions == [Partition::new("retry", 0)]), "{lost:?}");
}
