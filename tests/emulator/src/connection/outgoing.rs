//! What a client is sent on a link: deliveries cut into transfers, as far as its credit and its session's window go.

use bytes::Bytes;

use super::session::Channel;
use crate::amqp::frames::{encode, room};
use crate::amqp::performatives::{self, Attach, Flow, LinkFlow, SettleMode};

/// The sending end of a link.
pub(super) struct Outgoing {
    handle: u32,
    settled: bool,
    /// How many deliveries the client takes.
    credit: u32,
    delivery_count: u32,
    /// Whether it wants to hear when there are no more.
    drain: bool,
    /// Of a delivery that is begun.
    rest: Option<Bytes>,
}

impl Outgoing {
    /// One that may send nothing yet.
    pub(super) fn new(attach: &Attach) -> Self {
        let settled = attach.settle_mode == SettleMode::Settled;
        Self { handle: attach.handle, settled, credit: 0, delivery_count: 0, drain: false, rest: None }
    }

    /// Learns how many deliveries the client takes; what it says of itself. Where it wants to hear that there are no
    /// more, it hears so once all is sent that there is, or all of its credit is used up.
    pub(super) fn hear(&mut self, flow: &Flow) -> LinkFlow {
        if let Some(credit) = flow.link_credit {
            // A client that counts none has seen none.
            let end = flow.delivery_count.unwrap_or(0).wrapping_add(credit);
            let left = end.wrapping_sub(self.delivery_count);
            // More than there can be: what is under way uses up all of it.
            self.credit = if left > credit { 0 } else { left };
        }
        self.drain = flow.drain;
        self.flow()
    }

    /// Whether a delivery can begin. One that was begun goes on first.
    pub(super) fn is_ready(&mut self, channel: &mut Channel<'_>) -> bool {
        if let Some(rest) = self.rest.take() {
            self.send(rest, None, channel);
        }
        self.rest.is_none() && self.credit > 0 && channel.window.is_open()
    }

    /// Begins a delivery.
    pub(super) fn begin(&mut self, message: Bytes, channel: &mut Channel<'_>) {
        self.credit = self.credit.saturating_sub(1);
        self.delivery_count = self.delivery_count.wrapping_add(1);
        let delivery = channel.window.deliver();
        self.send(message, Some(delivery), channel);
    }

    /// Whether the client takes no more deliveries than have begun.
    pub(super) fn is_spent(&self) -> bool {
        self.credit == 0
    }

    /// Says that there are no more, where the client wants to hear so: not in the middle of a delivery.
    pub(super) fn exhaust(&mut self, channel: &mut Channel<'_>) {
        if self.rest.is_none() && std::mem::take(&mut self.drain) {
            self.delivery_count = self.delivery_count.wrapping_add(self.credit);
            self.credit = 0;
            channel.say_flow(LinkFlow { drain: true, ..self.flow() });
        }
    }

    fn send(&mut self, mut message: Bytes, mut first: Option<u32>, channel: &mut Channel<'_>) {
        while channel.window.is_open() {
            let transfer = |more| encode(&performatives::transfer(self.handle, first, self.settled, more));
            // Both are of one length.
            let (last, partial) = (transfer(false), transfer(true));
            let room = room(channel.context.max_frame_size, &last);
            if message.len() <= room {
                channel.send(&last, &message);
                return;
            }
            channel.send(&partial, &message.split_to(room));
            first = None;
        }
        self.rest = Some(message);
    }

    fn flow(&self) -> LinkFlow {
        LinkFlow { handle: self.handle, delivery_count: self.delivery_count, credit: self.credit, drain: false }
    }
}
