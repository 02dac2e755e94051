//! Events and records, between Event Hubs' shape and ours.
//!
//! | of a record | in the event |
//! |---|---|
//! | payload | the body, as binary data |
//! | key | the property `lockgate-key`, binary; the partition key says where it goes |
//! | header | a property of its name: text where it is text, else binary |
//! | headers of which some have the same name | the first of each name as above, and all of them in `lockgate-headers` |

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use bytes::Bytes;
use fe2o3_amqp_types::messaging::annotations::{Annotations, OwnedKey};
use fe2o3_amqp_types::messaging::{
    AmqpValue, ApplicationProperties, Body, Data, Message as AmqpMessage, MessageAnnotations,
};
use fe2o3_amqp_types::primitives::{SimpleValue, Value};
use serde::Serialize;
use serde_amqp::ser::Serializer;
use sha2::{Digest, Sha256};

use crate::model::{Header, Headers, Message, MessageId, Origin, Partition, Position, Record, Timestamp, header};

/// Where the key stands.
const KEY: &str = "lockgate-key";
/// Where producers by Kafka's protocol leave the key.
const KAFKA_KEY: &str = "_key";
/// Where all headers stand that a map could not hold.
const HEADERS: &str = "lockgate-headers";
/// Bytes of a partition key that the service takes.
const PARTITION_KEY_LIMIT: usize = 128;

const SEQUENCE_NUMBER: &str = "x-opt-sequence-number";
const OFFSET: &str = "x-opt-offset";
const ENQUEUED: &str = "x-opt-enqueued-time";
/// The annotation with the key by which the service chooses the partition.
pub(super) const PARTITION_KEY: &str = "x-opt-partition-key";
/// Where the partition ends, where that was asked for.
const LAST_SEQUENCE_NUMBER: &str = "last_enqueued_sequence_number";

/// What begins a section of data, without its length.
const DATA: [u8; 3] = [0x00, 0x53, 0x75];
/// Binary data with a length of one byte, and with one of four.
const SHORT: u8 = 0xa0;
const LONG: u8 = 0xb0;
/// What an event has around its body and its properties, about.
const AROUND: usize = 160;

/// The body of an event, whatever it is.
pub(super) type Content = Body<Value>;

/// An event that was received.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Event {
    pub(super) place: Place,
    /// The sequence number that the next event of the partition got, when this one was sent; where it was asked for.
    pub(super) end: Option<i64>,
    /// Its bytes, about.
    pub(super) size: u64,
    properties: Option<ApplicationProperties>,
    body: Content,
}

/// What the service says of an event.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Place {
    pub(super) position: Position,
    /// As other SDKs store it.
    pub(super) offset: Option<String>,
    pub(super) enqueued: Timestamp,
    partition_key: Option<String>,
}

impl Event {
    /// Reads one; none where the service did not say where it stands, as it always does.
    pub(super) fn read(message: AmqpMessage<Content>) -> Option<Self> {
        let place = place(message.message_annotations?.0)?;
        let end = message.delivery_annotations.as_ref().and_then(|annotations| end(&annotations.0));
        let size = AROUND + length(&message.body) + message.application_properties.as_ref().map_or(0, weight);
        let (properties, body) = (message.application_properties, message.body);
        Some(Self { place, end, size: u64::try_from(size).unwrap_or(u64::MAX), properties, body })
    }
}

fn place(annotations: Annotations) -> Option<Place> {
    let (mut position, mut offset, mut enqueued, mut partition_key) = (None, None, Timestamp(0), None);
    for (name, value) in annotations.into_inner() {
        let OwnedKey::Symbol(name) = name else { continue };
        match (name.as_str(), value) {
            (SEQUENCE_NUMBER, Value::Long(number)) => position = Some(Position(number)),
            (OFFSET, Value::String(text)) => offset = Some(text),
            (ENQUEUED, Value::Timestamp(time)) => enqueued = millis(time.into_inner()),
            (PARTITION_KEY, Value::String(text)) => partition_key = Some(text),
            _ => {}
        }
    }
    Some(Place { position: position?, offset, enqueued, partition_key })
}

fn end(annotations: &Annotations) -> Option<i64> {
    annotations.iter().find_map(|(name, value)| match (name, value) {
        (OwnedKey::Symbol(name), Value::Long(last)) if name.as_str() == LAST_SEQUENCE_NUMBER => last.checked_add(1),
        _ => None,
    })
}

fn millis(time: i64) -> Timestamp {
    Timestamp(u64::try_from(time).unwrap_or(0))
}

fn length(body: &Content) -> usize {
    match body {
        Body::Data(parts) => parts.iter().map(|Data(bytes)| bytes.len()).sum(),
        Body::Value(AmqpValue(Value::Binary(bytes))) => bytes.len(),
        Body::Value(AmqpValue(Value::String(text))) => text.len(),
        Body::Value(_) | Body::Sequence(_) | Body::Empty => AROUND,
    }
}

fn weight(properties: &ApplicationProperties) -> usize {
    let value = |value: &SimpleValue| match value {
        SimpleValue::Binary(bytes) => bytes.len(),
        SimpleValue::String(text) => text.len(),
        _ => 16,
    };
    properties.iter().map(|(name, of)| name.len() + value(of)).sum()
}

/// A message of a hub. `physical` is the hub's name.
pub(super) fn message(transport: &Arc<str>, physical: &str, partition: &Partition, event: Event) -> Message {
    let Event { place, properties, body: content, .. } = event;
    let (mut headers, mut key, mut all) = (Headers::default(), None, None);
    for (name, value) in properties.into_iter().flat_map(|properties| properties.0.into_inner()) {
        match (name.as_str(), bytes(value)) {
            (KEY, value) => key = Some(value),
            (KAFKA_KEY, value) if key.is_none() => key = Some(value),
            (HEADERS, value) => all = unpack(&value),
            (_, value) => headers.push(name.as_str(), value),
        }
    }
    let headers = all.unwrap_or(headers);
    let id = headers.text(header::ID).map(MessageId::given);
    Message {
        id: id.unwrap_or_else(|| MessageId::of_origin(transport, physical, partition.index, place.position)),
        origin: Origin {
            transport: transport.clone(),
            partition: partition.clone(),
            position: place.position,
            enqueued: place.enqueued,
        },
        key: key.or_else(|| place.partition_key.map(Bytes::from)),
        headers,
        payload: body(content),
    }
}

/// An event as it goes into a batch.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Encoded(Vec<u8>);

impl Encoded {
    /// The bytes that it takes in a batch.
    pub(super) fn len(&self) -> usize {
        DATA.len() + length_of_length(self.0.len()) + self.0.len()
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

/// The event of a record, with the partition key that its batch has.
pub(super) fn event(record: &Record, partition_key: Option<&str>) -> Result<Encoded, serde_amqp::Error> {
    let mut encoded = Vec::with_capacity(AROUND + record.payload.len());
    if let Some(key) = partition_key {
        let mut annotations = MessageAnnotations::default();
        annotations.0.insert(OwnedKey::from(PARTITION_KEY), Value::String(key.to_owned()));
        annotations.serialize(&mut Serializer::new(&mut encoded))?;
    }
    let properties = properties(record);
    if !properties.is_empty() {
        properties.serialize(&mut Serializer::new(&mut encoded))?;
    }
    push_data(&mut encoded, &record.payload);
    Ok(Encoded(encoded))
}

fn properties(record: &Record) -> ApplicationProperties {
    let mut properties = ApplicationProperties::default();
    if let Some(key) = &record.key {
        properties.insert(KEY.to_owned(), SimpleValue::Binary(key.to_vec().into()));
    }
    let mut repeated = false;
    for Header { name, value } in record.headers.iter() {
        if properties.contains_key(name.as_str()) {
            repeated = true;
        } else {
            properties.insert(name.to_string(), simple(value));
        }
    }
    if repeated {
        properties.insert(HEADERS.to_owned(), SimpleValue::String(pack(&record.headers)));
    }
    properties
}

/// A section of data. Written by hand, for the payload would be copied twice otherwise.
fn push_data(encoded: &mut Vec<u8>, payload: &[u8]) {
    encoded.extend(DATA);
    match u8::try_from(payload.len()) {
        Ok(length) => encoded.extend([SHORT, length]),
        Err(_) => {
            encoded.push(LONG);
            encoded.extend(u32::try_from(payload.len()).unwrap_or(u32::MAX).to_be_bytes());
        }
    }
    encoded.extend_from_slice(payload);
}

fn length_of_length(length: usize) -> usize {
    if u8::try_from(length).is_ok() { 2 } else { 5 }
}

/// The partition key of a key: itself, where the service takes it, else its hash.
pub(super) fn partition_key(key: &[u8]) -> String {
    match std::str::from_utf8(key) {
        Ok(text) if !text.is_empty() && text.len() <= PARTITION_KEY_LIMIT => text.to_owned(),
        _ => Sha256::digest(key).iter().map(|byte| format!("{byte:02x}")).collect(),
    }
}

fn body(body: Content) -> Bytes {
    match body {
        Body::Data(parts) => {
            let mut parts: Vec<Data> = parts.into_inner();
            match parts.len() {
                0 | 1 => parts.pop().map(|Data(bytes)| Bytes::from(bytes.into_vec())).unwrap_or_default(),
                _ => parts.iter().flat_map(|Data(bytes)| bytes.iter().copied()).collect(),
            }
        }
        Body::Value(AmqpValue(Value::Binary(bytes))) => Bytes::from(bytes.into_vec()),
        Body::Value(AmqpValue(Value::String(text))) => Bytes::from(text),
        // Another client's values have no bytes of their own.
        Body::Value(_) | Body::Sequence(_) | Body::Empty => Bytes::new(),
    }
}

fn simple(value: &Bytes) -> SimpleValue {
    match std::str::from_utf8(value) {
        Ok(text) => SimpleValue::String(text.to_owned()),
        Err(_) => SimpleValue::Binary(value.to_vec().into()),
    }
}

/// A property's value as bytes: numbers and truths as text.
fn bytes(value: SimpleValue) -> Bytes {
    use SimpleValue as V;
    match value {
        V::Binary(bytes) => Bytes::from(bytes.into_vec()),
        V::String(text) => Bytes::from(text),
        V::Symbol(symbol) => Bytes::from(symbol.0),
        V::Bool(value) => Bytes::from(value.to_string()),
        V::Ubyte(value) => Bytes::from(value.to_string()),
        V::Byte(value) => Bytes::from(value.to_string()),
        V::Ushort(value) => Bytes::from(value.to_string()),
        V::Short(value) => Bytes::from(value.to_string()),
        V::Uint(value) => Bytes::from(value.to_string()),
        V::Int(value) => Bytes::from(value.to_string()),
        V::Ulong(value) => Bytes::from(value.to_string()),
        V::Long(value) => Bytes::from(value.to_string()),
        V::Float(value) => Bytes::from(value.to_string()),
        V::Double(value) => Bytes::from(value.to_string()),
        V::Char(value) => Bytes::from(value.to_string()),
        V::Uuid(value) => Bytes::from(uuid(&value.into_inner())),
        V::Timestamp(time) => Bytes::from(millis(time.into_inner()).0.to_string()),
        V::Null | V::Decimal32(_) | V::Decimal64(_) | V::Decimal128(_) | V::Described(_) => Bytes::new(),
    }
}

/// As it is written: `00112233-4455-6677-8899-aabbccddeeff`.
fn uuid(bytes: &[u8]) -> String {
    let digits = |(at, byte): (usize, &u8)| match at {
        4 | 6 | 8 | 10 => format!("-{byte:02x}"),
        _ => format!("{byte:02x}"),
    };
    bytes.iter().enumerate().map(digits).collect()
}

/// All headers as JSON: pairs of a name and its value in base64.
fn pack(headers: &Headers) -> String {
    let pairs: Vec<(&str, String)> =
        headers.iter().map(|header| (header.name.as_str(), STANDARD_NO_PAD.encode(&header.value))).collect();
    serde_json::to_string(&pairs).unwrap_or_default()
}

fn unpack(packed: &[u8]) -> Option<Headers> {
    let pairs: Vec<(String, String)> = serde_json::from_slice(packed).ok()?;
    let mut headers = Headers::default();
    for (name, value) in pairs {
        headers.push(name, STANDARD_NO_PAD.decode(value).ok()?);
    }
    Some(headers)
}

#[cfg(test)]
#[path = "message_tests.rs"]
mod tests;
