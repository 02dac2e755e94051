//! Messages as writers get them wrong, each with the exact reason that an operator reads, and odd ones that are taken.
//! One table for whoever reads messages: this crate, both plugins, and the host with the components.

mod fields;
mod wholes;

use lockgate_plugin::Message;
use serde_json::{Value, json};

use crate::Domain;

pub use fields::odd;

/// No reason, log line or result may ever hold this: it stands for what is secret or personal in a payload.
pub const SENTINEL: &str = "SENTINEL";

/// Which message it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// A file to fetch.
    Task,
    /// A file that was fetched.
    Cached,
}

/// A message that is refused.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Bad {
    /// What is wrong with it.
    pub name: String,
    /// The payload.
    pub payload: Vec<u8>,
    /// The code of the rejection.
    pub code: &'static str,
    /// Its reason.
    pub reason: String,
}

/// Messages that cannot be read.
pub fn unreadable(kind: Kind, domain: Domain) -> Vec<Bad> {
    let whole = whole(kind, domain, "https://h/a.pdf?sign=SENTINEL");
    [wholes::unreadable(&whole), fields::unreadable(kind, domain, &whole)].concat()
}

/// Messages that can be read, but lead nowhere.
pub fn misleading(kind: Kind, domain: Domain) -> Vec<Bad> {
    fields::misleading(kind, &whole(kind, domain, "https://h/a.pdf?sign=SENTINEL"))
}

/// A message that nothing is wrong with.
pub fn whole(kind: Kind, domain: Domain, url: &str) -> Value {
    let (mut message, path) = match domain {
        Domain::Claimx => (
            json!({
                "media_id": "81530077", "project_id": "6120457", "download_url": url, "file_type": "pdf",
                "file_name": "kitchen.pdf", "trace_id": "3a95", "expires_at": null, "metadata": null,
            }),
            "6120457/media/kitchen.pdf",
        ),
        Domain::Verisk => (
            json!({
                "trace_id": "9f1c", "media_id": "cbc5", "attachment_url": url, "file_type": "PDF",
                "assignment_id": "06ABC12", "estimate_version": "3", "event_type": "verisk",
                "status_subtype": "estimatePackageReceived", "event_subtype": "estimatePackageReceived",
                "original_timestamp": "2026-03-02T14:05:11+00:00", "metadata": {},
            }),
            "estimatePackageReceived/06ABC12/9f1c/06ABC12_3_estimate.pdf",
        ),
    };
    let of_kind = match kind {
        Kind::Task => json!({ "blob_path": path, "retry_count": 0 }),
        Kind::Cached => json!({
            "destination_path": path, "local_cache_path": "a/b.pdf", "bytes_downloaded": 7, "sha256": "0".repeat(64),
            "content_type": "application/pdf", "downloaded_at": "2026-03-02T14:05:16+00:00",
        }),
    };
    for (name, value) in of_kind.as_object().into_iter().flatten() {
        set(&mut message, name, value.clone());
    }
    message
}

/// A message with this text for the value of a field, JSON or not.
pub fn with(message: &Value, field: &str, text: &str) -> Vec<u8> {
    with_all(message, &[(field, text.to_owned())])
}

/// A message with these texts for the values of fields.
pub fn with_all(message: &Value, fields: &[(&str, String)]) -> Vec<u8> {
    let here = |number: usize| format!("<here {number}>");
    let mut message = message.clone();
    fields.iter().enumerate().for_each(|(number, (field, _))| set(&mut message, field, here(number).into()));
    let fill = |message: String, (number, (_, text)): (usize, &(&str, String))| {
        message.replacen(&format!("\"{}\"", here(number)), text, 1)
    };
    fields.iter().enumerate().fold(message.to_string(), fill).into_bytes()
}

fn set(message: &mut Value, field: &str, value: Value) {
    if let Some(fields) = message.as_object_mut() {
        fields.insert(field.to_owned(), value);
    }
}

/// Holds that each row is refused for its reason and nothing else, and that no reason tells what the message holds.
pub fn check(rows: &[Bad], refused: impl Fn(Message) -> (String, String)) {
    for Bad { name, payload, code, reason } in rows {
        let (is, says) = refused(Message::new(payload.clone()));
        assert_eq!((is.as_str(), says.as_str()), (*code, reason.as_str()), "{name}");
        assert!(!says.contains(SENTINEL), "{name}: {says}");
    }
}
