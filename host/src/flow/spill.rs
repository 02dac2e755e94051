//! What a topic refuses of a record goes to a store, and the record carries where it lies and its SHA-256. Makes records
//! smaller, and makes messages whole again. Never deletes what was kept, and never hands out what is not what was kept.
//!
//! | refused | what goes to the store | headers of the record that is written instead |
//! |---|---|---|
//! | at first | the payload | `lockgate-spilled-payload`, `lockgate-spilled-payload-sha256` |
//! | again | key and own headers, as JSON | `lockgate-spilled-headers`, `lockgate-spilled-headers-sha256` |
//! | a third time | nothing is left that could go | |
//!
//! The name in the store holds the content's SHA-256, so that a repeat finds what it would write, and two messages of
//! one id do not touch each other.

use std::sync::Arc;

use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::model::{Header, Headers, Message, Record, header};

/// The folder of a store that everything spilled lies in. Nothing outside of it is read back: anybody may write a
/// header.
pub const FOLDER: &str = "dead-letters";
/// The longest trace context that stays with a record; the longest that is valid has 55 bytes.
const TRACE_PARENT_LIMIT: usize = 128;

/// Keeps bytes outside of topics.
#[async_trait]
pub trait Spill: Send + Sync {
    /// Keeps bytes under a name below [`FOLDER`], and says where: the store's name, a slash, the path in it. The same
    /// bytes under the same name may come again.
    async fn keep(&self, name: &str, bytes: Bytes) -> Result<String, SpillError>;
    /// The bytes that were kept there.
    async fn fetch(&self, location: &str) -> Result<Bytes, SpillError>;
}

/// Why bytes were not kept or not handed out.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum SpillError {
    /// Not now: again later.
    #[error("{location} cannot be reached now: {reason}")]
    Unavailable {
        /// Store and path.
        location: String,
        /// What failed.
        reason: String,
    },
    /// Never, this one.
    #[error("{location} is refused: {reason}")]
    Refused {
        /// Store and path.
        location: String,
        /// What is wrong.
        reason: String,
    },
}

/// Makes records of one pipeline smaller.
#[derive(Clone)]
pub struct Spiller {
    /// The pipeline.
    pub pipeline: Arc<str>,
    /// Where to.
    pub spill: Arc<dyn Spill>,
}

/// What can go to a store of its own.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Part {
    Payload,
    Headers,
}

impl Part {
    /// The largest part that is still in a record.
    fn of(record: &Record) -> Option<Self> {
        let is_there = |part: Self| record.headers.get(part.location()).is_none();
        let has_own = record.key.is_some() || record.headers.iter().any(may_go);
        if !record.payload.is_empty() && is_there(Self::Payload) {
            return Some(Self::Payload);
        }
        (has_own && is_there(Self::Headers)).then_some(Self::Headers)
    }

    fn word(self) -> &'static str {
        match self {
            Self::Payload => "payload",
            Self::Headers => "headers",
        }
    }

    fn location(self) -> &'static str {
        match self {
            Self::Payload => header::SPILLED_PAYLOAD,
            Self::Headers => header::SPILLED_HEADERS,
        }
    }

    fn sha256(self) -> &'static str {
        match self {
            Self::Payload => header::SPILLED_PAYLOAD_SHA256,
            Self::Headers => header::SPILLED_HEADERS_SHA256,
        }
    }
}

impl Spiller {
    /// The record with less in it; none when nothing more can be taken out.
    pub async fn shrink(&self, record: &Record) -> Result<Option<Record>, SpillError> {
        let Some(part) = Part::of(record) else { return Ok(None) };
        let bytes = match part {
            Part::Payload => record.payload.clone(),
            Part::Headers => Outside::of(record).to_json(),
        };
        let sha256 = sha256(&bytes);
        let location = self.spill.keep(&self.name(record, part, &sha256), bytes).await?;
        let mut smaller = record.clone();
        match part {
            Part::Payload => smaller.payload = Bytes::new(),
            Part::Headers => {
                smaller.key = None;
                smaller.headers.retain(|header| !may_go(header));
            }
        }
        smaller.headers.set(part.location(), location);
        smaller.headers.set(part.sha256(), sha256);
        Ok(Some(smaller))
    }

    fn name(&self, record: &Record, part: Part, sha256: &str) -> String {
        let id = segment(record.headers.text(header::ID).unwrap_or_default());
        format!("{FOLDER}/{}/{id}/{}-{sha256}", segment(&self.pipeline), part.word())
    }
}

/// A text as a segment of a path: itself where every store takes it, else its SHA-256. An id may be any text.
fn segment(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    let plain = (1..=128).contains(&text.len()) && text.chars().all(is_plain);
    if plain { text.to_owned() } else { sha256(text.as_bytes()) }
}

fn sha256(bytes: &[u8]) -> String {
    format!("{:x}", Sha256::digest(bytes))
}

/// Whether a header is the message's own. Its trace context stays, too: whoever looks for a message needs it.
fn may_go(header: &Header) -> bool {
    let is_trace = header.name == header::TRACE_PARENT && header.value.len() <= TRACE_PARENT_LIMIT;
    !header.is_reserved() && !is_trace
}

/// Key and own headers as they are kept: bytes in Base64.
#[derive(Serialize, Deserialize)]
struct Outside {
    key: Option<String>,
    headers: Vec<(String, String)>,
}

impl Outside {
    fn of(record: &Record) -> Self {
        let own = record.headers.iter().filter(|header| may_go(header));
        Self {
            key: record.key.as_ref().map(|key| STANDARD.encode(key)),
            headers: own.map(|header| (header.name.to_string(), STANDARD.encode(&header.value))).collect(),
        }
    }

    fn to_json(&self) -> Bytes {
        // Texts and lists of texts are always JSON.
        serde_json::to_vec(self).unwrap_or_default().into()
    }

    fn read(json: &[u8]) -> Option<(Option<Bytes>, Vec<Header>)> {
        let Self { key, headers } = serde_json::from_slice(json).ok()?;
        let bytes = |text: &String| STANDARD.decode(text).ok().map(Bytes::from);
        let key = match key {
            Some(key) => Some(bytes(&key)?),
            None => None,
        };
        let headers =
            headers.into_iter().map(|(name, value)| Some(Header { value: bytes(&value)?, name: name.into() }));
        Some((key, headers.collect::<Option<_>>()?))
    }
}

/// Why a message cannot be made whole.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum RestoreError {
    /// Not now: again later.
    #[error("what was spilled of the message cannot be read now: {0}")]
    Unavailable(String),
    /// Never: it is gone, or not what was spilled.
    #[error("what was spilled of the message is gone: {0}")]
    Gone(String),
}

impl From<SpillError> for RestoreError {
    fn from(error: SpillError) -> Self {
        match error {
            SpillError::Unavailable { .. } => Self::Unavailable(error.to_string()),
            SpillError::Refused { .. } => Self::Gone(error.to_string()),
        }
    }
}

/// The message as a plugin shall see it. A message of which nothing was spilled is itself; the whole one of another is
/// the caller's alone and not kept, so that memory holds no more of them than calls.
pub(super) async fn whole(message: &Arc<Message>, spill: Option<&dyn Spill>) -> Result<Arc<Message>, RestoreError> {
    if !is_spilled(&message.headers) {
        return Ok(message.clone());
    }
    let none =
        || RestoreError::Gone("the pipeline has no store for it; the spec must name one as `dead_letter.spill`".into());
    restore(Message::clone(message), spill.ok_or_else(none)?).await.map(Arc::new)
}

/// The headers that tell where the rest of a message lies. A record that is made of it keeps them: its payload is what
/// was left.
pub(super) fn kept(headers: &Headers) -> impl Iterator<Item = &Header> {
    let is_kept = |header: &&Header| {
        [Part::Payload, Part::Headers].iter().any(|part| header.name == part.location() || header.name == part.sha256())
    };
    headers.iter().filter(is_kept)
}

/// Whether a part of the message lies in a store.
pub fn is_spilled(headers: &Headers) -> bool {
    [Part::Payload, Part::Headers].iter().any(|part| headers.get(part.location()).is_some())
}

/// The message as it was before parts of it were spilled, each of them checked by its SHA-256.
pub async fn restore(mut message: Message, spill: &dyn Spill) -> Result<Message, RestoreError> {
    if let Some(payload) = fetch(&message.headers, Part::Payload, spill).await? {
        message.payload = payload;
    }
    if let Some(json) = fetch(&message.headers, Part::Headers, spill).await? {
        let unreadable = || RestoreError::Gone("the spilled headers are not what this host writes".to_owned());
        let (key, own) = Outside::read(&json).ok_or_else(unreadable)?;
        message.key = key;
        message.headers = own.into_iter().chain(message.headers.iter().cloned()).collect();
    }
    for part in [Part::Payload, Part::Headers] {
        message.headers.retain(|header| header.name != part.location() && header.name != part.sha256());
    }
    Ok(message)
}

async fn fetch(headers: &Headers, part: Part, spill: &dyn Spill) -> Result<Option<Bytes>, RestoreError> {
    if headers.get(part.location()).is_none() {
        return Ok(None);
    }
    let told =
        |name| headers.text(name).ok_or_else(|| RestoreError::Gone(format!("header {name} is missing or no text")));
    let (location, expected) = (told(part.location())?, told(part.sha256())?);
    let bytes = spill.fetch(location).await?;
    let found = sha256(&bytes);
    if found == expected {
        return Ok(Some(bytes));
    }
    Err(RestoreError::Gone(format!("{location} has the SHA-256 {found}, where {expected} was spilled")))
}

#[cfg(test)]
#[path = "spill_tests.rs"]
pub(crate) mod tests;
