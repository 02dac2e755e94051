//! What the oldest unsettled message of a partition waits for, and in which words. Pure; the loop finds it only when it
//! is asked. Never tells a payload.

use std::fmt;
use std::time::Duration;

use crate::model::{Message, MessageId, Position, Timestamp, without_queries};

/// Longest key that is told, in characters.
const KEY_LIMIT: usize = 64;

/// The message that keeps a partition's base where it is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Oldest {
    /// Where it stands.
    pub position: Position,
    /// Its key as text, cut to 64 characters.
    pub key: Option<String>,
    /// Its id.
    pub message_id: MessageId,
    /// The try that runs or comes next, 1 for the first.
    pub attempt: u32,
    /// When it was admitted.
    pub admitted: Timestamp,
    /// What it waits for.
    pub waits: Waits,
}

/// What a message waits for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Waits {
    /// Messages before it in its lane.
    Lane {
        /// The key that blocks, as text; none where the whole partition is one lane.
        key: Option<String>,
    },
    /// A free slot.
    Slot,
    /// Somebody to resume the pipeline.
    Resume,
    /// A held message of the pipeline to pass.
    Hold,
    /// A topic to take what other messages made, before anything else starts.
    Topic {
        /// What fails.
        reason: String,
    },
    /// The plugin.
    Plugin {
        /// How long it has been there.
        since: Duration,
    },
    /// The next try after one that failed.
    Again {
        /// When.
        wait: Duration,
    },
    /// Its trial: it is held.
    Trial {
        /// When; none while another held message is tried.
        wait: Option<Duration>,
    },
    /// Its effects to become durable.
    Durable {
        /// The topic that fails, and how; none where none does.
        reason: Option<String>,
    },
    /// The time until which it is parked.
    Due {
        /// When.
        wait: Duration,
    },
}

impl Oldest {
    /// What is told of a message.
    pub fn new(position: Position, message: &Message, attempt: u32, admitted: Timestamp, waits: Waits) -> Self {
        Self {
            position,
            key: message.key.as_deref().map(key_text),
            message_id: message.id.clone(),
            attempt,
            admitted,
            waits,
        }
    }
}

impl Waits {
    /// A short stable word for machines.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Lane { .. } => "lane",
            Self::Slot => "slot",
            Self::Resume => "resume",
            Self::Hold => "hold",
            Self::Topic { .. } => "topic",
            Self::Plugin { .. } => "plugin",
            Self::Again { .. } => "again",
            Self::Trial { .. } => "trial",
            Self::Durable { .. } => "durable",
            Self::Due { .. } => "due",
        }
    }

    /// How long until it goes on by itself, where that is known.
    pub fn wait(&self) -> Option<Duration> {
        match self {
            Self::Again { wait } | Self::Due { wait } => Some(*wait),
            Self::Trial { wait } => *wait,
            _ => None,
        }
    }
}

impl fmt::Display for Oldest {
    /// Such as `held at 812 by key K, attempt 4, next try in 40 s`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "held at {} by ", self.position)?;
        match &self.key {
            Some(key) => write!(f, "key {key}")?,
            None => f.write_str("a message without a key")?,
        }
        write!(f, ", attempt {}, {}", self.attempt, self.waits)
    }
}

impl fmt::Display for Waits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lane { key: Some(key) } => write!(f, "waits behind key {key}"),
            Self::Lane { key: None } => f.write_str("waits behind its partition"),
            Self::Slot => f.write_str("waits for a free slot"),
            Self::Resume => f.write_str("waits until the pipeline is resumed"),
            Self::Hold => f.write_str("waits until a held message passes"),
            Self::Topic { reason } => write!(f, "waits until topics work again: {reason}"),
            Self::Plugin { since } => write!(f, "in the plugin for {}", text(*since)),
            Self::Again { wait } => write!(f, "next try in {}", text(*wait)),
            Self::Trial { wait: Some(wait) } => write!(f, "held, trial in {}", text(*wait)),
            Self::Trial { wait: None } => f.write_str("held while another is tried"),
            Self::Durable { reason: Some(reason) } => write!(f, "its effects are not durable yet: {reason}"),
            Self::Durable { reason: None } => f.write_str("its effects become durable"),
            Self::Due { wait } => write!(f, "parked, due in {}", text(*wait)),
        }
    }
}

/// A key as people may read it: no query of a URL, no control characters, not longer than that.
pub(super) fn key_text(key: &[u8]) -> String {
    let text = String::from_utf8_lossy(key);
    let text = without_queries(&text);
    let mut characters = text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c });
    let kept: String = characters.by_ref().take(KEY_LIMIT - 1).collect();
    match (characters.next(), characters.next()) {
        (Some(last), None) => kept + last.encode_utf8(&mut [0; 4]),
        (Some(_), Some(_)) => kept + "…",
        (None, _) => kept,
    }
}

/// Whole units, as one says them: `40 s`, `12 min`, `3 h 20 min`.
fn text(duration: Duration) -> String {
    // What is left of a second is still to come.
    let seconds = duration.as_millis().div_ceil(1000);
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds.div_ceil(60)),
        _ => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn oldest(key: Option<&str>, waits: Waits) -> String {
        let (key, message_id) = (key.map(|key| key_text(key.as_bytes())), MessageId::given("m"));
        Oldest { position: Position(812), key, message_id, attempt: 4, admitted: Timestamp(0), waits }.to_string()
    }

    #[test]
    fn an_operator_reads_where_it_is_held_by_what_and_until_when() {
        let wait = Duration::from_millis(39_600);
        let told = oldest(Some("K"), Waits::Again { wait });
        assert_eq!(told, "held at 812 by key K, attempt 4, next try in 40 s");
        let told = oldest(None, Waits::Plugin { since: Duration::from_secs(600) });
        assert_eq!(told, "held at 812 by a message without a key, attempt 4, in the plugin for 10 min");
        let told = oldest(Some("K"), Waits::Due { wait: Duration::from_secs(7_320) });
        assert_eq!(told, "held at 812 by key K, attempt 4, parked, due in 2 h 2 min");
    }

    #[test]
    fn a_key_is_told_as_text_and_cut() {
        assert_eq!(key_text(b"a\x00\xff\n"), "a\u{fffd}\u{fffd}\u{fffd}");
        assert_eq!(key_text(b"https://h/f?sig=SENTINEL"), "https://h/f?…");
        assert_eq!(key_text("ü".repeat(64).as_bytes()), "ü".repeat(64));
        assert_eq!(key_text("ü".repeat(65).as_bytes()), "ü".repeat(63) + "…");
    }
}
