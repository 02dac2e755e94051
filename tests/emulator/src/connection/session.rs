//! One session: its links, and how many frames either side may send.

use std::collections::BTreeMap;

use bytes::Bytes;
use jiff::Timestamp;
use tracing::info;

use super::Context;
use super::link::Link;
use super::requests::Reply;
use crate::amqp::frames::{Kind, Output};
use crate::amqp::performatives::{
    self, Attach, Begin, Detach, Disposition, Flow, LinkFlow, Performative, Role, SessionFlow, Transfer,
};
use crate::refusal::Refusal;

/// How many frames each side may send before it hears of the other.
const WINDOW: u32 = 5000;
/// The highest number of a link: not the default, which is left out and which some clients then miss.
const HANDLE_MAX: u32 = 255;
/// The number of the first frame, as the service has it.
const FIRST_OUTGOING: u32 = 1;

/// A session.
pub(super) struct Session {
    channel: u16,
    window: Window,
    /// By the handles that the client gives them, which are ours as well.
    links: BTreeMap<u32, Link>,
    /// How many turns there were: each begins with another link, so that none is always the last.
    turns: usize,
}

/// What may be sent.
pub(super) struct Window {
    next_incoming: u32,
    /// How many frames the client may still send.
    incoming: u32,
    next_outgoing: u32,
    /// How many it still takes.
    outgoing: u32,
    next_delivery: u32,
}

impl Session {
    /// Begins one, and answers so.
    pub(super) fn begin(channel: u16, begin: &Begin, output: &mut Output) -> Self {
        output.frame(Kind::Amqp, channel, &performatives::begin(channel, FIRST_OUTGOING, WINDOW, HANDLE_MAX));
        let window = Window {
            next_incoming: begin.next_outgoing,
            incoming: WINDOW,
            next_outgoing: FIRST_OUTGOING,
            outgoing: begin.incoming_window,
            next_delivery: 0,
        };
        Self { channel, window, links: BTreeMap::new(), turns: 0 }
    }

    /// Does as the client says. What fails the whole session is an error.
    pub(super) fn handle(&mut self, said: Performative, payload: Bytes, context: &mut Context) -> Result<(), Refusal> {
        match said {
            Performative::Attach(attach) => return self.attach(&attach, context),
            Performative::Flow(flow) => self.flow(&flow, context),
            Performative::Transfer(transfer) => self.transfer(&transfer, payload, context),
            Performative::Disposition(disposition) => self.settle(&disposition, context),
            Performative::Detach(Detach { handle, closed }) => {
                // What we have detached ourselves is answered so, and is gone already.
                if self.links.remove(&handle).is_some() {
                    context.output.frame(Kind::Amqp, self.channel, &performatives::detach(handle, closed, None));
                }
            }
            // What concerns the connection does not come here.
            Performative::Open(_) | Performative::Begin(_) | Performative::End | Performative::Close => {}
        }
        Ok(())
    }

    /// Does what is due, and puts up to about so many bytes more into the output.
    pub(super) fn turn(&mut self, context: &mut Context, budget: usize) {
        self.turns = self.turns.wrapping_add(1);
        // At least one byte, so that however many links there are, each gets its event.
        let share = (budget / self.links.len().max(1)).max(1);
        for handle in rotated(self.links.keys(), self.turns) {
            let Some(link) = self.links.get_mut(&handle) else { continue };
            let mut channel = Channel { number: self.channel, window: &mut self.window, context };
            if let Err(refusal) = link.turn(&mut channel, share) {
                info!(link = link.name(), condition = %refusal.condition, "detached");
                channel.say(&performatives::detach(handle, true, Some(&refusal)));
                self.links.remove(&handle);
            }
        }
    }

    /// When there is something to do though nothing happens.
    pub(super) fn deadline(&self) -> Option<Timestamp> {
        self.links.values().filter_map(Link::deadline).min()
    }

    /// Its links.
    pub(super) fn links(&self) -> impl Iterator<Item = &Link> {
        self.links.values()
    }

    /// The hubs of its links whose tokens have been expired since it last looked.
    pub(super) fn take_expired(&mut self) -> impl Iterator<Item = String> {
        self.links.values_mut().filter_map(Link::take_expired)
    }

    /// Lets every link look again at what it is granted.
    pub(super) fn look_at_grants(&mut self) {
        self.links.values_mut().for_each(Link::look_at_grants);
    }

    /// Hands a reply to the link that it is meant for; gives it back where there is none.
    pub(super) fn reply(&mut self, reply: Reply) -> Result<(), Reply> {
        let link = self
            .links
            .values_mut()
            .filter_map(|link| Some((link.answers(&reply)?, link)))
            .max_by_key(|(rank, _)| *rank);
        match link {
            Some((_, link)) => {
                link.reply(reply.message);
                Ok(())
            }
            None => Err(reply),
        }
    }

    fn attach(&mut self, attach: &Attach, context: &mut Context) -> Result<(), Refusal> {
        if self.links.contains_key(&attach.handle) {
            return Err(Refusal::new("amqp:session:handle-in-use", "The handle is that of another link."));
        }
        let opened = if attach.handle > HANDLE_MAX {
            Err(Refusal::new("amqp:resource-limit-exceeded", "The session has too many links."))
        } else {
            Link::open(attach, context)
        };
        match opened {
            Ok(link) => {
                info!(link = link.name(), role = ?attach.role, "attached");
                let answer = performatives::attach(attach, link.max_message_size(context));
                context.output.frame(Kind::Amqp, self.channel, &answer);
                if let Some(flow) = link.first_flow() {
                    let flow = performatives::flow(self.window.flow(), Some(flow));
                    context.output.frame(Kind::Amqp, self.channel, &flow);
                }
                self.links.insert(attach.handle, link);
            }
            // Both at once and before any credit: so the client knows, and does not wait for what never comes.
            Err(refusal) => {
                let Refusal { condition, description } = &refusal;
                info!(link = attach.name, %condition, description, "refused");
                context.output.frame(Kind::Amqp, self.channel, &performatives::refused_attach(attach));
                let detach = performatives::detach(attach.handle, true, Some(&refusal));
                context.output.frame(Kind::Amqp, self.channel, &detach);
            }
        }
        Ok(())
    }

    fn flow(&mut self, flow: &Flow, context: &mut Context) {
        self.window.hear(flow);
        let link = flow.handle.and_then(|handle| self.links.get_mut(&handle));
        let answer = link.and_then(|link| link.flow(flow));
        if flow.echo {
            context.output.frame(Kind::Amqp, self.channel, &performatives::flow(self.window.flow(), answer));
        }
    }

    fn transfer(&mut self, transfer: &Transfer, payload: Bytes, context: &mut Context) {
        let is_low = self.window.receive();
        // None: sent before the client heard that the link is detached.
        if let Some(link) = self.links.get_mut(&transfer.handle) {
            let mut channel = Channel { number: self.channel, window: &mut self.window, context };
            link.transfer(transfer, payload, &mut channel);
        }
        if is_low {
            self.window.incoming = WINDOW;
            context.output.frame(Kind::Amqp, self.channel, &performatives::flow(self.window.flow(), None));
        }
    }

    /// What becomes of an event at its receiver is nothing to the service; it answers who waits for its settlement.
    fn settle(&mut self, disposition: &Disposition, context: &mut Context) {
        let Disposition { role, first, last, settled, ref state } = *disposition;
        if role == Role::Receiver && !settled {
            let answer = performatives::disposition(Role::Sender, first, last.unwrap_or(first), state.clone());
            context.output.frame(Kind::Amqp, self.channel, &answer);
        }
    }
}

impl Window {
    /// What it says of itself.
    fn flow(&self) -> SessionFlow {
        SessionFlow {
            next_incoming: self.next_incoming,
            incoming_window: self.incoming,
            next_outgoing: self.next_outgoing,
            outgoing_window: WINDOW,
        }
    }

    /// Learns how many frames the client takes.
    fn hear(&mut self, flow: &Flow) {
        let expected = flow.next_incoming.unwrap_or(FIRST_OUTGOING);
        let end = expected.wrapping_add(flow.incoming_window);
        let left = end.wrapping_sub(self.next_outgoing);
        // More than there can be: the client had not seen all of our frames, and takes no more than those.
        self.outgoing = if left > flow.incoming_window { 0 } else { left };
    }

    /// Counts a frame of the client's; whether it has to hear that it may send more.
    fn receive(&mut self) -> bool {
        self.next_incoming = self.next_incoming.wrapping_add(1);
        self.incoming = self.incoming.saturating_sub(1);
        self.incoming < WINDOW / 2
    }

    /// Whether the client takes a frame.
    pub(super) fn is_open(&self) -> bool {
        self.outgoing > 0
    }

    /// Counts a frame of ours.
    pub(super) fn send(&mut self) {
        self.next_outgoing = self.next_outgoing.wrapping_add(1);
        self.outgoing = self.outgoing.saturating_sub(1);
    }

    /// The number of a new delivery.
    pub(super) fn deliver(&mut self) -> u32 {
        let delivery = self.next_delivery;
        self.next_delivery = delivery.wrapping_add(1);
        delivery
    }
}

/// All keys, beginning with another one each turn.
pub(super) fn rotated<'a, K: Copy + 'a>(keys: impl ExactSizeIterator<Item = &'a K>, turn: usize) -> Vec<K> {
    let first = turn % keys.len().max(1);
    let mut keys: Vec<K> = keys.copied().collect();
    keys.rotate_left(first);
    keys
}

/// A session as its links see it.
pub(super) struct Channel<'a> {
    number: u16,
    pub(super) window: &'a mut Window,
    pub(super) context: &'a mut Context,
}

impl Channel<'_> {
    /// Says something.
    pub(super) fn say(&mut self, performative: &serde_amqp::Value) {
        self.context.output.frame(Kind::Amqp, self.number, performative);
    }

    /// Says how much a link may send, or has sent.
    pub(super) fn say_flow(&mut self, link: LinkFlow) {
        self.say(&performatives::flow(self.window.flow(), Some(link)));
    }

    /// Sends a part of a delivery.
    pub(super) fn send(&mut self, transfer: &[u8], payload: &[u8]) {
        self.window.send();
        self.context.output.encoded(Kind::Amqp, self.number, transfer, payload);
    }
}
