//! What a client is to hear of the deliveries that it sent, and when: in the order in which they came.

use std::collections::VecDeque;
use std::time::Duration;

use jiff::Timestamp;
use serde_amqp::Value;

use super::session::Channel;
use crate::amqp::performatives::{self, Role};

/// Outcomes that were not told yet. The client's credit bounds them.
#[derive(Default)]
pub(super) struct Settlements(VecDeque<Settlement>);

/// What the client is to hear of a delivery.
struct Settlement {
    due: Timestamp,
    delivery: u32,
    outcome: Value,
}

impl Settlements {
    /// Adds an outcome, to be told so much later than `now`.
    pub(super) fn push(&mut self, delivery: u32, outcome: Value, later: Duration, now: Timestamp) {
        let due = now.checked_add(later).unwrap_or(Timestamp::MAX);
        self.0.push_back(Settlement { due, delivery, outcome });
    }

    /// Tells what is due.
    pub(super) fn tell(&mut self, channel: &mut Channel<'_>) {
        let now = channel.context.now;
        while let Some(Settlement { delivery, outcome, .. }) = self.0.pop_front_if(|next| next.due <= now) {
            channel.say(&performatives::disposition(Role::Receiver, delivery, delivery, outcome));
        }
    }

    /// When the next is told.
    pub(super) fn deadline(&self) -> Option<Timestamp> {
        self.0.front().map(|next| next.due)
    }

    /// How many are not told yet.
    pub(super) fn count(&self) -> usize {
        self.0.len()
    }
}
