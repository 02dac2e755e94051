//! The record that a message becomes when nothing more can be done for it: key and payload as they were, everything
//! else in headers. Pure.
//!
//! | header | value |
//! |---|---|
//! | `lockgate-id` | the message's id |
//! | `lockgate-pipeline` | the pipeline |
//! | `lockgate-plugin`, `-version`, `-sha256` | the plugin |
//! | `lockgate-class` | `rejected`, `exhausted`, `guest-fault`, `refused` |
//! | `lockgate-code`, `lockgate-reason` | why |
//! | `lockgate-origin-transport`, `-topic`, `-partition`, `-offset`, `-enqueued` | where the message stood |
//! | `lockgate-attempts` | how many tries failed |
//! | `lockgate-failures` | the first three and last ten of them, as JSON |
//! | `lockgate-first-failure`, `lockgate-last-failure` | RFC 3339 |
//!
//! These headers weigh at most 16 KiB together; the message's own come besides.

use std::sync::Arc;

use super::retry::{Failure, Tries};
use super::triage::Cause;
use crate::model::header;
use crate::model::{Headers, Message, Record, Timestamp};

/// The most that the list of failures may weigh, in bytes; the other headers are short.
const FAILURES_LIMIT: usize = 10 * 1024;

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
    let mut headers = Headers(message.headers.0.iter().filter(|header| !header.is_reserved()).cloned().collect());
    let origin = &message.origin;
    let mut set = |name: &str, value: &str| headers.push(name, value.to_owned());
    set(header::ID, message.id.as_str());
    set(header::PIPELINE, &maker.pipeline);
    set(header::PLUGIN, &maker.plugin);
    set(header::PLUGIN_VERSION, &maker.version);
    set(header::PLUGIN_SHA256, &maker.sha256);
    set(header::CLASS, cause.class.as_str());
    set(header::CODE, &cause.code);
    set(header::REASON, &cause.reason);
    set(header::ORIGIN_TRANSPORT, &origin.transport);
    set(header::ORIGIN_TOPIC, &origin.partition.topic);
    set(header::ORIGIN_PARTITION, &origin.partition.index.to_string());
    set(header::ORIGIN_OFFSET, &origin.position.to_string());
    set(header::ORIGIN_ENQUEUED, &origin.enqueued.to_string());
    set(header::ATTEMPTS, &tries.failed().to_string());
    set(header::FAILURES, &failures(tries.failures()));
    set(header::FIRST_FAILURE, &tries.first_failure().unwrap_or(now).to_string());
    set(header::LAST_FAILURE, &now.to_string());
    Record { key: message.key.clone(), headers, payload: message.payload.clone(), partition: None }
}

/// The failures as JSON, their texts cut until they fit.
fn failures(failures: &[Failure]) -> String {
    let cut_to = |limit: usize| -> Vec<Failure> {
        let cut = |failure: &Failure| Failure { text: failure.text.chars().take(limit).collect(), ..failure.clone() };
        failures.iter().map(cut).collect()
    };
    let fits = |json: &String| json.len() <= FAILURES_LIMIT;
    let json = |limit| serde_json::to_string(&cut_to(limit)).unwrap_or_default();
    [500, 200, 100, 0].into_iter().map(json).find(fits).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::super::retry::Tries;
    use super::super::triage::Class;
    use super::*;
    use crate::flow::config::InPlace;
    use crate::model::{MessageId, Origin, Partition, Position};

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
            ("lockgate-origin-topic", "pending"),
            ("lockgate-origin-partition", "3"),
            ("lockgate-origin-offset", "812"),
            ("lockgate-origin-enqueued", "2026-03-02T14:05:11.000Z"),
            ("lockgate-code", "http-404"),
            ("lockgate-last-failure", "2026-03-02T14:05:12.000Z"),
        ] {
            assert_eq!(headers.text(name), Some(value), "{name}");
        }
        assert_eq!(headers.0.iter().filter(|header| header.name == "lockgate-code").count(), 1);
    }

    #[test]
    fn the_hosts_headers_stay_within_16_kib() {
        let mut tries = Tries::default();
        for at in 0..200 {
            let failure = Failure { at: Timestamp(at), code: "x".repeat(64), text: "\u{1F512}\"".repeat(250) };
            tries.fail(failure, None, &InPlace::default());
        }
        let headers = letter(&tries).headers;
        assert!(headers.size() < 16 * 1024, "{}", headers.size());
        let failures: serde_json::Value = serde_json::from_str(headers.text("lockgate-failures").unwrap()).unwrap();
        assert_eq!(failures.as_array().unwrap().len(), 13);
    }
}
