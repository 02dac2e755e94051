//! Where a source begins in partitions that the group gave it: at what is committed, else where the subscription says,
//! which is then committed, so that a group keeps its start though it settles nothing. Blocks.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use rdkafka::consumer::{CommitMode, Consumer};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode as Code};
use rdkafka::{Offset, TopicPartitionList};

use super::checkpoint::{from_kafka, to_kafka};
use super::member::{Member, is_of_a_rebalance};
use super::native;
use super::topics::{self, PATIENCE, bounds, number, offsets};
use crate::model::Partition;
use crate::transport::beginning::{Place, place};
use crate::transport::{PartitionInfo, Start, Subscription};

/// Between two tries while the group agrees anew.
const AGAIN: Duration = Duration::from_millis(50);
/// How often it is tried: for longer than a rebalance takes.
const TRIES: u32 = 200;

/// What a source reads.
#[derive(Clone, Debug)]
pub(super) struct Reads {
    pub(super) subscription: Subscription,
    /// The topic's name in Kafka.
    pub(super) physical: Arc<str>,
    /// How many partitions the topic had when the source was made.
    pub(super) partitions: u32,
}

impl Reads {
    /// Where the group begins in a partition that it has committed nothing of. `latest` is the first message of one that came
    /// later than the source: nobody was there to read it.
    fn start(&self, index: u32) -> Start {
        match self.subscription.start {
            Start::Latest if index >= self.partitions => Start::Earliest,
            start => start,
        }
    }
}

/// What was found.
pub(super) struct Begun {
    /// By which id the group knows the member that was given the partitions.
    pub(super) member: Option<String>,
    pub(super) places: Vec<Place>,
    /// Partitions that do not say how far they go, such as those without a leader, and why not.
    pub(super) later: Vec<(u32, Code)>,
}

/// What is to be begun.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Wanted {
    pub(super) indexes: Vec<u32>,
    /// Those of which the broker has said that the group's position is none.
    pub(super) refused: BTreeSet<u32>,
    /// Whether it was found before that the client does not know where they are: it asks then.
    pub(super) unknown: bool,
}

impl From<Vec<u32>> for Wanted {
    fn from(indexes: Vec<u32>) -> Self {
        Self { indexes, refused: BTreeSet::new(), unknown: false }
    }
}

/// Finds where to begin in these partitions. Begins anew while the group agrees anew: others may have come further
/// meanwhile, so nothing is committed that was found out before.
pub(super) fn begin(member: &Member, reads: &Reads, wanted: &Wanted, over: &AtomicBool) -> KafkaResult<Begun> {
    if wanted.unknown {
        // What it learns of the topic it keeps. Where it learns nothing, what follows says why.
        drop(member.fetch_metadata(Some(&reads.physical), PATIENCE));
    }
    for _ in 0..TRIES {
        match begin_once(member, reads, wanted, over) {
            Err(error) if is_of_a_rebalance(&error) && !member.context().is_closing() => thread::sleep(AGAIN),
            done => return done,
        }
    }
    Err(KafkaError::ConsumerCommit(Code::RebalanceInProgress))
}

fn begin_once(member: &Member, reads: &Reads, wanted: &Wanted, over: &AtomicBool) -> KafkaResult<Begun> {
    let (Reads { subscription, physical, .. }, indexes) = (reads, &wanted.indexes);
    let id = native::member_id(member);
    let list = topics::list(physical, indexes.iter().copied());
    if indexes.is_empty() {
        return Ok(Begun { member: id, places: Vec::new(), later: Vec::new() });
    }
    let committed = member.committed_offsets(list.clone(), PATIENCE)?;
    let bounds = bounds(member, physical, indexes.iter().copied())?;
    let starts = starts(member, &list, reads, indexes, &bounds)?;
    let (mut places, mut later, mut store) = (Vec::new(), Vec::new(), TopicPartitionList::new());
    for ((&index, bounds), start) in indexes.iter().zip(bounds).zip(starts) {
        let (bounds, start) = match bounds.and_then(|bounds| Ok((bounds, start?))) {
            Ok(found) => found,
            Err(code) => {
                later.push((index, code));
                continue;
            }
        };
        let found = committed.find_partition(physical, number(index));
        if let Some(found) = &found {
            found.error()?;
        }
        let stored = found.and_then(|found| match found.offset() {
            Offset::Offset(next) => Some(from_kafka(next, found.metadata())),
            _ => None,
        });
        let (partition, refused) = (Partition::new(subscription.topic.clone(), index), wanted.refused.contains(&index));
        let place = place(partition, stored.clone(), refused, start, bounds, subscription);
        if place.lost.is_none() && stored.as_ref() != Some(place.cursor.checkpoint()) {
            let (offset, metadata) = to_kafka(place.cursor.checkpoint());
            let mut element = store.add_partition(physical, number(index));
            element.set_offset(Offset::Offset(offset))?;
            element.set_metadata(metadata);
        }
        places.push(place);
    }
    commit(member, id.as_deref(), &store, over)?;
    Ok(Begun { member: id, places, later })
}

/// Where the group begins that has committed nothing.
fn starts(
    member: &Member,
    list: &TopicPartitionList,
    reads: &Reads,
    indexes: &[u32],
    bounds: &[Result<PartitionInfo, Code>],
) -> KafkaResult<Vec<Result<i64, Code>>> {
    let found = match reads.subscription.start {
        Start::At(time) => offsets(member, list, Offset::Offset(i64::try_from(time.0).unwrap_or(i64::MAX)))?,
        Start::Earliest | Start::Latest => vec![Ok(-1); indexes.len()],
    };
    let each = found.into_iter().zip(bounds).zip(indexes).map(|((found, bounds), index)| {
        let bounds = bounds.as_ref().map_err(|code| *code)?;
        Ok(match reads.start(*index) {
            Start::Earliest => bounds.first,
            Start::At(_) if found? >= 0 => found?,
            Start::Latest | Start::At(_) => bounds.end,
        })
    });
    Ok(each.collect())
}

/// Commits as the member that the group gave the partitions to. Not once it is over: then others have the partitions, and
/// may have come further.
fn commit(member: &Member, id: Option<&str>, list: &TopicPartitionList, over: &AtomicBool) -> KafkaResult<()> {
    if list.count() == 0 {
        return Ok(());
    }
    let is_another = native::member_id(member).as_deref() != id;
    if over.load(Ordering::Acquire) || member.assignment_lost() || is_another {
        return Err(KafkaError::ConsumerCommit(Code::UnknownMemberId));
    }
    member.commit(list, CommitMode::Sync)
}
