//! What a source hands out, and when.

use std::collections::BTreeMap;

use super::*;
use crate::transport::TransportError;

/// Order within a partition.
pub async fn messages_of_a_partition_come_in_order(subject: &dyn Subject) {
    let topic = subject.topic().await;
    let sink = subject.open().await.sink(&topic).await.unwrap();
    for batch in 0..20 {
        write_numbers(&*sink, batch % 3, (batch as usize * 10)..(batch as usize * 10 + 10)).await;
    }
    let mut reader = Reader::open(&*subject.open().await, &topic, "g").await;
    let mut last: BTreeMap<u32, (Position, usize)> = BTreeMap::new();
    for message in reader.take(200).await {
        let at = (message.origin.position, payloads(std::slice::from_ref(&message))[0].parse().unwrap());
        let before = last.insert(message.origin.partition.index, at);
        assert!(before.is_none_or(|before| before.0 < at.0 && before.1 < at.1), "{before:?} {at:?}");
    }
    assert_eq!(last.len(), 3);
}

/// Demand is told by partition.
pub async fn a_partition_without_demand_gives_nothing_while_others_flow(subject: &dyn Subject) {
    let topic = subject.topic().await;
    let sink = subject.open().await.sink(&topic).await.unwrap();
    for partition in 0..PARTITIONS {
        write_numbers(&*sink, partition, 0..50).await;
    }
    let mut reader = Reader::open(&*subject.open().await, &topic, "g").await;
    let mut came = 0;
    let demand = reader.demand(&[0, 2, 3], Room { messages: 7, ..ALL });
    while came < 150 {
        let batch = reader.batch(&demand).await;
        assert_ne!(batch.partition.index, 1);
        came += batch.messages.len();
    }
    assert_eq!(payloads(&reader.take(50).await), numbers(0..50));
}

/// Demand in messages.
pub async fn no_more_messages_come_than_demanded(subject: &dyn Subject) {
    let topic = subject.topic().await;
    let sink = subject.open().await.sink(&topic).await.unwrap();
    write_numbers(&*sink, 0, 0..30).await;
    let mut reader = Reader::open(&*subject.open().await, &topic, "g").await;
    let mut came = Vec::new();
    // What was read for a larger demand is not handed out for a smaller one.
    for most in [20, 1, 3].into_iter().cycle() {
        let batch = reader.batch(&reader.demand(&[0], Room { messages: most, ..ALL })).await;
        assert!(batch.messages.len() <= most, "{} of {most}", batch.messages.len());
        came.extend(payloads(&batch.messages));
        if came.len() == 30 {
            break;
        }
    }
    assert_eq!(came, numbers(0..30));
}

/// Demand in bytes.
pub async fn no_more_bytes_come_than_demanded(subject: &dyn Subject) {
    let topic = subject.topic().await;
    let sink = subject.open().await.sink(&topic).await.unwrap();
    sink.write(vec![record(0, vec![b'x'; 1000]); 12]).await;
    let mut reader = Reader::open(&*subject.open().await, &topic, "g").await;
    let mut came = 0;
    while came < 12 {
        let batch = reader.batch(&reader.demand(&[0], Room { messages: 100, bytes: 2_500 })).await;
        assert!(batch.messages.iter().map(Message::size).sum::<u64>() <= 2_500);
        came += batch.messages.len();
    }
}

/// A large message is not stuck for ever.
pub async fn a_message_larger_than_the_room_comes_alone(subject: &dyn Subject) {
    let topic = subject.topic().await;
    let sink = subject.open().await.sink(&topic).await.unwrap();
    let sizes = [10, 100_000, 10, 10];
    sink.write(sizes.map(|size| record(0, vec![b'x'; size])).to_vec()).await;
    let mut reader = Reader::open(&*subject.open().await, &topic, "g").await;
    let mut came = Vec::new();
    while came.len() < 4 {
        let batch = reader.batch(&reader.demand(&[0], Room { messages: 100, bytes: 1_000 })).await;
        let large = batch.messages.iter().any(|message| message.payload.len() > 1_000);
        assert!(!large || batch.messages.len() == 1);
        came.extend(batch.messages.iter().map(|message| message.payload.len()));
    }
    assert_eq!(came, sizes);
}

/// Idleness of a partition that never had a message.
pub async fn an_empty_partition_is_known_to_be_empty(subject: &dyn Subject) {
    let topic = subject.topic().await;
    let sink = subject.open().await.sink(&topic).await.unwrap();
    write_numbers(&*sink, 2, 0..3).await;
    let mut reader = Reader::open(&*subject.open().await, &topic, "g").await;
    reader.take(3).await;
    while reader.lag != BTreeMap::from([(0, 0), (1, 0), (2, 0), (3, 0)]) {
        let demand = reader.demand(&[0, 1, 2, 3], ALL);
        let event = reader.event(&demand).await;
        assert!(matches!(&event, SourceEvent::Messages(batch) if batch.messages.is_empty()), "{event:?}");
    }
}

/// The lag of a batch.
pub async fn the_lag_says_what_stands_behind(subject: &dyn Subject) {
    let topic = subject.topic().await;
    let sink = subject.open().await.sink(&topic).await.unwrap();
    write_numbers(&*sink, 0, 0..5).await;
    let mut reader = Reader::open(&*subject.open().await, &topic, "g").await;
    let mut came = 0;
    while came < 5 {
        let batch = reader.batch(&reader.demand(&[0], Room { messages: 2, ..ALL })).await;
        came += batch.messages.len() as u64;
        assert_eq!(batch.lag, 5 - came);
    }
}

/// A partition that nobody demands is not taken for idle.
pub async fn new_messages_are_told_of_without_demand(subject: &dyn Subject) {
    let topic = subject.topic().await;
    let sink = subject.open().await.sink(&topic).await.unwrap();
    let mut reader = Reader::open(&*subject.open().await, &topic, "g").await;
    while reader.lag.get(&1) != Some(&0) {
        reader.event(&Rooms::default()).await;
    }
    write_numbers(&*sink, 1, 0..2).await;
    while reader.lag[&1] == 0 {
        reader.event(&Rooms::default()).await;
    }
    assert_eq!(payloads(&reader.take(2).await), numbers(0..2));
    assert_eq!(reader.lag[&1], 0);
}

/// Cancel safety.
pub async fn a_dropped_next_loses_nothing(subject: &dyn Subject) {
    let topic = subject.topic().await;
    let sink = subject.open().await.sink(&topic).await.unwrap();
    let mut reader = Reader::open(&*subject.open().await, &topic, "g").await;
    let writer = tokio::spawn(async move {
        for number in 0..100 {
            write_numbers(&*sink, 0, number..number + 1).await;
        }
    });
    let mut came = Vec::new();
    let deadline = tokio::time::Instant::now() + PATIENCE;
    let demand = reader.demand(&[0], Room { messages: 7, ..ALL });
    while came.len() < 100 {
        assert!(tokio::time::Instant::now() < deadline, "only {} came", came.len());
        // Polled once, then dropped.
        match futures::poll!(reader.source.next(&demand)) {
            std::task::Poll::Ready(SourceEvent::Messages(batch)) => came.extend(payloads(&batch.messages)),
            std::task::Poll::Ready(event) => panic!("{event:?}"),
            std::task::Poll::Pending => tokio::task::yield_now().await,
        }
    }
    writer.await.unwrap();
    assert_eq!(came, numbers(0..100));
}

/// A failure is told, and passes.
pub async fn a_source_that_fails_comes_back(subject: &dyn Subject) {
    let topic = subject.topic().await;
    let sink = subject.open().await.sink(&topic).await.unwrap();
    write_numbers(&*sink, 0, 0..10).await;
    let mut reader = Reader::open(&*subject.open().await, &topic, "g").await;
    assert_eq!(payloads(&reader.batch(&reader.demand(&[0], Room { messages: 1, ..ALL })).await.messages), ["0"]);
    subject.break_reads(&topic).await;
    let mut came = vec!["0".to_owned()];
    let failure = loop {
        let demand = reader.demand(&[0], Room { messages: 1, ..ALL });
        match reader.event(&demand).await {
            SourceEvent::Failed(error) => break error,
            // What was read before may still come.
            SourceEvent::Messages(batch) => came.extend(payloads(&batch.messages)),
            event => panic!("{event:?}"),
        }
    };
    assert!(failure.is_transient(), "{failure}");
    subject.mend_reads(&topic).await;
    while came.len() < 10 {
        let demand = reader.demand(&[0], ALL);
        match reader.event(&demand).await {
            SourceEvent::Messages(batch) => came.extend(payloads(&batch.messages)),
            SourceEvent::Failed(error) => assert!(error.is_transient(), "{error}"),
            SourceEvent::Lost(_) | SourceEvent::Assigned(_) | SourceEvent::Revoked { .. } => {}
        }
    }
    assert_eq!(came, numbers(0..10));
}

/// Looking without a group.
pub async fn a_topic_is_read_without_a_group(subject: &dyn Subject) {
    let topic = subject.topic().await;
    let transport = subject.open().await;
    let sink = transport.sink(&topic).await.unwrap();
    let positions = write_numbers(&*sink, 3, 0..10).await;
    let partition = Partition::new(topic.as_str(), 3);
    let read = async |from, max| transport.read(&partition, from, max).await.unwrap();
    assert_eq!(payloads(&read(positions[4], 3).await), numbers(4..7));
    assert_eq!(payloads(&read(Position(-5), 2).await), numbers(0..2));
    assert_eq!(read(Position(positions[9].0 + 1), 5).await, []);
    let message = read(positions[4], 1).await.remove(0);
    assert_eq!((message.origin.partition, message.origin.position), (partition.clone(), positions[4]));
}

/// Looking makes nothing.
pub async fn an_unknown_topic_is_refused_and_not_made(subject: &dyn Subject) {
    let transport = subject.open().await;
    let missing = "nobody-ever-made-this";
    let read = transport.read(&Partition::new(missing, 0), Position(0), 1).await;
    assert!(matches!(&read, Err(TransportError::UnknownTopic { topic, .. }) if topic == missing), "{read:?}");
    let checkpoints = transport.checkpoints(missing, "g").await;
    assert!(matches!(&checkpoints, Err(TransportError::UnknownTopic { .. })), "{checkpoints:?}");
    assert!(transport.topics().await.unwrap().iter().all(|topic| topic.name != missing));
}

/// A partition that the topic does not have.
pub async fn an_unknown_partition_is_refused(subject: &dyn Subject) {
    let topic = subject.topic().await;
    let transport = subject.open().await;
    transport.sink(&topic).await.unwrap();
    let read = transport.read(&Partition::new(topic.as_str(), PARTITIONS), Position(0), 1).await;
    let expected = TransportError::UnknownPartition {
        topic: topic.as_str().into(),
        partition: PARTITIONS,
        partitions: PARTITIONS,
    };
    assert_eq!(read, Err(expected));
}

/// What there is.
pub async fn topics_tell_how_far_they_go(subject: &dyn Subject) {
    let topic = subject.topic().await;
    let transport = subject.open().await;
    let sink = transport.sink(&topic).await.unwrap();
    let positions = write_numbers(&*sink, 2, 0..5).await;
    let topics = transport.topics().await.unwrap();
    let info = topics.iter().find(|info| info.name == topic).unwrap();
    assert_eq!(info.partitions.len(), PARTITIONS as usize);
    assert_eq!(info.partitions[2].first, positions[0].0);
    assert_eq!(info.partitions[2].end, positions[4].0 + 1);
    assert_eq!(info.partitions[1].first, info.partitions[1].end);
}
