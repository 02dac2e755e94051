//! The record that a message becomes when nothing more can be done for it: key and payload as they were, its past and
//! why it ended here in headers. Pure. `docs/message-format.md` says what stands in each.

use std::sync::Arc;

use super::history::history;
use super::retry::Tries;
use super::triage::Cause;
use crate::model::{Message, Record, Timestamp, header};

/// Who dead-letters.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Maker {
    /// The pipeline.
    pub pipeline: Arc<str>,
    /// The plugin's name in the spec.
    pub plugin: Arc<str>,
    /// The version that the component gives itself.
    pub version: Arc<str>,
    /// The component's SHA-256 in hex.
    pub sha256: Arc<str>,
}

/// Makes the dead letter of a message.
pub fn dead_letter(message: &Message, cause: &Cause, tries: &Tries, maker: &Maker, now: Timestamp) -> Record {
    let mut headers = history(message, tries, maker, now);
    headers.push(header::CLASS, cause.class.as_str());
    headers.push(header::CODE, cause.code.clone());
    headers.push(header::REASON, cause.reason.clone());
    Record { key: message.key.clone(), headers, payload: message.payload.clone(), partition: None }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::super::retry::{Failure, Parking, Policy};
    use super::super::triage::Class;
    use super::*;
    use crate::model::{Headers, MessageId, Origin, Partition, Position};

    fn message() -> Message {
        let mut headers = Headers::default();
        headers.push("trace_id", "t-1");
        headers.push("lockgate-code", "from an earlier life");
        Message {
            id: MessageId::given("m-1"),
            origin: Origin {
                transport: "bus".into(),
                partition: Partition::new("pending", 3),
                position: Position(812),
                enqueued: Timestamp(1_772_460_311_000),
            },
            key: Some(Bytes::from_static(b"k")),
            headers,
            payload: Bytes::from_static(b"\xff\x00 as it was"),
        }
    }

    fn letter(tries: &Tries) -> Record {
        let maker =
            Maker { pipeline: "p".into(), plugin: "download".into(), version: "0.1.0".into(), sha256: "ab".into() };
        let cause = Cause { class: Class::Rejected, code: "http-404".into(), reason: "gone".into() };
        dead_letter(&message(), &cause, tries, &maker, Timestamp(1_772_460_312_000))
    }

    #[test]
    fn key_payload_and_own_headers_are_as_they_were() {
        let letter = letter(&Tries::default());
        assert_eq!((letter.key, letter.payload), (message().key, message().payload));
        assert_eq!(letter.headers.text("trace_id"), Some("t-1"));
    }

    #[test]
    fn the_letter_says_where_why_and_when() {
        let headers = letter(&Tries::default()).headers;
        for (name, value) in [
            ("lockgate-id", "m-1"),
            ("lockgate-origin-ms", "1772460311000"),
            ("lockgate-origin-topic", "pending"),
            ("lockgate-origin-partition", "3"),
            ("lockgate-origin-offset", "812"),
            ("lockgate-origin-enqueued", "2026-03-02T14:05:11.000Z"),
            ("lockgate-code", "http-404"),
            ("lockgate-last-failure", "2026-03-02T14:05:12.000Z"),
        ] {
            assert_eq!(headers.text(name), Some(value), "{name}");
        }
        assert_eq!(headers.iter().filter(|header| header.name == "lockgate-code").count(), 1);
    }

    #[test]
    fn the_hosts_headers_stay_within_16_kib() {
        let mut tries = Tries::default();
        for at in 0..200 {
            let failure = Failure { at: Timestamp(at), code: "x".repeat(64), text: "\u{1F512}\"".repeat(250) };
            tries.fail(failure, None, Parking::Allowed, &Policy::default());
        }
        let headers = letter(&tries).headers;
        assert!(headers.size() < 16 * 1024, "{}", headers.size());
        let failures: serde_json::Value = serde_json::from_str(headers.text("lockgate-failures").unwrap()).unwrap();
        assert_eq!(failures.as_array().unwrap().len(), 13);
    }
}
