//! What is asked by messages: `$cbs`, where tokens are put, and `$management`, where hubs are asked about. A client has a
//! link for its requests and another for the replies, and says in one of three ways which that is:
//!
//! | client | a request's reply-to | the other link's |
//! |---|---|---|
//! | Python | none | source is the node |
//! | Node | a name | name and target |
//! | Rust | a name | target |

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use serde_amqp::Value;
use serde_amqp::primitives::{Array, OrderedMap, Timestamp};
use tracing::{debug, info, warn};

use super::Context;
use super::incoming::{Delivery, Incoming};
use super::outgoing::Outgoing;
use super::session::Channel;
use super::settlements::Settlements;
use crate::address::{self, Node};
use crate::amqp::message::{self, Request};
use crate::amqp::performatives::{self, Attach, Flow, LinkFlow, Transfer};
use crate::amqp::text;
use crate::auth::Grant;
use crate::faults::Faults;
use crate::hub::Hub;
use crate::refusal::Refusal;

/// How many replies wait for a client that takes none. More are lost: it does not listen.
const REPLIES: usize = 1000;

/// Who is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Service {
    Cbs,
    Management,
}

/// The receiving end of a link by which a client asks.
pub(super) struct Requests {
    incoming: Incoming,
    service: Service,
    settlements: Settlements,
}

/// The sending end of a link by which a client is answered.
pub(super) struct Replies {
    outgoing: Outgoing,
    service: Service,
    /// What the client may call it.
    names: [String; 2],
    waiting: VecDeque<Bytes>,
}

/// A reply on its way to its link.
pub(super) struct Reply {
    pub(super) service: Service,
    pub(super) to: Option<String>,
    pub(super) message: Bytes,
}

/// What is answered.
struct Answer {
    status: i32,
    description: String,
    condition: Option<String>,
    body: Value,
}

impl Service {
    /// The one of a node.
    pub(super) fn of(node: &Node) -> Self {
        if *node == Node::Cbs { Self::Cbs } else { Self::Management }
    }
}

impl Requests {
    /// One that asks this service.
    pub(super) fn new(incoming: Incoming, service: Service) -> Self {
        Self { incoming, service, settlements: Settlements::default() }
    }

    /// What it says of itself.
    pub(super) fn flow(&self) -> LinkFlow {
        self.incoming.flow()
    }

    /// Takes a part of a request; answers it once it is there.
    pub(super) fn transfer(&mut self, transfer: &Transfer, payload: Bytes, channel: &mut Channel<'_>) {
        let Some(Delivery { id, settled, message, .. }) = self.incoming.take(transfer, payload) else { return };
        let request = message.ok_or("the request is too large");
        let outcome = match request.and_then(|message| Request::read(message).map_err(|malformed| malformed.0)) {
            Ok(request) => {
                self.answer(request, channel.context);
                performatives::accepted()
            }
            Err(why) => performatives::rejected(&Refusal::malformed(why)),
        };
        if !settled {
            self.settlements.push(id, outcome, channel.context.namespace.settle, channel.context.now);
        }
        self.turn(channel);
    }

    /// Settles what is due, and lets the client ask more.
    pub(super) fn turn(&mut self, channel: &mut Channel<'_>) {
        self.settlements.tell(channel);
        if let Some(flow) = self.incoming.replenish(self.settlements.count()) {
            channel.say_flow(flow);
        }
    }

    /// When the next request is settled.
    pub(super) fn deadline(&self) -> Option<jiff::Timestamp> {
        self.settlements.deadline()
    }

    fn answer(&self, request: Request, context: &mut Context) {
        let answer = match self.service {
            Service::Cbs => put_token(&request, context),
            Service::Management => look_up(&request, context),
        };
        let Answer { status, description, condition, body } = answer.unwrap_or_else(Answer::from);
        let code = Value::Int(status);
        let description = Value::String(description);
        // Each client looks for one spelling of these.
        let mut properties = vec![
            ("status-code", code.clone()),
            ("statusCode", code),
            ("status-description", description.clone()),
            ("statusDescription", description),
        ];
        properties.extend(condition.map(|condition| ("error-condition", Value::Symbol(condition.as_str().into()))));
        let message = message::reply(request.id, properties, body);
        context.replies.push(Reply { service: self.service, to: request.reply_to, message });
    }
}

impl Replies {
    /// One by which a service answers, and what the client may call it.
    pub(super) fn new(attach: &Attach, service: Service, names: [String; 2]) -> Self {
        Self { outgoing: Outgoing::new(attach), service, names, waiting: VecDeque::new() }
    }

    /// Learns how many replies the client takes; what the link says of itself.
    pub(super) fn hear(&mut self, flow: &Flow) -> LinkFlow {
        self.outgoing.hear(flow)
    }

    /// How well it suits a reply, if at all: by what the request calls it, else by who answers.
    pub(super) fn answers(&self, reply: &Reply) -> Option<u8> {
        let is_named = reply.to.as_ref().is_some_and(|to| self.names.contains(to));
        (reply.service == self.service).then_some(u8::from(is_named))
    }

    /// Takes a reply to send.
    pub(super) fn push(&mut self, message: Bytes) {
        if self.waiting.len() < REPLIES {
            self.waiting.push_back(message);
        } else {
            warn!("a client asks and takes no replies");
        }
    }

    /// Sends what there is, as far as the client takes it.
    pub(super) fn turn(&mut self, channel: &mut Channel<'_>) {
        while self.outgoing.is_ready(channel) {
            let Some(message) = self.waiting.pop_front() else { break };
            self.outgoing.begin(message, channel);
        }
        if self.waiting.is_empty() || self.outgoing.is_spent() {
            self.outgoing.exhaust(channel);
        }
    }
}

impl From<Refusal> for Answer {
    fn from(refusal: Refusal) -> Self {
        let status = match refusal.condition.as_ref() {
            "amqp:not-found" => 404,
            "amqp:unauthorized-access" => 401,
            "com.microsoft:server-busy" => 503,
            _ => 400,
        };
        let condition = Some(refusal.condition.into_owned());
        Self { status, description: refusal.description, condition, body: Value::Null }
    }
}

/// Keeps what a token grants. Hubs are looked up as well: the service says already here that there is none.
fn put_token(request: &Request, context: &mut Context) -> Result<Answer, Refusal> {
    let audience = request.property("name");
    let path = address::path(audience);
    let name = address::hub(&path);
    let hub = context.namespace.hubs.get(name);
    if !name.is_empty() && hub.is_none() {
        return Ok(without_condition(Refusal::no_entity(&context.url(name))));
    }
    let faults = hub.map_or_else(|| context.faults.clone(), |hub| context.faults_of(&hub));
    let token = text(&request.body).unwrap_or_default();
    match granted(request.property("type"), token, audience, &faults, context) {
        Ok(grant) => {
            debug!(path = grant.path, expires = %grant.expires, "granted");
            context.grants.put(grant);
            Ok(Answer { status: 202, description: "Accepted".to_owned(), condition: None, body: Value::Null })
        }
        Err(refusal) => {
            info!(audience, description = refusal.description, "token refused");
            Ok(without_condition(refusal))
        }
    }
}

/// One client takes a condition here as its cue to look at nothing else.
fn without_condition(refusal: Refusal) -> Answer {
    Answer { condition: None, ..Answer::from(refusal) }
}

fn granted(kind: &str, token: &str, audience: &str, faults: &Faults, context: &Context) -> Result<Grant, Refusal> {
    const UNAUTHORIZED: &str = "amqp:unauthorized-access";
    if faults.refuse_tokens {
        return Err(Refusal::new(UNAUTHORIZED, "Unauthorized: the token is refused on demand."));
    }
    let checked = context.namespace.authority.check(kind, token, audience, context.now);
    let mut grant = checked.map_err(|error| Refusal::new(UNAUTHORIZED, error.to_string()))?;
    if let Some(limit) = faults.token_ms.and_then(|limit| context.now.checked_add(Duration::from_millis(limit)).ok()) {
        grant.expires = grant.expires.min(limit);
    }
    Ok(grant)
}

/// Tells about a hub, or about one of its partitions.
fn look_up(request: &Request, context: &Context) -> Result<Answer, Refusal> {
    let (kind, name) = (request.property("type"), request.property("name"));
    let path = address::path(name);
    let url = context.url(&path);
    let hub = context.namespace.hubs.get(&path).ok_or_else(|| Refusal::no_entity(&url))?;
    authorize(request, &path, &url, &hub, context)?;
    if request.property("operation") != "READ" {
        return Err(Refusal::new("amqp:not-implemented", "The operation is none that is known."));
    }
    let body = match kind {
        "com.microsoft:eventhub" => about_hub(&hub),
        "com.microsoft:partition" => about_partition(&hub, request.property("partition"), context.now)?,
        _ => return Err(Refusal::new("amqp:not-implemented", format!("There is no entity of type '{kind}'."))),
    };
    let fields = [("name", string(&hub.name)), ("type", string(kind))].into_iter().chain(body);
    let body = OrderedMap::from_iter(fields.map(|(name, value)| (string(name), value)));
    Ok(Answer { status: 200, description: "OK".to_owned(), condition: None, body: Value::Map(body) })
}

/// A request brings its own token, or leans on those that were put.
fn authorize(request: &Request, path: &str, url: &str, hub: &Hub, context: &Context) -> Result<(), Refusal> {
    let token = request.property("security_token");
    if context.grants.any_within(path, context.now) {
        return Ok(());
    }
    if token.is_empty() {
        return Err(Refusal::unauthorized("Manage,Listen,Send", url));
    }
    granted("jwt", token, url, &context.faults_of(hub), context).map(drop)
}

fn about_hub(hub: &Hub) -> Vec<(&'static str, Value)> {
    let count = hub.count();
    let ids = (0..count).map(|index| string(&index.to_string())).collect();
    vec![
        ("created_at", timestamp(hub.created.as_millisecond())),
        ("partition_count", Value::Int(i32::try_from(count).unwrap_or(i32::MAX))),
        ("partition_ids", Value::Array(Array(ids))),
        ("georeplication_factor", Value::Int(1)),
    ]
}

fn about_partition(hub: &Hub, id: &str, now: jiff::Timestamp) -> Result<Vec<(&'static str, Value)>, Refusal> {
    let extent = hub.at(hub.partition(id)?)?.extent(now);
    Ok(vec![
        ("partition", string(id)),
        ("begin_sequence_number", Value::Long(extent.first_sequence)),
        // Where the service tells of replication, which there is none of; one client asks for both.
        ("begin_sequence_number_epoch", Value::Int(0)),
        ("last_enqueued_sequence_number", Value::Long(extent.last_sequence)),
        ("last_enqueued_sequence_number_epoch", Value::Int(0)),
        ("last_enqueued_offset", string(&extent.last_offset.to_string())),
        ("last_enqueued_time_utc", timestamp(extent.last_enqueued)),
        ("is_partition_empty", Value::Bool(extent.is_empty)),
    ])
}

fn string(text: &str) -> Value {
    Value::String(text.to_owned())
}

fn timestamp(milliseconds: i64) -> Value {
    Value::Timestamp(Timestamp::from_milliseconds(milliseconds))
}
