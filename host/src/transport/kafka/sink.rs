//! Writes to one topic. A key decides the partition as in the Java client (murmur2), so that keys land where other
//! producers put them; records without one are spread by the client.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};

use super::cluster::Cluster;
use super::message::weight;
use super::producer::{Answers, Delivered, Producer};
use super::topics;
use crate::model::{Position, Record};
use crate::transport::{Sink, WriteError, Written};

pub(super) struct KafkaSink {
    cluster: Arc<Cluster>,
    /// The topic's name in the spec.
    topic: Arc<str>,
    /// The topic's name in Kafka.
    physical: Arc<str>,
    partitions: u32,
    writer: Mutex<Writer>,
}

/// What is written with.
#[derive(Clone)]
struct Writer {
    producer: Arc<Producer>,
    /// The largest batch that the topic takes.
    largest: u64,
}

impl KafkaSink {
    /// Of a topic that is there.
    pub(super) async fn open(
        cluster: Arc<Cluster>,
        topic: &str,
        physical: &str,
        partitions: u32,
    ) -> Result<Self, KafkaError> {
        let largest = topics::largest(&*cluster.admin()?, physical).await;
        let writer = Mutex::new(Writer { producer: cluster.producer(largest)?, largest });
        Ok(Self { cluster, topic: topic.into(), physical: physical.into(), partitions, writer })
    }

    /// What is written with now: a producer that died is replaced.
    fn writer(&self) -> Result<Writer, WriteError> {
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        if writer.producer.is_dead() {
            let made = self.cluster.producer(writer.largest);
            writer.producer = made.map_err(|error| self.unavailable(error.to_string()))?;
        }
        Ok(writer.clone())
    }

    /// Sends a record on its way, or says why it is on none. The answer at this index is to come then.
    async fn send(&self, writer: &Writer, record: &Record, answer: (&Answers, usize)) -> Result<(), WriteError> {
        if let Some(chosen) = record.partition.filter(|chosen| *chosen >= self.partitions) {
            return Err(self.refused(format!("there is no partition {chosen}, only {}", self.partitions)));
        }
        self.check_size(record, writer.largest)?;
        let sent = writer.producer.send(&self.physical, record, answer).await;
        sent.map_err(|reason| self.refused(reason))?.map_err(|error| match error.rdkafka_error_code() {
            Some(Code::MessageSizeTooLarge) => self.too_large(record, writer.largest),
            _ => self.unavailable(writer.producer.explain(&error)),
        })
    }

    fn check_size(&self, record: &Record, largest: u64) -> Result<(), WriteError> {
        let room = self.cluster.producer_queue();
        match weight(record) {
            weight if weight > largest => Err(self.too_large(record, largest)),
            weight if weight > room => Err(self.refused(format!(
                "it has {weight} bytes with all around it, more than the {room} that a producer may hold \
                 (`queue.buffering.max.kbytes`)"
            ))),
            _ => Ok(()),
        }
    }

    fn too_large(&self, record: &Record, largest: u64) -> WriteError {
        self.refused(format!(
            "it has {} bytes with all around it, more than the {largest} that the topic takes (`max.message.bytes`)",
            weight(record)
        ))
    }

    /// What became of a record that was sent.
    async fn ended(
        &self,
        writer: &Writer,
        record: &Record,
        delivered: Option<Delivered>,
    ) -> Result<Option<Written>, WriteError> {
        match delivered.unwrap_or(Err(KafkaError::Canceled)) {
            Ok((partition, offset)) => {
                let partition = u32::try_from(partition).unwrap_or(0);
                Ok(Some(Written { partition, position: Position(offset) }))
            }
            Err(error) => Err(self.rejected(writer, record, &error).await),
        }
    }

    /// What it means that a record was not taken. Records that may be tried again keep those behind them.
    async fn rejected(&self, writer: &Writer, record: &Record, error: &KafkaError) -> WriteError {
        match error.rdkafka_error_code() {
            // It was not too large when it was sent: the topic takes less than it did, or the batch was too large.
            Some(Code::MessageSizeTooLarge) => {
                let largest = self.look_at_the_size().await.unwrap_or(writer.largest);
                match self.check_size(record, largest) {
                    Err(refused) => refused,
                    Ok(()) => {
                        self.unavailable("a batch was too large for the topic; the records are sent again".into())
                    }
                }
            }
            Some(Code::InvalidRecord | Code::InvalidTimestamp) => self.refused(format!(
                "the broker does not take it ({}); a compacted topic wants a key, for one",
                super::client::plain(error)
            )),
            _ => self.unavailable(writer.producer.explain(error)),
        }
    }

    /// Asks again for the largest batch that the topic takes, and goes on with a producer for that.
    async fn look_at_the_size(&self) -> Result<u64, KafkaError> {
        let largest = topics::largest(&*self.cluster.admin()?, &self.physical).await;
        let producer = self.cluster.producer(largest)?;
        *self.writer.lock().unwrap_or_else(PoisonError::into_inner) = Writer { producer, largest };
        Ok(largest)
    }

    fn refused(&self, reason: String) -> WriteError {
        WriteError::Refused { topic: self.topic.clone(), reason }
    }

    fn unavailable(&self, reason: String) -> WriteError {
        WriteError::Unavailable { topic: self.topic.clone(), reason }
    }
}

#[async_trait]
impl Sink for KafkaSink {
    async fn write(&self, records: Vec<Record>) -> Vec<Result<Option<Written>, WriteError>> {
        let writer = match self.writer() {
            Ok(writer) => writer,
            Err(error) => return records.iter().map(|_| Err(error.clone())).collect(),
        };
        let answers = Answers::new(records.len());
        let mut sent: Vec<Result<(), WriteError>> = Vec::with_capacity(records.len());
        let mut broken: Option<WriteError> = None;
        for (index, record) in records.iter().enumerate() {
            // Where one cannot be sent now, none behind it is: it could come to stand before it.
            let one = match &broken {
                Some(error) => Err(error.clone()),
                None => self.send(&writer, record, (&answers, index)).await,
            };
            if let Err(error @ WriteError::Unavailable { .. }) = &one {
                broken.get_or_insert_with(|| error.clone());
            }
            sent.push(one);
        }
        let mut written = Vec::with_capacity(records.len());
        let mut held = Held::default();
        for ((record, sent), delivered) in records.iter().zip(sent).zip(answers.all().await) {
            let answer = match sent {
                Ok(()) => self.ended(&writer, record, delivered).await,
                Err(error) => Err(error),
            };
            written.push(held.keep_order(record, answer));
        }
        written
    }

    fn partitions(&self) -> u32 {
        self.partitions
    }
}

/// Keys and partitions of which a record was not written: what is behind it there counts as not written either, though
/// it may have been, so that all of it is tried again in order.
#[derive(Default)]
struct Held {
    places: HashSet<Place>,
    error: Option<WriteError>,
}

#[derive(Clone, PartialEq, Eq, Hash)]
enum Place {
    Chosen(u32),
    OfKey(bytes::Bytes),
}

impl Held {
    fn keep_order(
        &mut self,
        record: &Record,
        answer: Result<Option<Written>, WriteError>,
    ) -> Result<Option<Written>, WriteError> {
        let of_key = record.key.clone().map(Place::OfKey);
        let place = record.partition.map(Place::Chosen).or(of_key);
        match (&answer, place) {
            (Err(error @ WriteError::Unavailable { .. }), Some(place)) => {
                self.places.insert(place);
                self.error = Some(error.clone());
                answer
            }
            (Ok(_), Some(place)) if self.places.contains(&place) => self.error.clone().map_or(answer, Err),
            _ => answer,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_behind_a_record_that_was_not_written_is_tried_again_with_it() {
        let (mut held, topic): (Held, Arc<str>) = (Held::default(), "t".into());
        let unavailable = || Err(WriteError::Unavailable { topic: topic.clone(), reason: "away".into() });
        let written = || Ok(Some(Written { partition: 0, position: Position(7) }));
        let of = |key: &'static str| Record { key: Some(key.into()), ..Record::default() };
        assert!(held.keep_order(&of("a"), written()).is_ok());
        assert!(held.keep_order(&of("a"), unavailable()).is_err());
        assert!(held.keep_order(&of("b"), written()).is_ok());
        assert!(held.keep_order(&of("a"), written()).is_err());
        assert!(held.keep_order(&Record::default(), written()).is_ok(), "it may stand anywhere");
        let refused = Err(WriteError::Refused { topic: topic.clone(), reason: "odd".into() });
        assert_eq!(held.keep_order(&of("a"), refused.clone()), refused);
    }
}
