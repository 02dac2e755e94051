//! Inputs that are written as text, so that a corpus can be read and written by hand: a message is lines of
//! `name: value`, an empty line, and the payload.

use bytes::Bytes;
use lockgate::model::{Headers, Message, MessageId, Origin, Partition, Position, Record, Timestamp, header};

/// What stands before and behind the first `separator`; all of it and nothing where there is none.
pub(crate) fn split_once<'d>(data: &'d [u8], separator: &[u8]) -> (&'d [u8], &'d [u8]) {
    let at = data.windows(separator.len()).position(|window| window == separator);
    at.map_or((data, &[]), |at| (data.split_at(at).0, data.get(at + separator.len()..).unwrap_or_default()))
}

/// Headers, one a line.
pub(crate) fn headers(data: &[u8]) -> Headers {
    let mut headers = Headers::default();
    for line in data.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        let (name, value) = split_once(line, b": ");
        headers.push(String::from_utf8_lossy(name), Bytes::copy_from_slice(value));
    }
    headers
}

/// A message of the topic `retry`, as its transport hands it out.
pub(crate) fn message(data: &[u8]) -> Message {
    let (head, payload) = split_once(data, b"\n\n");
    received(Record { headers: headers(head), payload: Bytes::copy_from_slice(payload), ..Record::default() })
}

/// A record as it comes back from the topic `retry`.
pub(crate) fn received(record: Record) -> Message {
    let partition = Partition::new("retry", 3);
    let origin =
        Origin { transport: "bus".into(), partition, position: Position(7), enqueued: Timestamp(1_772_460_311_000) };
    let id = record.headers.text(header::ID).map(MessageId::given);
    Message {
        id: id.unwrap_or_else(|| MessageId::of_origin("bus", "retry", 3, Position(7))),
        origin,
        key: record.key,
        headers: record.headers,
        payload: record.payload,
    }
}
