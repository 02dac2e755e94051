//! Whatever a writer added to a message. It is handed on as it was and never looked into: its numbers keep their digits,
//! and it weighs no more than its text.

use serde::de::{Error, Unexpected};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

/// An object; by default an empty one.
#[derive(Clone, Debug, Default)]
pub struct Metadata(Option<Box<RawValue>>);

impl Metadata {
    fn text(&self) -> &str {
        self.0.as_deref().map_or("{}", RawValue::get)
    }
}

impl PartialEq for Metadata {
    fn eq(&self, other: &Self) -> bool {
        self.text() == other.text()
    }
}

impl<'de> Deserialize<'de> for Metadata {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(from)?;
        let found = match raw.get().as_bytes() {
            [b'{', ..] => return Ok(Self(Some(raw))),
            [b'[', ..] => Unexpected::Seq,
            [b'"', ..] => Unexpected::Str(""),
            [b't' | b'f', ..] => Unexpected::Bool(true),
            number if number.iter().any(|byte| matches!(byte, b'.' | b'e' | b'E')) => Unexpected::Float(0.0),
            _ => Unexpected::Unsigned(0),
        };
        Err(D::Error::invalid_type(found, &"an object"))
    }
}

impl Serialize for Metadata {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match &self.0 {
            Some(raw) => raw.serialize(to),
            None => to.serialize_map(Some(0))?.end(),
        }
    }
}
