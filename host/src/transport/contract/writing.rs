//! What a sink keeps of a record, and where it puts it.

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::model::header;
use crate::transport::WriteError;

/// A partition that the record names.
pub async fn a_chosen_partition_is_taken(subject: &dyn Subject) {
    let topic = subject.topic().await;
    let transport = subject.open().await;
    let sink = transport.sink(&topic).await.unwrap();
    for partition in 0..PARTITIONS {
        let key = Some(Bytes::from_static(b"the same key"));
        let written = write(&*sink, Record { key, ..record(partition, "x") }).await;
        assert_eq!(written.partition, partition);
        let read = transport.read(&Partition::new(topic.as_str(), partition), written.position, 10).await.unwrap();
        assert_eq!(payloads(&read), ["x"]);
    }
}

/// Keys decide.
pub async fn one_key_stays_in_one_partition(subject: &dyn Subject) {
    let topic = subject.topic().await;
    let mut of_key: BTreeMap<String, BTreeSet<u32>> = BTreeMap::new();
    // Another sink decides alike.
    for _ in 0..2 {
        let sink = subject.open().await.sink(&topic).await.unwrap();
        for number in 0..40 {
            let key = format!("key {}", number % 20);
            let record = Record { key: Some(key.clone().into()), ..Record::default() };
            of_key.entry(key).or_default().insert(write(&*sink, record).await.partition);
        }
    }
    assert!(of_key.values().all(|partitions| partitions.len() == 1), "{of_key:?}");
    assert!(of_key.values().flatten().collect::<BTreeSet<_>>().len() > 1, "{of_key:?}");
}

/// Without a key.
pub async fn records_without_a_key_are_spread(subject: &dyn Subject) {
    let topic = subject.topic().await;
    let sink = subject.open().await.sink(&topic).await.unwrap();
    let mut partitions = BTreeSet::new();
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while partitions.len() < PARTITIONS as usize {
        assert!(tokio::time::Instant::now() < deadline, "only {partitions:?}");
        let record = Record { payload: vec![b'x'; 10_000].into(), ..Record::default() };
        partitions.insert(write(&*sink, record).await.partition);
    }
}

/// A large message.
pub async fn a_large_message_comes_whole(subject: &dyn Subject) {
    let topic = subject.topic().await;
    let transport = subject.open().await;
    let sink = transport.sink(&topic).await.unwrap();
    let payload: Vec<u8> = (0..subject.largest()).map(|number| (number % 251) as u8).collect();
    write(&*sink, record(0, payload.clone())).await;
    let mut reader = Reader::open(&*transport, &topic, "g").await;
    assert!(reader.take(1).await[0].payload == payload);
}

/// Nothing is text but names.
pub async fn keys_and_headers_are_bytes(subject: &dyn Subject) {
    let topic = subject.topic().await;
    let transport = subject.open().await;
    let sink = transport.sink(&topic).await.unwrap();
    let every_byte: Vec<u8> = (0..=255).collect();
    let mut sent = Record { key: Some(every_byte.clone().into()), ..record(0, every_byte.clone()) };
    sent.headers.push("bytes", every_byte);
    sent.headers.push("twice", "one");
    sent.headers.push("between", "");
    sent.headers.push("twice", "two");
    write(&*sink, sent.clone()).await;
    let mut reader = Reader::open(&*transport, &topic, "g").await;
    let message = reader.take(1).await.remove(0);
    assert_eq!((message.key, message.headers, message.payload), (sent.key, sent.headers, sent.payload));
}

/// Nothing but a key.
pub async fn a_payload_may_be_empty(subject: &dyn Subject) {
    let topic = subject.topic().await;
    let transport = subject.open().await;
    let sink = transport.sink(&topic).await.unwrap();
    write(&*sink, Record { key: Some("k".into()), ..record(0, "") }).await;
    write(&*sink, record(0, "")).await;
    let mut reader = Reader::open(&*transport, &topic, "g").await;
    let messages = reader.take(2).await;
    assert_eq!(payloads(&messages), ["", ""]);
    assert_eq!([&messages[0].key, &messages[1].key], [&Some(Bytes::from("k")), &None]);
}

/// One answer a record.
pub async fn a_refused_record_does_not_keep_the_others(subject: &dyn Subject) {
    let topic = subject.topic().await;
    let transport = subject.open().await;
    let sink = transport.sink(&topic).await.unwrap();
    let answers = sink.write(vec![record(0, "before"), record(PARTITIONS, "nowhere"), record(0, "after")]).await;
    assert!(matches!(&answers[..], [Ok(_), Err(WriteError::Refused { .. }), Ok(_)]), "{answers:?}");
    let mut reader = Reader::open(&*transport, &topic, "g").await;
    assert_eq!(payloads(&reader.take(2).await), ["before", "after"]);
}

/// Positions are those that readers see.
pub async fn an_answer_says_where_the_record_stands(subject: &dyn Subject) {
    let topic = subject.topic().await;
    let transport = subject.open().await;
    let sink = transport.sink(&topic).await.unwrap();
    let records = (0..12).map(|number| Record { payload: number.to_string().into(), ..Record::default() }).collect();
    let answers = sink.write(records).await;
    let mut reader = Reader::open(&*transport, &topic, "g").await;
    for message in reader.take(12).await {
        let number: usize = payloads(std::slice::from_ref(&message))[0].parse().unwrap();
        let origin = message.origin;
        let written = Written { partition: origin.partition.index, position: origin.position };
        assert_eq!(answers[number], Ok(Some(written)));
    }
}

/// The idempotency key.
pub async fn an_id_is_kept_or_stays_the_same(subject: &dyn Subject) {
    let topic = subject.topic().await;
    let sink = subject.open().await.sink(&topic).await.unwrap();
    let mut given = record(0, "given");
    given.headers.push(header::ID, "the id it came with");
    write(&*sink, given).await;
    write_numbers(&*sink, 0, 0..2).await;
    let mut ids = Vec::new();
    for _ in 0..2 {
        let mut reader = Reader::open(&*subject.open().await, &topic, "g").await;
        ids.push(reader.take(3).await.into_iter().map(|message| message.id).collect::<Vec<_>>());
    }
    assert_eq!(ids[0], ids[1]);
    assert_eq!(ids[0][0].as_str(), "the id it came with");
    assert_ne!(ids[0][1], ids[0][2]);
}

/// Many writers at once.
pub async fn writers_beside_each_other_keep_their_order(subject: &dyn Subject) {
    let topic = subject.topic().await;
    let transport = subject.open().await;
    let writers = (0..20).map(|writer| {
        let (transport, topic) = (transport.clone(), topic.clone());
        tokio::spawn(async move {
            let sink = transport.sink(&topic).await.unwrap();
            for number in 0..20 {
                write(&*sink, record(writer % 2, format!("{writer} {number}"))).await;
            }
        })
    });
    futures::future::try_join_all(writers).await.unwrap();
    let mut reader = Reader::open(&*transport, &topic, "g").await;
    let mut last: BTreeMap<String, usize> = BTreeMap::new();
    for text in payloads(&reader.take(400).await) {
        let (writer, number) = text.split_once(' ').unwrap();
        let number: usize = number.parse().unwrap();
        assert_eq!(last.insert(writer.to_owned(), number), number.checked_sub(1), "{text}");
    }
}
