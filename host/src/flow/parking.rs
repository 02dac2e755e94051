//! Between two rounds a message is parked: written to the retry topic, and read back when it is due. Pure: makes the
//! record, makes the message of it again, and says whom a record is for. Never decides that a message is parked.
//!
//! One retry topic serves any number of pipelines. Its partitions are divided into as many classes as there are
//! delays, so that each partition holds records of one delay, in the order in which they are due.

use std::sync::Arc;
use std::time::Duration;

use super::config::LONGEST_DELAY;
use super::dead_letter::Maker;
use super::history::history;
use super::retry::{Step, Tries};
use super::triage::cut_failure;
use crate::model::{Headers, Message, MessageId, Origin, Partition, Position, Record, Timestamp, header};

/// Headers of the host that a message keeps when it is read back. Those of what was spilled tell where the rest of it
/// lies, so nobody takes what is left for the whole.
const KEPT: [&str; 7] = [
    header::ID,
    header::ORIGIN_MS,
    header::REDRIVEN,
    header::SPILLED_PAYLOAD,
    header::SPILLED_PAYLOAD_SHA256,
    header::SPILLED_HEADERS,
    header::SPILLED_HEADERS_SHA256,
];

/// Makes the record of a message that is parked, for a retry topic of so many partitions.
pub fn park(message: &Message, tries: &Tries, step: Step, maker: &Maker, partitions: u32, now: Timestamp) -> Record {
    let mut headers = history(message, tries, maker, now);
    headers.push(header::FOR, maker.pipeline.to_string());
    headers.push(header::DELAY_MS, step.delay.as_millis().to_string());
    headers.push(header::ROUNDS, tries.rounds().to_string());
    let partition = Some(partition_of(&message.id, step, partitions));
    Record { key: message.key.clone(), headers, payload: message.payload.clone(), partition }
}

/// One of the partitions whose index modulo the number of steps is the step's, by the message's id. A topic with fewer
/// partitions than steps is refused before anything runs; here its partitions would be shared.
fn partition_of(id: &MessageId, step: Step, partitions: u32) -> u32 {
    let (index, of) = (u32::try_from(step.index).unwrap_or(0), u32::try_from(step.of).unwrap_or(u32::MAX).max(1));
    let in_class = partitions.saturating_sub(index).div_ceil(of);
    if in_class == 0 {
        return index % partitions.max(1);
    }
    let nth = u32::try_from(id.spread() % u64::from(in_class)).unwrap_or(0);
    index + nth * of
}

/// A parked message as it is read back.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Unparked {
    /// The message as the plugin shall see it: where it first stood, and none of the host's headers but its id and when
    /// its chain began.
    pub message: Message,
    /// Its tries before it was parked.
    pub tries: Tries,
    /// How long it is parked after it was enqueued here.
    pub delay: Duration,
}

/// Reads a parked message back. Anybody may write to a topic, so nothing that stands in a header is an error: what is
/// missing or malformed costs no message.
///
/// | header | missing or malformed |
/// |---|---|
/// | `lockgate-delay-ms` | due now; also when it is longer than [`LONGEST_DELAY`] |
/// | `lockgate-rounds`, `lockgate-attempts` | none failed yet |
/// | `lockgate-failures` | none is known |
/// | `lockgate-first-failure` | the next failure is the first |
/// | one of `lockgate-origin-transport`, `-topic`, `-partition`, `-offset` | it comes from where it is read |
/// | `lockgate-origin-enqueued` | enqueued when the record was |
pub fn unpark(message: Message) -> Unparked {
    let headers = &message.headers;
    let failures = headers.text(header::FAILURES).and_then(|json| serde_json::from_str::<Vec<_>>(json).ok());
    let tries = Tries::parked(
        number(headers, header::ROUNDS).unwrap_or(0),
        number(headers, header::ATTEMPTS).unwrap_or(0),
        failures.unwrap_or_default().into_iter().map(cut_failure).collect(),
        time(headers, header::FIRST_FAILURE),
    );
    let delay = delay(headers);
    let origin = origin(&message).unwrap_or_else(|| message.origin.clone());
    let is_seen = |name: &str| !name.starts_with(header::RESERVED_PREFIX) || KEPT.contains(&name);
    let headers = headers.iter().filter(|header| is_seen(&header.name)).cloned().collect();
    Unparked { message: Message { origin, headers, ..message }, tries, delay }
}

fn delay(headers: &Headers) -> Duration {
    let said = number(headers, header::DELAY_MS).map(Duration::from_millis);
    said.filter(|delay| *delay <= LONGEST_DELAY).unwrap_or_default()
}

fn origin(message: &Message) -> Option<Origin> {
    let headers = &message.headers;
    let topic = headers.text(header::ORIGIN_TOPIC)?;
    Some(Origin {
        transport: headers.text(header::ORIGIN_TRANSPORT)?.into(),
        partition: Partition::new(topic, number(headers, header::ORIGIN_PARTITION)?),
        position: Position(number(headers, header::ORIGIN_OFFSET)?),
        enqueued: time(headers, header::ORIGIN_ENQUEUED).unwrap_or(message.origin.enqueued),
    })
}

fn number<T: std::str::FromStr>(headers: &Headers, name: &str) -> Option<T> {
    headers.text(name)?.parse().ok()
}

fn time(headers: &Headers, name: &str) -> Option<Timestamp> {
    Timestamp::parse(headers.text(name)?)
}

/// Who reads: knows which records are for it, and which of its two topics parks.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reader {
    /// The pipeline.
    pub pipeline: Arc<str>,
    /// Its retry topic.
    pub retry_topic: Option<Arc<str>>,
}

/// What becomes of a record that came.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Received {
    /// It may start.
    Now {
        /// The message.
        message: Message,
        /// Its tries so far.
        tries: Tries,
    },
    /// It is not due yet.
    Later {
        /// The message.
        message: Message,
        /// Its tries so far.
        tries: Tries,
        /// So long from now.
        wait: Duration,
    },
    /// It is another pipeline's.
    NotOurs,
}

impl Reader {
    /// Whether what stands in this partition is parked.
    pub fn is_retry(&self, partition: &Partition) -> bool {
        self.retry_topic.as_ref() == Some(&partition.topic)
    }

    /// When a record of the retry topic is due, by the clock of whoever parked it, and its delay; none for others.
    pub fn due(&self, message: &Message) -> Option<(Timestamp, Duration)> {
        let due = |delay| (message.origin.enqueued.after(delay), delay);
        self.is_retry(&message.origin.partition).then(|| due(delay(&message.headers)))
    }

    /// What becomes of a record.
    ///
    /// | where it stands | `lockgate-for` | what becomes of it |
    /// |---|---|---|
    /// | anywhere | another pipeline | not ours |
    /// | the pipeline's own topic | none | a message as it is |
    /// | the pipeline's own topic | this pipeline: it was redriven | read back, now |
    /// | the retry topic | this pipeline, or none | read back, when it is due |
    ///
    /// It is due its delay after it was enqueued, and never waits longer than that delay from now, whatever the clocks
    /// of the hosts say; what is overdue starts now.
    pub fn receive(&self, message: Message, now: Timestamp) -> Received {
        let parked = self.is_retry(&message.origin.partition);
        match message.headers.text(header::FOR) {
            Some(pipeline) if *pipeline != *self.pipeline => return Received::NotOurs,
            None if !parked => return Received::Now { message, tries: Tries::default() },
            Some(_) | None => {}
        }
        let enqueued = message.origin.enqueued;
        let Unparked { message, tries, delay } = unpark(message);
        let wait = enqueued.after(delay).since(now).min(delay);
        if parked && !wait.is_zero() {
            Received::Later { message, tries, wait }
        } else {
            Received::Now { message, tries }
        }
    }
}

#[cfg(test)]
#[path = "parking_tests.rs"]
mod tests;
