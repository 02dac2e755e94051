//! The shape of a pipeline's delivery settings in the spec.

use std::num::{NonZeroU32, NonZeroUsize};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::{Period, Size};

/// What may be read but not settled, over the whole pipeline: the back-pressure.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct InFlight {
    /// At most so many messages.
    pub messages: NonZeroUsize,
    /// At most so many bytes; the message that goes beyond them is the last that is admitted.
    pub bytes: Size,
}

impl Default for InFlight {
    fn default() -> Self {
        Self { messages: NonZeroUsize::MIN.saturating_add(999), bytes: Size(64 << 20) }
    }
}

/// What a pipeline that fails for good does to the process.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnFatal {
    /// The others go on; the exit code is 1 at the end.
    #[default]
    Stay,
    /// The others finish what runs, and the process ends with exit code 1.
    Exit,
}

/// Which messages may run beside each other. A message holds its place until it is settled.
#[derive(Clone, PartialEq, Eq, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// Any.
    #[default]
    None,
    /// Messages of one key run one after another; no key means no order.
    Key,
    /// One message of a partition at a time.
    Partition,
    /// Messages with the same value of a header run one after another; no header means no order.
    Header(String),
}

/// When to try again.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Retry {
    /// Tries that hold the message's place.
    pub in_place: InPlace,
}

/// Tries that hold the message's place, its lane and its share of `in_flight`, but never a slot.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct InPlace {
    /// Calls in all, the first included.
    pub attempts: NonZeroU32,
    /// The wait after the first failure; it doubles.
    pub first: Period,
    /// The longest wait. A longer one that a plugin asks for is cut to this.
    pub max: Period,
}

impl Default for InPlace {
    fn default() -> Self {
        Self { attempts: NonZeroU32::MIN.saturating_add(2), first: Period::from_millis(200), max: Period::from_secs(5) }
    }
}
