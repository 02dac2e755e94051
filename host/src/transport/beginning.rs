//! Where a source begins in a partition that the group has a checkpoint of, or none: the same for every system that
//! keeps no messages for ever and whose checkpoints anybody may write.

use tracing::warn;

use super::cursor::Cursor;
use super::{OnLostPosition, PartitionInfo, Subscription, TransportError};
use crate::model::{Checkpoint, Partition, Position};

/// Where one partition begins.
pub(super) struct Place {
    pub(super) cursor: Cursor,
    /// That unsettled messages are gone and may not be passed.
    pub(super) lost: Option<TransportError>,
}

/// Where a partition begins: behind what is `stored`, else with `start`. A checkpoint behind the end counts as such only
/// where the system has `refused` it: the end that is known may be an older one, and the checkpoint of a client that reads
/// more.
pub(super) fn place(
    partition: Partition,
    stored: Option<Checkpoint>,
    refused: bool,
    start: i64,
    bounds: PartitionInfo,
    subscription: &Subscription,
) -> Place {
    let PartitionInfo { first, end } = bounds;
    let next = |checkpoint: &Checkpoint| checkpoint.base().0.saturating_add(1);
    let beyond = stored.as_ref().map(next).filter(|next| refused && *next > end);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::Start;

    fn subscription(on_lost_position: OnLostPosition) -> Subscription {
        Subscription { topic: "t".into(), group: "g".into(), start: Start::Earliest, on_lost_position }
    }

    fn placed(
        stored: Option<Checkpoint>,
        first: i64,
        end: i64,
        on_lost: OnLostPosition,
    ) -> (i64, Option<TransportError>) {
        placed_anew(stored, false, first, end, on_lost)
    }

    fn placed_anew(
        stored: Option<Checkpoint>,
        refused: bool,
        first: i64,
        end: i64,
        on_lost: OnLostPosition,
    ) -> (i64, Option<TransportError>) {
        let bounds = PartitionInfo { first, end };
        let place = place(Partition::new("t", 0), stored, refused, first, bounds, &subscription(on_lost));
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
        let placed = |on_lost| placed_anew(Some(before(20)), true, 5, 9, on_lost);
        let (next, lost) = placed(OnLostPosition::Fail);
        let beyond =
            TransportError::BeyondEnd { partition: Partition::new("t", 0), position: Position(20), end: Position(9) };
        assert_eq!((next, lost), (20, Some(beyond)));
        assert_eq!(placed(OnLostPosition::Earliest), (5, None));
        assert_eq!(placed(OnLostPosition::Latest), (9, None));
    }

    #[test]
    fn a_checkpoint_in_a_transaction_that_is_open_is_where_the_group_goes_on() {
        for on_lost in [OnLostPosition::Fail, OnLostPosition::Earliest, OnLostPosition::Latest] {
            assert_eq!(placed(Some(before(20)), 5, 9, on_lost), (20, None));
        }
    }
}
