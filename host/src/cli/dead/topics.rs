//! The dead-letter topics of a spec, as they stand when the command begins: what comes later is left alone, so that
//! reading ends. Nothing is written here.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::super::Failure;
use super::super::reading::{Range, Reading};
use super::names;
use crate::flow::letters::{Address, Entry, Marks};
use crate::model::{Message, Partition};
use crate::spec::Plan;
use crate::transport::{PartitionInfo, Transport, TransportError};

/// Messages read at once.
const PAGE: usize = 1;

/// Open transports, by name.
pub(super) type Transports = BTreeMap<String, Arc<dyn Transport>>;

/// Transport and topic of every place where pipelines put their dead letters, or of those on one transport.
pub(super) fn places<'a>(plan: &'a Plan, transport: Option<&str>) -> Result<BTreeSet<(&'a str, &'a str)>, Failure> {
    let all = plan.pipelines.values().map(|pipeline| &pipeline.dead_letter.topic);
    let all = all.map(|topic| (topic.transport.as_str(), topic.topic.as_str()));
    let places: BTreeSet<(&str, &str)> = all.filter(|place| transport.is_none_or(|name| name == place.0)).collect();
    match transport {
        _ if !places.is_empty() => Ok(places),
        Some(name) => {
            Err(Failure::Usage(format!("no pipeline of the spec has its dead letters on a transport `{name}`")))
        }
        None => Err(Failure::Usage("the spec has no pipelines, and so no dead-letter topics".into())),
    }
}

/// The one of these places that an address is in.
pub(super) fn place_of<'a>(
    places: &BTreeSet<(&'a str, &'a str)>,
    address: &Address,
) -> Result<(&'a str, &'a str), Failure> {
    let topic = &*address.partition.topic;
    let matching: Vec<(&str, &str)> = places.iter().copied().filter(|place| place.1 == topic).collect();
    match matching.as_slice() {
        [only] => Ok(*only),
        [] => {
            let known = names(places.iter().map(|place| place.1));
            Err(Failure::Usage(format!("`{topic}` is no dead-letter topic of the spec; it has {known}")))
        }
        several => {
            let transports = names(several.iter().map(|place| place.0));
            Err(Failure::Usage(format!(
                "dead-letter topic `{topic}` is on several transports ({transports}); say which one with --transport"
            )))
        }
    }
}

/// A dead-letter topic.
pub(super) struct Topic {
    pub(super) transport: Arc<dyn Transport>,
    pub(super) name: String,
    partitions: Vec<PartitionInfo>,
}

impl Topic {
    /// The topic as it stands; none where nothing was ever written to it.
    pub(super) async fn open(transport: Arc<dyn Transport>, name: &str) -> Result<Option<Self>, TransportError> {
        let topics = transport.topics().await?;
        let partitions = topics.into_iter().find(|topic| topic.name == name).map(|topic| topic.partitions);
        Ok(partitions.map(|partitions| Self { transport, name: name.to_owned(), partitions }))
    }

    /// All partitions, from the oldest message that is kept to the newest there was.
    pub(super) fn whole(&self) -> Vec<Range> {
        let range =
            |(partition, info): (u32, &PartitionInfo)| Range { partition, from: info.first, end: Some(info.end) };
        (0..).zip(&self.partitions).map(range).collect()
    }

    /// The partitions of these letters, each from the first of them on: their marks stand behind them.
    pub(super) fn behind(&self, letters: &[Address]) -> Vec<Range> {
        let first = |partition: u32| {
            let of = letters.iter().filter(|letter| letter.partition.index == partition);
            of.map(|letter| letter.position.0).min()
        };
        let from = |range: Range| first(range.partition).map(|first| Range { from: first.max(range.from), ..range });
        self.whole().into_iter().filter_map(from).collect()
    }

    pub(super) fn reading(&self, ranges: Vec<Range>) -> Reading {
        Reading::new(self.transport.clone(), &self.name, ranges)
    }

    /// The marks in these parts of the topic.
    pub(super) async fn marks(&self, ranges: Vec<Range>) -> Result<Marks, TransportError> {
        let mut reading = self.reading(ranges);
        let mut marks = Marks::default();
        while let Some(message) = reading.next().await? {
            if let Entry::Mark { of } = Entry::read(&message) {
                marks.fold(of);
            }
        }
        Ok(marks)
    }

    /// The message at an address, if one stands there.
    pub(super) async fn message(&self, at: &Address) -> Result<Option<Message>, TransportError> {
        let partition = Partition::new(self.name.as_str(), at.partition.index);
        let page = self.transport.read(&partition, at.position, PAGE).await?;
        Ok(page.into_iter().find(|message| message.origin.position == at.position))
    }
}

/// What to say of messages that are neither letters nor marks.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Foreign {
    count: u64,
    first: Option<Address>,
}

impl Foreign {
    pub(super) fn count(&mut self, at: Address) {
        self.count += 1;
        self.first.get_or_insert(at);
    }
}

impl std::fmt::Display for Foreign {
    /// A line, or nothing.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.first {
            None => Ok(()),
            Some(first) => writeln!(
                f,
                "{} messages of the dead-letter topics are no dead letters of Lockgate and are passed over, the first at {first}",
                self.count
            ),
        }
    }
}
