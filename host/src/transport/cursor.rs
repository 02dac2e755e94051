//! How far a source has come in one partition: what to read next, what may be handed out, and what is to be told of
//! the lag. Pure. Positions may have holes; the lag counts them.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;
use tracing::warn;

use super::{Batch, OnLostPosition, PartitionInfo, Room, Subscription, TransportError};
use crate::model::{Checkpoint, Message, Partition, Position};

/// How old a told lag may become while the partition stands still.
const LAG_AGE: Duration = Duration::from_secs(1);

/// One assignment of one partition.
///
/// | news of the lag are due | why |
/// |---|---|
/// | nothing was told yet | a partition without messages would never be known to be idle |
/// | it became zero, or ceased to be | whether the partition is idle must be known at once |
/// | it changed, and was told a second ago | nobody wants, so no messages carry it |
/// | messages were passed that are gone | no message may follow that would carry the checkpoint over them |
#[derive(Debug)]
pub(super) struct Cursor {
    partition: Partition,
    checkpoint: Checkpoint,
    /// The next position to read.
    next: i64,
    /// The position that the next message to be written will get, as far as known.
    end: i64,
    /// Read and not handed out: no more than was once demanded, and the source bounds it over all its partitions.
    ready: VecDeque<Message>,
    /// Their bytes.
    held: u64,
    told: Option<Told>,
}

/// What the last batch said, and when.
#[derive(Clone, Copy, Debug)]
struct Told {
    lag: u64,
    passed: Position,
    at: Instant,
}

/// The first position that is still to be read when `bounds` are the messages that are kept and all below `next` was
/// read: where unsettled ones are gone, it is as the subscription says.
pub(super) fn first_kept(
    checkpoint: &Checkpoint,
    next: i64,
    bounds: PartitionInfo,
    on_lost_position: OnLostPosition,
) -> i64 {
    let lost = on_lost_position == OnLostPosition::Latest && lost_below(checkpoint, next, bounds.first).is_some();
    if lost { bounds.end.max(bounds.first) } else { bounds.first }
}

/// The first and the last position from `next` on that were not settled and are gone when `first` is the oldest kept.
fn lost_below(checkpoint: &Checkpoint, next: i64, first: i64) -> Option<(Position, Position)> {
    let gone = |position: &Position| position.0 >= next && position.0 < first;
    let above = Position(checkpoint.highest().0.saturating_add(1).max(next));
    let between = checkpoint.unsettled().iter().copied().filter(gone);
    let above = Some(above).filter(gone).map(|above| [above, Position(first - 1)]);
    let mut lost = between.chain(above.into_iter().flatten());
    let from = lost.next()?;
    Some((from, lost.last().unwrap_or(from)))
}

/// The checkpoint once everything below `first` is gone and counts as settled. What is settled above stays exact.
pub(super) fn past_what_is_gone(checkpoint: &Checkpoint, first: i64) -> Checkpoint {
    let gone = Position(first.saturating_sub(1));
    if gone <= checkpoint.base() {
        return checkpoint.clone();
    }
    let unsettled: Vec<Position> = checkpoint.unsettled().iter().copied().filter(|position| *position > gone).collect();
    let highest = checkpoint.highest().max(gone);
    let base = unsettled.first().map_or(highest, |next| Position(next.0.saturating_sub(1)));
    Checkpoint::new(base, highest, unsettled)
}

impl Cursor {
    /// Begins behind the checkpoint's base.
    pub(super) fn new(partition: Partition, checkpoint: Checkpoint, end: i64) -> Self {
        let next = checkpoint.base().0.saturating_add(1);
        Self { partition, checkpoint, next, end, ready: VecDeque::new(), held: 0, told: None }
    }

    /// Which partition.
    pub(super) fn partition(&self) -> &Partition {
        &self.partition
    }

    /// What the group has settled, as far as this assignment was told; what was passed is in it.
    pub(super) fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// The next position to read.
    pub(super) fn next(&self) -> i64 {
        self.next
    }

    /// Whether nothing is read that was not handed out.
    pub(super) fn is_empty(&self) -> bool {
        self.ready.is_empty()
    }

    /// Whether there is more to read.
    pub(super) fn is_behind(&self) -> bool {
        self.next < self.end
    }

    /// The partition has grown.
    pub(super) fn grow(&mut self, end: i64) {
        self.end = self.end.max(end);
    }

    /// Nothing stands before this position that was not read: positions may have holes.
    #[cfg(feature = "kafka")]
    pub(super) fn reach(&mut self, position: i64) {
        self.next = self.next.max(position);
        self.grow(self.next);
    }

    /// Messages that were read from [`Cursor::next`] on.
    pub(super) fn take_in(&mut self, messages: Vec<Message>) {
        if let Some(last) = messages.last() {
            self.next = last.origin.position.0.saturating_add(1);
            self.grow(self.next);
        }
        self.held += messages.iter().map(Message::size).sum::<u64>();
        self.ready.extend(messages);
    }

    /// Bytes that are read and not handed out.
    pub(super) fn held(&self) -> u64 {
        self.held
    }

    /// Forgets what is read and not handed out: it is read again when it is wanted.
    pub(super) fn put_back(&mut self) {
        self.next = self.at();
        self.ready.clear();
        self.held = 0;
    }

    /// Goes on with `first`, the oldest position that is kept, when that is further. Messages before it that were not
    /// settled are an error, and the cursor stays, unless the subscription says to go on.
    pub(super) fn pass_what_is_gone(&mut self, first: i64, subscription: &Subscription) -> Result<(), TransportError> {
        if first <= self.next {
            return Ok(());
        }
        if let Some((from, to)) = lost_below(&self.checkpoint, self.next, first) {
            let partition = self.partition.clone();
            match subscription.on_lost_position {
                OnLostPosition::Fail => return Err(TransportError::LostPosition { partition, from, to }),
                OnLostPosition::Earliest => warn!(group = %subscription.group, %partition, %from, %to,
                    "messages are LOST: they were not settled but are no longer kept; going on with the oldest that is"),
                OnLostPosition::Latest => warn!(group = %subscription.group, %partition, %from, to = self.end - 1,
                    "messages are LOST: some were not settled and are no longer kept; going on with what is written from now on"),
            }
        }
        let bounds = PartitionInfo { first, end: self.end };
        let first = first_kept(&self.checkpoint, self.next, bounds, subscription.on_lost_position);
        self.checkpoint = past_what_is_gone(&self.checkpoint, first);
        self.next = self.checkpoint.base().0.saturating_add(1).max(first);
        Ok(())
    }

    /// The next messages, as many as there is room for.
    pub(super) fn hand_out(&mut self, room: Room, now: Instant) -> Option<Batch> {
        let mut messages: Vec<Message> = Vec::new();
        let mut bytes = room.bytes;
        while messages.len() < room.messages {
            let Some(size) = self.ready.front().map(Message::size) else { break };
            if size > bytes && !messages.is_empty() {
                break;
            }
            bytes = bytes.saturating_sub(size);
            self.held = self.held.saturating_sub(size);
            messages.extend(self.ready.pop_front());
        }
        (!messages.is_empty()).then(|| self.batch(messages, now))
    }

    /// A batch that only tells the lag, when that is due.
    pub(super) fn news(&mut self, now: Instant) -> Option<Batch> {
        let (lag, passed) = (self.lag(), self.passed());
        let due = self.told.is_none_or(|told| {
            let is_old = now.saturating_duration_since(told.at) >= LAG_AGE;
            told.passed != passed || (told.lag == 0) != (lag == 0) || told.lag != lag && is_old
        });
        due.then(|| self.batch(Vec::new(), now))
    }

    fn batch(&mut self, messages: Vec<Message>, now: Instant) -> Batch {
        let (lag, passed) = (self.lag(), self.passed());
        self.told = Some(Told { lag, passed, at: now });
        Batch { partition: self.partition.clone(), messages, lag, passed }
    }

    /// How many messages stand behind the last one that was handed out.
    fn lag(&self) -> u64 {
        u64::try_from(self.end.saturating_sub(self.at())).unwrap_or(0)
    }

    /// The last position that is not still to be handed out.
    fn passed(&self) -> Position {
        Position(self.at().saturating_sub(1))
    }

    /// The next position to be handed out.
    fn at(&self) -> i64 {
        self.ready.front().map_or(self.next, |message| message.origin.position.0)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bytes::Bytes;

    use super::*;
    use crate::model::{Headers, MessageId, Origin, Timestamp};

    fn cursor(checkpoint: Checkpoint, end: i64) -> Cursor {
        Cursor::new(Partition::new("t", 0), checkpoint, end)
    }

    fn messages(positions: std::ops::Range<i64>, size: usize) -> Vec<Message> {
        positions
            .map(|position| Message {
                id: MessageId::given("m"),
                origin: Origin {
                    transport: Arc::from("bus"),
                    partition: Partition::new("t", 0),
                    position: Position(position),
                    enqueued: Timestamp(0),
                },
                key: None,
                headers: Headers::default(),
                payload: Bytes::from(vec![0; size]),
            })
            .collect()
    }

    fn handed(cursor: &mut Cursor, messages: usize, bytes: u64) -> Vec<i64> {
        let batch = cursor.hand_out(Room { messages, bytes }, Instant::now());
        batch.map_or(Vec::new(), |batch| batch.messages.iter().map(|message| message.origin.position.0).collect())
    }

    #[test]
    fn no_more_is_handed_out_than_there_is_room_for() {
        let mut cursor = cursor(Checkpoint::plain(Position(-1)), 6);
        cursor.take_in(messages(0..6, 10));
        assert_eq!(handed(&mut cursor, 2, 1000), [0, 1]);
        assert_eq!(handed(&mut cursor, 9, 25), [2, 3]);
        assert_eq!(handed(&mut cursor, 0, 1000), [0_i64; 0]);
    }

    #[test]
    fn what_is_put_back_is_read_again() {
        let mut cursor = cursor(Checkpoint::plain(Position(-1)), 9);
        cursor.take_in(messages(0..6, 10));
        assert_eq!(handed(&mut cursor, 2, 1000), [0, 1]);
        assert_eq!((cursor.held(), cursor.next(), cursor.lag()), (40, 6, 7));
        cursor.put_back();
        assert_eq!((cursor.held(), cursor.next(), cursor.lag()), (0, 2, 7));
    }

    #[test]
    fn a_message_larger_than_the_room_comes_alone() {
        let mut cursor = cursor(Checkpoint::plain(Position(-1)), 2);
        cursor.take_in(messages(0..2, 10));
        assert_eq!(handed(&mut cursor, 9, 5), [0]);
        assert_eq!(handed(&mut cursor, 9, 0), [1]);
    }

    #[test]
    fn the_lag_is_told_when_idleness_changes_and_once_a_second() {
        let start = Instant::now();
        let mut cursor = cursor(Checkpoint::plain(Position(-1)), 0);
        let mut lag_after = |ms, end| {
            cursor.grow(end);
            cursor.news(start + Duration::from_millis(ms)).map(|batch| batch.lag)
        };
        assert_eq!(lag_after(0, 0), Some(0));
        assert_eq!(lag_after(1, 0), None);
        assert_eq!(lag_after(2, 3), Some(3));
        assert_eq!(lag_after(3, 4), None);
        assert_eq!(lag_after(1002, 4), Some(4));
    }

    #[test]
    fn what_is_lost_is_told_exactly() {
        let at = |numbers: &[i64]| numbers.iter().copied().map(Position).collect::<Vec<_>>();
        let cursor = cursor(Checkpoint::new(Position(10), Position(20), at(&[13, 17])), 40);
        let lost = |first| lost_below(&cursor.checkpoint, cursor.next, first).map(|(from, to)| (from.0, to.0));
        assert_eq!(lost(11), None);
        assert_eq!(lost(13), None, "11 and 12 are settled");
        assert_eq!(lost(14), Some((13, 13)));
        assert_eq!(lost(19), Some((13, 17)));
        assert_eq!(lost(21), Some((13, 17)));
        assert_eq!(lost(22), Some((13, 21)));
        assert_eq!(lost(30), Some((13, 29)));
    }

    #[test]
    fn a_checkpoint_past_what_is_gone_keeps_what_is_settled_above() {
        let at = |numbers: &[i64]| numbers.iter().copied().map(Position).collect::<Vec<_>>();
        let checkpoint = Checkpoint::new(Position(10), Position(20), at(&[11, 13, 17]));
        let past = |first| past_what_is_gone(&checkpoint, first);
        assert_eq!(past(5), checkpoint);
        assert_eq!(past(11), checkpoint, "all that is gone is settled");
        assert_eq!(past(12), Checkpoint::new(Position(12), Position(20), at(&[13, 17])));
        assert_eq!(past(14), Checkpoint::new(Position(16), Position(20), at(&[17])));
        assert_eq!(past(18), Checkpoint::plain(Position(20)));
        assert_eq!(past(30), Checkpoint::plain(Position(29)));
    }

    #[test]
    fn where_unsettled_messages_are_gone_it_goes_on_as_it_is_said() {
        let checkpoint = Checkpoint::plain(Position(10));
        let first = |first, on_lost| first_kept(&checkpoint, 11, PartitionInfo { first, end: 40 }, on_lost);
        assert_eq!(first(20, OnLostPosition::Earliest), 20);
        assert_eq!(first(20, OnLostPosition::Latest), 40);
        assert_eq!(first(11, OnLostPosition::Latest), 11, "nothing is lost");
    }

    #[test]
    #[cfg(feature = "kafka")]
    fn a_hole_at_the_end_is_passed_once_all_before_it_was_handed_out() {
        let mut cursor = cursor(Checkpoint::plain(Position(-1)), 9);
        cursor.take_in(messages(0..2, 10));
        cursor.reach(9);
        assert_eq!((cursor.lag(), cursor.passed()), (9, Position(-1)));
        assert_eq!(handed(&mut cursor, 9, 1000), [0, 1]);
        assert_eq!((cursor.lag(), cursor.passed()), (0, Position(8)));
    }

    #[test]
    fn what_was_passed_is_told_at_once_though_the_lag_is_the_same() {
        let subscription = Subscription {
            topic: "t".into(),
            group: "g".into(),
            start: crate::transport::Start::Earliest,
            on_lost_position: OnLostPosition::Earliest,
        };
        let mut cursor = cursor(Checkpoint::plain(Position(-1)), 0);
        let now = Instant::now();
        assert_eq!(cursor.news(now).map(|batch| (batch.lag, batch.passed)), Some((0, Position(-1))));
        cursor.grow(5);
        cursor.pass_what_is_gone(5, &subscription).unwrap();
        assert_eq!(cursor.news(now).map(|batch| (batch.lag, batch.passed)), Some((0, Position(4))));
        assert_eq!(cursor.news(now), None);
    }
}
