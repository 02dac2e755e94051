//! A link that events go by. It has a cursor of its own, which moves over an event only when that is put into the output:
//! what another link of the same partition had or had not got by then is nothing to it.

use std::sync::Arc;

use jiff::Timestamp;
use serde_amqp::Value;

use super::Context;
use super::outgoing::Outgoing;
use super::session::Channel;
use crate::amqp::message::End;
use crate::amqp::performatives::{Attach, Flow, LinkFlow};
use crate::amqp::{entry, integer, text};
use crate::hub::{Extent, Hub, Partition, Reader, Start};
use crate::refusal::Refusal;

/// How many events are looked up at once.
const BATCH: usize = 64;
/// What a link is told of a receiver.
const EPOCH: &str = "com.microsoft:epoch";
const RECEIVER_NAME: &str = "com.microsoft:receiver-name";
/// What a client desires that wants to know where the partition ends.
const TELLS_END: &str = "com.microsoft:enable-receiver-runtime-metric";
/// The place of the filters in the source of a link.
const FILTERS: usize = 7;

/// The sending end of a link by which a client receives.
pub(super) struct Consumer {
    outgoing: Outgoing,
    place: Place,
    /// The sequence number of the next event to send.
    cursor: i64,
    /// Whether each event says where the partition ends.
    tells_end: bool,
}

/// A receiver's place at its partition, which it leaves when it is dropped.
struct Place {
    hub: Arc<Hub>,
    partition: usize,
    group: String,
    reader: Arc<Reader>,
}

impl Consumer {
    /// Takes a place at a partition, or says why there is none.
    pub(super) fn open(
        attach: &Attach,
        hub: Arc<Hub>,
        partition: usize,
        group: String,
        context: &Context,
    ) -> Result<Self, Refusal> {
        let name = entry(&attach.properties, RECEIVER_NAME).and_then(text).map(str::to_owned);
        let epoch = entry(&attach.properties, EPOCH).and_then(integer);
        let start = match selector(&attach.source) {
            Some(selector) => selector.parse().map_err(|_| Refusal::no_position(selector))?,
            None => Start::UNSAID,
        };
        let reader = Reader::new(name, epoch, context.wake.clone());
        let place = Place { hub, partition, group, reader };
        let limit = context.namespace.receivers_per_group.get();
        let cursor = place.partition()?.admit(&place.group, &place.reader, start, limit)?;
        let tells_end = attach.desired.iter().any(|desired| desired == TELLS_END);
        Ok(Self { outgoing: Outgoing::new(attach), place, cursor, tells_end })
    }

    /// Learns how many events the client takes; what the link says of itself.
    pub(super) fn hear(&mut self, flow: &Flow) -> LinkFlow {
        self.outgoing.hear(flow)
    }

    /// Sends what there is, as far as the client takes it, and up to about so many bytes. An error where the partition
    /// is another's by now.
    pub(super) fn turn(&mut self, channel: &mut Channel<'_>, budget: usize) -> Result<(), Refusal> {
        let full = channel.context.output.len().saturating_add(budget).min(super::OUTPUT_LIMIT);
        while self.outgoing.is_ready(channel) && channel.context.output.len() < full {
            let now = channel.context.now;
            let events = self.place.partition()?.read(&self.place.reader, self.cursor, BATCH, now)?;
            if events.is_empty() {
                self.outgoing.exhaust(channel);
                break;
            }
            let end = self.tells_end.then(|| self.place.end(now)).transpose()?;
            for event in events {
                if channel.context.output.len() >= full || !self.outgoing.is_ready(channel) {
                    break;
                }
                let message = end.map(|end| end.before(&event.message)).unwrap_or(event.message);
                self.outgoing.begin(message, channel);
                self.cursor = event.sequence + 1;
            }
        }
        // Whoever wants to hear when there are no more hears so as well when it takes no more.
        if self.outgoing.is_spent() {
            self.outgoing.exhaust(channel);
        }
        // Whoever takes nothing hears as well that its partition is another's.
        self.place.reader.ended().map_or(Ok(()), |refusal| Err(refusal.clone()))
    }
}

impl Place {
    fn partition(&self) -> Result<Arc<Partition>, Refusal> {
        self.hub.at(self.partition)
    }

    fn end(&self, now: Timestamp) -> Result<End, Refusal> {
        let Extent { last_sequence, last_offset, last_enqueued, .. } = self.partition()?.extent(now);
        Ok(End { sequence: last_sequence, offset: last_offset, enqueued: last_enqueued, now: now.as_millisecond() })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Ok(partition) = self.partition() {
            partition.leave(&self.group, &self.reader);
        }
    }
}

/// Where the client wants to begin: the value of whatever filter it has, be it described or not.
fn selector(source: &Value) -> Option<&str> {
    let Value::Described(source) = source else { return None };
    let Value::List(fields) = &source.value else { return None };
    let Some(Value::Map(filters)) = fields.get(FILTERS) else { return None };
    filters.iter().find_map(|(_, filter)| match filter {
        Value::Described(filter) => text(&filter.value),
        filter => text(filter),
    })
}
