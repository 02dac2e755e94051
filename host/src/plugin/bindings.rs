//! The contract in `wit/`, as Rust, and the way from its shapes to the host's own. Nothing generated travels further
//! than the plugin engine; when a second major version of the contract comes, it is a second file like this one.

use std::time::Duration;

use bytes::Bytes;

use super::capabilities::log::presentable;
use super::{Binding, capabilities};
use crate::model::{Emission, Header, Message, Outcome, Verdict};

#[allow(missing_docs, unreachable_pub, clippy::all, clippy::pedantic, reason = "generated from the contract")]
pub(super) mod generated {
    wasmtime::component::bindgen!({
        path: "../wit",
        world: "worker",
        imports: { default: trappable },
        exports: { default: async },
        with: {
            "lockgate:plugin/context.context": super::capabilities::context::Context,
            "lockgate:plugin/http.response": super::capabilities::http::Response,
        },
    });
}

pub(super) use generated::exports::lockgate::plugin::lifecycle;
pub(super) use generated::lockgate::plugin::{blobs, context, http, keyvalue, log, timers, types};
pub(super) use generated::{Worker, WorkerPre};

/// A message as the guest gets it.
pub(super) fn to_guest(message: &Message) -> types::Message {
    types::Message {
        id: message.id.as_str().to_owned(),
        topic: message.origin.partition.topic.to_string(),
        partition: message.origin.partition.index,
        offset: message.origin.position.0,
        enqueued_ms: message.origin.enqueued.0,
        key: message.key.as_ref().map(|key| key.to_vec()),
        headers: message.headers.iter().map(header_to_guest).collect(),
        payload: message.payload.to_vec(),
    }
}

fn header_to_guest(header: &Header) -> types::Header {
    types::Header { name: header.name.to_string(), value: header.value.to_vec() }
}

impl From<types::Outcome> for Outcome {
    fn from(outcome: types::Outcome) -> Self {
        Self { verdict: outcome.verdict.into(), emit: outcome.emit.into_iter().map(Emission::from).collect() }
    }
}

/// The longest reason that is taken from a guest, in bytes; what is beyond is cut.
const REASON_LIMIT: usize = 4 << 10;
/// The longest code, in bytes.
const CODE_LIMIT: usize = 256;

/// Codes and reasons go into log lines, headers and terminals: each is one line, and no longer than that.
impl From<types::Verdict> for Verdict {
    fn from(verdict: types::Verdict) -> Self {
        let reason = |text: String| presentable(&text, REASON_LIMIT);
        let after = |delay: &types::Delay| delay.after_ms.map(Duration::from_millis);
        match verdict {
            types::Verdict::Done => Self::Done,
            types::Verdict::Skip(words) => Self::Skip { reason: reason(words) },
            types::Verdict::Retry(delay) => Self::Retry { after: after(&delay), reason: reason(delay.reason) },
            types::Verdict::Reject(types::Rejection { code, reason: words }) => {
                Self::Reject { code: presentable(&code, CODE_LIMIT), reason: reason(words) }
            }
            types::Verdict::Hold(delay) => Self::Hold { after: after(&delay), reason: reason(delay.reason) },
        }
    }
}

impl From<types::Emission> for Emission {
    fn from(emission: types::Emission) -> Self {
        let header = |header: types::Header| Header { name: header.name.into(), value: header.value.into() };
        Self {
            output: emission.output,
            key: emission.key.map(Bytes::from),
            headers: emission.headers.into_iter().map(header).collect(),
            payload: emission.payload.into(),
        }
    }
}

impl From<lifecycle::Binding> for Binding {
    fn from(binding: lifecycle::Binding) -> Self {
        let lifecycle::Binding { outputs, endpoints, stores, keyvalues } = binding;
        Self { outputs, endpoints, stores, keyvalues }
    }
}
