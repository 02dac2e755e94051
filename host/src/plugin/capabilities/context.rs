//! `context`: what the host knows about the call.

use tokio::time::Instant;
use wasmtime::component::Resource;

use super::State;
use crate::model::{Clock, Message};
use crate::plugin::Attempt;
use crate::plugin::bindings::context;

/// The W3C trace context of a message.
const TRACE_PARENT: &str = "traceparent";

/// What the host knows about one call.
#[expect(unreachable_pub, reason = "the generated bindings re-export it")]
pub struct Context {
    attempt: Attempt,
    deadline: Option<Instant>,
    trace_parent: Option<String>,
    clock: Clock,
}

impl Context {
    /// For a call of `message`.
    pub(in crate::plugin) fn new(message: &Message, attempt: Attempt, deadline: Option<Instant>, clock: Clock) -> Self {
        Self { attempt, deadline, trace_parent: trace_parent(message).map(str::to_owned), clock }
    }
}

/// The trace context of a message, if it has one.
fn trace_parent(message: &Message) -> Option<&str> {
    message.headers.text(TRACE_PARENT)
}

impl context::Host for State {}

impl context::HostContext for State {
    fn attempt(&mut self, context: Resource<Context>) -> wasmtime::Result<u32> {
        Ok(self.table.get(&context)?.attempt.number.get())
    }

    fn attempts_left(&mut self, context: Resource<Context>) -> wasmtime::Result<u32> {
        Ok(self.table.get(&context)?.attempt.left)
    }

    fn remaining_ms(&mut self, context: Resource<Context>) -> wasmtime::Result<Option<u64>> {
        let context = self.table.get(&context)?;
        let remaining = context.deadline.map(|deadline| deadline.saturating_duration_since(context.clock.now()));
        Ok(remaining.map(|remaining| u64::try_from(remaining.as_millis()).unwrap_or(u64::MAX)))
    }

    fn trace_parent(&mut self, context: Resource<Context>) -> wasmtime::Result<Option<String>> {
        Ok(self.table.get(&context)?.trace_parent.clone())
    }

    fn now_ms(&mut self, context: Resource<Context>) -> wasmtime::Result<u64> {
        Ok(self.table.get(&context)?.clock.wall().0)
    }

    fn drop(&mut self, context: Resource<Context>) -> wasmtime::Result<()> {
        self.table.delete(context)?;
        Ok(())
    }
}
