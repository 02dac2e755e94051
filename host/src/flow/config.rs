//! The shape of a pipeline's delivery settings in the spec.

use std::num::{NonZeroU32, NonZeroUsize};
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::{Period, Size};

/// No message is parked for longer, whatever its record says.
pub const LONGEST_DELAY: Duration = Duration::from_secs(30 * 24 * 60 * 60);

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
#[derive(Clone, PartialEq, Eq, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Retry {
    /// Tries that hold the message's place.
    pub in_place: InPlace,
    /// Further rounds of them, later: the message waits in a topic and frees its place. None where this is left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub later: Option<Later>,
}

/// Rounds that follow a failed one. The message is parked in a topic until its delay is over; `n` delays make `n` + 1
/// rounds.
#[derive(Clone, PartialEq, Eq, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Later {
    /// The transport; may be left out where there is only one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transport: Option<String>,
    /// The topic that messages wait in. Pipelines with the same delays may share it.
    pub topic: Option<String>,
    /// How long a message waits after its first, second, … failed round; none is shorter than the one before it.
    pub delays: Vec<Period>,
    /// Whether messages may pass one that waits. With an `order` this has to be said, for they will.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub overtake: Option<Overtake>,
}

/// What later messages of a key may do to one that waits.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Overtake {
    /// Pass it.
    Allowed,
}

/// Tries that hold the message's place, its lane and its share of `in_flight`, but never a slot.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct InPlace {
    /// Calls in all, the first included.
    pub attempts: NonZeroU32,
    /// The wait after the first failure; it doubles.
    pub first: Period,
    /// The longest wait. A longer one that a plugin asks for ends the round; without `later` it is cut to this.
    pub max: Period,
}

impl Default for InPlace {
    fn default() -> Self {
        Self { attempts: NonZeroU32::MIN.saturating_add(2), first: Period::from_millis(200), max: Period::from_secs(5) }
    }
}
