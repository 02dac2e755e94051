//! What becomes of a group whose messages are gone before it has settled them.

use super::*;

/// `on_lost_position: earliest`, and nothing left to read: without this the group would never be idle again.
pub async fn what_is_gone_is_passed_for_good(subject: &dyn Subject) {
    let topic = subject.topic().await;
    let transport = subject.open().await;
    let positions = write_numbers(&*transport.sink(&topic).await.unwrap(), 0, 0..5).await;
    let mut reader = Reader::open(&*transport, &topic, "g").await;
    reader.take(5).await;
    reader.commit(0, Checkpoint::plain(positions[1])).await.unwrap();
    drop(reader);
    subject.forget(&topic, 0, Position(positions[4].0 + 1)).await;

    let reader = Reader::open_going_on(&*subject.open().await, &topic, "g").await;
    assert_eq!(reader.assignments[&0].checkpoint, Some(Checkpoint::plain(positions[4])));
    let stored = transport.checkpoints(&topic, "g").await.unwrap();
    assert!(stored.contains(&(0, Checkpoint::plain(positions[4]))), "{stored:?}");
    drop(reader);

    // One that fails when anything is lost finds nothing lost any more.
    let mut reader = Reader::open(&*subject.open().await, &topic, "g").await;
    while reader.lag.get(&0) != Some(&0) {
        let demand = reader.demand(&[0, 1, 2, 3], ALL);
        let event = reader.event(&demand).await;
        assert!(matches!(&event, SourceEvent::Messages(batch) if batch.messages.is_empty()), "{event:?}");
    }
}

/// The base moves, and nothing else.
pub async fn what_is_settled_above_what_is_gone_stays_settled(subject: &dyn Subject) {
    let topic = subject.topic().await;
    let transport = subject.open().await;
    let positions = write_numbers(&*transport.sink(&topic).await.unwrap(), 0, 0..8).await;
    let mut reader = Reader::open(&*transport, &topic, "g").await;
    reader.take(8).await;
    let unsettled = vec![positions[1], positions[4]];
    reader.commit(0, Checkpoint::new(positions[0], positions[6], unsettled)).await.unwrap();
    drop(reader);
    subject.forget(&topic, 0, positions[2]).await;

    let mut reader = Reader::open_going_on(&*subject.open().await, &topic, "g").await;
    let expected = Checkpoint::new(positions[3], positions[6], vec![positions[4]]);
    assert_eq!(reader.assignments[&0].checkpoint, Some(expected));
    assert_eq!(payloads(&reader.take(4).await), numbers(4..8));
}

/// Ownership stays, and with it what is in hand.
pub async fn what_goes_while_it_waits_to_be_read_is_passed(subject: &dyn Subject) {
    let topic = subject.topic().await;
    let transport = subject.open().await;
    let sink = transport.sink(&topic).await.unwrap();
    write_numbers(&*sink, 0, 0..2).await;
    let mut reader = Reader::open_going_on(&*transport, &topic, "g").await;
    reader.take(2).await;
    let positions = write_numbers(&*sink, 0, 2..5).await;
    let last = positions[2];
    subject.forget(&topic, 0, Position(last.0 + 1)).await;
    loop {
        let demand = reader.demand(&[0], ALL);
        // A transport that reads ahead may have had them already.
        match reader.event(&demand).await {
            SourceEvent::Messages(batch) if batch.partition.index == 0 && batch.passed >= last => break,
            event => assert!(matches!(event, SourceEvent::Messages(_)), "{event:?}"),
        }
    }
    assert_eq!(reader.lag[&0], 0);
    reader.commit(0, Checkpoint::plain(last)).await.unwrap();
    write_numbers(&*sink, 0, 5..6).await;
    assert_eq!(payloads(&reader.take(1).await), numbers(5..6));
}
