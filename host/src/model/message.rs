//! A message as a transport hands it out, and a record as a sink takes it. Both share bytes instead of copying them.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use bytes::Bytes;
use sha2::{Digest, Sha256};

use super::{Headers, Timestamp, header};

/// A partition of a topic. Cheap to clone, and to compare with one whose topic is the same text in memory. In order of
/// topics, then of numbers.
#[derive(Clone, Eq)]
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

impl PartialEq for Partition {
    fn eq(&self, other: &Self) -> bool {
        self.index == other.index && (Arc::ptr_eq(&self.topic, &other.topic) || self.topic == other.topic)
    }
}

impl Hash for Partition {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.topic.hash(state);
        self.index.hash(state);
    }
}

impl PartialOrd for Partition {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Partition {
    fn cmp(&self, other: &Self) -> Ordering {
        let same = Arc::ptr_eq(&self.topic, &other.topic);
        let topic = if same { Ordering::Equal } else { self.topic.cmp(&other.topic) };
        topic.then(self.index.cmp(&other.index))
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
        Self::of_digest(&digest)
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
        Self::of_digest(&digest)
    }

    fn of_digest(digest: &[u8]) -> Self {
        let digit = |nibble: u8| if nibble < 10 { b'0' + nibble } else { b'a' + nibble - 10 };
        let text: Vec<u8> = digest.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect();
        // Hexadecimal digits are text.
        Self(str::from_utf8(&text).unwrap_or_default().into())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partitions_are_told_apart_by_what_their_topics_say_not_by_where_that_lies() {
        let [one, same] = ["t", "t"].map(|topic| Partition::new(topic, 1));
        assert!(!Arc::ptr_eq(&one.topic, &same.topic));
        assert_eq!((&one, one.cmp(&same)), (&same, Ordering::Equal));
        let mut all = [("u", 0), ("t", 10), ("t", 2)].map(|(topic, index)| Partition::new(topic, index));
        all.sort();
        assert_eq!(all.map(|partition| partition.to_string()), ["t/2", "t/10", "u/0"]);
    }

    #[test]
    fn the_id_of_a_message_never_changes() {
        // echo -en 'bus\0orders\0' and the partition and the position in 4 and 8 bytes, big endian, into sha256sum.
        let id = MessageId::of_origin("bus", "orders", 3, Position(42));
        assert_eq!(id.as_str(), "bb062fe014b900b5f0d773dfd7b739c11942199370d4448b7c86e49eb313f612");
    }
}
