//! What the host knows about a call.

use std::time::{Duration, SystemTime};

use crate::host;

/// What the host knows about this call.
pub struct Context(pub(crate) host::Context);

impl Context {
    /// 1 for the first try; counts every try of the message that used up an attempt.
    pub fn attempt(&self) -> u32 {
        self.0.attempt()
    }

    /// Calls left after this one before the message becomes a dead letter; 0 on the last.
    pub fn attempts_left(&self) -> u32 {
        self.0.attempts_left()
    }

    /// What is left until the call's deadline, if it has one.
    pub fn remaining(&self) -> Option<Duration> {
        self.0.remaining_ms().map(Duration::from_millis)
    }

    /// The W3C trace context of the message.
    pub fn trace_parent(&self) -> Option<String> {
        self.0.trace_parent()
    }

    /// The wall clock of the host.
    pub fn now(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_millis(self.0.now_ms())
    }
}
