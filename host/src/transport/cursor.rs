//! How far a source has come in one partition: what to read next, what may be handed out, and what is to be told of
//! the lag. Pure; for the transports whose positions have no holes but what retention removed.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;
use tracing::warn;

use super::{Batch, OnLostPosition, Room, Subscription, TransportError};
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
#[derive(Debug)]
pub(super) struct Cursor {
    partition: Partition,
    checkpoint: Checkpoint,
    /// The next position to read.
    next: i64,
    /// The position that the next message to be written will get, as far as known.
    end: i64,
    /// Read and not handed out: no more than was once demanded.
    ready: VecDeque<Message>,
    told: Option<(u64, Instant)>,
}

impl Cursor {
    /// Begins behind the checkpoint's base.
    pub(super) fn new(partition: Partition, checkpoint: Checkpoint, end: i64) -> Self {
        let next = checkpoint.base().0.saturating_add(1);
        Self { partition, checkpoint, next, end, ready: VecDeque::new(), told: None }
    }

    /// Which partition.
    pub(super) fn partition(&self) -> &Partition {
        &self.partition
    }

    /// The next position to read.
    pub(super) fn next(&self) -> i64 {
        self.next
    }

    /// Whether it is worth reading for a demand.
    pub(super) fn wants(&self, room: Room) -> bool {
        self.ready.is_empty() && self.next < self.end && room.messages > 0
    }

    /// The partition has grown.
    pub(super) fn grow(&mut self, end: i64) {
        self.end = self.end.max(end);
    }

    /// Messages that were read from [`Cursor::next`] on.
    pub(super) fn take_in(&mut self, messages: Vec<Message>) {
        if let Some(last) = messages.last() {
            self.next = last.origin.position.0.saturating_add(1);
            self.grow(self.next);
        }
        self.ready.extend(messages);
    }

    /// Goes on with `first`, the oldest position that is kept, when that is further. Messages before it that were not
    /// settled are an error, and the cursor stays, unless the subscription says to go on.
    pub(super) fn pass_what_is_gone(&mut self, first: i64, subscription: &Subscription) -> Result<(), TransportError> {
        if let Some((from, to)) = self.lost_below(first) {
            let partition = self.partition.clone();
            match subscription.on_lost_position {
                OnLostPosition::Fail => return Err(TransportError::LostPosition { partition, from, to }),
                OnLostPosition::Earliest => warn!(group = %subscription.group, %partition, %from, %to,
                    "messages are LOST: they were not settled but are no longer kept; going on with the oldest that is"),
            }
        }
        self.next = self.next.max(first);
        Ok(())
    }

    /// The first and the last position that were not settled and are gone when `first` is the oldest kept.
    fn lost_below(&self, first: i64) -> Option<(Position, Position)> {
        let gone = |position: &Position| position.0 >= self.next && position.0 < first;
        let above = Position(self.checkpoint.highest().0.saturating_add(1).max(self.next));
        let between = self.checkpoint.unsettled().iter().copied().filter(gone);
        let above = Some(above).filter(gone).map(|above| [above, Position(first - 1)]);
        let mut lost = between.chain(above.into_iter().flatten());
        let from = lost.next()?;
        Some((from, lost.last().unwrap_or(from)))
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
            messages.extend(self.ready.pop_front());
        }
        (!messages.is_empty()).then(|| self.batch(messages, now))
    }

    /// A batch that only tells the lag, when that is due.
    pub(super) fn news(&mut self, now: Instant) -> Option<Batch> {
        let lag = self.lag();
        let due = self.told.is_none_or(|(told, at)| {
            (told == 0) != (lag == 0) || told != lag && now.saturating_duration_since(at) >= LAG_AGE
        });
        due.then(|| self.batch(Vec::new(), now))
    }

    fn batch(&mut self, messages: Vec<Message>, now: Instant) -> Batch {
        let lag = self.lag();
        self.told = Some((lag, now));
        Batch { partition: self.partition.clone(), messages, lag }
    }

    /// How many messages stand behind the last one that was handed out.
    fn lag(&self) -> u64 {
        let at = self.ready.front().map_or(self.next, |message| message.origin.position.0);
        u64::try_from(self.end.saturating_sub(at)).unwrap_or(0)
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
        let lost = |first| cursor.lost_below(first).map(|(from, to)| (from.0, to.0));
        assert_eq!(lost(11), None);
        assert_eq!(lost(13), None, "11 and 12 are settled");
        assert_eq!(lost(14), Some((13, 13)));
        assert_eq!(lost(19), Some((13, 17)));
        assert_eq!(lost(21), Some((13, 17)));
        assert_eq!(lost(22), Some((13, 21)));
        assert_eq!(lost(30), Some((13, 29)));
    }
}
