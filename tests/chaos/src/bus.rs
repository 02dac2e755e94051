//! The log that the hosts share, as the oracle's side uses it: messages go in, and where they end is followed. It is one
//! more process at the log, and reads for a group of its own.

use std::collections::{BTreeMap, HashMap};
use std::num::NonZeroU32;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use lockgate::model::{Checkpoint, Clock, Message, Partition, Position, Record};
use lockgate::transport::config::{Create, Ownership, Topic};
use lockgate::transport::log::{Config, Log};
use lockgate::transport::{
    OnLostPosition, Room, Rooms, Sink, Source, SourceEvent, Start, Subscription, Transport, WriteError,
};

use crate::oracle::Place;
use crate::setting::{BUS, Setting};

/// The group that follows where messages end.
const GROUP: &str = "oracle";
/// Messages that are read at once.
const READ: usize = 1000;
/// How long to wait before what could not be done is tried again.
const AGAIN: Duration = Duration::from_millis(50);
/// As much as a source gives.
const ALL: Room = Room { messages: READ, bytes: 16 << 20 };

/// The log, open.
pub struct Bus {
    log: Log,
    sinks: BTreeMap<String, Arc<dyn Sink>>,
}

/// Stored checkpoints of one group in one topic, by partition.
pub type Stored = BTreeMap<u32, Checkpoint>;

impl Bus {
    /// Opens the log in a folder, and makes the topics of a setting.
    pub async fn open(folder: &Path, setting: &Setting) -> anyhow::Result<Self> {
        let topic = |partitions| Topic {
            create: Some(Create { partitions: NonZeroU32::new(partitions), ..Create::default() }),
            ..Topic::default()
        };
        let topics = setting.topics().into_iter().map(|(name, partitions)| (name, topic(partitions))).collect();
        let config = Config { path: folder.join(&setting.bus) };
        let log = Log::open(BUS, &config, Ownership::default(), topics, Clock::system())?;
        let mut sinks = BTreeMap::new();
        for (topic, _) in setting.topics() {
            let sink = log.sink(&topic).await.with_context(|| format!("cannot open topic {topic}"))?;
            sinks.insert(topic, sink);
        }
        Ok(Self { log, sinks })
    }

    /// Writes records, and waits until all of them stand there, each with its place. One that cannot be written now is
    /// tried again for as long as it takes.
    pub async fn write(&self, topic: &str, records: Vec<Record>) -> anyhow::Result<Vec<Place>> {
        let sink = self.sinks.get(topic).with_context(|| format!("there is no topic {topic}"))?;
        let mut places = vec![None; records.len()];
        let mut left: Vec<(usize, Record)> = records.into_iter().enumerate().collect();
        while !left.is_empty() {
            let answers = sink.write(left.iter().map(|(_, record)| record.clone()).collect()).await;
            let mut again = Vec::new();
            for ((index, record), answer) in left.into_iter().zip(answers) {
                match answer {
                    Ok(place) => places.iter_mut().skip(index).take(1).for_each(|slot| *slot = Some(place)),
                    Err(WriteError::Unavailable { .. }) => again.push((index, record)),
                    Err(error @ WriteError::Refused { .. }) => return Err(error.into()),
                }
            }
            left = again;
            if !left.is_empty() {
                tokio::time::sleep(AGAIN).await;
            }
        }
        places.into_iter().collect::<Option<_>>().context("the log did not answer every record")
    }

    /// Follows a topic from its beginning, whatever comes, until it is told to stop by being dropped.
    pub async fn follow(&self, topic: &str, take: impl FnMut(Message)) -> anyhow::Result<()> {
        self.follow_as(GROUP, topic, take).await
    }

    /// The same for another group: who follows a topic for one group shares it.
    pub async fn follow_as(&self, group: &str, topic: &str, mut take: impl FnMut(Message)) -> anyhow::Result<()> {
        let subscription = Subscription {
            topic: topic.into(),
            group: group.into(),
            start: Start::Earliest,
            on_lost_position: OnLostPosition::Fail,
        };
        let mut source: Box<dyn Source> = self.log.source(&subscription).await?;
        let mut demand = HashMap::new();
        // Where each partition was read to: one that comes back comes from its beginning.
        let mut read: HashMap<Partition, Position> = HashMap::new();
        loop {
            match source.next(&Rooms(demand.clone())).await {
                SourceEvent::Assigned(assignments) => {
                    demand.extend(assignments.into_iter().map(|assignment| (assignment.partition, ALL)));
                }
                SourceEvent::Messages(batch) => {
                    for message in batch.messages {
                        let position = message.origin.position;
                        let last = read.get(&message.origin.partition).copied();
                        if last.is_none_or(|last| last < position) {
                            read.insert(message.origin.partition.clone(), position);
                            take(message);
                        }
                    }
                }
                SourceEvent::Revoked { partitions, reply } => {
                    demand.retain(|partition, _| !partitions.contains(partition));
                    // Who asked is gone where this fails.
                    let _ = reply.send(());
                }
                SourceEvent::Lost(partitions) => demand.retain(|partition, _| !partitions.contains(partition)),
                SourceEvent::Failed(error) if error.is_transient() => {}
                SourceEvent::Failed(error) => return Err(error.into()),
            }
        }
    }

    /// Everything that stands in a topic now, partition after partition.
    pub async fn everything(&self, topic: &str) -> anyhow::Result<Vec<Message>> {
        let topics = self.log.topics().await?;
        let info = topics.into_iter().find(|info| info.name == topic).with_context(|| format!("no topic {topic}"))?;
        let mut all = Vec::new();
        for (index, bounds) in (0..).zip(&info.partitions) {
            let partition = Partition::new(topic, index);
            let mut from = bounds.first;
            while from < bounds.end {
                let messages = self.log.read(&partition, Position(from), READ).await?;
                let last = messages.last().with_context(|| format!("{partition}: nothing stands at {from}"))?;
                from = last.origin.position.0 + 1;
                all.extend(messages);
            }
        }
        Ok(all)
    }

    /// What a group has settled in a topic, as stored.
    pub async fn stored(&self, topic: &str, group: &str) -> anyhow::Result<Stored> {
        Ok(self.log.checkpoints(topic, group).await?.into_iter().collect())
    }

    /// The log itself.
    pub fn log(&self) -> &Log {
        &self.log
    }
}
