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
    /// The id that an emission of this message has to carry.
    pub fn emission(&self, ordinal: u32) -> MessageId {
        MessageId::of_emission(&MessageId::given(&self.to_string()), &self.pipeline, OUTPUT, ordinal)
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
    /// So many messages are made of it, at the first try.
    Several(u32),
    /// The same as [`End::Made`], at the first try of the second round: it is parked between.
    Parked,
    /// One message is made of it, after so many milliseconds in the plugin.
    Waited(u32),
    /// A dead letter: the plugin says never.
    Rejected,
    /// A dead letter like it, and so many messages are made of it besides.
    RejectedWith(u32),
    /// A dead letter: every try of every round failed.
    Exhausted,
    /// A dead letter: the plugin traps on it.
    Trapped,
    /// A dead letter: the plugin computes for ever.
    Spun,
    /// A dead letter: the plugin takes more memory than it may.
    Greedy,
}

/// The tries of one round: of a message that is [`End::Parked`], all of the first.
pub const TRIES: u32 = 2;
/// The longest that one of any messages takes in the plugin, in milliseconds.
const SLOWEST: u32 = 200;

impl End {
    /// One end, most often the plain one.
    pub fn any(random: &mut impl Rng) -> Self {
        match random.random_range(0..1000) {
            0..10 => Self::Parked,
            10..30 => Self::Rejected,
            30..40 => Self::RejectedWith(1),
            40..45 => Self::Exhausted,
            45..48 => Self::Trapped,
            48..60 => Self::Waited(random.random_range(1..SLOWEST)),
            60..120 => Self::Several(3),
            _ => Self::Made,
        }
    }

    /// How many messages are made of it.
    pub fn emissions(self) -> u32 {
        match self {
            Self::Several(count) | Self::RejectedWith(count) => count,
            Self::Made | Self::Waited(_) | Self::Parked => 1,
            Self::Rejected | Self::Exhausted | Self::Trapped | Self::Spun | Self::Greedy => 0,
        }
    }

    /// The class of its dead letter, where it ends as one.
    pub fn class(self) -> Option<&'static str> {
        match self {
            Self::Made | Self::Several(_) | Self::Waited(_) | Self::Parked => None,
            Self::Rejected | Self::RejectedWith(_) => Some("rejected"),
            Self::Exhausted => Some("exhausted"),
            Self::Trapped | Self::Spun | Self::Greedy => Some("guest-fault"),
        }
    }

    /// The code of its dead letter, where it ends as one.
    pub fn code(self) -> Option<&'static str> {
        match self {
            Self::Made | Self::Several(_) | Self::Waited(_) | Self::Parked => None,
            Self::Rejected | Self::RejectedWith(_) => Some("asked"),
            Self::Exhausted => Some("retry"),
            Self::Trapped => Some("trap"),
            Self::Spun => Some("cpu"),
            Self::Greedy => Some("memory"),
        }
    }

    /// Whether later messages of its key may pass it.
    pub fn may_be_passed(self) -> bool {
        matches!(self, Self::Parked | Self::Exhausted)
    }

    fn command(self) -> serde_json::Value {
        match self {
            Self::Made => json!({ "do": "emit" }),
            Self::Several(count) => json!({ "do": "emit", "count": count }),
            Self::Parked => json!({ "do": "retry", "times": TRIES }),
            Self::Waited(ms) => json!({ "do": "slow", "ms": ms }),
            Self::Rejected => json!({ "do": "reject" }),
            Self::RejectedWith(count) => json!({ "do": "reject", "count": count }),
            Self::Exhausted => json!({ "do": "retry" }),
            Self::Trapped => json!({ "do": "trap" }),
            Self::Spun => json!({ "do": "spin" }),
            Self::Greedy => json!({ "do": "allocate" }),
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
