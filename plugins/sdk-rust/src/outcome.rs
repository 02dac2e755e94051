//! What a plugin answers: what becomes of the message, and what to publish.

use std::time::Duration;

use serde::Serialize;

use crate::{Header, json};

/// The answer to one message.
#[derive(Clone, PartialEq, Eq, Debug)]
#[must_use = "the host only learns of an outcome that is returned"]
#[non_exhaustive]
pub struct Outcome {
    /// What becomes of the message.
    pub verdict: Verdict,
    /// What to publish, in this order. Dropped unless the verdict is `Done` or `Reject`.
    pub emit: Vec<Emission>,
}

/// What becomes of a message. Reasons are for the operator: never a secret, never a presigned URL.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// Processed: settles once every emission is durable.
    Done,
    /// Deliberately dropped.
    Skip {
        /// Counted by this.
        reason: String,
    },
    /// Failed for now: again later, up to the pipeline's attempts, then a dead letter.
    Retry {
        /// At least this long; the host's own back-off where absent.
        after: Option<Duration>,
        /// What failed.
        reason: String,
    },
    /// Will never succeed: a dead letter.
    Reject {
        /// A short stable word to count by, such as `url-denied`.
        code: String,
        /// What is wrong.
        reason: String,
    },
    /// Not this message's fault: no attempt is used, and the pipeline starts no other message until this one passes.
    Hold {
        /// At least this long; the host's own back-off where absent.
        after: Option<Duration>,
        /// What is down, or refuses.
        reason: String,
    },
}

impl Outcome {
    /// Processed.
    pub fn done() -> Self {
        Self::of(Verdict::Done)
    }

    /// Deliberately dropped, counted under the reason.
    pub fn skip(reason: impl Into<String>) -> Self {
        Self::of(Verdict::Skip { reason: reason.into() })
    }

    /// Failed for now; again after the host's back-off.
    pub fn retry(reason: impl Into<String>) -> Self {
        Self::of(Verdict::Retry { after: None, reason: reason.into() })
    }

    /// Failed for now; again after this long at the earliest.
    pub fn retry_after(after: Duration, reason: impl Into<String>) -> Self {
        Self::of(Verdict::Retry { after: Some(after), reason: reason.into() })
    }

    /// Will never succeed. The code is a short stable word to count by.
    pub fn reject(code: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::of(Verdict::Reject { code: code.into(), reason: reason.into() })
    }

    /// Not this message's fault; the pipeline waits, for as long as the host finds right.
    pub fn hold(reason: impl Into<String>) -> Self {
        Self::of(Verdict::Hold { after: None, reason: reason.into() })
    }

    /// Not this message's fault; the pipeline waits this long at least.
    pub fn hold_for(after: Duration, reason: impl Into<String>) -> Self {
        Self::of(Verdict::Hold { after: Some(after), reason: reason.into() })
    }

    /// The outcome of a verdict that publishes nothing.
    pub fn of(verdict: Verdict) -> Self {
        Self { verdict, emit: Vec::new() }
    }

    /// The same with one emission more. Only `done` and `reject` publish.
    pub fn emit(mut self, emission: Emission) -> Self {
        self.emit.push(emission);
        self
    }

    /// Whether the message was processed.
    pub fn is_done(&self) -> bool {
        self.verdict == Verdict::Done
    }
}

/// One message to publish.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Emission {
    /// A name that the binding has; the pipeline says which topic it is.
    pub output: String,
    /// Decides the partition: messages of one key stay in order. Without one they are spread.
    pub key: Option<Vec<u8>>,
    /// Headers to set. A name that begins with `lockgate-` breaks the contract: those are the host's.
    pub headers: Vec<Header>,
    /// The body.
    pub payload: Vec<u8>,
}

impl Emission {
    /// A value as JSON.
    pub fn json<T: Serialize + ?Sized>(output: impl Into<String>, value: &T) -> Result<Self, json::Error> {
        let output = output.into();
        match serde_json::to_vec(value) {
            Ok(payload) => Ok(Self::bytes(output, payload)),
            Err(error) => Err(json::Error::Write { output, reason: error.to_string() }),
        }
    }

    /// Bytes as they are.
    pub fn bytes(output: impl Into<String>, payload: impl Into<Vec<u8>>) -> Self {
        Self { output: output.into(), key: None, headers: Vec::new(), payload: payload.into() }
    }

    /// The same with a key.
    pub fn key(self, key: impl Into<Vec<u8>>) -> Self {
        Self { key: Some(key.into()), ..self }
    }

    /// The same with one header more.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<Vec<u8>>) -> Self {
        self.headers.push(Header::new(name, value));
        self
    }
}
