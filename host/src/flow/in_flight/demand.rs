//! What may be read. Pure.
//!
//! | partitions | may hold |
//! |---|---|
//! | of the pipeline's own topic | each its share of the window, always; what is left of the window goes to those where nothing waits behind a held lane |
//! | of the retry topic | each one message, always; more, one after another as each is due, while all that is due takes less than half the window, and nothing waits behind a held lane |
//!
//! While something due waits to be read, its half of the window is not given to new messages, so that these cannot
//! keep it out. A head that is not due takes nothing from anybody.

use super::totals::Totals;
use super::{Assigned, InFlight};
use crate::flow::lanes::Rank;
use crate::model::{Message, Partition};
#[cfg(test)]
use crate::transport::Rooms;
use crate::transport::{Batch, Demand, Room};

/// What bounds all partitions together. Made once for all that is read in a turn, and kept up with what comes.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Bytes that may still come.
    bytes: u64,
    /// What each partition may hold of the window.
    share: usize,
    /// What is left of the window beyond the shares.
    spare: usize,
    /// Whether more than one message of a partition may come that is due.
    due_has_room: bool,
}

/// What may be read now.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a>(Option<(&'a InFlight, Bounds)>);

impl Wanted<'_> {
    /// Nothing may be read.
    pub fn nothing() -> Self {
        Self(None)
    }
}

impl Demand for Wanted<'_> {
    fn room(&self, partition: &Partition) -> Option<Room> {
        let (in_flight, bounds) = self.0?;
        let assigned = in_flight.partitions.get(partition).filter(|assigned| !assigned.closing)?;
        let messages = match assigned.rank {
            Rank::New => in_flight.room_for_new(partition, assigned, bounds),
            Rank::Due => in_flight.room_for_due(partition, assigned, bounds),
        };
        let messages = messages.min(assigned.storable());
        (messages > 0).then_some(Room { messages, bytes: bounds.bytes })
    }
}

impl Bounds {
    /// Messages come. False where what may be read is to be looked at anew.
    pub fn take(&mut self, in_flight: &InFlight, batch: &Batch) -> bool {
        let Some(assigned) = in_flight.partitions.get(&batch.partition) else { return false };
        let own = self.share.saturating_sub(assigned.startable());
        self.spare = self.spare.saturating_sub(batch.messages.len().saturating_sub(own));
        let bytes: u64 = batch.messages.iter().map(Message::size).sum();
        self.bytes = self.bytes.saturating_sub(bytes);
        assigned.rank == Rank::New && self.bytes > 0
    }
}

impl Assigned {
    /// How many messages may come before the partition's checkpoint could become too long to be stored. It gets nothing
    /// until it is shorter: nothing is ever left out of it.
    fn storable(&self) -> usize {
        self.checkpoint_limit.map_or(usize::MAX, |limit| self.window.room_within(limit))
    }

    /// Whether something waits to be read that is due.
    pub(super) fn waits(&self) -> bool {
        self.heads.is_empty() && self.lag.is_some_and(|lag| lag > 0)
    }
}

impl InFlight {
    /// What may be read within bounds.
    pub fn wanted(&self, bounds: Option<Bounds>) -> Wanted<'_> {
        Wanted(bounds.map(|bounds| (self, bounds)))
    }

    /// What bounds all partitions together. None while nothing at all may be read: the window is full of bytes, or so
    /// many messages have settled since the last durable commit that a crash would repeat more than is promised.
    pub fn bounds(&mut self) -> Option<Bounds> {
        let window = self.limits.messages.get();
        if self.settled() >= window {
            return None;
        }
        let bytes = self.room_in_bytes()?;
        let half = window / 2;
        let Totals { new, due, .. } = self.totals;
        // The part of the window that new messages leave to those that are due.
        let for_new = window - if self.totals.due_partitions > 0 { half } else { due.min(half) };
        let share = (for_new / self.totals.new_partitions.max(1)).max(1);
        if self.share != share {
            self.share = share;
            self.totals = self.added_up();
        }
        debug_assert_eq!(self.totals, self.added_up(), "a partition changed without its totals");
        let spare = for_new.saturating_sub(new).saturating_sub(self.totals.reserved);
        Some(Bounds { bytes, share, spare, due_has_room: due < half && due + new < window })
    }

    fn added_up(&self) -> Totals {
        self.partitions.values().map(|assigned| Totals::of(assigned, self.share)).sum()
    }

    /// What may be read, written down.
    #[cfg(test)]
    pub fn demand(&mut self) -> Rooms {
        let bounds = self.bounds();
        let wanted = self.wanted(bounds);
        let room = |partition: Partition| wanted.room(&partition).map(|room| (partition, room));
        Rooms(self.partitions().into_iter().filter_map(room).collect())
    }

    fn room_for_new(&self, partition: &Partition, assigned: &Assigned, bounds: Bounds) -> usize {
        let own = bounds.share.saturating_sub(assigned.startable());
        let spare = if bounds.spare > 0 && self.lanes.blocked(partition) == 0 { bounds.spare } else { 0 };
        own + spare
    }

    fn room_for_due(&self, partition: &Partition, assigned: &Assigned, bounds: Bounds) -> usize {
        let more = assigned.startable() == 0 || bounds.due_has_room && self.lanes.blocked(partition) == 0;
        usize::from(assigned.heads.is_empty() && more)
    }

    /// Bytes that may still come: none while the bound is reached, all of it while nothing is in flight.
    fn room_in_bytes(&self) -> Option<u64> {
        let room = self.limits.bytes.0.saturating_sub(self.totals.bytes);
        (room > 0 || self.totals.bytes == 0).then_some(room)
    }
}
