//! One connection, without its socket: what it is told goes in as bytes, what it says comes out as bytes, and the time
//! is an argument. One task owns it, with all of its sessions and links, so nothing in here is locked or awaited, and
//! nothing can be lost by being called off.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use jiff::Timestamp;
use tokio::sync::Notify;
use tracing::{debug, info};

use crate::amqp::Malformed;
use crate::amqp::frames::{self, AMQP_HEADER, Frame, Kind, MAX_FRAME_SIZE, MIN_MAX_FRAME_SIZE, Output, SASL_HEADER};
use crate::amqp::performatives::{self, Open, Performative};
use crate::auth::Grants;
use crate::faults::{Faults, Signals};
use crate::hub::Hub;
use crate::namespace::Namespace;
use crate::refusal::Refusal;

mod consumer;
mod incoming;
mod link;
mod outgoing;
mod producer;
mod requests;
mod session;
mod settlements;
mod silence;
#[cfg(test)]
mod tests;

use link::Link;
use requests::Reply;
use session::Session;
use silence::{Due, Silence};

/// The mechanisms to sign in by. All of them let everybody in: it is tokens that grant anything.
const MECHANISMS: [&str; 3] = ["MSSBCBS", "ANONYMOUS", "EXTERNAL"];
/// How the emulator calls itself.
const CONTAINER: &str = "lockgate-eventhubs-emulator";
/// The highest number of a session: not the default, which is left out and which some clients then miss.
const CHANNEL_MAX: u16 = 4999;
/// How much may wait to be written before no more is delivered.
const OUTPUT_LIMIT: usize = 256 << 10;
/// How much may wait to be written before no more is read: answers, for which there is no credit.
const ANSWERS_LIMIT: usize = 8 << 20;

/// A connection.
pub(crate) struct Connection {
    phase: Phase,
    sessions: BTreeMap<u16, Session>,
    context: Context,
    /// How many turns there were: each begins with another session, so that none is always the last.
    turns: usize,
    silence: Silence,
    /// How often all tokens had been expired when it last looked.
    expiries: u64,
}

/// How far a connection is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// The client says which protocol it speaks.
    Header,
    /// The client signs in.
    Sasl,
    /// The client opens the connection.
    Opening,
    Open,
    /// Nothing is read any more.
    Closed,
}

/// What sessions and links have to do with.
struct Context {
    namespace: Arc<Namespace>,
    /// What others wake this connection by.
    wake: Arc<Notify>,
    output: Output,
    grants: Grants,
    faults: Faults,
    /// As the client calls it.
    host: String,
    /// The largest frame that the client takes.
    max_frame_size: u32,
    replies: Vec<Reply>,
    now: Timestamp,
}

impl Connection {
    /// One of which nothing is known yet.
    pub(crate) fn new(namespace: Arc<Namespace>, wake: Arc<Notify>, signals: &Signals, now: Timestamp) -> Self {
        let context = Context {
            namespace,
            wake,
            output: Output::default(),
            grants: Grants::default(),
            faults: signals.faults.clone(),
            host: String::new(),
            max_frame_size: MIN_MAX_FRAME_SIZE,
            replies: Vec::new(),
            now,
        };
        let silence = Silence::new(context.namespace.idle_timeout_ms, now);
        let (phase, sessions) = (Phase::Header, BTreeMap::new());
        Self { phase, sessions, context, turns: 0, silence, expiries: signals.expiries }
    }

    /// Learns what goes wrong from now on. Whoever owns the connection tells it before it hears the client, so that
    /// whatever is said after a fault was asked for meets it, and a token that is put after all were expired is good.
    pub(crate) fn heed(&mut self, signals: Signals, now: Timestamp) {
        self.context.faults = signals.faults;
        if signals.expiries != self.expiries {
            self.expiries = signals.expiries;
            self.context.grants.expire(now);
            self.sessions.values_mut().for_each(Session::look_at_grants);
        }
        let expired: BTreeSet<String> = self.sessions.values_mut().flat_map(Session::take_expired).collect();
        if !expired.is_empty() {
            expired.iter().for_each(|hub| self.context.grants.expire_within(hub, now));
            self.sessions.values_mut().for_each(Session::look_at_grants);
        }
    }

    /// Whether a hub that it has a link to is frozen.
    pub(crate) fn is_frozen(&self) -> bool {
        self.sessions.values().flat_map(Session::links).any(Link::is_frozen)
    }

    /// Whether the connections of a hub that it has a link to were dropped.
    pub(crate) fn is_dropped(&self) -> bool {
        self.sessions.values().flat_map(Session::links).any(Link::is_dropped)
    }

    /// Takes all that is whole off what the client said.
    pub(crate) fn receive(&mut self, input: &mut BytesMut, now: Timestamp) {
        self.context.now = now;
        while self.phase != Phase::Closed && self.is_reading() {
            match self.step(input) {
                Ok(Step::Taken) => self.silence.hear(now),
                Ok(Step::Wait) => break,
                Err(refusal) => self.fail(&refusal),
            }
        }
    }

    /// Does all that is due: what has come is delivered, what is settled later is settled, what may be no more ends.
    pub(crate) fn turn(&mut self, now: Timestamp) {
        self.context.now = now;
        self.turns = self.turns.wrapping_add(1);
        let share = OUTPUT_LIMIT / self.sessions.len().max(1);
        for channel in session::rotated(self.sessions.keys(), self.turns) {
            if let Some(session) = self.sessions.get_mut(&channel) {
                session.turn(&mut self.context, share);
            }
        }
        self.keep_alive();
    }

    /// What is to be written.
    pub(crate) fn output(&mut self) -> &mut BytesMut {
        self.context.output.bytes()
    }

    /// Whether it takes what the client says: not while too many answers wait to be written.
    pub(crate) fn is_reading(&self) -> bool {
        self.context.output.len() < ANSWERS_LIMIT
    }

    /// Whether nothing comes any more, once the output is written.
    pub(crate) fn is_over(&self) -> bool {
        self.phase == Phase::Closed
    }

    /// When there is something to do though nothing happens.
    pub(crate) fn deadline(&self) -> Option<Timestamp> {
        self.sessions.values().filter_map(Session::deadline).chain(self.silence.deadline()).min()
    }

    fn keep_alive(&mut self) {
        match self.silence.due(self.context.output.frames(), self.context.now) {
            Due::Heartbeat if self.phase == Phase::Open => self.context.output.heartbeat(),
            Due::Farewell if self.phase != Phase::Closed => {
                let allowed = self.context.namespace.idle_timeout_ms;
                let why = format!("The connection was inactive for more than the allowed {allowed} milliseconds.");
                self.fail(&Refusal::new("amqp:connection:forced", why));
            }
            _ => {}
        }
    }

    fn step(&mut self, input: &mut BytesMut) -> Result<Step, Refusal> {
        if self.phase == Phase::Header {
            let Some(header) = frames::take_header(input) else { return Ok(Step::Wait) };
            self.header(header);
            return Ok(Step::Taken);
        }
        match frames::take(input).map_err(framing_error)? {
            Some(frame) => self.frame(frame).map(|()| Step::Taken),
            None => Ok(Step::Wait),
        }
    }

    fn header(&mut self, header: [u8; 8]) {
        let output = &mut self.context.output;
        match header {
            SASL_HEADER => {
                output.header(SASL_HEADER);
                output.frame(Kind::Sasl, 0, &performatives::mechanisms(&MECHANISMS));
                self.phase = Phase::Sasl;
            }
            AMQP_HEADER => {
                output.header(AMQP_HEADER);
                self.phase = Phase::Opening;
            }
            // As the standard has it: the one that is spoken is named, and the connection ends.
            _ => {
                output.header(SASL_HEADER);
                self.phase = Phase::Closed;
            }
        }
    }

    fn frame(&mut self, Frame { kind, channel, mut body }: Frame) -> Result<(), Refusal> {
        match (kind, self.phase) {
            (Kind::Sasl, Phase::Sasl) => {
                let mechanism = performatives::mechanism(&mut body).map_err(decode_error)?;
                let is_known = MECHANISMS.contains(&mechanism.as_str());
                self.context.output.frame(Kind::Sasl, 0, &performatives::signed_in(is_known));
                self.phase = if is_known { Phase::Header } else { Phase::Closed };
                Ok(())
            }
            (Kind::Amqp, Phase::Opening | Phase::Open) if body.is_empty() => Ok(()),
            (Kind::Amqp, Phase::Opening) => match Performative::take(&mut body).map_err(decode_error)? {
                Performative::Open(open) => {
                    self.open(open);
                    Ok(())
                }
                _ => Err(framing_error(Malformed("the connection is not open yet"))),
            },
            (Kind::Amqp, Phase::Open) => {
                let performative = Performative::take(&mut body).map_err(decode_error)?;
                self.performative(channel, performative, body)
            }
            _ => Err(framing_error(Malformed("the frame is of another protocol than was agreed"))),
        }
    }

    fn open(&mut self, open: Open) {
        info!(container = open.container, hostname = open.hostname, "open");
        self.context.max_frame_size = open.max_frame_size.clamp(MIN_MAX_FRAME_SIZE, MAX_FRAME_SIZE);
        self.context.host = open.hostname.unwrap_or_default();
        self.silence.bears(open.idle_timeout);
        let idle_timeout = self.context.namespace.idle_timeout_ms;
        let answer = performatives::open(CONTAINER, MAX_FRAME_SIZE, CHANNEL_MAX, idle_timeout);
        self.context.output.frame(Kind::Amqp, 0, &answer);
        self.phase = Phase::Open;
    }

    fn performative(&mut self, channel: u16, performative: Performative, payload: Bytes) -> Result<(), Refusal> {
        match performative {
            Performative::Open(_) => return Err(framing_error(Malformed("the connection is open already"))),
            Performative::Begin(begin) => {
                let session = Session::begin(channel, &begin, &mut self.context.output);
                self.sessions.insert(channel, session);
            }
            Performative::End => {
                if self.sessions.remove(&channel).is_some() {
                    self.context.output.frame(Kind::Amqp, channel, &performatives::end(None));
                }
            }
            Performative::Close => {
                self.sessions.clear();
                self.context.output.frame(Kind::Amqp, 0, &performatives::close(None));
                self.phase = Phase::Closed;
            }
            performative => {
                let Some(session) = self.sessions.get_mut(&channel) else {
                    // One that has ended, which the client did not know yet.
                    debug!(channel, ?performative, "a frame for no session");
                    return Ok(());
                };
                if let Err(refusal) = session.handle(performative, payload, &mut self.context) {
                    self.context.output.frame(Kind::Amqp, channel, &performatives::end(Some(&refusal)));
                    self.sessions.remove(&channel);
                }
                self.route_replies(channel);
            }
        }
        Ok(())
    }

    /// Hands replies to the links that they are meant for: of the session that asked, else of any.
    fn route_replies(&mut self, asked: u16) {
        for reply in std::mem::take(&mut self.context.replies) {
            let unrouted = match self.sessions.get_mut(&asked) {
                Some(session) => session.reply(reply),
                None => Err(reply),
            };
            let others = self.sessions.values_mut();
            let unrouted = others.fold(unrouted, |unrouted, session| unrouted.or_else(|reply| session.reply(reply)));
            if let Err(reply) = unrouted {
                debug!(to = reply.to, "a reply for no link");
            }
        }
    }

    fn fail(&mut self, refusal: &Refusal) {
        info!(condition = %refusal.condition, description = refusal.description, "the connection fails");
        if matches!(self.phase, Phase::Opening | Phase::Open) {
            self.context.output.frame(Kind::Amqp, 0, &performatives::close(Some(refusal)));
        }
        self.sessions.clear();
        self.phase = Phase::Closed;
    }
}

/// What became of the input.
enum Step {
    Taken,
    /// What comes next is not whole yet.
    Wait,
}

impl Context {
    /// What a path is called in errors.
    fn url(&self, path: &str) -> String {
        format!("sb://{}/{path}", self.host)
    }

    /// What goes wrong with a hub, or everywhere.
    fn faults_of(&self, hub: &Hub) -> Faults {
        self.faults.with(&hub.switchboard.signals().faults)
    }
}

fn framing_error(malformed: Malformed) -> Refusal {
    Refusal::new("amqp:connection:framing-error", malformed.0)
}

fn decode_error(malformed: Malformed) -> Refusal {
    Refusal::malformed(malformed.0)
}
