//! Performatives that go, with all of their fields.

use serde_amqp::Value;
use serde_amqp::primitives::{Array, OrderedMap};
use serde_bytes::ByteBuf;

use super::*;
use crate::amqp::described;
use crate::refusal::Refusal;

/// The mechanisms to sign in by.
pub(crate) fn mechanisms(names: &[&str]) -> Value {
    composed(MECHANISMS, [symbols(names)])
}

/// That a client is signed in, or is not.
pub(crate) fn signed_in(is_signed_in: bool) -> Value {
    composed(OUTCOME, [Value::Ubyte(u8::from(!is_signed_in)), Value::Null])
}

/// Answers an open. Every number is none that is left out as the default.
pub(crate) fn open(container: &str, max_frame_size: u32, channel_max: u16, idle_timeout: u32) -> Value {
    let (container, idle) = (Value::String(container.to_owned()), Value::Uint(idle_timeout));
    let numbers = [Value::Uint(max_frame_size), Value::Ushort(channel_max), idle];
    composed(OPEN, [container, Value::Null].into_iter().chain(numbers).chain(nulls(5)))
}

/// Answers a begin.
pub(crate) fn begin(remote_channel: u16, next_outgoing: u32, window: u32, handle_max: u32) -> Value {
    let numbers = [next_outgoing, window, window, handle_max].map(Value::Uint);
    composed(BEGIN, [Value::Ushort(remote_channel)].into_iter().chain(numbers).chain(nulls(3)))
}

/// Answers an attach.
pub(crate) fn attach(attach: &Attach, max_message_size: u64) -> Value {
    attached(attach, attach.source.clone(), attach.target.clone(), Value::Ulong(max_message_size))
}

/// Answers an attach that is refused: without the ends that were asked for. A detach has to follow at once.
pub(crate) fn refused_attach(attach: &Attach) -> Value {
    attached(attach, Value::Null, Value::Null, Value::Null)
}

fn attached(attach: &Attach, source: Value, target: Value, max_message_size: Value) -> Value {
    let ours = attach.role.other();
    let initial_delivery_count = match ours {
        Role::Sender => Value::Uint(0),
        Role::Receiver => Value::Null,
    };
    let settle_mode = match attach.settle_mode {
        SettleMode::Unsettled => 0,
        SettleMode::Settled => 1,
        SettleMode::Mixed => 2,
    };
    let name = Value::String(attach.name.clone());
    let modes = [Value::Ubyte(settle_mode), Value::Ubyte(SETTLED_FIRST)];
    let fields = [name, Value::Uint(attach.handle), role(ours)].into_iter().chain(modes).chain([source, target]);
    composed(ATTACH, fields.chain(nulls(2)).chain([initial_delivery_count, max_message_size]).chain(nulls(3)))
}

/// The receiver settles first: what the client asks for may be the other way, and would wait for a second settlement.
pub(super) const SETTLED_FIRST: u8 = 0;

/// What a session says of itself.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SessionFlow {
    pub(crate) next_incoming: u32,
    pub(crate) incoming_window: u32,
    pub(crate) next_outgoing: u32,
    pub(crate) outgoing_window: u32,
}

/// What a link says of itself.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LinkFlow {
    pub(crate) handle: u32,
    pub(crate) delivery_count: u32,
    pub(crate) credit: u32,
    pub(crate) drain: bool,
}

/// Tells what the session and perhaps a link may be sent.
pub(crate) fn flow(session: SessionFlow, link: Option<LinkFlow>) -> Value {
    let SessionFlow { next_incoming, incoming_window, next_outgoing, outgoing_window } = session;
    let session = [next_incoming, incoming_window, next_outgoing, outgoing_window].map(Value::Uint);
    let numbers = link.map(|link| [link.handle, link.delivery_count, link.credit].map(Value::Uint));
    let drain = Value::Bool(link.is_some_and(|link| link.drain));
    let fields = session.into_iter().chain(numbers.unwrap_or([Value::Null, Value::Null, Value::Null]));
    composed(FLOW, fields.chain([Value::Null, drain, Value::Bool(false), Value::Null]))
}

/// The first, or a further, part of a delivery.
pub(crate) fn transfer(handle: u32, first: Option<u32>, settled: bool, more: bool) -> Value {
    let tag = first.map_or(Value::Null, |id| Value::Binary(ByteBuf::from(id.to_be_bytes())));
    let delivery = [first.map_or(Value::Null, Value::Uint), tag, first.map_or(Value::Null, |_| Value::Uint(0))];
    let flags = [Value::Bool(settled), Value::Bool(more), Value::Null, Value::Null];
    let rest = [Value::Bool(false), Value::Bool(false), Value::Bool(false)];
    composed(TRANSFER, [Value::Uint(handle)].into_iter().chain(delivery).chain(flags).chain(rest))
}

/// Settles deliveries of the other side's, from `first` to `last`.
pub(crate) fn disposition(ours: Role, first: u32, last: u32, state: Value) -> Value {
    let numbers = [Value::Uint(first), Value::Uint(last)];
    composed(DISPOSITION, [role(ours)].into_iter().chain(numbers).chain([Value::Bool(true), state, Value::Null]))
}

/// The outcome of what was taken.
pub(crate) fn accepted() -> Value {
    composed(ACCEPTED, [])
}

/// The outcome of what was not.
pub(crate) fn rejected(refusal: &Refusal) -> Value {
    composed(REJECTED, [error(refusal)])
}

/// Detaches a link.
pub(crate) fn detach(handle: u32, closed: bool, refusal: Option<&Refusal>) -> Value {
    composed(DETACH, [Value::Uint(handle), Value::Bool(closed), refusal.map_or(Value::Null, error)])
}

/// Ends a session.
pub(crate) fn end(refusal: Option<&Refusal>) -> Value {
    composed(END, [refusal.map_or(Value::Null, error)])
}

/// Closes the connection.
pub(crate) fn close(refusal: Option<&Refusal>) -> Value {
    composed(CLOSE, [refusal.map_or(Value::Null, error)])
}

fn error(refusal: &Refusal) -> Value {
    let condition = Value::Symbol(refusal.condition.as_ref().into());
    composed(ERROR, [condition, Value::String(refusal.description.clone()), Value::Map(OrderedMap::new())])
}

fn role(ours: Role) -> Value {
    Value::Bool(ours == Role::Receiver)
}

fn symbols(names: &[&str]) -> Value {
    Value::Array(Array(names.iter().map(|name| Value::Symbol((*name).into())).collect()))
}

fn composed(code: u64, fields: impl IntoIterator<Item = Value>) -> Value {
    described(code, Value::List(fields.into_iter().collect()))
}

fn nulls(count: usize) -> impl Iterator<Item = Value> {
    std::iter::repeat_n(Value::Null, count)
}
