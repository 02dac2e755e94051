//! Durations and sizes as people write them: `200ms`, `5m`, `64MiB`. One type each, so that every config field reads,
//! prints and documents them alike.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use bytesize::ByteSize;
use jiff::{SignedDuration, Span, SpanRelativeTo};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// A length of time, written as a number and a unit: `200ms`, `5m`, `1h30m`, `7d`. A day has 24 hours.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Period(pub Duration);

/// A number of bytes, written as a number and a unit: `64MiB`, `10GiB`, `512`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(pub u64);

/// A text that is no duration or size.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum UnitError {
    /// Not a duration.
    #[error("`{0}` is not a duration: write a number and a unit, such as `200ms`, `30s`, `5m` or `1h30m`")]
    Duration(String),
    /// Not a size.
    #[error("`{0}` is not a size: write a number and a unit, such as `512`, `64KiB`, `64MiB` or `10GiB`")]
    Size(String),
}

impl Period {
    /// A whole number of milliseconds.
    pub const fn from_millis(ms: u64) -> Self {
        Self(Duration::from_millis(ms))
    }

    /// A whole number of seconds.
    pub const fn from_secs(secs: u64) -> Self {
        Self(Duration::from_secs(secs))
    }
}

impl FromStr for Period {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let bad = || UnitError::Duration(text.to_owned());
        let span: Span = text.parse().map_err(|_| bad())?;
        let parsed = span.to_duration(SpanRelativeTo::days_are_24_hours()).map_err(|_| bad())?;
        Duration::try_from(parsed).map(Self).map_err(|_| bad())
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match SignedDuration::try_from(self.0) {
            Ok(duration) => write!(f, "{duration:#}"),
            Err(_) => write!(f, "{}s", self.0.as_secs()),
        }
    }
}

impl FromStr for Size {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        text.parse::<ByteSize>().map(|size| Self(size.as_u64())).map_err(|_| UnitError::Size(text.to_owned()))
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", ByteSize(self.0).display().iec())
    }
}

macro_rules! written_as_text {
    ($type:ident, $what:literal, $pattern:literal) => {
        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = Cow::<'_, str>::deserialize(deserializer)?;
                text.parse().map_err(D::Error::custom)
            }
        }

        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl JsonSchema for $type {
            fn schema_name() -> Cow<'static, str> {
                stringify!($type).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": ["string", "integer"], "description": $what, "pattern": $pattern })
            }
        }
    };
}

written_as_text!(Period, "a duration: a number and a unit, such as `200ms`, `30s`, `5m`", r"^\s*[0-9]");
written_as_text!(Size, "a size: a number and a unit, such as `64KiB`, `64MiB`, `10GiB`", r"^\s*[0-9]");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_and_printed_alike() {
        for (text, ms) in [("200ms", 200), ("30s", 30_000), ("5m", 300_000), ("1h30m", 5_400_000), ("7d", 604_800_000)]
        {
            let period: Period = text.parse().unwrap();
            assert_eq!(period, Period::from_millis(ms), "{text}");
            assert_eq!(period.to_string().parse::<Period>().unwrap(), period, "{text}");
        }
        for text in ["", "5", "-3s", "soon", "5 parsecs", "1 month"] {
            assert!(text.parse::<Period>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn sizes_are_read_and_printed_alike() {
        for (text, bytes) in [("512", 512), ("64MiB", 64 << 20), ("10GiB", 10 << 30), ("1kB", 1000)] {
            assert_eq!(text.parse::<Size>().unwrap(), Size(bytes), "{text}");
        }
        for text in ["", "MiB", "-3", "much"] {
            assert!(text.parse::<Size>().is_err(), "{text:?}");
        }
    }
}
