//! A message as a transport hands it out, and a record as a sink takes it. Both share bytes instead of copying them.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use sha2::{Digest, Sha256};

use super::{Timestamp, header};

/// A partition of a topic. Cheap to clone.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Partition {
    /// The topic's name in the spec.
    pub topic: Arc<str>,
    /// The partition's number, from 0.
    pub index: u32,
}

impl Partition {
    /// The partition `index` of `topic`.
    pub fn new(topic: impl Into<Arc<str>>, index: u32) -> Self {
        Self { topic: topic.into(), index }
    }
}

impl fmt::Display for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.topic, self.index)
    }
}

impl fmt::Debug for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Where a message stands in its partition. Inclusive: the position *of* a message, never of the next one; a
/// transport's own convention ends in its adapter. Positions grow, and may leave holes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Position(pub i64);

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// The idempotency key of a message: stable across redelivery.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct MessageId(Arc<str>);

impl MessageId {
    /// The id that a message without a `lockgate-id` header gets: SHA-256 of where it stands, in hex.
    pub fn of_origin(transport: &str, physical_topic: &str, partition: u32, position: Position) -> Self {
        let digest = Sha256::new()
            .chain_update(transport)
            .chain_update([0])
            .chain_update(physical_topic)
            .chain_update([0])
            .chain_update(partition.to_be_bytes())
            .chain_update(position.0.to_be_bytes())
            .finalize();
        Self(format!("{digest:x}").into())
    }

    /// The id of an emission: SHA-256 over the message it came from, the pipeline, the output and the emission's
    /// number among those of that output, so that a repeated run gives the same ids.
    pub fn of_emission(source: &MessageId, pipeline: &str, output: &str, ordinal: u32) -> Self {
        let digest = Sha256::new()
            .chain_update(source.as_str())
            .chain_update([0])
            .chain_update(pipeline)
            .chain_update([0])
            .chain_update(output)
            .chain_update([0])
            .chain_update(ordinal.to_be_bytes())
            .finalize();
        Self(format!("{digest:x}").into())
    }

    /// An id that came with a message.
    pub fn given(id: &str) -> Self {
        Self(id.into())
    }

    /// The first eight bytes of the id's SHA-256, big endian: spreads messages evenly, and each always alike.
    pub fn spread(&self) -> u64 {
        Sha256::digest(self.as_str()).iter().take(8).fold(0, |hash, byte| hash << 8 | u64::from(*byte))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A name and bytes. Names may repeat within a message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Header {
    /// The name, as it was written.
    pub name: String,
    /// The value.
    pub value: Bytes,
}

impl Header {
    /// Whether it belongs to the host.
    pub fn is_reserved(&self) -> bool {
        self.name.starts_with(header::RESERVED_PREFIX)
    }
}

/// The headers of a message, in order.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Headers(pub Vec<Header>);

impl Headers {
    /// The first value under `name`.
    pub fn get(&self, name: &str) -> Option<&Bytes> {
        self.0.iter().find(|header| header.name == name).map(|header| &header.value)
    }

    /// The first value under `name`, when it is text.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.get(name).and_then(|value| std::str::from_utf8(value).ok())
    }

    /// Appends a header.
    pub fn push(&mut self, name: impl Into<String>, value: impl Into<Bytes>) {
        self.0.push(Header { name: name.into(), value: value.into() });
    }

    /// Replaces every header of that name by one.
    pub fn set(&mut self, name: &str, value: impl Into<Bytes>) {
        self.0.retain(|header| header.name != name);
        self.push(name, value);
    }

    /// What the headers weigh, in bytes.
    pub fn size(&self) -> usize {
        self.0.iter().map(|header| header.name.len() + header.value.len()).sum()
    }
}

/// Where a message came from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Origin {
    /// The transport's name in the spec.
    pub transport: Arc<str>,
    /// Topic and partition.
    pub partition: Partition,
    /// The message's position there.
    pub position: Position,
    /// When the transport took the message.
    pub enqueued: Timestamp,
}

/// One message, as a source hands it out.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Message {
    /// The idempotency key.
    pub id: MessageId,
    /// Where it came from.
    pub origin: Origin,
    /// Decides order and partition where there is one.
    pub key: Option<Bytes>,
    /// All headers.
    pub headers: Headers,
    /// The body, untouched.
    pub payload: Bytes,
}

impl Message {
    /// The trace that support staff search for: the header `trace_id`, or else the trace id of the W3C trace context
    /// in `traceparent`.
    pub fn trace_id(&self) -> Option<&str> {
        let of_context = || self.headers.text("traceparent").and_then(|context| context.split('-').nth(1));
        self.headers.text("trace_id").or_else(of_context)
    }

    /// When the first message of its chain entered Lockgate, in milliseconds since the Unix epoch: what its header
    /// says, else when the message itself did.
    pub fn origin_ms(&self) -> u64 {
        let given = self.headers.text(header::ORIGIN_MS).and_then(|text| text.parse().ok());
        given.unwrap_or(self.origin.enqueued.0)
    }

    /// What the message weighs against `in_flight.bytes`.
    pub fn size(&self) -> u64 {
        (self.payload.len() + self.headers.size() + self.key.as_ref().map_or(0, Bytes::len)) as u64
    }
}

/// One message on its way into a topic.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Record {
    /// Decides the partition by its hash; without one records are spread.
    pub key: Option<Bytes>,
    /// All headers.
    pub headers: Headers,
    /// The body.
    pub payload: Bytes,
    /// A chosen partition, which then wins over the key.
    pub partition: Option<u32>,
}

impl Record {
    /// What the record weighs, in bytes.
    pub fn size(&self) -> u64 {
        (self.payload.len() + self.headers.size() + self.key.as_ref().map_or(0, Bytes::len)) as u64
    }
}
