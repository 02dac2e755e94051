//! Messages of several partitions of a topic as one sequence: by their time across partitions, by their offset within
//! each, whatever the clocks of the writers did. Takes part in no group and moves no checkpoint.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use crate::model::{Message, Partition, Position, Timestamp};
use crate::transport::{PartitionInfo, Transport, TransportError};

/// Messages read at once from one partition; so many lie in memory, at most.
const PAGE: usize = 200;

/// What to read of a partition.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Range {
    /// The partition's number.
    pub(super) partition: u32,
    /// The first offset.
    pub(super) from: i64,
    /// The offset before which to end; none to go on with what is written.
    pub(super) end: Option<i64>,
}

/// Reads several partitions.
pub(super) struct Reading {
    transport: Arc<dyn Transport>,
    readers: Vec<Reader>,
}

impl Reading {
    /// Of these parts of a topic.
    pub(super) fn new(transport: Arc<dyn Transport>, topic: &str, ranges: impl IntoIterator<Item = Range>) -> Self {
        Self { transport, readers: ranges.into_iter().map(|range| Reader::new(topic, range)).collect() }
    }

    /// The next message. None when there is nothing more: for good where every range ends, for now otherwise.
    pub(super) async fn next(&mut self) -> Result<Option<Message>, TransportError> {
        // When one partition is asked, all that have nothing are: a busy one hides no quiet one.
        if self.readers.iter().any(Reader::is_thirsty) {
            for reader in &mut self.readers {
                reader.fill(self.transport.as_ref()).await?;
            }
        }
        let waiting = self.readers.iter_mut().filter(|reader| !reader.ahead.is_empty());
        if let Some(first) = waiting.min_by_key(|reader| reader.ahead.front().map(|message| message.origin.enqueued)) {
            return Ok(first.ahead.pop_front());
        }
        self.readers.iter_mut().for_each(|reader| reader.dry = false);
        Ok(None)
    }
}

/// Reads one partition.
struct Reader {
    partition: Partition,
    next: i64,
    end: Option<i64>,
    /// Read and not handed out: at most a page.
    ahead: VecDeque<Message>,
    /// Nothing more was there when it was asked last.
    dry: bool,
}

impl Reader {
    fn new(topic: &str, range: Range) -> Self {
        let partition = Partition::new(topic, range.partition);
        Self { partition, next: range.from, end: range.end, ahead: VecDeque::new(), dry: false }
    }

    fn is_thirsty(&self) -> bool {
        self.ahead.is_empty() && !self.dry
    }

    fn has_ended(&self) -> bool {
        self.end.is_some_and(|end| self.next >= end)
    }

    async fn fill(&mut self, transport: &dyn Transport) -> Result<(), TransportError> {
        if self.ahead.is_empty() {
            self.dry = self.has_ended() || !self.read(transport).await?;
        }
        Ok(())
    }

    /// Reads a page, and says whether there was one.
    async fn read(&mut self, transport: &dyn Transport) -> Result<bool, TransportError> {
        let page = transport.read(&self.partition, Position(self.next), PAGE).await?;
        if let Some(last) = page.last() {
            self.next = last.origin.position.0 + 1;
        }
        let end = self.end;
        self.ahead.extend(page.into_iter().take_while(|message| end.is_none_or(|end| message.origin.position.0 < end)));
        Ok(!self.ahead.is_empty())
    }
}

/// Where the last `count` messages of some partitions begin, by partition: those that [`Reading`] would give last.
pub(super) async fn last(
    transport: &dyn Transport,
    topic: &str,
    partitions: &[(u32, PartitionInfo)],
    count: usize,
) -> Result<BTreeMap<u32, i64>, TransportError> {
    let mut ends = Vec::new();
    for (index, info) in partitions {
        let from = info.first.max(info.end.saturating_sub(i64::try_from(count).unwrap_or(i64::MAX)));
        let range = Range { partition: *index, from, end: Some(info.end) };
        ends.push((*index, info.end, places(transport, topic, range).await?));
    }
    for _ in 0..count {
        let newest = ends.iter_mut().filter(|(.., places)| !places.is_empty());
        let Some((_, from, places)) = newest.max_by_key(|(.., places)| places.last().map(|place| place.0)) else {
            break;
        };
        *from = places.pop().map_or(*from, |place| place.1);
    }
    Ok(ends.into_iter().map(|(index, from, _)| (index, from)).collect())
}

/// Time and offset of the messages of a range, in order.
async fn places(transport: &dyn Transport, topic: &str, range: Range) -> Result<Vec<(Timestamp, i64)>, TransportError> {
    let mut reader = Reader::new(topic, range);
    let mut places = Vec::new();
    while !reader.has_ended() && reader.read(transport).await? {
        places.extend(reader.ahead.drain(..).map(|message| (message.origin.enqueued, message.origin.position.0)));
    }
    Ok(places)
}
