//! Messages by their sections. What an event carries beyond its annotations is kept as the bytes that were sent, so that
//! whoever reads it gets exactly what whoever sent it wrote.

use bytes::{BufMut, Bytes, BytesMut};
use serde_amqp::Value;
use serde_amqp::descriptor::Descriptor;
use serde_amqp::primitives::{OrderedMap, Timestamp};

use super::frames::encode;
use super::{Malformed, described, entry, text, walk};

/// The message format of a batch: each section of data is a message of its own.
pub(crate) const BATCH_FORMAT: u32 = 0x8001_3700;

const HEADER: u64 = 0x70;
const DELIVERY_ANNOTATIONS: u64 = 0x71;
const ANNOTATIONS: u64 = 0x72;
const PROPERTIES: u64 = 0x73;
const APPLICATION_PROPERTIES: u64 = 0x74;
const DATA: u64 = 0x75;
const VALUE: u64 = 0x77;
const FOOTER: u64 = 0x78;

const PARTITION_KEY: &str = "x-opt-partition-key";
const SEQUENCE_NUMBER: &str = "x-opt-sequence-number";
const OFFSET: &str = "x-opt-offset";
const ENQUEUED_TIME: &str = "x-opt-enqueued-time";

/// What was sent in one delivery.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Sent {
    /// What decides about the partition, where none was asked for.
    pub(crate) partition_key: Option<String>,
    pub(crate) events: Vec<Event>,
}

/// One event as it was sent.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Event {
    /// What whoever sent it wrote into the annotations, without what is ours to write.
    annotations: Vec<(Value, Value)>,
    /// Properties, body and footer.
    rest: Bytes,
    /// As it was sent.
    size: usize,
}

/// What the log knows of an event.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mark<'a> {
    pub(crate) sequence: i64,
    pub(crate) offset: i64,
    /// In milliseconds.
    pub(crate) enqueued: i64,
    pub(crate) partition_key: Option<&'a str>,
}

impl Sent {
    /// Reads a delivery of one event, or of a batch of them.
    pub(crate) fn read(message: Bytes, format: u32) -> Result<Self, Malformed> {
        if format != BATCH_FORMAT {
            let (event, partition_key) = Event::read(message)?;
            return Ok(Self { partition_key, events: vec![event] });
        }
        let envelope = Sections(message).collect::<Result<Vec<_>, _>>()?;
        let key = envelope.iter().find(|section| section.code == ANNOTATIONS).map(partition_key).transpose()?;
        let inner = envelope.into_iter().filter(|section| section.code == DATA).map(|section| section.data());
        let events = inner.map(|message| Event::read(message?)).collect::<Result<Vec<_>, _>>()?;
        let of_the_first = events.first().and_then(|(_, key)| key.clone());
        let events = events.into_iter().map(|(event, _)| event).collect();
        Ok(Self { partition_key: key.flatten().or(of_the_first), events })
    }
}

impl Event {
    fn read(message: Bytes) -> Result<(Self, Option<String>), Malformed> {
        let (mut annotations, mut key, mut kept) = (Vec::new(), None, 0);
        for section in Sections(message.clone()) {
            let section = section?;
            match section.code {
                // Header and delivery annotations are for one hop only.
                HEADER | DELIVERY_ANNOTATIONS => {}
                ANNOTATIONS => {
                    key = partition_key(&section)?;
                    annotations = foreign(section.value()?);
                }
                _ => break,
            }
            kept += section.encoded.len();
        }
        let (size, rest) = (message.len(), message.slice(kept.min(message.len())..));
        // Nothing may be kept that whoever reads it cannot cut up.
        Sections(rest.clone()).try_for_each(|section| section.map(drop))?;
        Ok((Self { annotations, rest, size }, key))
    }

    /// How large it was as it was sent.
    pub(crate) fn size(&self) -> usize {
        self.size
    }

    /// The message that whoever reads it gets.
    pub(crate) fn delivered(self, mark: Mark<'_>) -> Bytes {
        let mut annotations = OrderedMap::from_iter(self.annotations);
        let mut mark_with = |name: &str, value| drop(annotations.insert(Value::Symbol(name.into()), value));
        mark_with(SEQUENCE_NUMBER, Value::Long(mark.sequence));
        mark_with(OFFSET, Value::String(mark.offset.to_string()));
        mark_with(ENQUEUED_TIME, Value::Timestamp(Timestamp::from_milliseconds(mark.enqueued)));
        if let Some(key) = mark.partition_key {
            mark_with(PARTITION_KEY, Value::String(key.to_owned()));
        }
        let annotations = encode(&described(ANNOTATIONS, Value::Map(annotations)));
        let mut message = BytesMut::with_capacity(annotations.len() + self.rest.len());
        message.put_slice(&annotations);
        message.put_slice(&self.rest);
        message.freeze()
    }
}

/// What whoever reads a partition is told of its end, with an event that stands before it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct End {
    /// Of the last event there ever was.
    pub(crate) sequence: i64,
    pub(crate) offset: i64,
    /// In milliseconds.
    pub(crate) enqueued: i64,
    /// When this was so, likewise.
    pub(crate) now: i64,
}

impl End {
    /// A message as [`Event::delivered`] made it, with this before it.
    pub(crate) fn before(self, message: &Bytes) -> Bytes {
        let timestamp = |milliseconds| Value::Timestamp(Timestamp::from_milliseconds(milliseconds));
        let annotations = [
            ("last_enqueued_sequence_number", Value::Long(self.sequence)),
            ("last_enqueued_offset", Value::String(self.offset.to_string())),
            ("last_enqueued_time_utc", timestamp(self.enqueued)),
            ("runtime_info_retrieval_time_utc", timestamp(self.now)),
        ];
        let annotations = annotations.map(|(name, value)| (Value::Symbol(name.into()), value));
        let annotations = described(DELIVERY_ANNOTATIONS, Value::Map(OrderedMap::from_iter(annotations)));
        Bytes::from([&encode(&annotations)[..], message].concat())
    }
}

/// What of the annotations is not ours to write.
fn foreign(annotations: Value) -> Vec<(Value, Value)> {
    let ours = [PARTITION_KEY, SEQUENCE_NUMBER, OFFSET, ENQUEUED_TIME];
    let Value::Map(annotations) = annotations else { return Vec::new() };
    annotations.into_iter().filter(|(name, _)| text(name).is_none_or(|name| !ours.contains(&name))).collect()
}

fn partition_key(annotations: &Section) -> Result<Option<String>, Malformed> {
    Ok(entry(&annotations.value()?, PARTITION_KEY).and_then(text).map(str::to_owned))
}

/// What is asked of a node by a message.
#[derive(Debug)]
pub(crate) struct Request {
    /// Of whatever type ids may have.
    pub(crate) id: Value,
    pub(crate) reply_to: Option<String>,
    properties: Value,
    pub(crate) body: Value,
}

impl Request {
    /// Reads a request.
    pub(crate) fn read(message: Bytes) -> Result<Self, Malformed> {
        let mut request = Self { id: Value::Null, reply_to: None, properties: Value::Null, body: Value::Null };
        for section in Sections(message) {
            let section = section?;
            match section.code {
                PROPERTIES => {
                    if let Value::List(fields) = section.value()? {
                        request.id = fields.first().cloned().unwrap_or_default();
                        request.reply_to = fields.get(4).and_then(text).map(str::to_owned);
                    }
                }
                APPLICATION_PROPERTIES => request.properties = section.value()?,
                VALUE => request.body = section.value()?,
                _ => {}
            }
        }
        Ok(request)
    }

    /// One of its application properties; empty where it has none of that name.
    pub(crate) fn property(&self, name: &str) -> &str {
        entry(&self.properties, name).and_then(text).unwrap_or_default()
    }
}

/// The answer to a request of that id.
pub(crate) fn reply(id: Value, properties: impl IntoIterator<Item = (&'static str, Value)>, body: Value) -> Bytes {
    let mut fields = vec![Value::Null; 5];
    fields.push(id);
    fields.resize(13, Value::Null);
    let properties = properties.into_iter().map(|(name, value)| (Value::String(name.to_owned()), value));
    let sections = [
        described(PROPERTIES, Value::List(fields)),
        described(APPLICATION_PROPERTIES, Value::Map(OrderedMap::from_iter(properties))),
        described(VALUE, body),
    ];
    Bytes::from(sections.iter().flat_map(encode).collect::<Vec<_>>())
}

/// The sections of a message, in their order.
struct Sections(Bytes);

/// One section.
struct Section {
    code: u64,
    /// With its descriptor.
    encoded: Bytes,
}

impl Iterator for Sections {
    type Item = Result<Section, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let length = walk::length(&self.0).filter(|length| *length <= self.0.len());
        let code = match &self.0[..] {
            [0, 0x53, code, ..] => Some(u64::from(*code)),
            [0, 0x80, a, b, c, d, e, f, g, h, ..] => Some(u64::from_be_bytes([*a, *b, *c, *d, *e, *f, *g, *h])),
            _ => None,
        };
        Some(match (length, code) {
            (Some(length), Some(code @ HEADER..=FOOTER)) => Ok(Section { code, encoded: self.0.split_to(length) }),
            (None, _) => Err(self.broken("the message is cut off")),
            _ => Err(self.broken("the message has a section of no known kind")),
        })
    }
}

impl Sections {
    /// After what cannot be read nothing comes.
    fn broken(&mut self, why: &'static str) -> Malformed {
        self.0.clear();
        Malformed(why)
    }
}

impl Section {
    fn value(&self) -> Result<Value, Malformed> {
        match serde_amqp::from_slice(&self.encoded) {
            Ok(Value::Described(described)) if matches!(described.descriptor, Descriptor::Code(_)) => {
                Ok(described.value)
            }
            _ => Err(Malformed("a section of the message cannot be decoded")),
        }
    }

    /// The bytes that a section of data holds.
    fn data(&self) -> Result<Bytes, Malformed> {
        let head = if self.encoded.get(1) == Some(&0x53) { 3 } else { 10 };
        let skipped = match self.encoded.get(head) {
            Some(0xa0) => head + 2,
            Some(0xb0) => head + 5,
            _ => return Err(Malformed("a section of data holds no bytes")),
        };
        Ok(self.encoded.slice(skipped.min(self.encoded.len())..))
    }
}

#[cfg(test)]
mod tests;
