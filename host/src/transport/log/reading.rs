//! The partitions of one source: how far each is read, and whose turn it is. Does no I/O.

use std::collections::BTreeMap;

use tokio::time::Instant;

use super::fetch::{Plan, READ_AHEAD, Read, Wanted};
use super::grant::Granted;
use super::source::Parts;
use crate::model::Partition;
use crate::transport::cursor::Cursor;
use crate::transport::{Assignment, Batch, Demand, Epoch, Subscription, TransportError};

/// A partition of this source.
struct Owned {
    /// Which ownership of it.
    epoch: i64,
    cursor: Cursor,
    /// Whether it was asked back.
    asked: bool,
}

/// The partitions of one source.
#[derive(Default)]
pub(super) struct Reading {
    owned: BTreeMap<u32, Owned>,
    /// The partition that was served last.
    turn: u32,
}

impl Reading {
    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.owned.is_empty()
    }

    /// The partitions with their ownerships.
    pub(super) fn epochs(&self) -> impl Iterator<Item = (u32, i64)> {
        self.owned.iter().map(|(index, owned)| (*index, owned.epoch))
    }

    /// Adds a partition. What is gone of it and must not be passed is an error, told again when it is to be read.
    pub(super) fn begin(
        &mut self,
        granted: Granted,
        subscription: &Subscription,
    ) -> (Assignment, Result<(), TransportError>) {
        let Granted { partition: index, epoch, checkpoint, bounds } = granted;
        let partition = Partition::new(subscription.topic.clone(), index);
        let mut cursor = Cursor::new(partition.clone(), checkpoint, bounds.end);
        let passed = cursor.pass_what_is_gone(bounds.first, subscription);
        let checkpoint = Some(cursor.checkpoint().clone());
        self.owned.insert(index, Owned { epoch, cursor, asked: false });
        (
            Assignment {
                partition,
                epoch: Epoch(u64::try_from(epoch).unwrap_or(0)),
                checkpoint,
                checkpoint_limit: None,
            },
            passed,
        )
    }

    /// Ends what `over` says of partition and ownership; answers the partitions.
    pub(super) fn end(&mut self, over: impl Fn(u32, i64) -> bool) -> Vec<Partition> {
        let ended = self.owned.extract_if(.., |index, owned| over(*index, owned.epoch));
        ended.map(|(_, owned)| owned.cursor.partition().clone()).collect()
    }

    /// Notes the partitions that are `wanted`; answers those that were not before, with their ownerships.
    pub(super) fn ask_back(&mut self, wanted: impl Fn(u32) -> bool) -> (Vec<Partition>, Vec<(u32, i64)>) {
        let asked = self.owned.iter_mut().filter(|(index, owned)| !owned.asked && wanted(**index));
        let note = |(index, owned): (&u32, &mut Owned)| {
            owned.asked = true;
            (owned.cursor.partition().clone(), (*index, owned.epoch))
        };
        asked.map(note).unzip()
    }

    /// The partitions have grown; `ends` are by partition.
    pub(super) fn grow(&mut self, ends: &[i64]) {
        for (index, end) in (0..).zip(ends) {
            if let Some(owned) = self.owned.get_mut(&index) {
                owned.cursor.grow(*end);
            }
        }
    }

    /// What was read for an ownership; of one that is over it is dropped.
    pub(super) fn read(
        &mut self,
        (index, epoch): (u32, i64),
        read: Read,
        subscription: &Subscription,
    ) -> Result<(), TransportError> {
        let Some(owned) = self.owned.get_mut(&index).filter(|owned| owned.epoch == epoch) else { return Ok(()) };
        match read {
            Read::Messages(messages) => owned.cursor.take_in(messages),
            Read::Gone { first } => owned.cursor.pass_what_is_gone(first, subscription)?,
        }
        Ok(())
    }

    /// The next batch, of a partition whose turn it is: messages first, then news of the lag.
    pub(super) fn hand_out(&mut self, demand: &dyn Demand, now: Instant) -> Option<Batch> {
        for index in self.in_turn() {
            let Some(Owned { cursor, .. }) = self.owned.get_mut(&index) else { continue };
            if cursor.is_empty() {
                continue;
            }
            let room = demand.room(cursor.partition());
            if let Some(batch) = room.and_then(|room| cursor.hand_out(room, now)) {
                self.turn = index;
                return Some(batch);
            }
        }
        self.owned.values_mut().find_map(|owned| owned.cursor.news(now))
    }

    /// What is worth reading, of the partition whose turn it is first.
    pub(super) fn plan(&mut self, parts: &Parts, group: i64, demand: &dyn Demand) -> Option<Plan> {
        let wanted = self.in_turn().into_iter().filter_map(|index| {
            let Owned { epoch, cursor, .. } = self.owned.get(&index)?;
            let room = (cursor.is_empty() && cursor.is_behind()).then(|| demand.room(cursor.partition()))??;
            Some(Wanted { partition: index, epoch: *epoch, from: cursor.next(), room })
        });
        let wanted: Vec<_> = wanted.collect();
        if wanted.is_empty() {
            return None;
        }
        let (transport, topic) = (parts.transport.clone(), parts.topic.clone());
        Some(Plan { transport, topic, group, bytes: self.room_to_read(), wanted })
    }

    /// All of them, the one behind the last served first.
    fn in_turn(&self) -> Vec<u32> {
        let after = self.owned.range(self.turn.saturating_add(1)..);
        after.chain(self.owned.range(..=self.turn)).map(|(index, _)| *index).collect()
    }

    /// Bytes that may be read. What is held at this point belongs to partitions that want nothing just now, for what
    /// is wanted was handed out before: where it takes too much of the bound it is put back, lest the others wait.
    fn room_to_read(&mut self) -> u64 {
        if self.held() > READ_AHEAD / 2 {
            self.owned.values_mut().for_each(|owned| owned.cursor.put_back());
        }
        READ_AHEAD.saturating_sub(self.held())
    }

    /// Bytes that are read and not handed out.
    pub(super) fn held(&self) -> u64 {
        self.owned.values().map(|owned| owned.cursor.held()).sum()
    }
}
