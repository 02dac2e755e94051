//! What is sent: numbered messages, and where each has to end. Pure.

use std::fmt;
use std::str::FromStr;

use lockgate::model::{Headers, MessageId, Record, header};
use rand::Rng;
use serde_json::json;

/// The output of the plugin that is bound.
pub const OUTPUT: &str = "out";

/// A message's name: the pipeline that it is for, and its number there, from 0. It is sent as its id, so that whatever
/// is made of the message tells which one it was.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Name {
    /// The pipeline.
    pub pipeline: String,
    /// The number.
    pub number: usize,
}

impl Name {
    /// The id that every emission of this message has to carry.
    pub fn emission(&self) -> MessageId {
        MessageId::of_emission(&MessageId::given(&self.to_string()), &self.pipeline, OUTPUT, 0)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}", self.pipeline, self.number)
    }
}

/// A text that names no message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NoName;

impl FromStr for Name {
    type Err = NoName;

    fn from_str(text: &str) -> Result<Self, NoName> {
        let (pipeline, number) = text.rsplit_once('#').ok_or(NoName)?;
        Ok(Self { pipeline: pipeline.to_owned(), number: number.parse().map_err(|_| NoName)? })
    }
}

/// How a message has to end, and what the plugin is told so that it does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    /// One message is made of it, at the first try.
    Made,
    /// The same, at the first try of the second round: it is parked between.
    Parked,
    /// A dead letter: the plugin says never.
    Rejected,
    /// A dead letter: every try of every round failed.
    Exhausted,
    /// A dead letter: the plugin traps on it.
    Trapped,
}

/// The tries of one round: of a message that is [`End::Parked`], all of the first.
pub const TRIES: u32 = 2;

impl End {
    /// One end, most often the plain one.
    pub fn any(random: &mut impl Rng) -> Self {
        match random.random_range(0..1000) {
            0..10 => Self::Parked,
            10..40 => Self::Rejected,
            40..45 => Self::Exhausted,
            45..48 => Self::Trapped,
            _ => Self::Made,
        }
    }

    /// The class of its dead letter, where it ends as one.
    pub fn class(self) -> Option<&'static str> {
        match self {
            Self::Made | Self::Parked => None,
            Self::Rejected => Some("rejected"),
            Self::Exhausted => Some("exhausted"),
            Self::Trapped => Some("guest-fault"),
        }
    }

    /// Whether later messages of its key may pass it.
    pub fn may_be_passed(self) -> bool {
        self != Self::Made
    }

    fn command(self) -> serde_json::Value {
        match self {
            Self::Made => json!({ "do": "emit" }),
            Self::Parked => json!({ "do": "retry", "times": TRIES }),
            Self::Rejected => json!({ "do": "reject" }),
            Self::Exhausted => json!({ "do": "retry" }),
            Self::Trapped => json!({ "do": "trap" }),
        }
    }
}

/// A message as it is sent.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Sent {
    /// Decides its partition, and its order where there is one.
    pub key: String,
    /// How it has to end.
    pub end: End,
}

impl Sent {
    /// The record that is written.
    pub fn record(&self, name: &Name) -> Record {
        let mut headers = Headers::default();
        headers.push(header::ID, name.to_string());
        let payload = self.end.command().to_string().into();
        Record { key: Some(self.key.clone().into()), headers, payload, partition: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_read_back_as_it_was_sent() {
        let name = Name { pipeline: "keyed-4".into(), number: 17 };
        assert_eq!(name.to_string().parse(), Ok(name.clone()));
        let record = Sent { key: "k".into(), end: End::Parked }.record(&name);
        assert_eq!(record.headers.text(header::ID), Some("keyed-4#17"));
        for stranger in ["", "keyed-4", "keyed-4#", "keyed-4#x"] {
            assert_eq!(stranger.parse::<Name>(), Err(NoName), "{stranger}");
        }
    }
}
