//! Looking at topics and groups from outside: no group is joined, nothing is committed.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::config::FromClientConfigAndContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::{Offset, TopicPartitionList};
use tokio::sync::Notify;

use super::checkpoint::from_kafka;
use super::client::Plain;
use super::native::{Closing, Queue, Raw, Signal, Taken};
use super::properties::Properties;
use super::topics::{self, PATIENCE, number};
use crate::model::Checkpoint;

/// The name of a group that nobody is in.
const NOBODY: &str = "lockgate-look";
/// Messages that one look answers, at most.
const MOST: usize = 1000;
/// Bytes that one look answers; a single larger message comes alone.
const MOST_BYTES: usize = 16 << 20;
/// How long is waited for the next piece.
const PIECE: Duration = Duration::from_millis(100);

/// The clients by which one looks. They are kept: each has threads and connections of its own.
pub(super) struct Look {
    properties: Properties,
    readers: Mutex<Vec<Arc<Closing<Plain>>>>,
    groups: Mutex<HashMap<String, Arc<Closing<Plain>>>>,
}

impl Look {
    pub(super) fn new(properties: Properties) -> Self {
        Self { properties, readers: Mutex::default(), groups: Mutex::default() }
    }

    /// Messages of a partition from an offset below `end` on. Blocks.
    pub(super) fn read(&self, topic: &str, partition: u32, from: i64, end: i64, most: usize) -> KafkaResult<Vec<Raw>> {
        // Each is used by one at a time.
        let kept = self.readers.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let reader = kept.map_or_else(|| self.client(NOBODY), Ok)?;
        let read = read(&reader, topic, partition, from, end, most.min(MOST));
        self.readers.lock().unwrap_or_else(PoisonError::into_inner).push(reader);
        read
    }

    /// What a group has committed in a topic. Blocks.
    pub(super) fn checkpoints(&self, topic: &str, partitions: u32, group: &str) -> KafkaResult<Vec<(u32, Checkpoint)>> {
        let known = self.groups().get(group).cloned();
        let client = known.map_or_else(|| self.client(group), Ok)?;
        self.groups().insert(group.to_owned(), client.clone());
        let committed = client.committed_offsets(topics::list(topic, 0..partitions), PATIENCE)?;
        let mut checkpoints = Vec::new();
        for element in committed.elements() {
            element.error()?;
            if let (Ok(index), Offset::Offset(next)) = (u32::try_from(element.partition()), element.offset()) {
                checkpoints.push((index, from_kafka(next, element.metadata())));
            }
        }
        checkpoints.sort_by_key(|(index, _)| *index);
        Ok(checkpoints)
    }

    fn groups(&self) -> std::sync::MutexGuard<'_, HashMap<String, Arc<Closing<Plain>>>> {
        self.groups.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn client(&self, group: &str) -> KafkaResult<Arc<Closing<Plain>>> {
        let client = BaseConsumer::from_config_and_context(&self.properties.reader(group), Plain::default())?;
        Ok(Arc::new(Closing::new(client)))
    }
}

fn read(
    reader: &Arc<Closing<Plain>>,
    topic: &str,
    partition: u32,
    from: i64,
    end: i64,
    most: usize,
) -> KafkaResult<Vec<Raw>> {
    let signal = Signal::new(Arc::new(Notify::new()));
    let queue = Queue::split(reader.clone(), topic, number(partition), signal).ok_or(KafkaError::NoMessageReceived)?;
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(topic, number(partition), Offset::Offset(from))?;
    reader.assign(&list)?;
    let read = pieces(reader, &queue, end, most);
    reader.unassign()?;
    read
}

fn pieces(reader: &BaseConsumer<Plain>, queue: &Queue, end: i64, most: usize) -> KafkaResult<Vec<Raw>> {
    let until = Instant::now() + PATIENCE;
    let (mut messages, mut bytes) = (Vec::new(), 0);
    while messages.len() < most && bytes < MOST_BYTES {
        // Its callbacks come by its own queue.
        drop(reader.poll(Duration::ZERO));
        // By one: what is taken of the queue is not read again.
        for taken in queue.take_within(1, PIECE) {
            match taken {
                Taken::Message(raw) if raw.offset >= end => return Ok(messages),
                Taken::Message(raw) => {
                    bytes += raw.payload.len();
                    let last = raw.offset.saturating_add(1) >= end;
                    messages.push(raw);
                    if last {
                        return Ok(messages);
                    }
                }
                Taken::End(_) => return Ok(messages),
                Taken::Failed(code, _) => return Err(KafkaError::MessageConsumption(code)),
            }
        }
        if Instant::now() > until {
            return if messages.is_empty() { Err(late()) } else { Ok(messages) };
        }
    }
    Ok(messages)
}

fn late() -> KafkaError {
    KafkaError::MessageConsumption(rdkafka::error::RDKafkaErrorCode::OperationTimedOut)
}
