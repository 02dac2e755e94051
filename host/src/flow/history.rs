//! What a record tells of its message's past, in headers: the same in a parked record and in a dead letter. Pure.
//! `docs/message-format.md` says what stands in each.
//!
//! These headers weigh at most 16 KiB together; the message's own come besides, as they were.

use super::dead_letter::Maker;
use super::retry::{Failure, Tries};
use super::spill::kept;
use crate::model::{Headers, Message, Timestamp, header};

/// The most that the list of failures may weigh, in bytes; the other headers are short.
const FAILURES_LIMIT: usize = 10 * 1024;

/// The message's own headers, then what became of it until now.
pub(super) fn history(message: &Message, tries: &Tries, maker: &Maker, now: Timestamp) -> Headers {
    let mut headers: Headers = message.headers.iter().filter(|header| !header.is_reserved()).cloned().collect();
    let origin = &message.origin;
    let mut set = |name: &str, value: &str| headers.push(name, value.to_owned());
    set(header::ID, message.id.as_str());
    set(header::ORIGIN_MS, &message.origin_ms().to_string());
    set(header::PIPELINE, &maker.pipeline);
    set(header::PLUGIN, &maker.plugin);
    set(header::PLUGIN_VERSION, &maker.version);
    set(header::PLUGIN_SHA256, &maker.sha256);
    set(header::ORIGIN_TRANSPORT, &origin.transport);
    set(header::ORIGIN_TOPIC, &origin.partition.topic);
    set(header::ORIGIN_PARTITION, &origin.partition.index.to_string());
    set(header::ORIGIN_OFFSET, &origin.position.to_string());
    set(header::ORIGIN_ENQUEUED, &origin.enqueued.to_string());
    set(header::ATTEMPTS, &tries.failed().to_string());
    set(header::FAILURES, &failures(tries.failures()));
    set(header::FIRST_FAILURE, &tries.first_failure().unwrap_or(now).to_string());
    set(header::LAST_FAILURE, &now.to_string());
    if let Some(times) = message.headers.text(header::REDRIVEN).and_then(|text| text.parse::<u32>().ok()) {
        set(header::REDRIVEN, &times.to_string());
    }
    kept(&message.headers).for_each(|header| headers.push(header.name.clone(), header.value.clone()));
    headers
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
