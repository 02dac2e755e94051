//! A link that events come by.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use tracing::debug;

use super::Context;
use super::incoming::{Delivery, Incoming};
use super::session::Channel;
use super::settlements::Settlements;
use crate::amqp::message::Sent;
use crate::amqp::performatives::{self, LinkFlow, Transfer};
use crate::faults::Switchboard;
use crate::hub::Hub;
use crate::refusal::Refusal;

/// The receiving end of a link by which a client sends.
pub(super) struct Producer {
    incoming: Incoming,
    hub: Arc<Hub>,
    partition: Option<usize>,
    settlements: Settlements,
}

impl Producer {
    /// One that sends to a hub, or to one of its partitions.
    pub(super) fn new(incoming: Incoming, hub: Arc<Hub>, partition: Option<usize>) -> Self {
        Self { incoming, hub, partition, settlements: Settlements::default() }
    }

    /// What it says of itself.
    pub(super) fn flow(&self) -> LinkFlow {
        self.incoming.flow()
    }

    /// Takes a part of a delivery; `allowed` says whether the link may still be used.
    pub(super) fn transfer(
        &mut self,
        transfer: &Transfer,
        payload: Bytes,
        allowed: Result<(), Refusal>,
        channel: &mut Channel<'_>,
    ) {
        let Some(delivery) = self.incoming.take(transfer, payload) else { return };
        let (id, is_settled) = (delivery.id, delivery.settled);
        let outcome = match allowed.and_then(|()| self.accept(delivery, channel.context)) {
            Ok(()) => performatives::accepted(),
            Err(refusal) => {
                debug!(hub = self.hub.name, condition = %refusal.condition, "rejected");
                performatives::rejected(&refusal)
            }
        };
        if !is_settled {
            let context = &*channel.context;
            let asked = Duration::from_millis(context.faults_of(&self.hub).settle_ms);
            let later = asked.max(context.namespace.settle);
            self.settlements.push(id, outcome, later, context.now);
        }
        self.turn(channel);
    }

    /// Settles what is due, and lets the client send more.
    pub(super) fn turn(&mut self, channel: &mut Channel<'_>) {
        self.settlements.tell(channel);
        if let Some(flow) = self.incoming.replenish(self.settlements.count()) {
            channel.say_flow(flow);
        }
    }

    /// When the next delivery is settled.
    pub(super) fn deadline(&self) -> Option<Timestamp> {
        self.settlements.deadline()
    }

    fn accept(&self, delivery: Delivery, context: &Context) -> Result<(), Refusal> {
        let switchboards = [&self.hub.switchboard, &context.namespace.switchboard];
        if let Some(condition) = switchboards.into_iter().find_map(Switchboard::take_failure) {
            return Err(Refusal::new(condition, "The send fails on demand."));
        }
        if context.faults_of(&self.hub).server_busy {
            return Err(Refusal::busy());
        }
        let limit = self.hub.max_message_size;
        let message = delivery.message.ok_or_else(|| Refusal::too_large(delivery.id, delivery.size, limit))?;
        let size = message.len();
        let sent = Sent::read(message, delivery.format).map_err(|malformed| Refusal::malformed(malformed.0))?;
        self.hub.append(sent, size, self.partition, context.now)
    }
}
