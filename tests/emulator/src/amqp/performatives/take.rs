//! Performatives that come.

use bytes::{Buf, Bytes};
use serde_amqp::Value;
use serde_amqp::descriptor::Descriptor;

use super::*;
use crate::amqp::{Malformed, integer, text, walk};

impl Performative {
    /// Takes the performative off a frame's body, and leaves the payload.
    pub(crate) fn take(body: &mut Bytes) -> Result<Self, Malformed> {
        let (code, mut fields) = composite(body)?;
        Ok(match code {
            OPEN => Self::Open(Open {
                container: fields.string().unwrap_or_default(),
                hostname: fields.string(),
                max_frame_size: fields.uint().unwrap_or(u32::MAX),
                idle_timeout: fields.skip(1).uint(),
            }),
            BEGIN => Self::Begin(Begin {
                next_outgoing: fields.skip(1).uint().unwrap_or(0),
                incoming_window: fields.uint().unwrap_or(0),
            }),
            ATTACH => Self::Attach(Box::new(Attach {
                name: fields.string().ok_or(Malformed("an attach has no name"))?,
                handle: fields.handle()?,
                role: fields.role(),
                settle_mode: fields.settle_mode(),
                source: fields.skip(1).next(),
                target: fields.next(),
                desired: fields.skip(5).symbols(),
                properties: fields.next(),
            })),
            FLOW => Self::Flow(Flow {
                next_incoming: fields.uint(),
                incoming_window: fields.uint().unwrap_or(0),
                handle: fields.skip(2).uint(),
                delivery_count: fields.uint(),
                link_credit: fields.uint(),
                drain: fields.skip(1).flag(),
                echo: fields.flag(),
            }),
            TRANSFER => Self::Transfer(Transfer {
                handle: fields.handle()?,
                delivery: fields.uint(),
                format: fields.skip(1).uint(),
                settled: fields.flag(),
                more: fields.flag(),
                aborted: fields.skip(3).flag(),
            }),
            DISPOSITION => Self::Disposition(Disposition {
                role: fields.role(),
                first: fields.uint().unwrap_or(0),
                last: fields.uint(),
                settled: fields.flag(),
                state: fields.next(),
            }),
            DETACH => Self::Detach(Detach { handle: fields.handle()?, closed: fields.flag() }),
            END => Self::End,
            CLOSE => Self::Close,
            _ => return Err(Malformed("the frame holds no performative")),
        })
    }
}

/// The mechanism by which a client wants to sign in.
pub(crate) fn mechanism(body: &mut Bytes) -> Result<String, Malformed> {
    match composite(body)? {
        (INIT, mut fields) => fields.string().ok_or(Malformed("the client names no mechanism")),
        _ => Err(Malformed("the client begins with no mechanism")),
    }
}

fn composite(body: &mut Bytes) -> Result<(u64, Fields), Malformed> {
    let cut_off = Malformed("the performative is cut off");
    let encoded = body.get(..walk::length(body).ok_or(cut_off.clone())?).ok_or(cut_off)?;
    let value = serde_amqp::from_slice(encoded).map_err(|_| Malformed("the performative cannot be decoded"))?;
    let length = encoded.len();
    body.advance(length);
    match value {
        Value::Described(described) => match (described.descriptor, described.value) {
            (Descriptor::Code(code), Value::List(fields)) => Ok((code, Fields(fields.into_iter()))),
            _ => Err(Malformed("the performative is no list under a code")),
        },
        _ => Err(Malformed("the frame holds no performative")),
    }
}

/// Fields in their order; those that are left out are null.
struct Fields(std::vec::IntoIter<Value>);

impl Fields {
    fn next(&mut self) -> Value {
        self.0.next().unwrap_or_default()
    }

    fn skip(&mut self, fields: usize) -> &mut Self {
        (0..fields).for_each(|_| drop(self.next()));
        self
    }

    fn string(&mut self) -> Option<String> {
        text(&self.next()).map(str::to_owned)
    }

    /// One, or an array of them.
    fn symbols(&mut self) -> Vec<String> {
        let symbols = match self.next() {
            Value::Array(array) => array.0,
            one => vec![one],
        };
        symbols.iter().filter_map(text).map(str::to_owned).collect()
    }

    fn uint(&mut self) -> Option<u32> {
        integer(&self.next()).and_then(|number| u32::try_from(number).ok())
    }

    fn flag(&mut self) -> bool {
        self.next() == Value::Bool(true)
    }

    fn handle(&mut self) -> Result<u32, Malformed> {
        self.uint().ok_or(Malformed("the frame names no link"))
    }

    fn role(&mut self) -> Role {
        if self.flag() { Role::Receiver } else { Role::Sender }
    }

    fn settle_mode(&mut self) -> SettleMode {
        match self.uint() {
            Some(0) => SettleMode::Unsettled,
            Some(1) => SettleMode::Settled,
            _ => SettleMode::Mixed,
        }
    }
}
