//! A message as one line of JSON: what `tail --json` prints and `send --records` reads. Key, headers and payload come
//! back byte for byte, whatever they hold.
//!
//! | field | holds |
//! |---|---|
//! | `payload` | the payload itself, where it is JSON that is written like this: compact, no name twice, and no text |
//! | `payload_text` | else the payload as a text |
//! | `payload_base64` | else, where it is no UTF-8, its bytes |
//! | `key`, `key_base64` | the key as a text, or its bytes; neither where there is none |
//! | `headers` | an object of names to values: a text, `{"base64": …}`, or a list of these where a name repeats |
//!
//! Where the order of repeated headers cannot be told so, `headers` is a list of such objects. When read, a text in
//! `payload` is the payload as it is, and a header's number or truth is its JSON.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value, json};

use crate::model::{Header, Headers, Message};

/// A message as a line, without its end.
pub(super) fn line(message: &Message) -> String {
    let origin = &message.origin;
    let mut object = json!({
        "topic": &*origin.partition.topic,
        "partition": origin.partition.index,
        "offset": origin.position.0,
        "timestamp": origin.enqueued,
        "id": message.id.as_str(),
        "headers": headers(&message.headers),
    });
    let key = message.key.as_deref().map(|key| text_or_base64(key, "key", "key_base64"));
    let fields = key.into_iter().chain([payload(&message.payload)]);
    if let Some(object) = object.as_object_mut() {
        object.extend(fields.map(|(name, value)| (name.to_owned(), value)));
    }
    object.to_string()
}

fn payload(bytes: &[u8]) -> (&'static str, Value) {
    let json = json_of(bytes).filter(|json| !json.is_string() && json.to_string().as_bytes() == bytes);
    json.map_or_else(|| text_or_base64(bytes, "payload_text", "payload_base64"), |json| ("payload", json))
}

/// Reads JSON one level deep, as it will lie in the line: readers bound how deep they go.
fn json_of(bytes: &[u8]) -> Option<Value> {
    let [json] = serde_json::from_slice(&[b"[", bytes, b"]"].concat()).ok()?;
    Some(json)
}

fn text_or_base64(bytes: &[u8], text: &'static str, base64: &'static str) -> (&'static str, Value) {
    match std::str::from_utf8(bytes) {
        Ok(value) => (text, value.into()),
        Err(_) => (base64, STANDARD.encode(bytes).into()),
    }
}

fn headers(headers: &Headers) -> Value {
    let mut object = Map::new();
    for group in headers.as_slice().chunk_by(|one, next| one.name == next.name) {
        let [first, ..] = group else { continue };
        let told = if group.len() == 1 { value(first) } else { group.iter().map(value).collect() };
        if object.insert(first.name.to_string(), told).is_some() {
            return headers.iter().map(|header| json!({ header.name.as_str(): value(header) })).collect();
        }
    }
    object.into()
}

fn value(header: &Header) -> Value {
    std::str::from_utf8(&header.value)
        .map_or_else(|_| json!({ "base64": STANDARD.encode(&header.value) }), |text| text.into())
}

/// What a line says of a record.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Read {
    /// The message's id, where the line tells it.
    pub(super) id: Option<String>,
    /// The key.
    pub(super) key: Option<Bytes>,
    /// All headers, in order.
    pub(super) headers: Headers,
    /// The payload.
    pub(super) payload: Bytes,
}

/// A line as it is written. What else stands in it is passed over.
#[derive(Deserialize)]
struct Line {
    id: Option<String>,
    key: Option<String>,
    key_base64: Option<String>,
    #[serde(default)]
    headers: Value,
    #[serde(default, deserialize_with = "given")]
    payload: Option<Value>,
    payload_text: Option<String>,
    payload_base64: Option<String>,
}

/// `null` is a value, too.
fn given<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

/// Reads a line; says what is wrong with it.
pub(super) fn read(line: &str) -> Result<Read, String> {
    let line: Line = serde_json::from_str(line).map_err(|error| format!("no record: {error}"))?;
    Ok(Read { key: line.key()?, payload: line.payload()?, headers: read_headers(&line.headers)?, id: line.id })
}

impl Line {
    fn key(&self) -> Result<Option<Bytes>, String> {
        match (&self.key, &self.key_base64) {
            (Some(_), Some(_)) => Err("no record: give `key` or `key_base64`".into()),
            (key, base64) => Ok(base64.as_deref().map(bytes_of).transpose()?.or(key.clone().map(Bytes::from))),
        }
    }

    fn payload(&self) -> Result<Bytes, String> {
        match (&self.payload, &self.payload_text, &self.payload_base64) {
            (Some(json), None, None) => Ok(text_of(json)),
            (None, Some(text), None) => Ok(text.clone().into()),
            (None, None, Some(base64)) => bytes_of(base64),
            _ => Err("no record: give one of `payload`, `payload_text` and `payload_base64`".into()),
        }
    }
}

fn read_headers(value: &Value) -> Result<Headers, String> {
    let objects = match value {
        Value::Null => Vec::new(),
        Value::Array(objects) => objects.iter().collect(),
        object => vec![object],
    };
    let mut headers = Headers::default();
    for object in objects {
        let object = object.as_object().ok_or("no record: `headers` is an object or a list of objects")?;
        for (name, value) in object {
            let values = value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
            for value in values {
                headers.push(name, read_value(value).map_err(|error| format!("header `{name}`: {error}"))?);
            }
        }
    }
    Ok(headers)
}

fn read_value(value: &Value) -> Result<Bytes, String> {
    let base64 = value.get("base64").and_then(Value::as_str).filter(|_| value.as_object().is_some_and(is_alone));
    match (base64, value) {
        (Some(base64), _) => bytes_of(base64),
        (None, Value::Object(_) | Value::Array(_)) => Err("write a text, or {\"base64\": …}".into()),
        (None, plain) => Ok(text_of(plain)),
    }
}

fn is_alone(object: &Map<String, Value>) -> bool {
    object.len() == 1
}

/// A text as it is, anything else as JSON.
fn text_of(value: &Value) -> Bytes {
    match value {
        Value::String(text) => text.clone().into(),
        other => other.to_string().into(),
    }
}

fn bytes_of(base64: &str) -> Result<Bytes, String> {
    STANDARD.decode(base64).map(Bytes::from).map_err(|error| format!("no base64: {error}"))
}

#[cfg(test)]
#[path = "record_tests.rs"]
mod tests;
