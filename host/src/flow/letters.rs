//! What stands in a dead-letter topic: letters, and marks that tell what was done with them. Pure: reads messages and
//! makes marks. Anybody may write to a topic, so nothing that stands there is an error: what is neither a letter nor a
//! mark is foreign. What a letter tells in words comes without queries of URLs.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize, Serializer};

use crate::model::{Headers, Message, Partition, Position, Record, Timestamp, header, without_queries};

/// The word in the mark of a letter that was redriven.
const REDRIVEN: &str = "redriven";

/// Where a message stands, as people write it: `claimx-dlq/0@17` is offset 17 of partition 0 of `claimx-dlq`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Address {
    /// Topic and partition.
    pub partition: Partition,
    /// The position there.
    pub position: Position,
}

/// A text that is no address.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("`{0}` is no address: write topic/partition@offset, such as `claimx-dlq/0@17`")]
pub struct AddressError(String);

impl Address {
    /// Where a message stands.
    pub fn of(message: &Message) -> Self {
        Self { partition: message.origin.partition.clone(), position: message.origin.position }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.partition, self.position)
    }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        // A topic's name may hold both signs.
        let parts = || {
            let (place, offset) = text.rsplit_once('@')?;
            let (topic, index) = place.rsplit_once('/').filter(|(topic, _)| !topic.is_empty())?;
            let partition = Partition::new(topic, index.parse().ok()?);
            Some(Self { partition, position: Position(offset.parse().ok()?) })
        };
        parts().ok_or_else(|| AddressError(text.to_owned()))
    }
}

impl Serialize for Address {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// What a message of a dead-letter topic is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Entry {
    /// A dead letter.
    Letter(Box<Letter>),
    /// Tells that a letter was redriven.
    Mark {
        /// Which one.
        of: Address,
    },
    /// Neither: something else writes to the topic, too.
    Foreign {
        /// Where it stands.
        at: Address,
    },
}

/// A dead letter as it is listed: neither key nor payload, which may hold personal data.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Letter {
    /// Where it stands.
    pub at: Address,
    /// When the dead-letter topic took it.
    pub time: Timestamp,
    /// The message's id.
    pub id: String,
    /// The pipeline that gave it up.
    pub pipeline: String,
    /// The kind of reason.
    pub class: String,
    /// A word to count by.
    pub code: String,
    /// Why, for people.
    pub reason: String,
    /// Tries that failed.
    pub attempts: u32,
    /// When it failed first, RFC 3339.
    pub first_failure: Option<String>,
    /// When it failed last, RFC 3339.
    pub last_failure: Option<String>,
    /// The plugin, by its name in the spec.
    pub plugin: Option<String>,
    /// The version that the plugin gave itself.
    pub plugin_version: Option<String>,
    /// The component's SHA-256 in hex.
    pub plugin_sha256: Option<String>,
    /// The transport that the message came from.
    pub origin_transport: Option<String>,
    /// Where it stood there.
    pub origin: Option<Address>,
    /// When it was enqueued there, RFC 3339.
    pub origin_enqueued: Option<String>,
    /// How often the message had been redriven before it ended here.
    pub redriven_before: u32,
    /// Where its payload lies, if the topic did not take it.
    pub spilled: Option<String>,
}

impl Entry {
    /// Reads a message of a dead-letter topic.
    ///
    /// | headers | what it is |
    /// |---|---|
    /// | `lockgate-mark`, and where the letter stands | a mark |
    /// | `lockgate-pipeline` and `lockgate-class` | a letter |
    /// | anything else | foreign |
    pub fn read(message: &Message) -> Self {
        let entry = match message.headers.get(header::MARK) {
            Some(_) => mark_of(message).map(|of| Self::Mark { of }),
            None => letter(message).map(|letter| Self::Letter(Box::new(letter))),
        };
        entry.unwrap_or_else(|| Self::Foreign { at: Address::of(message) })
    }
}

fn mark_of(message: &Message) -> Option<Address> {
    let topic = message.origin.partition.topic.clone();
    let partition = Partition::new(topic, number(&message.headers, header::MARK_PARTITION)?);
    Some(Address { partition, position: Position(number(&message.headers, header::MARK_OFFSET)?) })
}

fn letter(message: &Message) -> Option<Letter> {
    let headers = &message.headers;
    let told = |name: &str| told(headers, name);
    Some(Letter {
        at: Address::of(message),
        time: message.origin.enqueued,
        id: message.id.to_string(),
        pipeline: told(header::PIPELINE)?,
        class: told(header::CLASS)?,
        code: told(header::CODE).unwrap_or_default(),
        reason: told(header::REASON).unwrap_or_default(),
        attempts: number(headers, header::ATTEMPTS).unwrap_or(0),
        first_failure: told(header::FIRST_FAILURE),
        last_failure: told(header::LAST_FAILURE),
        plugin: told(header::PLUGIN),
        plugin_version: told(header::PLUGIN_VERSION),
        plugin_sha256: told(header::PLUGIN_SHA256),
        origin_transport: told(header::ORIGIN_TRANSPORT),
        origin: origin(headers),
        origin_enqueued: told(header::ORIGIN_ENQUEUED),
        redriven_before: redriven_before(headers),
        spilled: told(header::SPILLED_PAYLOAD),
    })
}

fn origin(headers: &Headers) -> Option<Address> {
    let partition = Partition::new(headers.text(header::ORIGIN_TOPIC)?, number(headers, header::ORIGIN_PARTITION)?);
    Some(Address { partition, position: Position(number(headers, header::ORIGIN_OFFSET)?) })
}

/// How often a message was redriven already.
pub fn redriven_before(headers: &Headers) -> u32 {
    number(headers, header::REDRIVEN).unwrap_or(0)
}

fn told(headers: &Headers, name: &str) -> Option<String> {
    headers.text(name).map(|text| without_queries(text).into_owned())
}

fn number<T: FromStr>(headers: &Headers, name: &str) -> Option<T> {
    headers.text(name)?.parse().ok()
}

/// One failed try, as a letter tells it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Failed {
    /// When, RFC 3339.
    pub at: String,
    /// A word to count by.
    pub code: String,
    /// What happened.
    pub text: String,
}

/// The failed tries that a letter tells, in order; none where they cannot be read.
pub fn failures(headers: &Headers) -> Vec<Failed> {
    let read = headers.text(header::FAILURES).and_then(|json| serde_json::from_str::<Vec<Failed>>(json).ok());
    let clean = |text: &str| without_queries(text).into_owned();
    let clean = |failed: Failed| Failed { at: clean(&failed.at), code: clean(&failed.code), text: clean(&failed.text) };
    read.unwrap_or_default().into_iter().map(clean).collect()
}

/// The record that marks a letter as redriven. It goes into the letter's own partition, so that whoever reads on from
/// the letter comes by it.
pub fn mark(letter: &Address) -> Record {
    let mut headers = Headers::default();
    headers.push(header::MARK, REDRIVEN);
    headers.push(header::MARK_PARTITION, letter.partition.index.to_string());
    headers.push(header::MARK_OFFSET, letter.position.to_string());
    Record { headers, partition: Some(letter.partition.index), ..Record::default() }
}

/// The marks of a topic, folded: which letters were redriven. Holds so much memory as there are letters that were.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Marks(BTreeMap<Address, u32>);

impl Marks {
    /// Counts a mark.
    pub fn fold(&mut self, of: Address) {
        let times = self.0.entry(of).or_default();
        *times = times.saturating_add(1);
    }

    /// How often a letter was redriven.
    pub fn times(&self, letter: &Address) -> u32 {
        self.0.get(letter).copied().unwrap_or(0)
    }
}

/// Which letters are meant. What is not said does not matter.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Filter {
    /// Those of this pipeline.
    pub pipeline: Option<String>,
    /// Those with this code, or of this class.
    pub reason: Option<String>,
    /// Those that came at this time or later.
    pub since: Option<Timestamp>,
}

impl Filter {
    /// Whether a letter is meant.
    pub fn takes(&self, letter: &Letter) -> bool {
        let is = |reason: &String| *reason == letter.code || *reason == letter.class;
        self.pipeline.as_ref().is_none_or(|pipeline| *pipeline == letter.pipeline)
            && self.reason.as_ref().is_none_or(is)
            && self.since.is_none_or(|since| letter.time >= since)
    }
}

#[cfg(test)]
#[path = "letters_tests.rs"]
mod tests;
