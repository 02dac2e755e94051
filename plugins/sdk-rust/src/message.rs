//! One message, as the host hands it over.

use std::time::SystemTime;

use serde::de::DeserializeOwned;

use crate::json;

/// One message.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Message {
    /// Stable across redelivery, parking and redrive: the idempotency key for effects outside Lockgate.
    pub id: String,
    /// The topic that the message came from first, by its name in the spec.
    pub topic: String,
    /// The partition that it came from first.
    pub partition: u32,
    /// Its offset there.
    pub offset: i64,
    /// When the transport took it.
    pub enqueued: SystemTime,
    /// The key, if it has one.
    pub key: Option<Vec<u8>>,
    /// All headers, in order. Names that begin with `lockgate-` are the host's.
    pub headers: Vec<Header>,
    /// The body, untouched.
    pub payload: Vec<u8>,
}

/// A header: a name and bytes. Names may repeat.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Header {
    /// The name; its case counts.
    pub name: String,
    /// The value.
    pub value: Vec<u8>,
}

impl Header {
    /// A header.
    pub fn new(name: impl Into<String>, value: impl Into<Vec<u8>>) -> Self {
        Self { name: name.into(), value: value.into() }
    }
}

impl Message {
    /// A message with this body from partition 0 of the topic `test`, for tests.
    pub fn new(payload: impl Into<Vec<u8>>) -> Self {
        Self {
            id: "0".repeat(64),
            topic: "test".into(),
            partition: 0,
            offset: 0,
            enqueued: SystemTime::UNIX_EPOCH,
            key: None,
            headers: Vec::new(),
            payload: payload.into(),
        }
    }

    /// The same with a key, for tests.
    pub fn with_key(self, key: impl Into<Vec<u8>>) -> Self {
        Self { key: Some(key.into()), ..self }
    }

    /// The same with one header more, for tests.
    pub fn with_header(mut self, name: impl Into<String>, value: impl Into<Vec<u8>>) -> Self {
        self.headers.push(Header::new(name, value));
        self
    }

    /// The body as JSON. An error names the field, and never repeats its value.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, json::Error> {
        json::parse(&self.payload)
    }

    /// The first header of this name that is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut named = self.headers.iter().filter(|header| header.name == name);
        named.find_map(|header| str::from_utf8(&header.value).ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_header_that_is_text_counts() {
        let message = Message::new("").with_header("a", [0xff]).with_header("a", "1").with_header("a", "2");
        assert_eq!((message.header("a"), message.header("A")), (Some("1"), None));
    }
}
