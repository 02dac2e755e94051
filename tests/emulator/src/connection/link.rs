//! One link: who may use it for how long, and which of its four kinds it is.

use std::sync::Arc;

use bytes::Bytes;
use jiff::Timestamp;
use serde_amqp::Value;

use super::Context;
use super::consumer::Consumer;
use super::incoming::Incoming;
use super::producer::Producer;
use super::requests::{Replies, Reply, Requests, Service};
use super::session::Channel;
use crate::address::{self, Node};
use crate::amqp::performatives::{Attach, Flow, LinkFlow, Role, Transfer};
use crate::amqp::text;
use crate::config::Right;
use crate::faults::Signals;
use crate::hub::Hub;
use crate::refusal::Refusal;

/// What is said of a fault.
const REFUSED: &str = "The link is refused on demand.";

/// A link.
pub(super) struct Link {
    /// As the client calls it.
    name: String,
    /// What grants it; whoever puts tokens or asks about hubs needs no grant for the link itself.
    access: Option<Access>,
    kind: LinkKind,
}

/// What a link is for.
enum LinkKind {
    Producer(Producer),
    Consumer(Box<Consumer>),
    Requests(Requests),
    Replies(Replies),
}

/// The grant of a link.
struct Access {
    hub: Arc<Hub>,
    right: Right,
    path: String,
    url: String,
    until: Timestamp,
    /// How often the hub's connections had been dropped, and its tokens expired, when it last looked.
    drops: u64,
    expiries: u64,
}

impl Link {
    /// Opens what an attach asks for, or says why not.
    pub(super) fn open(attach: &Attach, context: &Context) -> Result<Self, Refusal> {
        let address = match attach.role {
            Role::Sender => terminus(&attach.target),
            Role::Receiver => terminus(&attach.source),
        };
        let address = address.unwrap_or_default();
        let incoming = |limit| Incoming::new(attach.handle, limit);
        let named = |kind, access| Self { name: attach.name.clone(), access, kind };
        match (attach.role, Node::of(address)) {
            (Role::Sender, node @ (Node::Cbs | Node::Management)) => {
                let incoming = incoming(context.namespace.max_message_size);
                Ok(named(LinkKind::Requests(Requests::new(incoming, Service::of(&node))), None))
            }
            (Role::Receiver, node @ (Node::Cbs | Node::Management)) => {
                let names = [terminus(&attach.target).unwrap_or_default().to_owned(), attach.name.clone()];
                Ok(named(LinkKind::Replies(Replies::new(attach, Service::of(&node), names)), None))
            }
            (Role::Sender, Node::Sink { hub, partition }) => {
                let access = Access::open(&hub, Right::Send, address, context)?;
                let partition = partition.map(|partition| access.hub.partition(&partition)).transpose()?;
                let producer = Producer::new(incoming(access.hub.max_message_size), access.hub.clone(), partition);
                Ok(named(LinkKind::Producer(producer), Some(access)))
            }
            (Role::Receiver, Node::Source { hub, group, partition }) => {
                let access = Access::open(&hub, Right::Listen, address, context)?;
                if !access.hub.has_group(&group) {
                    return Err(Refusal::no_group(&context.host, &access.hub.name, &group));
                }
                let partition = access.hub.partition(&partition)?;
                let consumer = Consumer::open(attach, access.hub.clone(), partition, group, context)?;
                Ok(named(LinkKind::Consumer(Box::new(consumer)), Some(access)))
            }
            _ => Err(Refusal::no_entity(&context.url(&address::path(address)))),
        }
    }

    /// As the client calls it.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// The largest message that it takes.
    pub(super) fn max_message_size(&self, context: &Context) -> u64 {
        self.access.as_ref().map_or(context.namespace.max_message_size, |access| access.hub.max_message_size)
    }

    /// Whether its hub is frozen.
    pub(super) fn is_frozen(&self) -> bool {
        self.access.as_ref().is_some_and(|access| access.hub.switchboard.signals().faults.frozen)
    }

    /// Whether the connections of its hub were dropped.
    pub(super) fn is_dropped(&self) -> bool {
        self.access.as_ref().is_some_and(|access| access.hub.switchboard.signals().drops != access.drops)
    }

    /// The name of its hub, where the tokens for that have been expired since it last looked.
    pub(super) fn take_expired(&mut self) -> Option<String> {
        let access = self.access.as_mut()?;
        let expiries = access.hub.switchboard.signals().expiries;
        (std::mem::replace(&mut access.expiries, expiries) != expiries).then(|| access.hub.name.to_lowercase())
    }

    /// What the client may send from the beginning.
    pub(super) fn first_flow(&self) -> Option<LinkFlow> {
        match &self.kind {
            LinkKind::Producer(producer) => Some(producer.flow()),
            LinkKind::Requests(requests) => Some(requests.flow()),
            LinkKind::Consumer(_) | LinkKind::Replies(_) => None,
        }
    }

    /// Does what is due. What ends the link is an error.
    pub(super) fn turn(&mut self, channel: &mut Channel<'_>, budget: usize) -> Result<(), Refusal> {
        if let Some(access) = &mut self.access {
            access.check(channel.context)?;
        }
        match &mut self.kind {
            LinkKind::Producer(producer) => producer.turn(channel),
            LinkKind::Consumer(consumer) => return consumer.turn(channel, budget),
            LinkKind::Replies(replies) => replies.turn(channel),
            LinkKind::Requests(requests) => requests.turn(channel),
        }
        Ok(())
    }

    /// When there is something to do though nothing happens.
    pub(super) fn deadline(&self) -> Option<Timestamp> {
        let settlement = match &self.kind {
            LinkKind::Producer(producer) => producer.deadline(),
            LinkKind::Requests(requests) => requests.deadline(),
            LinkKind::Consumer(_) | LinkKind::Replies(_) => None,
        };
        let expiry = self.access.as_ref().map(|access| access.until);
        settlement.into_iter().chain(expiry).min()
    }

    /// Looks at the next turn whether it is granted still.
    pub(super) fn look_at_grants(&mut self) {
        if let Some(access) = &mut self.access {
            access.until = Timestamp::MIN;
        }
    }

    /// Learns what the client takes; what the link says of itself.
    pub(super) fn flow(&mut self, flow: &Flow) -> Option<LinkFlow> {
        Some(match &mut self.kind {
            LinkKind::Consumer(consumer) => consumer.hear(flow),
            LinkKind::Replies(replies) => replies.hear(flow),
            // Whoever sends has no credit to give.
            LinkKind::Producer(producer) => producer.flow(),
            LinkKind::Requests(requests) => requests.flow(),
        })
    }

    /// Takes a part of a delivery. What comes after the link was to end, and before it is detached, is not kept.
    pub(super) fn transfer(&mut self, transfer: &Transfer, payload: Bytes, channel: &mut Channel<'_>) {
        match &mut self.kind {
            LinkKind::Producer(producer) => {
                let allowed = self.access.as_mut().map_or(Ok(()), |access| access.check(channel.context));
                producer.transfer(transfer, payload, allowed, channel);
            }
            LinkKind::Requests(requests) => requests.transfer(transfer, payload, channel),
            LinkKind::Consumer(_) | LinkKind::Replies(_) => {}
        }
    }

    /// How well it suits a reply, if at all.
    pub(super) fn answers(&self, reply: &Reply) -> Option<u8> {
        match &self.kind {
            LinkKind::Replies(replies) => replies.answers(reply),
            _ => None,
        }
    }

    /// Takes a reply to send.
    pub(super) fn reply(&mut self, message: Bytes) {
        if let LinkKind::Replies(replies) = &mut self.kind {
            replies.push(message);
        }
    }
}

impl Access {
    fn open(hub: &str, right: Right, address: &str, context: &Context) -> Result<Self, Refusal> {
        let path = address::path(address);
        let url = context.url(&path);
        let hub = context.namespace.hubs.get(hub).ok_or_else(|| Refusal::no_entity(&url))?;
        if let Some(condition) = context.faults_of(&hub).refuse_links {
            return Err(Refusal::new(condition, REFUSED));
        }
        let Signals { drops, expiries, .. } = *hub.switchboard.signals();
        let mut access = Self { hub, right, path, url, until: Timestamp::MIN, drops, expiries };
        access.check(context).map(|()| access)
    }

    /// Whether it is granted now, and its hub can be used.
    fn check(&mut self, context: &Context) -> Result<(), Refusal> {
        if self.until <= context.now {
            self.until = context.grants.until(self.right, &self.path, &self.url, context.now)?;
        }
        if self.right == Right::Listen
            && let Some(condition) = context.faults_of(&self.hub).refuse_receivers
        {
            return Err(Refusal::new(condition, REFUSED));
        }
        self.hub.usable(self.right, &self.url)
    }
}

/// The address of one end of a link.
fn terminus(terminus: &Value) -> Option<&str> {
    match terminus {
        Value::Described(described) => match &described.value {
            Value::List(fields) => fields.first().and_then(text),
            _ => None,
        },
        _ => None,
    }
}
