//! Writes to one topic. An answer comes when the records are on the disk.

use std::sync::Arc;

use async_trait::async_trait;

use super::messages::Placed;
use super::store::Store;
use super::together::Together;
use super::topics::Topic;
use crate::model::{Clock, Record};
use crate::storage::sqlite::Error;
use crate::transport::spread::Spread;
use crate::transport::{Sink, WriteError, Written};

/// The largest message, in bytes, with its key and its headers but those of the host, so that whatever was taken once
/// can be dead-lettered. A message is held in memory whole, several times on its way; what is larger belongs into a
/// blob store. SQLite itself ends at a billion bytes.
pub(super) const LARGEST: u64 = 256 << 20;

pub(super) struct LogSink {
    topic: Arc<Topic>,
    spread: Spread,
    writes: Together,
}

impl LogSink {
    pub(super) fn new(store: Arc<Store>, topic: Arc<Topic>, clock: Clock) -> Self {
        let spread = Spread::over(topic.partitions());
        Self { spread, writes: Together::new(store, topic.clone(), clock), topic }
    }

    fn place(&self, record: Record) -> Result<Placed, WriteError> {
        let refused = |reason| WriteError::Refused { topic: self.topic.name.clone(), reason };
        let partition = self.spread.choose(&record).map_err(refused)?;
        match weight(&record) {
            size if size > LARGEST => Err(refused(format!("it has {size} bytes, more than the {LARGEST} of the log"))),
            _ => Ok(Placed::new(partition, record)),
        }
    }

    async fn append(&self, records: Vec<Placed>) -> Result<Vec<Written>, WriteError> {
        if records.is_empty() {
            return Ok(Vec::new());
        }
        self.writes.append(records).await.map_err(|error| self.unavailable(error))
    }

    fn unavailable(&self, error: Error) -> WriteError {
        WriteError::Unavailable { topic: self.topic.name.clone(), reason: error.to_string() }
    }
}

/// What counts against [`LARGEST`].
fn weight(record: &Record) -> u64 {
    let hosts = record.headers.iter().filter(|header| header.is_reserved());
    let hosts: usize = hosts.map(|header| header.name.len() + header.value.len()).sum();
    record.size().saturating_sub(hosts as u64)
}

#[async_trait]
impl Sink for LogSink {
    async fn write(&self, records: Vec<Record>) -> Vec<Result<Option<Written>, WriteError>> {
        let mut placed = Vec::with_capacity(records.len());
        let places: Vec<Result<(), WriteError>> =
            records.into_iter().map(|record| self.place(record).map(|record| placed.push(record))).collect();
        let mut written = self.append(placed).await.map(Vec::into_iter);
        let answer = |place: Result<(), WriteError>| {
            place?;
            let missing = || self.unavailable(Error::Unavailable("no answer from the writer".into()));
            written.as_mut().map_err(|error| error.clone())?.next().map(Some).ok_or_else(missing)
        };
        places.into_iter().map(answer).collect()
    }

    fn partitions(&self) -> u32 {
        self.spread.partitions()
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    #[test]
    fn the_hosts_own_headers_do_not_count_so_that_a_dead_letter_of_what_was_taken_is_taken() {
        let mut record = Record { key: Some(Bytes::from_static(b"k")), ..Record::default() };
        record.headers.push("own", "12345");
        let before = weight(&record);
        record.headers.push("lockgate-reason", "x".repeat(16 << 10));
        assert_eq!((before, weight(&record)), (9, 9));
    }
}
