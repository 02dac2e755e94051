use fe2o3_amqp_types::messaging::DeliveryAnnotations;
use fe2o3_amqp_types::messaging::message::__private::Deserializable;
use fe2o3_amqp_types::primitives::{Timestamp as AmqpTimestamp, Uuid};

use super::*;

fn annotations(partition_key: Option<&str>) -> MessageAnnotations {
    let mut annotations = MessageAnnotations::default();
    let mut insert = |name: &str, value| annotations.0.insert(OwnedKey::from(name), value);
    insert(SEQUENCE_NUMBER, Value::Long(42));
    insert(OFFSET, Value::String("4242".into()));
    insert(ENQUEUED, Value::Timestamp(AmqpTimestamp::from(7)));
    if let Some(key) = partition_key {
        insert(PARTITION_KEY, Value::String(key.to_owned()));
    }
    annotations
}

fn decoded(encoded: Encoded) -> AmqpMessage<Content> {
    serde_amqp::from_slice::<Deserializable<AmqpMessage<Content>>>(&encoded.into_bytes()).unwrap().0
}

/// As the service hands it out.
fn read(mut event: AmqpMessage<Content>, partition_key: Option<&str>) -> Message {
    event.message_annotations = Some(annotations(partition_key));
    message(&"bus".into(), "orders", &Partition::new("t", 3), Event::read(event).unwrap())
}

fn headers(pairs: &[(&str, &[u8])]) -> Headers {
    let mut headers = Headers::default();
    pairs.iter().for_each(|(name, value)| headers.push(*name, value.to_vec()));
    headers
}

fn of(properties: &[(&str, SimpleValue)], body: Content) -> AmqpMessage<Content> {
    let mut all = ApplicationProperties::default();
    properties.iter().for_each(|(name, value)| drop(all.insert((*name).to_owned(), value.clone())));
    AmqpMessage::builder().application_properties(all).body(body).build()
}

#[test]
fn a_record_comes_back_as_it_was() {
    let odd: &[u8] = &[0, 255];
    for (given, payload) in [
        (headers(&[]), Bytes::new()),
        (headers(&[("a", b"x"), ("b", odd), ("c", b"")]), Bytes::from_static(b"{}")),
        (headers(&[("a", b"1"), ("b", odd), ("a", b"2")]), vec![7; 255].into()),
        (headers(&[("long", &[b'x'; 300])]), vec![7; 256].into()),
        (headers(&[]), vec![7; 100_000].into()),
    ] {
        let record = Record { key: Some(Bytes::from_static(&[0, 1])), headers: given, payload, partition: None };
        let event = decoded(event(&record, None).unwrap());
        let read = read(event, None);
        assert_eq!((read.key, read.headers, read.payload), (record.key, record.headers, record.payload));
        assert_eq!((read.origin.position, read.origin.enqueued), (Position(42), Timestamp(7)));
    }
}

#[test]
fn a_partition_key_stands_in_the_event() {
    let record = Record { payload: Bytes::from_static(b"x"), ..Record::default() };
    let event = decoded(event(&record, Some("claim-7")).unwrap());
    let key = OwnedKey::from(PARTITION_KEY);
    assert_eq!(event.message_annotations.unwrap().0.get(&key), Some(&Value::String("claim-7".into())));
}

#[test]
fn an_event_tells_the_bytes_that_it_takes_in_a_batch() {
    for length in [0, 1, 200, 255, 256, 70_000] {
        let record = Record { payload: vec![7; length].into(), ..Record::default() };
        let event = event(&record, None).unwrap();
        let told = event.len();
        let mut section = Vec::new();
        push_data(&mut section, &event.into_bytes());
        assert_eq!(told, section.len(), "{length}");
    }
}

#[test]
fn an_event_tells_where_it_stands_and_where_the_partition_ends() {
    let mut event = of(&[], Body::Empty);
    assert_eq!(Event::read(event.clone()), None);
    event.message_annotations = Some(annotations(None));
    let mut told = DeliveryAnnotations::default();
    told.0.insert(OwnedKey::from(LAST_SEQUENCE_NUMBER), Value::Long(99));
    event.delivery_annotations = Some(told);
    let read = Event::read(event).unwrap();
    assert_eq!((read.place.position, read.place.offset.as_deref(), read.end), (Position(42), Some("4242"), Some(100)));
}

#[test]
fn the_size_is_about_that_of_the_event() {
    for length in [0, 1000, 1_000_000] {
        let record =
            Record { payload: vec![7; length].into(), headers: headers(&[("h", &[b'x'; 100])]), ..Record::default() };
        let encoded = event(&record, None).unwrap();
        let bytes = encoded.len();
        let mut event = decoded(encoded);
        event.message_annotations = Some(annotations(None));
        let size = usize::try_from(Event::read(event).unwrap().size).unwrap();
        assert!(size >= bytes && size <= bytes + 2 * AROUND, "{bytes} {size}");
    }
}

#[test]
fn the_key_of_another_producer_is_found() {
    assert_eq!(read(of(&[], Body::Empty), Some("p")).key.as_deref(), Some(b"p".as_slice()));
    let theirs = [
        (KAFKA_KEY, SimpleValue::Binary(b"k".to_vec().into())),
        ("tries", SimpleValue::Int(3)),
        ("id", SimpleValue::Uuid(Uuid::from([0xab; 16]))),
        ("at", SimpleValue::Timestamp(AmqpTimestamp::from(5))),
    ];
    let read = read(of(&theirs, Body::Empty), Some("p"));
    assert_eq!(read.key.as_deref(), Some(b"k".as_slice()));
    let texts = ["tries", "id", "at"].map(|name| read.headers.text(name).unwrap().to_owned());
    assert_eq!(texts, ["3", "abababab-abab-abab-abab-abababababab", "5"]);
}

#[test]
fn bodies_of_other_producers_are_bytes() {
    let data = |parts: &[&[u8]]| Body::Data(parts.iter().map(|part| Data::from(*part)).collect());
    for (body, bytes) in [
        (data(&[b"one"]), "one"),
        (data(&[b"one", b"two"]), "onetwo"),
        (Body::Value(AmqpValue(Value::Binary(b"binary".to_vec().into()))), "binary"),
        (Body::Value(AmqpValue(Value::String("text".into()))), "text"),
        (Body::Value(AmqpValue(Value::Long(7))), ""),
        (Body::Empty, ""),
    ] {
        assert_eq!(read(of(&[], body), None).payload, bytes);
    }
}

#[test]
fn a_partition_key_is_text_that_the_service_takes() {
    assert_eq!(partition_key(b"claim-7"), "claim-7");
    for odd in [[0xff].as_slice(), &[b'x'; 129], &[]] {
        let key = partition_key(odd);
        assert_eq!((key.len(), key.as_str()), (64, partition_key(odd).as_str()));
    }
}
