use serde_bytes::ByteBuf;

use super::*;

fn annotations(entries: &[(&str, &str)]) -> Value {
    let entries =
        entries.iter().map(|(name, value)| (Value::Symbol((*name).into()), Value::String((*value).to_owned())));
    described(ANNOTATIONS, Value::Map(OrderedMap::from_iter(entries)))
}

fn data(bytes: &[u8]) -> Value {
    described(DATA, Value::Binary(ByteBuf::from(bytes.to_vec())))
}

fn message(sections: &[Value]) -> Bytes {
    Bytes::from(sections.iter().flat_map(encode).collect::<Vec<_>>())
}

fn mark(partition_key: Option<&str>) -> Mark<'_> {
    Mark { sequence: 5, offset: 1234, enqueued: 1_700_000_000_000, partition_key }
}

fn sections(message: Bytes) -> Vec<(u64, Value)> {
    Sections(message).map(|section| section.map(|section| (section.code, section.value().unwrap())).unwrap()).collect()
}

#[test]
fn an_event_keeps_what_it_carries_and_gets_what_the_log_knows_of_it() {
    let header = described(HEADER, Value::List(vec![Value::Bool(true)]));
    let hop = described(DELIVERY_ANNOTATIONS, Value::Map(OrderedMap::new()));
    let properties = described(APPLICATION_PROPERTIES, Value::Map(OrderedMap::new()));
    let ours = annotations(&[("mine", "kept"), (SEQUENCE_NUMBER, "forged"), (PARTITION_KEY, "k")]);
    let sent = message(&[header, hop, ours, properties.clone(), data(b"one"), data(b"two")]);
    let size = sent.len();
    let Sent { partition_key, mut events } = Sent::read(sent, 0).unwrap();
    assert_eq!((partition_key.as_deref(), events.len()), (Some("k"), 1));
    let event = events.remove(0);
    assert_eq!(event.size(), size);
    let delivered = event.delivered(mark(partition_key.as_deref()));
    assert!(delivered.ends_with(&message(&[properties, data(b"one"), data(b"two")])));
    let sections = sections(delivered);
    let codes: Vec<u64> = sections.iter().map(|(code, _)| *code).collect();
    assert_eq!(codes, [ANNOTATIONS, APPLICATION_PROPERTIES, DATA, DATA]);
    let annotation = |name| entry(&sections[0].1, name).unwrap();
    assert_eq!(annotation("mine"), &Value::String("kept".to_owned()));
    assert_eq!(annotation(SEQUENCE_NUMBER), &Value::Long(5));
    assert_eq!(annotation(OFFSET), &Value::String("1234".to_owned()));
    assert_eq!(annotation(ENQUEUED_TIME), &Value::Timestamp(Timestamp::from_milliseconds(1_700_000_000_000)));
    assert_eq!(annotation(PARTITION_KEY), &Value::String("k".to_owned()));
}

#[test]
fn where_a_partition_ends_is_told_before_an_event() {
    let event = Sent::read(message(&[data(b"one")]), 0).unwrap().events.remove(0).delivered(mark(None));
    let told = End { sequence: 9, offset: 777, enqueued: 1, now: 2 }.before(&event);
    assert!(told.ends_with(&event));
    let sections = sections(told);
    assert_eq!(sections.iter().map(|(code, _)| *code).collect::<Vec<_>>(), [DELIVERY_ANNOTATIONS, ANNOTATIONS, DATA]);
    let annotation = |name| entry(&sections[0].1, name).unwrap();
    assert_eq!(annotation("last_enqueued_sequence_number"), &Value::Long(9));
    assert_eq!(annotation("last_enqueued_offset"), &Value::String("777".to_owned()));
}

#[test]
fn a_batch_is_many_events_under_the_key_of_its_envelope() {
    let inner = [message(&[data(b"one")]), message(&[annotations(&[("a", "b")]), data(&[0; 400])])];
    let envelope = message(&[annotations(&[(PARTITION_KEY, "k")]), data(&inner[0]), data(&inner[1])]);
    let Sent { partition_key, events } = Sent::read(envelope, BATCH_FORMAT).unwrap();
    assert_eq!(partition_key.as_deref(), Some("k"));
    assert_eq!(events.iter().map(Event::size).collect::<Vec<_>>(), inner.iter().map(Bytes::len).collect::<Vec<_>>());
    let bodies: Vec<_> = events.into_iter().map(|event| sections(event.delivered(mark(None))).pop().unwrap()).collect();
    assert_eq!(bodies[0], (DATA, Value::Binary(ByteBuf::from(b"one".to_vec()))));
    assert_eq!(bodies[1], (DATA, Value::Binary(ByteBuf::from(vec![0; 400]))));
}

#[test]
fn a_batch_without_a_key_has_that_of_its_first_event() {
    let inner = message(&[annotations(&[(PARTITION_KEY, "first")]), data(b"one")]);
    let sent = Sent::read(message(&[data(&inner), data(&message(&[data(b"two")]))]), BATCH_FORMAT).unwrap();
    assert_eq!(sent.partition_key.as_deref(), Some("first"));
}

#[test]
fn what_is_no_message_is_refused() {
    let cut_off = message(&[data(b"one")]).slice(..5);
    let unknown = Bytes::from(encode(&described(0x12, Value::Null)));
    let naked = Bytes::from(encode(&Value::Uint(1)));
    for bytes in [cut_off.clone(), unknown, naked] {
        assert!(Sent::read(bytes.clone(), 0).is_err(), "{bytes:02x?}");
    }
    assert!(Sent::read(message(&[data(&cut_off)]), BATCH_FORMAT).is_err());
    assert!(Sent::read(message(&[described(DATA, Value::Uint(1))]), BATCH_FORMAT).is_err());
}

#[test]
fn a_request_is_read_and_its_reply_names_it() {
    let mut fields = vec![Value::Null; 13];
    fields[0] = Value::Uuid([3; 16].into());
    fields[4] = Value::String("back".to_owned());
    let properties = OrderedMap::from_iter([(Value::String("operation".to_owned()), Value::String("READ".to_owned()))]);
    let sent = message(&[
        described(PROPERTIES, Value::List(fields)),
        described(APPLICATION_PROPERTIES, Value::Map(properties)),
        described(VALUE, Value::String("token".to_owned())),
    ]);
    let request = Request::read(sent).unwrap();
    assert_eq!((request.property("operation"), request.property("type")), ("READ", ""));
    assert_eq!((request.reply_to.as_deref(), &request.body), (Some("back"), &Value::String("token".to_owned())));
    let sections = sections(reply(request.id, [("status-code", Value::Int(200))], Value::Null));
    let Value::List(fields) = &sections[0].1 else { panic!("{sections:?}") };
    assert_eq!((fields.len(), &fields[5]), (13, &Value::Uuid([3; 16].into())));
    assert_eq!(entry(&sections[1].1, "status-code"), Some(&Value::Int(200)));
}
