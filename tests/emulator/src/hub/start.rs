//! Where a receiver begins: read from the selector that clients write, such as
//! `amqp.annotation.x-opt-offset > '1234'`.

use std::str::FromStr;

/// Where to begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Start {
    pub(crate) position: Position,
    /// With what stands at the position, or with what comes after it.
    pub(crate) inclusive: bool,
}

/// A place in a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Position {
    /// With the oldest event there is.
    Earliest,
    /// With the next that comes.
    Latest,
    Offset(i64),
    Sequence(i64),
    /// In milliseconds.
    Enqueued(i64),
}

impl Start {
    /// Where a receiver begins that does not say.
    pub(crate) const UNSAID: Self = Self { position: Position::Latest, inclusive: false };
}

/// The selector cannot be read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct UnknownSelector;

/// What a selector's name begins with.
const ANNOTATION: &str = "amqp.annotation.x-opt-";
/// The offset before the first event.
const BEGINNING: &str = "-1";
/// The offset after the last event.
const END: &str = "@latest";

impl FromStr for Start {
    type Err = UnknownSelector;

    fn from_str(selector: &str) -> Result<Self, UnknownSelector> {
        let (name, rest) = selector.split_once('>').ok_or(UnknownSelector)?;
        let (inclusive, value) = match rest.strip_prefix('=') {
            Some(value) => (true, value),
            None => (false, rest),
        };
        let value = value.trim().trim_matches('\'');
        let number = || value.parse().map_err(|_| UnknownSelector);
        let position = match (name.trim().strip_prefix(ANNOTATION), value) {
            (Some("offset"), BEGINNING) => Position::Earliest,
            (Some("offset"), END) => Position::Latest,
            (Some("offset"), _) => Position::Offset(number()?),
            (Some("sequence-number"), END) => Position::Latest,
            (Some("sequence-number"), _) => Position::Sequence(number()?),
            (Some("enqueued-time"), _) => Position::Enqueued(number()?),
            _ => return Err(UnknownSelector),
        };
        Ok(Self { position, inclusive })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_selector_that_clients_write_is_read() {
        let table = [
            ("amqp.annotation.x-opt-offset > '-1'", Position::Earliest, false),
            ("amqp.annotation.x-opt-offset > '@latest'", Position::Latest, false),
            ("amqp.annotation.x-opt-offset >'@latest'", Position::Latest, false),
            ("amqp.annotation.x-opt-offset >= '1234'", Position::Offset(1234), true),
            ("amqp.annotation.x-opt-offset > '1234'", Position::Offset(1234), false),
            ("amqp.annotation.x-opt-sequence-number > '7'", Position::Sequence(7), false),
            ("amqp.annotation.x-opt-sequence-number >='7'", Position::Sequence(7), true),
            ("amqp.annotation.x-opt-sequence-number > '-1'", Position::Sequence(-1), false),
            ("amqp.annotation.x-opt-enqueued-time > '1700000000000'", Position::Enqueued(1_700_000_000_000), false),
        ];
        for (selector, position, inclusive) in table {
            assert_eq!(selector.parse(), Ok(Start { position, inclusive }), "{selector}");
        }
    }

    #[test]
    fn others_are_refused() {
        for selector in ["", "x > '1'", "amqp.annotation.x-opt-offset = '1'", "amqp.annotation.x-opt-offset > 'x'"] {
            assert_eq!(selector.parse::<Start>(), Err(UnknownSelector), "{selector}");
        }
    }
}
