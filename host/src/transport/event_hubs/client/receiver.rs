//! Receives the events of one partition, on a connection of its own: whatever breaks there breaks no other partition.
//!
//! What may wait for us is bounded twice. Credit bounds events, by the bytes that they are likely to have; and the queue
//! of the link bounds frames, whatever their events grow to: beyond that the peer waits. Events are accepted as soon as
//! they came, for the service keeps nothing of that: how far a group has come stands in its checkpoint.

use std::collections::VecDeque;
use std::time::Duration;

use fe2o3_amqp::link::delivery::DeliveryInfo;
use fe2o3_amqp::link::receiver::CreditMode;
use fe2o3_amqp::link::{Receiver as Link, RecvError};
use fe2o3_amqp::session::SessionHandle;
use fe2o3_amqp_types::definitions::Fields;
use fe2o3_amqp_types::messaging::{Source, Target};
use fe2o3_amqp_types::primitives::{Symbol, Value};
use futures::FutureExt;
use tokio::task::unconstrained;
use tokio::time::timeout;

use super::connection::{Connection, within};
use super::credit::{Credit, MOST};
use super::failure::Failure;
use crate::transport::event_hubs::message::{Content, Event};

/// How long it may take until the link is attached.
const ATTACH: Duration = Duration::from_secs(30);
/// How long the end of a link is waited for.
const CLOSE: Duration = Duration::from_secs(2);
/// Frames that wait in the link: every event that there is credit for has room where it is no larger than a frame.
const LINK_FRAMES: usize = MOST as usize + 32;
/// Frames that wait in the session before that.
const SESSION_FRAMES: usize = 32;

const EPOCH: &str = "com.microsoft:epoch";
const NAME: &str = "com.microsoft:receiver-name";
/// Has the service tell the end of the partition with each event.
const METRIC: &str = "com.microsoft:enable-receiver-runtime-metric";

/// What is to be received.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in crate::transport) struct Wanted {
    pub(in crate::transport) hub: String,
    pub(in crate::transport) group: String,
    pub(in crate::transport) partition: u32,
    pub(in crate::transport) from: super::From,
    /// Whoever has a higher one takes the partition away from the others; none takes it from nobody.
    pub(in crate::transport) epoch: Option<i64>,
    /// Who reads, as the service tells others; at most 64 characters.
    pub(in crate::transport) id: String,
    /// The bytes that may wait to be taken, about.
    pub(in crate::transport) bytes: u64,
    /// Whether events tell where the partition ends.
    pub(in crate::transport) tells_end: bool,
}

/// Receives one partition. It ends when it is dropped.
pub(in crate::transport) struct Receiver {
    at: String,
    hub: String,
    link: Link,
    _session: SessionHandle<()>,
    connection: Connection,
    credit: Credit,
    /// Came, and was not asked for yet.
    held: VecDeque<Event>,
    /// Came, and is not accepted yet.
    unaccepted: Vec<DeliveryInfo>,
    /// Why nothing more comes.
    over: Option<Failure>,
}

impl Receiver {
    /// Attaches to the partition, on a new connection.
    pub(super) async fn attach(connection: Connection, wanted: &Wanted, link_name: String) -> Result<Self, Failure> {
        let (at, hub) = (wanted.at(), wanted.hub.clone());
        connection.authorize(&wanted.hub).await?;
        let mut session = connection.session(SESSION_FRAMES).await?;
        let (name, filter) = wanted.from.filter();
        let source = Source::builder().address(wanted.address()).add_to_filter(name, filter).build();
        let builder = Link::builder().name(link_name).source(source).target(Target::from(wanted.id.as_str()));
        let builder = builder.credit_mode(CreditMode::Manual).auto_accept(false).properties(wanted.properties());
        let mut builder = builder.verify_incoming_source(false).verify_incoming_target(false);
        builder.buffer_size = LINK_FRAMES;
        if wanted.tells_end {
            builder = builder.add_desired_capabilities(METRIC);
        }
        let link = match within(&at, "attaching", ATTACH, builder.attach(&mut session)).await {
            Ok(link) => link,
            Err(failure) => return Err(connection.explain(&wanted.hub, failure).await),
        };
        let (credit, held, unaccepted) = (Credit::new(wanted.bytes), VecDeque::new(), Vec::new());
        Ok(Self { at, hub, link, _session: session, connection, credit, held, unaccepted, over: None })
    }

    /// The next events, in order: waits for the first, and takes what else is there already, up to so many and so many
    /// bytes; the first comes however large it is. An error is told again by every later call.
    ///
    /// Cancel safe: a dropped call loses no event.
    pub(in crate::transport) async fn next(&mut self, messages: usize, bytes: u64) -> Result<Vec<Event>, Failure> {
        if self.held.is_empty() {
            self.receive().await?;
        }
        self.receive_ready(messages, bytes);
        self.settle().await;
        Ok(self.take(messages, bytes))
    }

    /// Other bytes that may wait to be taken.
    pub(in crate::transport) fn credit(&mut self, bytes: u64) {
        self.credit.set(bytes);
    }

    /// Ends it, so that another may read the partition at once.
    pub(in crate::transport) async fn close(self) {
        let _ = timeout(CLOSE, self.link.close()).await;
        self.connection.close().await;
    }

    /// Waits for one event.
    async fn receive(&mut self) -> Result<(), Failure> {
        if let Some(failure) = &self.over {
            return Err(failure.clone());
        }
        self.settle().await;
        match self.link.recv::<Content>().await {
            Ok(delivery) => self.came(delivery),
            Err(error) => self.end(&error),
        }
        match self.over.clone().filter(|_| self.held.is_empty()) {
            None => Ok(()),
            Some(failure) => {
                let explained = self.connection.explain(&self.hub, failure).await;
                self.over = Some(explained.clone());
                Err(explained)
            }
        }
    }

    /// Takes what is there.
    fn receive_ready(&mut self, messages: usize, bytes: u64) {
        let mut room = bytes;
        for event in &self.held {
            room = room.saturating_sub(event.size);
        }
        while self.held.len() < messages && room > 0 && self.over.is_none() {
            // Without the scheduler's budget, which would say that nothing is there.
            match unconstrained(self.link.recv::<Content>()).now_or_never() {
                Some(Ok(delivery)) => {
                    self.came(delivery);
                    room = room.saturating_sub(self.held.back().map_or(0, |event| event.size));
                }
                Some(Err(error)) => self.end(&error),
                None => break,
            }
        }
    }

    fn came(&mut self, delivery: fe2o3_amqp::Delivery<Content>) {
        let (info, message) = delivery.into_parts();
        self.unaccepted.push(info);
        match Event::read(message) {
            Some(event) => {
                self.credit.saw(event.size);
                self.held.push_back(event);
            }
            None => self.over = Some(Failure::unreadable(&self.at, "an event came without a sequence number")),
        }
    }

    fn end(&mut self, error: &RecvError) {
        self.over = Some(match error {
            RecvError::MessageDecode(error) => Failure::unreadable(&self.at, error.source.to_string()),
            error => Failure::because(&self.at, error),
        });
    }

    /// Accepts what came and gives credit for more. That it cannot be told is told by what comes next.
    async fn settle(&mut self) {
        if !self.unaccepted.is_empty() {
            let _ = self.link.accept_all(self.unaccepted.drain(..)).await;
        }
        let on_their_way = self.link.credit().saturating_add(u32::try_from(self.held.len()).unwrap_or(u32::MAX));
        if let (Some(credit), true) = (self.credit.top_up(on_their_way), self.over.is_none()) {
            let _ = self.link.set_credit(credit).await;
        }
    }

    fn take(&mut self, messages: usize, bytes: u64) -> Vec<Event> {
        let (mut taken, mut left) = (Vec::with_capacity(messages.min(self.held.len())), bytes);
        while let Some(event) = self.held.front().filter(|event| taken.is_empty() || event.size <= left) {
            left = left.saturating_sub(event.size);
            taken.extend(self.held.pop_front());
            if taken.len() >= messages {
                break;
            }
        }
        taken
    }
}

impl Wanted {
    fn address(&self) -> String {
        format!("{}/ConsumerGroups/{}/Partitions/{}", self.hub, self.group, self.partition)
    }

    fn at(&self) -> String {
        format!("hub {}, consumer group {}, partition {}", self.hub, self.group, self.partition)
    }

    fn properties(&self) -> Fields {
        let mut properties = Fields::new();
        properties.insert(Symbol::from(NAME), Value::String(self.id.clone()));
        if let Some(epoch) = self.epoch {
            properties.insert(Symbol::from(EPOCH), Value::Long(epoch));
        }
        properties
    }
}
