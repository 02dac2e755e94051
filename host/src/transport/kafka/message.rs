//! Messages and records, between Kafka's shape and ours.

use std::sync::Arc;

use rdkafka::message::{Header, OwnedHeaders};

use super::native::Raw;
use crate::model::{Headers, Message, MessageId, Origin, Partition, Position, Record, Timestamp, header};

/// Kafka's own bytes around a record in a batch, and the batch's head, at most: what a record weighs beside its parts.
/// The protocol's record format: <https://kafka.apache.org/documentation/#recordbatch>.
const AROUND: u64 = 61 + 5 * 6;
/// The same around a header.
const AROUND_HEADER: u64 = 2 * 5;

/// A message of a topic. `physical` is the topic's name in Kafka.
pub(super) fn message(transport: &Arc<str>, physical: &str, partition: &Partition, raw: Raw) -> Message {
    let Raw { offset, time, key, headers, payload } = raw;
    let position = Position(offset);
    let id = headers.text(header::ID).map(MessageId::given);
    Message {
        id: id.unwrap_or_else(|| MessageId::of_origin(transport, physical, partition.index, position)),
        origin: Origin {
            transport: transport.clone(),
            partition: partition.clone(),
            position,
            enqueued: Timestamp(time.and_then(|time| u64::try_from(time).ok()).unwrap_or(0)),
        },
        key,
        headers,
        payload,
    }
}

/// The headers of a record; says what is wrong where Kafka has no such.
pub(super) fn headers(headers: &Headers) -> Result<Option<OwnedHeaders>, String> {
    if headers.as_slice().is_empty() {
        return Ok(None);
    }
    if let Some(bad) = headers.iter().find(|header| header.name.contains('\0')) {
        return Err(format!("the name of its header {:?} holds a zero byte, which Kafka has no way to keep", bad.name));
    }
    let each = headers.iter().map(|header| Header { key: &header.name, value: Some(&*header.value) });
    Ok(Some(each.fold(OwnedHeaders::new_with_capacity(headers.as_slice().len()), OwnedHeaders::insert)))
}

/// What a record weighs against a topic's `max.message.bytes`, at most and uncompressed.
pub(super) fn weight(record: &Record) -> u64 {
    record.size() + AROUND + AROUND_HEADER * record.headers.as_slice().len() as u64
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn raw(headers: Headers) -> Raw {
        Raw { offset: 42, time: Some(7), key: None, headers, payload: Bytes::from_static(b"x") }
    }

    #[test]
    fn a_message_keeps_the_id_that_it_came_with_and_else_has_that_of_its_place() {
        let (transport, partition): (Arc<str>, _) = ("bus".into(), Partition::new("t", 3));
        let plain = message(&transport, "orders", &partition, raw(Headers::default()));
        assert_eq!(plain.id, MessageId::of_origin("bus", "orders", 3, Position(42)));
        assert_eq!(plain.origin.enqueued, Timestamp(7));
        let mut given = Headers::default();
        given.push(header::ID, "its own");
        assert_eq!(message(&transport, "orders", &partition, raw(given)).id.as_str(), "its own");
    }

    #[test]
    fn a_header_that_kafka_cannot_keep_is_told() {
        let mut odd = Headers::default();
        odd.push("a\0b", "x");
        assert!(headers(&odd).unwrap_err().contains("zero byte"));
        assert!(headers(&Headers::default()).unwrap().is_none());
    }
}
