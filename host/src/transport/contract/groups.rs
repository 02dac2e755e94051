//! What a group keeps, and whom it belongs to.

use super::*;

/// Redelivery.
pub async fn what_was_not_committed_comes_again(subject: &dyn Subject) {
    let topic = subject.topic().await;
    let sink = subject.open().await.sink(&topic).await.unwrap();
    let positions = write_numbers(&*sink, 0, 0..10).await;
    let mut reader = Reader::open(&*subject.open().await, &topic, "g").await;
    let first = reader.take(10).await;
    reader.commit(0, Checkpoint::plain(positions[3])).await.unwrap();
    drop(reader);
    let mut reader = Reader::open(&*subject.open().await, &topic, "g").await;
    assert_eq!(reader.take(6).await, first[4..]);
}

/// A checkpoint with what is settled above its base.
pub async fn a_checkpoint_is_restored_exactly(subject: &dyn Subject) {
    let topic = subject.topic().await;
    let sink = subject.open().await.sink(&topic).await.unwrap();
    let positions = write_numbers(&*sink, 1, 0..10).await;
    let checkpoint = Checkpoint::new(positions[2], positions[7], vec![positions[3], positions[6]]);
    let mut reader = Reader::open(&*subject.open().await, &topic, "g").await;
    reader.take(10).await;
    reader.commit(1, checkpoint.clone()).await.unwrap();
    drop(reader);

    let transport = subject.open().await;
    let stored = transport.checkpoints(&topic, "g").await.unwrap();
    assert_eq!(stored.into_iter().find(|(partition, _)| *partition == 1), Some((1, checkpoint.clone())));
    let mut reader = Reader::open(&*transport, &topic, "g").await;
    assert_eq!(reader.assignments[&1].checkpoint, Some(checkpoint));
    assert_eq!(payloads(&reader.take(7).await), numbers(3..10), "all behind the base come");
}

/// A commit that comes late.
pub async fn a_checkpoint_never_moves_back(subject: &dyn Subject) {
    let topic = subject.topic().await;
    let transport = subject.open().await;
    let positions = write_numbers(&*transport.sink(&topic).await.unwrap(), 0, 0..10).await;
    let mut reader = Reader::open(&*transport, &topic, "g").await;
    reader.take(10).await;
    reader.commit(0, Checkpoint::plain(positions[8])).await.unwrap();
    let _ = reader.commit(0, Checkpoint::plain(positions[2])).await;
    let stored = transport.checkpoints(&topic, "g").await.unwrap();
    assert!(stored.contains(&(0, Checkpoint::plain(positions[8]))), "{stored:?}");
}

/// `start: earliest`.
pub async fn a_group_starts_with_the_oldest_message(subject: &dyn Subject) {
    let topic = subject.topic().await;
    let transport = subject.open().await;
    write_numbers(&*transport.sink(&topic).await.unwrap(), 0, 0..3).await;
    let mut reader = Reader::start(&*transport, &topic, "g", Start::Earliest).await;
    assert_eq!(payloads(&reader.take(3).await), numbers(0..3));
}

/// `start: latest`.
pub async fn a_group_may_start_with_the_next_message(subject: &dyn Subject) {
    let topic = subject.topic().await;
    let sink = subject.open().await.sink(&topic).await.unwrap();
    write_numbers(&*sink, 0, 0..3).await;
    let mut reader = Reader::start(&*subject.open().await, &topic, "g", Start::Latest).await;
    write_numbers(&*sink, 0, 3..5).await;
    assert_eq!(payloads(&reader.take(2).await), numbers(3..5));
}

/// `start` counts once, or what is written while the group is away would be passed over.
pub async fn a_group_keeps_its_start_though_it_commits_nothing(subject: &dyn Subject) {
    let topic = subject.topic().await;
    let sink = subject.open().await.sink(&topic).await.unwrap();
    write_numbers(&*sink, 0, 0..3).await;
    drop(Reader::start(&*subject.open().await, &topic, "g", Start::Latest).await);
    write_numbers(&*sink, 0, 3..5).await;
    let mut reader = Reader::start(&*subject.open().await, &topic, "g", Start::Latest).await;
    assert_eq!(payloads(&reader.take(2).await), numbers(3..5));
}

/// Groups beside each other.
pub async fn two_groups_know_nothing_of_each_other(subject: &dyn Subject) {
    let topic = subject.topic().await;
    let transport = subject.open().await;
    let positions = write_numbers(&*transport.sink(&topic).await.unwrap(), 0, 0..5).await;
    let mut one = Reader::open(&*transport, &topic, "one").await;
    let mut other = Reader::open(&*transport, &topic, "other").await;
    assert_eq!(payloads(&one.take(5).await), numbers(0..5));
    one.commit(0, Checkpoint::plain(positions[4])).await.unwrap();
    assert_eq!(payloads(&other.take(5).await), numbers(0..5));
    other.commit(0, Checkpoint::plain(positions[1])).await.unwrap();
    for (group, base) in [("one", positions[4]), ("other", positions[1])] {
        let stored = transport.checkpoints(&topic, group).await.unwrap();
        assert!(stored.contains(&(0, Checkpoint::plain(base))), "{group}: {stored:?}");
    }
}

/// Ownership ends, and with it the right to commit.
pub async fn a_commit_after_the_partition_is_gone_is_refused(subject: &dyn Subject) {
    let topic = subject.topic().await;
    let transport = subject.open().await;
    let positions = write_numbers(&*transport.sink(&topic).await.unwrap(), 0, 0..5).await;
    let mut reader = Reader::open(&*transport, &topic, "g").await;
    reader.take(5).await;
    reader.commit(0, Checkpoint::plain(positions[1])).await.unwrap();
    subject.take_away(&topic, "g").await;
    let refused = reader.commit(0, Checkpoint::plain(positions[4])).await;
    assert_eq!(refused, Err(CommitError::NotOwned(vec![Partition::new(topic.as_str(), 0)])));
    while reader.assignments.contains_key(&0) {
        let event = reader.event(&Rooms::default()).await;
        assert!(matches!(event, SourceEvent::Lost(_) | SourceEvent::Messages(_)), "{event:?}");
    }
    let stored = transport.checkpoints(&topic, "g").await.unwrap();
    assert!(stored.contains(&(0, Checkpoint::plain(positions[1]))), "{stored:?}");
}

/// An epoch is over for good.
pub async fn a_commit_of_an_earlier_assignment_is_refused(subject: &dyn Subject) {
    let topic = subject.topic().await;
    let transport = subject.open().await;
    let positions = write_numbers(&*transport.sink(&topic).await.unwrap(), 0, 0..5).await;
    let mut reader = Reader::open(&*transport, &topic, "g").await;
    reader.take(5).await;
    let late = reader.commit_of(0, Checkpoint::plain(positions[4]));
    subject.take_away(&topic, "g").await;
    while !reader.assignments.is_empty() {
        reader.event(&Rooms::default()).await;
    }
    subject.give_back(&topic, "g").await;
    reader.wait_for_partitions().await;
    assert!(reader.assignments[&0].epoch > late.epoch);
    let refused = reader.source.commit(vec![late]).await;
    assert_eq!(refused, Err(CommitError::NotOwned(vec![Partition::new(topic.as_str(), 0)])));
    reader.commit(0, Checkpoint::plain(positions[2])).await.unwrap();
    let stored = transport.checkpoints(&topic, "g").await.unwrap();
    assert!(stored.contains(&(0, Checkpoint::plain(positions[2]))), "{stored:?}");
    assert_eq!(payloads(&reader.take(5).await), numbers(0..5), "what was not committed comes again");
}
