//! Where messages come from and go to. A transport keeps topics of partitions of messages, and checkpoints of groups;
//! its own conventions (next offsets, offset strings, error codes) end in its adapter.

#[cfg(any(test, feature = "testing"))]
use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use futures::future::BoxFuture;
use tokio::sync::oneshot;

use crate::model::{Checkpoint, Message, Partition, Position, Record, Timestamp};

mod balance;
#[cfg(any(feature = "event-hubs", feature = "kafka"))]
mod beginning;
pub mod config;
#[cfg(any(test, feature = "testing"))]
pub mod contract;
mod cursor;
#[cfg(feature = "event-hubs")]
pub mod event_hubs;
#[cfg(not(feature = "event-hubs"))]
#[path = "event_hubs/without_client.rs"]
pub mod event_hubs;
mod joined;
#[cfg(feature = "kafka")]
pub mod kafka;
#[cfg(not(feature = "kafka"))]
#[path = "kafka/without_client.rs"]
pub mod kafka;
mod lag;
pub mod log;
#[cfg(any(feature = "event-hubs", feature = "kafka"))]
mod membership;
pub mod memory;
mod open;
mod spread;
mod start;

pub use joined::join;
pub use open::{Means, open};

/// Until every source that this process had, and has dropped, has told its group that it is gone. For the end of the
/// process; it may take as long as a broker or a store takes to answer.
pub async fn left() {
    #[cfg(any(feature = "event-hubs", feature = "kafka"))]
    membership::left().await;
}

/// Reads one topic for one group. The sources of a group share the topic's partitions; one for which none is left says
/// nothing until it gets some. Dropping a source gives its partitions to the others at once; what is to be stored is
/// committed before.
#[async_trait]
pub trait Source: Send {
    /// The next event. Polled always: control events flow whatever the demand; messages only of partitions for
    /// which `demand` has room, and no more than that, save that one message may be larger than the bytes allowed.
    ///
    /// Cancel safe: a dropped call loses no event.
    async fn next(&mut self, demand: &dyn Demand) -> SourceEvent;

    /// Begins to store checkpoints; the future ends when they are durable, or says why not. A commit whose epoch is
    /// over is refused.
    fn commit(&mut self, commits: Vec<Commit>) -> BoxFuture<'static, Result<(), CommitError>>;
}

/// Writes to one topic.
#[async_trait]
pub trait Sink: Send + Sync {
    /// Writes records in order and answers each, in order; `Ok` means durable, and says where it stands if the system
    /// does. A record that is refused does not keep the others from being written; one that cannot be written now keeps
    /// those behind it in its partition, so that a later try does not change their order.
    async fn write(&self, records: Vec<Record>) -> Vec<Result<Option<Written>, WriteError>>;

    /// How many partitions the topic has, at least one; known since the sink was opened.
    fn partitions(&self) -> u32;
}

/// A connection to one system of topics.
#[async_trait]
pub trait Transport: Send + Sync {
    /// Opens a source. Fails when the topic is missing and cannot be created.
    async fn source(&self, subscription: &Subscription) -> Result<Box<dyn Source>, TransportError>;
    /// Opens a sink. Fails when the topic is missing and cannot be created.
    async fn sink(&self, topic: &str) -> Result<Arc<dyn Sink>, TransportError>;
    /// Whether a group can be, that would read a topic: fails where it is missing and nobody makes it. Most systems make
    /// a group when somebody reads in it.
    async fn look_at_group(&self, _topic: &str, _group: &str) -> Result<(), TransportError> {
        Ok(())
    }
    /// All topics there are, by every name by which they are read; where the system does not say which there are, those
    /// of them that the spec names.
    async fn topics(&self) -> Result<Vec<TopicInfo>, TransportError>;
    /// The stored checkpoints of a group in a topic, by partition.
    async fn checkpoints(&self, topic: &str, group: &str) -> Result<Vec<(u32, Checkpoint)>, TransportError>;
    /// Messages of a partition at or above `from`, at most `max`, without any group; empty at the end. Fewer may come
    /// though there are more: ask again behind the last one.
    async fn read(&self, partition: &Partition, from: Position, max: usize) -> Result<Vec<Message>, TransportError>;
}

/// What a source is opened for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Subscription {
    /// The topic's name in the spec.
    pub topic: Arc<str>,
    /// The consumer group.
    pub group: Arc<str>,
    /// Where to begin where the group has no checkpoint.
    pub start: Start,
    /// What to do when messages after the checkpoint are gone already.
    pub on_lost_position: OnLostPosition,
}

/// Where a group without a checkpoint begins.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Start {
    /// With the oldest message that is kept.
    #[default]
    Earliest,
    /// With what is written from now on.
    Latest,
    /// With the first message that came at this time or later.
    At(Timestamp),
}

/// What to do when messages that were not settled are no longer kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, serde::Deserialize, serde::Serialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnLostPosition {
    /// Stop that pipeline and say what is gone.
    #[default]
    Fail,
    /// Go on with the oldest message that is kept, loudly.
    Earliest,
    /// Go on with what is written from now on, loudly.
    Latest,
}

/// What may be handed out. It is asked, and not told beforehand, so that many partitions with nothing to hand out cost
/// nothing.
pub trait Demand: Send + Sync {
    /// What may be handed out of a partition; nothing where there is none.
    fn room(&self, partition: &Partition) -> Option<Room>;
}

/// A demand that was written down. A partition that is not named gets nothing.
#[cfg(any(test, feature = "testing"))]
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Rooms(pub HashMap<Partition, Room>);

#[cfg(any(test, feature = "testing"))]
impl Demand for Rooms {
    fn room(&self, partition: &Partition) -> Option<Room> {
        self.0.get(partition).copied()
    }
}

/// Room for messages.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Room {
    /// At most so many messages.
    pub messages: usize,
    /// At most so many bytes; a single larger message may come alone.
    pub bytes: u64,
}

/// Counts the assignments of a partition, so that what belongs to an earlier one is told apart.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Epoch(pub u64);

/// A partition that this source now owns.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Assignment {
    /// Which one.
    pub partition: Partition,
    /// Which assignment of it.
    pub epoch: Epoch,
    /// What the group has settled already. Messages come from `base` on; those that the checkpoint calls settled are
    /// the caller's to pass over. Where messages are gone and the subscription says to go on, they count as settled,
    /// and this checkpoint is stored before it is told.
    pub checkpoint: Option<Checkpoint>,
    /// The most bytes that [`Checkpoint::encode`] may give for this partition to be stored, where the system has such
    /// a bound. At least [`Checkpoint::LONGEST_HEAD`]: with less, no checkpoint is sure to fit.
    pub checkpoint_limit: Option<usize>,
}

/// Messages of one partition, in order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Batch {
    /// Which partition.
    pub partition: Partition,
    /// The messages; may be empty, to tell the lag only.
    pub messages: Vec<Message>,
    /// How many messages were known to stand behind the last one, when they were read.
    pub lag: u64,
    /// Nothing up to here is still to come in this assignment: it came, or is settled, or is gone.
    pub passed: Position,
}

/// What a source reports.
#[derive(Debug)]
pub enum SourceEvent {
    /// Partitions are ours from now on. None when a source that has none is well again after a failure.
    Assigned(Vec<Assignment>),
    /// Messages came.
    Messages(Batch),
    /// Partitions are asked back. They stay ours until the reply is sent: settle, commit, then reply.
    Revoked {
        /// Which ones.
        partitions: Vec<Partition>,
        /// Sent when the partitions may go.
        reply: oneshot::Sender<()>,
    },
    /// Partitions are somebody else's already: nothing of them may be published or committed.
    Lost(Vec<Partition>),
    /// Something failed. The source goes on by itself when the error is transient.
    Failed(TransportError),
}

/// A checkpoint to store.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Commit {
    /// Of which partition.
    pub partition: Partition,
    /// In which assignment of it.
    pub epoch: Epoch,
    /// What is settled.
    pub checkpoint: Checkpoint,
}

/// Where a record was written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Written {
    /// The partition.
    pub partition: u32,
    /// The position there.
    pub position: Position,
}

/// Why a record was not written.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum WriteError {
    /// Not now: try again.
    #[error("topic {topic} cannot be written now: {reason}")]
    Unavailable {
        /// Which topic.
        topic: Arc<str>,
        /// What failed.
        reason: String,
    },
    /// Never, this record.
    #[error("topic {topic} refuses the record: {reason}")]
    Refused {
        /// Which topic.
        topic: Arc<str>,
        /// What is wrong with it.
        reason: String,
    },
}

/// Why checkpoints were not stored.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum CommitError {
    /// Not now: try again.
    #[error("checkpoints cannot be stored now: {0}")]
    Unavailable(String),
    /// These partitions are no longer ours.
    #[error("partitions {0:?} are no longer owned by this host")]
    NotOwned(Vec<Partition>),
}

/// Why a transport call failed.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum TransportError {
    /// There is no such topic.
    #[error("transport {transport} has no topic `{topic}`")]
    UnknownTopic {
        /// The transport's name.
        transport: Arc<str>,
        /// The topic asked for.
        topic: String,
    },
    /// There is no such group, where groups are not made by reading in them.
    #[error(
        "topic `{topic}` of transport {transport} has no consumer group `{group}`: make it, or name one that is there as \
         the pipeline's `from.group`; in a Basic namespace there is only `$Default`, and every pipeline that reads the \
         topic or parks in it needs a group of its own: take a Standard one"
    )]
    UnknownGroup {
        /// The transport's name.
        transport: Arc<str>,
        /// The topic.
        topic: Arc<str>,
        /// The group asked for.
        group: Arc<str>,
    },
    /// There is no such partition.
    #[error("topic `{topic}` has no partition {partition}: it has {partitions}")]
    UnknownPartition {
        /// The topic.
        topic: Arc<str>,
        /// The partition asked for.
        partition: u32,
        /// How many there are.
        partitions: u32,
    },
    /// Unsettled messages are gone.
    #[error("{partition}: messages {from} to {to} were not settled but are no longer kept")]
    LostPosition {
        /// Where.
        partition: Partition,
        /// The first one that is gone.
        from: Position,
        /// The last one that is gone.
        to: Position,
    },
    /// A group's checkpoint is behind the last message: the topic was made anew, or messages were cut off its end.
    #[error(
        "{partition}: the group is at {position}, but messages end before {end}: the topic was made anew or cut; say \
         `on_lost_position: earliest` or `latest` to begin anew"
    )]
    BeyondEnd {
        /// Where.
        partition: Partition,
        /// The next position of the group.
        position: Position,
        /// The position that the next message will get.
        end: Position,
    },
    /// A topic that is missing cannot be made as the spec says.
    #[error("transport {transport}: topic `{topic}` cannot be made: {reason}")]
    NotCreated {
        /// The transport's name.
        transport: Arc<str>,
        /// The topic asked for.
        topic: String,
        /// What is wrong.
        reason: String,
    },
    /// Not now: it will be tried again.
    #[error("transport {transport} is unavailable: {reason}")]
    Unavailable {
        /// The transport's name.
        transport: Arc<str>,
        /// What failed.
        reason: String,
    },
    /// The spec describes no transport, or more than one.
    #[error("transport {transport} cannot be opened: {reason}")]
    Config {
        /// The transport's name.
        transport: Arc<str>,
        /// What is wrong.
        reason: String,
    },
    /// What is stored cannot be read.
    #[error("transport {transport} is damaged: {reason}")]
    Damaged {
        /// The transport's name.
        transport: Arc<str>,
        /// What is wrong.
        reason: String,
    },
}

impl TransportError {
    /// Whether the same call may succeed later.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Unavailable { .. })
    }
}

/// What is known of a topic.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize)]
pub struct TopicInfo {
    /// Its name in the spec.
    pub name: String,
    /// Its partitions, in order.
    pub partitions: Vec<PartitionInfo>,
}

/// What is known of a partition.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize)]
pub struct PartitionInfo {
    /// The oldest position that is kept.
    pub first: i64,
    /// The position that the next message will get.
    pub end: i64,
}
