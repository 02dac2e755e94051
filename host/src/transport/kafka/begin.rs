//! Where a source begins in partitions that the group gave it: at what is committed, else where the subscription says,
//! which is then committed, so that a group keeps its start though it settles nothing. Blocks.

use std::thread;
use std::time::Duration;

use rdkafka::consumer::{CommitMode, Consumer};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::{Offset, TopicPartitionList};
use tracing::warn;

use super::checkpoint::{from_kafka, to_kafka};
use super::member::{Member, is_of_a_rebalance};
use super::native;
use super::topics::{self, PATIENCE, bounds, number, offsets};
use crate::model::{Checkpoint, Partition, Position};
use crate::transport::cursor::Cursor;
use crate::transport::{OnLostPosition, PartitionInfo, Start, Subscription, TransportError};

/// Between two tries of a commit while the group agrees anew.
const AGAIN: Duration = Duration::from_millis(50);
/// How often it is tried: for longer than a rebalance takes.
const TRIES: u32 = 200;

/// What was found.
pub(super) struct Begun {
    /// By which id the group knows the member that was given the partitions.
    pub(super) member: Option<String>,
    pub(super) places: Vec<Place>,
}

/// Where one partition begins.
pub(super) struct Place {
    pub(super) cursor: Cursor,
    /// That unsettled messages are gone and may not be passed.
    pub(super) lost: Option<TransportError>,
}

/// Finds where to begin in these partitions of the topic whose name in Kafka is `physical`.
pub(super) fn begin(
    member: &Member,
    physical: &str,
    subscription: &Subscription,
    indexes: &[u32],
) -> KafkaResult<Begun> {
    let id = native::member_id(member);
    let list = topics::list(physical, indexes.iter().copied());
    if indexes.is_empty() {
        return Ok(Begun { member: id, places: Vec::new() });
    }
    let committed = member.committed_offsets(list.clone(), PATIENCE)?;
    let bounds = bounds(member, physical, indexes.iter().copied())?;
    let starts = starts(member, &list, subscription.start, &bounds)?;
    let (mut places, mut store) = (Vec::new(), TopicPartitionList::new());
    for ((&index, bounds), start) in indexes.iter().zip(bounds).zip(starts) {
        let found = committed.find_partition(physical, number(index));
        if let Some(found) = &found {
            found.error()?;
        }
        let stored = found.and_then(|found| match found.offset() {
            Offset::Offset(next) => Some(from_kafka(next, found.metadata())),
            _ => None,
        });
        let place =
            place(Partition::new(subscription.topic.clone(), index), stored.clone(), start, bounds, subscription);
        if place.lost.is_none() && stored.as_ref() != Some(place.cursor.checkpoint()) {
            let (offset, metadata) = to_kafka(place.cursor.checkpoint());
            let mut element = store.add_partition(physical, number(index));
            element.set_offset(Offset::Offset(offset))?;
            element.set_metadata(metadata);
        }
        places.push(place);
    }
    commit(member, &store)?;
    Ok(Begun { member: id, places })
}

/// Where the group begins that has committed nothing.
fn starts(member: &Member, list: &TopicPartitionList, start: Start, bounds: &[PartitionInfo]) -> KafkaResult<Vec<i64>> {
    let at = match start {
        Start::Earliest => return Ok(bounds.iter().map(|bounds| bounds.first).collect()),
        Start::Latest => return Ok(bounds.iter().map(|bounds| bounds.end).collect()),
        Start::At(time) => Offset::Offset(i64::try_from(time.0).unwrap_or(i64::MAX)),
    };
    let found = offsets(member, list, at)?;
    Ok(found.into_iter().zip(bounds).map(|(offset, bounds)| if offset < 0 { bounds.end } else { offset }).collect())
}

fn place(
    partition: Partition,
    stored: Option<Checkpoint>,
    start: i64,
    bounds: PartitionInfo,
    subscription: &Subscription,
) -> Place {
    let PartitionInfo { first, end } = bounds;
    let next = |checkpoint: &Checkpoint| checkpoint.base().0.saturating_add(1);
    let beyond = stored.as_ref().map(next).filter(|next| *next > end);
    let (checkpoint, lost) = match (stored, beyond) {
        (Some(stored), None) => (stored, None),
        (Some(stored), Some(next)) => match beyond_the_end(&partition, next, end, subscription) {
            Some(error) => (stored, Some(error)),
            None if subscription.on_lost_position == OnLostPosition::Latest => (before(end), None),
            None => (before(first), None),
        },
        (None, _) => (before(start), None),
    };
    let mut cursor = Cursor::new(partition, checkpoint, end);
    let lost = lost.or_else(|| cursor.pass_what_is_gone(first, subscription).err());
    Place { cursor, lost }
}

/// A checkpoint behind the end: the topic was made anew, or cut. What stands there now is not what was settled.
pub(super) fn beyond_the_end(
    partition: &Partition,
    next: i64,
    end: i64,
    subscription: &Subscription,
) -> Option<TransportError> {
    match subscription.on_lost_position {
        OnLostPosition::Fail => Some(TransportError::BeyondEnd {
            partition: partition.clone(),
            position: Position(next),
            end: Position(end),
        }),
        OnLostPosition::Earliest | OnLostPosition::Latest => {
            warn!(group = %subscription.group, %partition, next, end, on_lost_position = ?subscription.on_lost_position,
                "the checkpoint is BEHIND THE END: the topic was made anew, or messages were cut off; beginning anew");
            None
        }
    }
}

fn before(offset: i64) -> Checkpoint {
    Checkpoint::plain(Position(offset.saturating_sub(1)))
}

/// Commits as the member that the group knows; waits while the group agrees anew.
fn commit(member: &Member, list: &TopicPartitionList) -> KafkaResult<()> {
    if list.count() == 0 {
        return Ok(());
    }
    for _ in 0..TRIES {
        match member.commit(list, CommitMode::Sync) {
            Err(error) if is_of_a_rebalance(&error) && !member.context().is_closing() => thread::sleep(AGAIN),
            done => return done,
        }
    }
    Err(KafkaError::ConsumerCommit(rdkafka::error::RDKafkaErrorCode::RebalanceInProgress))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subscription(on_lost_position: OnLostPosition) -> Subscription {
        Subscription { topic: "t".into(), group: "g".into(), start: Start::Earliest, on_lost_position }
    }

    fn placed(
        stored: Option<Checkpoint>,
        first: i64,
        end: i64,
        on_lost: OnLostPosition,
    ) -> (i64, Option<TransportError>) {
        let bounds = PartitionInfo { first, end };
        let place = place(Partition::new("t", 0), stored, first, bounds, &subscription(on_lost));
        (place.cursor.next(), place.lost)
    }

    #[test]
    fn a_group_goes_on_behind_what_it_committed_and_else_begins_where_it_is_said() {
        assert_eq!(placed(None, 5, 9, OnLostPosition::Fail), (5, None));
        assert_eq!(placed(Some(before(7)), 5, 9, OnLostPosition::Fail), (7, None));
        assert_eq!(placed(Some(before(9)), 5, 9, OnLostPosition::Fail), (9, None));
    }

    #[test]
    fn what_is_gone_is_an_error_unless_it_is_said_how_to_go_on() {
        let (_, lost) = placed(Some(before(2)), 5, 9, OnLostPosition::Fail);
        assert!(matches!(lost, Some(TransportError::LostPosition { .. })), "{lost:?}");
        assert_eq!(placed(Some(before(2)), 5, 9, OnLostPosition::Earliest), (5, None));
        assert_eq!(placed(Some(before(2)), 5, 9, OnLostPosition::Latest), (9, None));
    }

    #[test]
    fn a_checkpoint_behind_the_end_is_an_error_unless_it_is_said_where_to_begin() {
        let (next, lost) = placed(Some(before(20)), 5, 9, OnLostPosition::Fail);
        let beyond =
            TransportError::BeyondEnd { partition: Partition::new("t", 0), position: Position(20), end: Position(9) };
        assert_eq!((next, lost), (20, Some(beyond)));
        assert_eq!(placed(Some(before(20)), 5, 9, OnLostPosition::Earliest), (5, None));
        assert_eq!(placed(Some(before(20)), 5, 9, OnLostPosition::Latest), (9, None));
    }
}
