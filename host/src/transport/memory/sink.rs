//! Writes to one topic in memory.

use std::sync::Arc;

use async_trait::async_trait;

use super::Shared;
use super::state::Topic;
use crate::model::header;
use crate::model::{Message, MessageId, Origin, Partition, Position, Record, Timestamp};
use crate::transport::spread::Spread;
use crate::transport::{Sink, WriteError, Written};

pub(super) struct MemorySink {
    shared: Arc<Shared>,
    topic: Arc<str>,
    physical: Arc<str>,
    spread: Spread,
}

impl MemorySink {
    pub(super) fn new(shared: Arc<Shared>, topic: &str, partitions: u32) -> Self {
        let physical = shared.physical(topic);
        Self { shared, topic: topic.into(), physical, spread: Spread::over(partitions) }
    }

    fn write(&self, topic: &mut Topic, record: Record, now: Timestamp) -> Result<Option<Written>, WriteError> {
        let refused = |reason| WriteError::Refused { topic: self.topic.clone(), reason };
        if let Some(reason) = &topic.faults.writes {
            return Err(self.unavailable(reason));
        }
        if let Some(reason) = &topic.faults.refusal {
            return Err(refused(reason.clone()));
        }
        if let Some(limit) = topic.faults.largest.filter(|limit| record.size() > *limit) {
            return Err(refused(format!("it has {} bytes, more than {limit}", record.size())));
        }
        let partition = self.spread.choose(&record).map_err(refused)?;
        let position = topic.append(partition, |position| self.message(record, partition, position, now));
        let position = position.ok_or_else(|| refused(format!("there is no partition {partition}")))?;
        Ok(Some(Written { partition, position }))
    }

    fn message(&self, record: Record, partition: u32, position: Position, enqueued: Timestamp) -> Message {
        let transport = self.shared.name.clone();
        let given = record.headers.text(header::ID).map(MessageId::given);
        Message {
            id: given.unwrap_or_else(|| MessageId::of_origin(&transport, &self.physical, partition, position)),
            origin: Origin { transport, partition: Partition::new(self.topic.clone(), partition), position, enqueued },
            key: record.key,
            headers: record.headers,
            payload: record.payload,
        }
    }

    fn unavailable(&self, reason: &str) -> WriteError {
        WriteError::Unavailable { topic: self.topic.clone(), reason: reason.to_owned() }
    }
}

#[async_trait]
impl Sink for MemorySink {
    async fn write(&self, records: Vec<Record>) -> Vec<Result<Option<Written>, WriteError>> {
        self.shared.change(|state| {
            let now = self.shared.clock.wall();
            let topic = state.topic(&self.physical, None);
            let answers = records.into_iter().map(|record| self.write(topic, record, now)).collect();
            topic.trim(now);
            answers
        })
    }

    fn partitions(&self) -> u32 {
        self.spread.partitions()
    }
}
