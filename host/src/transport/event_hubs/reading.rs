//! The partitions of one source: how far each is read, whose turn it is, and the link to each. Waits for nothing.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tracing::info;

use super::Namespace;
use super::layout::{CHECKPOINT_LIMIT, Kept};
use super::link::{Broken, Link, Parts, Piece, Said, Told};
use super::start::Begun;
use crate::model::{Checkpoint, Partition, Position};
use crate::transport::cursor::Cursor;
use crate::transport::{
    Assignment, Batch, Commit, Demand, Epoch, OnLostPosition, PartitionInfo, Subscription, TransportError,
};

/// Bytes that a source reads ahead, over all its partitions: once on the way, and once more that wait to be handed out. A
/// partition always may read one event.
const READ_AHEAD: u64 = 64 << 20;
/// The most of them for one partition.
const MOST_OF_ONE: u64 = 4 << 20;
/// The least of them for one partition.
const LEAST_OF_ONE: u64 = 64 << 10;
/// Things that links have told and that were not heard yet, at most: then they wait.
const UNHEARD: usize = 64;

/// The partitions of one source.
pub(super) struct Reading {
    parts: Parts,
    share: watch::Sender<u64>,
    owned: BTreeMap<u32, Owned>,
    /// The partition that was served last.
    turn: u32,
    /// Links that were opened so far.
    links: u64,
}

/// A partition of this source.
struct Owned {
    /// Which ownership of it.
    epoch: Epoch,
    cursor: Cursor,
    offsets: Offsets,
    /// None where what is lost may not be passed.
    link: Option<Link>,
    /// Whether it was asked back.
    asked: bool,
    /// Whether it was told that it cannot be read.
    failing: bool,
}

/// What is to be done about what a link told.
pub(super) enum Heard {
    /// Nothing.
    Nothing,
    /// It broke: find out whether the partition is still ours. The error is to be told, if there is one.
    Broke(u32, Epoch, Option<TransportError>),
    /// The hub was made anew, and the subscription says how to go on: this ownership is of another one.
    Ends(u32, Epoch),
    /// Something that will not pass by itself.
    Failed(TransportError),
    /// A partition that could not be read can be.
    Well,
}

impl Reading {
    /// Of no partition yet, and where its links tell what they have.
    pub(super) fn new(namespace: Arc<Namespace>, subscription: &Subscription) -> (Self, mpsc::Receiver<Told>) {
        let (told, heard) = mpsc::channel(UNHEARD);
        let (share, of_each) = watch::channel(MOST_OF_ONE);
        let hub = namespace.hub(&subscription.topic).into();
        let parts = Parts { namespace, hub, subscription: subscription.clone(), told, share: of_each };
        (Self { parts, share, owned: BTreeMap::new(), turn: 0, links: 0 }, heard)
    }

    /// Adds a partition, and begins to read it; what is gone of it and must not be passed is an error.
    pub(super) fn begin(&mut self, epoch: Epoch, begun: Begun) -> (Assignment, Option<TransportError>) {
        let Begun { place, offset } = begun;
        let (cursor, lost) = (place.cursor, place.lost);
        let (partition, checkpoint) = (cursor.partition().clone(), cursor.checkpoint().clone());
        let link = lost.is_none().then(|| self.link(partition.index, cursor.next()));
        let offsets = Offsets::new(checkpoint.base(), offset);
        self.owned.insert(partition.index, Owned { epoch, cursor, offsets, link, asked: false, failing: false });
        self.share_out();
        let checkpoint_limit = Some(CHECKPOINT_LIMIT);
        (Assignment { partition, epoch, checkpoint: Some(checkpoint), checkpoint_limit }, lost)
    }

    fn link(&mut self, partition: u32, next: i64) -> Link {
        self.links += 1;
        let link = Link::open(&self.parts, partition, self.links, next);
        link.go_on();
        link
    }

    /// What each may read ahead.
    fn share_out(&self) {
        let share = READ_AHEAD / u64::try_from(self.owned.len()).unwrap_or(1).max(1);
        self.share.send_replace(share.clamp(LEAST_OF_ONE, MOST_OF_ONE));
    }

    /// Ends what `over` says of partition and ownership; answers the partitions.
    pub(super) fn end(&mut self, over: impl Fn(u32, Epoch) -> bool) -> Vec<Partition> {
        let ended = self.owned.extract_if(.., |index, owned| over(*index, owned.epoch));
        let ended = ended.map(|(_, owned)| owned.cursor.partition().clone()).collect();
        self.share_out();
        ended
    }

    /// Notes partitions that are asked for; answers those that were not before, with their ownerships.
    pub(super) fn ask_back(&mut self, wanted: &[u32]) -> (Vec<Partition>, Vec<(u32, Epoch)>) {
        let asked = self.owned.iter_mut().filter(|(index, owned)| !owned.asked && wanted.contains(index));
        let note = |(index, owned): (&u32, &mut Owned)| {
            owned.asked = true;
            (owned.cursor.partition().clone(), (*index, owned.epoch))
        };
        asked.map(note).unzip()
    }

    /// The partition is still ours: what broke is opened again.
    pub(super) fn open_again(&self, partition: u32) {
        if let Some(link) = self.owned.get(&partition).and_then(|owned| owned.link.as_ref()) {
            link.open_again();
        }
    }

    /// Whether a partition that cannot be read was told.
    pub(super) fn is_failing(&self) -> bool {
        self.owned.values().any(|owned| owned.failing)
    }

    /// Takes what a link tells. One that was replaced is not heard any more.
    pub(super) fn hear(&mut self, Told { partition, number, said }: Told) -> Heard {
        let may_begin_anew = self.parts.subscription.on_lost_position != OnLostPosition::Fail;
        let Some(owned) = self.owned.get_mut(&partition) else { return Heard::Nothing };
        if owned.link.as_ref().map(Link::number) != Some(number) {
            return Heard::Nothing;
        }
        match said {
            Said::Open => {
                if std::mem::take(&mut owned.failing) {
                    Heard::Well
                } else {
                    Heard::Nothing
                }
            }
            Said::Read(piece) => {
                owned.take_in(piece);
                Heard::Nothing
            }
            Said::End(end) => {
                owned.cursor.grow(end);
                Heard::Nothing
            }
            Said::Bounds(bounds) => self.bounds(partition, bounds),
            Said::Broken(Broken { error: TransportError::BeyondEnd { .. }, .. }) if may_begin_anew => {
                Heard::Ends(partition, owned.epoch)
            }
            Said::Broken(Broken { error, .. }) if !error.is_transient() => {
                owned.link = None;
                Heard::Failed(error)
            }
            Said::Broken(Broken { error, is_expected }) => {
                owned.failing |= !is_expected;
                Heard::Broke(partition, owned.epoch, (!is_expected).then_some(error))
            }
        }
    }

    /// A partition is so now; what retention took of it is passed, if it may be.
    fn bounds(&mut self, partition: u32, bounds: PartitionInfo) -> Heard {
        let Some(owned) = self.owned.get_mut(&partition) else { return Heard::Nothing };
        owned.cursor.grow(bounds.end);
        if bounds.first <= owned.cursor.next() {
            return Heard::Nothing;
        }
        match owned.cursor.pass_what_is_gone(bounds.first, &self.parts.subscription) {
            Err(error) => {
                owned.link = None;
                Heard::Failed(error)
            }
            Ok(()) => {
                let next = owned.cursor.next();
                info!(partition = %owned.cursor.partition(), group = %self.parts.subscription.group, next,
                    "events are gone; it goes on behind them");
                let link = self.link(partition, next);
                if let Some(owned) = self.owned.get_mut(&partition) {
                    owned.link = Some(link);
                }
                Heard::Nothing
            }
        }
    }

    /// The next batch, of a partition whose turn it is: messages first, then news of the lag. Only of what is owned for
    /// sure at this moment.
    pub(super) fn hand_out(
        &mut self,
        demand: &dyn Demand,
        is_held: impl Fn(u32, Epoch) -> bool,
        now: Instant,
    ) -> Option<Batch> {
        for index in self.in_turn() {
            let Some(owned) = self.owned.get_mut(&index) else { continue };
            if owned.cursor.is_empty() || !is_held(index, owned.epoch) {
                continue;
            }
            let room = demand.room(owned.cursor.partition());
            let Some(batch) = room.and_then(|room| owned.cursor.hand_out(room, now)) else { continue };
            if let Some(link) = owned.link.as_ref().filter(|_| owned.cursor.is_empty()) {
                link.go_on();
            }
            self.turn = index;
            return Some(batch);
        }
        self.owned.values_mut().find_map(|owned| owned.cursor.news(now))
    }

    /// All of them, the one behind the last served first.
    fn in_turn(&self) -> Vec<u32> {
        let after = self.owned.range(self.turn.saturating_add(1)..);
        after.chain(self.owned.range(..=self.turn)).map(|(index, _)| *index).collect()
    }

    /// What is to be stored of a commit; none where its ownership is over.
    pub(super) fn kept(&mut self, commit: &Commit) -> Option<Kept> {
        let owned = self.owned.get_mut(&commit.partition.index).filter(|owned| owned.epoch == commit.epoch)?;
        let offset = owned.offsets.at(commit.checkpoint.base());
        owned.offsets.thin(&commit.checkpoint);
        Some(Kept { checkpoint: commit.checkpoint.clone(), offset })
    }
}

impl Owned {
    fn take_in(&mut self, piece: Piece) {
        self.offsets.extend(piece.offsets);
        self.cursor.take_in(piece.messages);
        if let Some(end) = piece.end {
            self.cursor.grow(end);
        }
        self.failing = false;
    }
}

/// Of how many events offsets are kept at least, before those are looked for that cannot be asked for any more.
const THIN: usize = 4096;

/// The offsets of events that may still become the base of a checkpoint: those before an unsettled one, and those behind
/// everything that is settled.
#[derive(Debug, Default)]
struct Offsets(VecDeque<(Position, String)>);

impl Offsets {
    fn new(base: Position, offset: Option<String>) -> Self {
        Self(offset.map(|offset| (base, offset)).into_iter().collect())
    }

    fn extend(&mut self, offsets: Vec<(Position, String)>) {
        self.0.extend(offsets);
    }

    /// The offset of the event at a base, or of the last one before it where none stands there. What is before is
    /// forgotten: a base never moves back.
    fn at(&mut self, base: Position) -> Option<String> {
        while self.0.get(1).is_some_and(|(position, _)| *position <= base) {
            self.0.pop_front();
        }
        self.0.front().filter(|(position, _)| *position <= base).map(|(_, offset)| offset.clone())
    }

    /// Forgets what lies between settled events, where that is much: a base comes to stand before an unsettled one, or
    /// behind all that is settled.
    fn thin(&mut self, checkpoint: &Checkpoint) {
        let unsettled = checkpoint.unsettled();
        if self.0.len() < THIN.max(4 * unsettled.len()) {
            return;
        }
        let mut thinned = VecDeque::new();
        let mut entries = std::mem::take(&mut self.0).into_iter().peekable();
        let mut before = unsettled.iter().copied().peekable();
        while let Some((position, offset)) = entries.next() {
            let next = entries.peek().map(|(next, _)| *next);
            while before.next_if(|unsettled| *unsettled <= position).is_some() {}
            // The last one before an unsettled event, or at the highest settled one or behind it.
            let is_before = before.peek().is_some_and(|unsettled| next.is_none_or(|next| next >= *unsettled));
            let is_behind = next.is_none_or(|next| next > checkpoint.highest());
            if is_before || is_behind || thinned.is_empty() {
                thinned.push_back((position, offset));
            }
        }
        self.0 = thinned;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_offset_of_a_base_is_that_of_its_event_or_of_the_one_before() {
        let of = |position: i64| (Position(position), format!("o{position}"));
        let mut offsets = Offsets::new(Position(4), Some("o4".to_owned()));
        offsets.extend(vec![of(5), of(6), of(9)]);
        assert_eq!(offsets.at(Position(3)), None);
        let at = |offsets: &mut Offsets, base| offsets.at(Position(base)).unwrap();
        assert_eq!(at(&mut offsets, 4), "o4");
        assert_eq!(at(&mut offsets, 6), "o6");
        assert_eq!((at(&mut offsets, 8), offsets.0.len()), ("o6".to_owned(), 2));
        assert_eq!((at(&mut offsets, 20), offsets.0.len()), ("o9".to_owned(), 1));
        let mut unknown = Offsets::new(Position(4), None);
        assert_eq!(unknown.at(Position(4)), None);
    }

    #[test]
    fn offsets_between_settled_events_are_forgotten_and_no_base_misses_its_own() {
        let of = |position: i64| (Position(position), format!("o{position}"));
        let mut offsets = Offsets::new(Position(-1), None);
        offsets.extend((0..10_000).map(of).collect());
        let unsettled: Vec<Position> = [3, 7, 5000].map(Position).into();
        let checkpoint = Checkpoint::new(Position(2), Position(8999), unsettled);
        assert_eq!(offsets.at(checkpoint.base()).as_deref(), Some("o2"));
        offsets.thin(&checkpoint);
        assert!(offsets.0.len() < 1010, "{}", offsets.0.len());
        // As the unsettled ones settle, one after another, and then what is behind them.
        for base in [2, 6, 4999, 8999, 9500] {
            assert_eq!(offsets.at(Position(base)), Some(format!("o{base}")));
        }
    }
}
