//! What a plugin says about a message. The WIT types are converted into these at once; nothing else of a guest's
//! shape travels further.

use std::time::Duration;

use bytes::Bytes;

use super::Headers;

/// What becomes of a message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// Processed: settles once every emission is durable.
    Done,
    /// Deliberately dropped.
    Skip {
        /// Counted by this.
        reason: String,
    },
    /// Failed for now.
    Retry {
        /// At least this long; the pipeline's back-off where absent.
        after: Option<Duration>,
        /// For the operator.
        reason: String,
    },
    /// Will never succeed.
    Reject {
        /// A short stable word to count by.
        code: String,
        /// For the operator.
        reason: String,
    },
    /// Not the message's fault; the pipeline waits.
    Hold {
        /// How long; the pipeline's own wait where absent.
        after: Option<Duration>,
        /// For the operator.
        reason: String,
    },
}

/// One message that a plugin wants published.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Emission {
    /// The plugin's name for where it goes.
    pub output: String,
    /// Decides the partition.
    pub key: Option<Bytes>,
    /// Headers without the host's own.
    pub headers: Headers,
    /// The body.
    pub payload: Bytes,
}

/// A plugin's answer to one message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Outcome {
    /// What becomes of the message.
    pub verdict: Verdict,
    /// Published with `Done` and `Reject`.
    pub emit: Vec<Emission>,
}

impl Outcome {
    /// An outcome that publishes nothing.
    pub fn of(verdict: Verdict) -> Self {
        Self { verdict, emit: Vec::new() }
    }
}
