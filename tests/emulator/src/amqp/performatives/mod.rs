//! What frames say: those that come, as types with the fields that matter here; those that go, as values.

use serde_amqp::Value;

mod say;
mod take;
#[cfg(test)]
mod tests;

pub(crate) use say::*;
pub(crate) use take::mechanism;

/// What a frame of a client says.
#[derive(Debug)]
pub(crate) enum Performative {
    Open(Open),
    Begin(Begin),
    Attach(Box<Attach>),
    Flow(Flow),
    Transfer(Transfer),
    Disposition(Disposition),
    Detach(Detach),
    End,
    Close,
}

/// Opens the connection.
#[derive(Debug)]
pub(crate) struct Open {
    pub(crate) container: String,
    pub(crate) hostname: Option<String>,
    pub(crate) max_frame_size: u32,
    /// In milliseconds: how long the peer bears silence.
    pub(crate) idle_timeout: Option<u32>,
}

/// Begins a session.
#[derive(Debug)]
pub(crate) struct Begin {
    pub(crate) next_outgoing: u32,
    pub(crate) incoming_window: u32,
}

/// Attaches a link.
#[derive(Debug)]
pub(crate) struct Attach {
    pub(crate) name: String,
    pub(crate) handle: u32,
    /// Which end of the link the client is.
    pub(crate) role: Role,
    pub(crate) settle_mode: SettleMode,
    /// As they were written, to be said back.
    pub(crate) source: Value,
    pub(crate) target: Value,
    /// What the client would like the link to do.
    pub(crate) desired: Vec<String>,
    pub(crate) properties: Value,
}

/// Which end of a link somebody is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    Sender,
    Receiver,
}

/// How whoever sends settles what is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SettleMode {
    Unsettled,
    Settled,
    Mixed,
}

/// Says what a session and perhaps a link may be sent.
#[derive(Debug)]
pub(crate) struct Flow {
    pub(crate) next_incoming: Option<u32>,
    pub(crate) incoming_window: u32,
    pub(crate) handle: Option<u32>,
    pub(crate) delivery_count: Option<u32>,
    pub(crate) link_credit: Option<u32>,
    pub(crate) drain: bool,
    pub(crate) echo: bool,
}

/// A message, or a part of one.
#[derive(Debug)]
pub(crate) struct Transfer {
    pub(crate) handle: u32,
    pub(crate) delivery: Option<u32>,
    pub(crate) format: Option<u32>,
    pub(crate) settled: bool,
    pub(crate) more: bool,
    pub(crate) aborted: bool,
}

/// Tells the outcome of deliveries.
#[derive(Debug)]
pub(crate) struct Disposition {
    pub(crate) role: Role,
    pub(crate) first: u32,
    pub(crate) last: Option<u32>,
    pub(crate) settled: bool,
    pub(crate) state: Value,
}

/// Detaches a link.
#[derive(Debug)]
pub(crate) struct Detach {
    pub(crate) handle: u32,
    pub(crate) closed: bool,
}

impl Role {
    /// The other end.
    pub(crate) fn other(self) -> Self {
        match self {
            Self::Sender => Self::Receiver,
            Self::Receiver => Self::Sender,
        }
    }
}

const OPEN: u64 = 0x10;
const BEGIN: u64 = 0x11;
const ATTACH: u64 = 0x12;
const FLOW: u64 = 0x13;
const TRANSFER: u64 = 0x14;
const DISPOSITION: u64 = 0x15;
const DETACH: u64 = 0x16;
const END: u64 = 0x17;
const CLOSE: u64 = 0x18;
const ERROR: u64 = 0x1d;
const ACCEPTED: u64 = 0x24;
const REJECTED: u64 = 0x25;
const MECHANISMS: u64 = 0x40;
const INIT: u64 = 0x41;
const OUTCOME: u64 = 0x44;
