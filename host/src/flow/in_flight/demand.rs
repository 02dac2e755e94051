//! What may be read. Pure.
//!
//! | partitions | may hold |
//! |---|---|
//! | of the pipeline's own topic | each its share of the window, always; what is left of the window goes to those where nothing waits behind a held lane |
//! | of the retry topic | each one message, always; more, one after another as each is due, while all that is due takes less than half the window, and nothing waits behind a held lane |
//!
//! While something due waits to be read, its half of the window is not given to new messages, so that these cannot
//! keep it out. A head that is not due takes nothing from anybody.

use std::collections::HashMap;

use super::{Assigned, InFlight};
use crate::flow::lanes::Rank;
use crate::model::Partition;
use crate::transport::{Demand, Room};

impl InFlight {
    /// What may be read, by partition. Nothing at all while so many messages have settled since the last durable commit
    /// that a crash would repeat more than is promised.
    pub fn demand(&self) -> Demand {
        let window = self.limits.messages.get();
        if self.settled >= window {
            return Demand::default();
        }
        let Some(bytes) = self.room_in_bytes() else { return Demand::default() };
        let (new, due) = (self.room_for_new(window), self.room_for_due(window));
        let storable = |(partition, messages): (_, usize)| (partition, messages.min(self.storable(partition)));
        let rooms = new.chain(due).map(storable).filter(|(_, messages)| *messages > 0);
        Demand(
            rooms.map(|(partition, messages)| (partition.clone(), Room { messages, bytes })).collect::<HashMap<_, _>>(),
        )
    }

    /// How many messages may come before the partition's checkpoint could become too long to be stored. It gets nothing
    /// until it is shorter: nothing is ever left out of it.
    fn storable(&self, partition: &Partition) -> usize {
        let assigned = self.partitions.get(partition);
        let limit = assigned.and_then(|assigned| Some((assigned, assigned.checkpoint_limit?)));
        limit.map_or(usize::MAX, |(assigned, limit)| assigned.window.room_within(limit))
    }

    fn room_for_new(&self, window: usize) -> impl Iterator<Item = (&Partition, usize)> {
        let window = window - self.kept_for_due(window);
        let share = (window / self.of(Rank::New).count().max(1)).max(1);
        let own = move |assigned: &Assigned| share.saturating_sub(assigned.startable());
        let reserved: usize = self.of(Rank::New).map(|(_, assigned)| own(assigned)).sum();
        let spare = window.saturating_sub(self.startable(Rank::New)).saturating_sub(reserved);
        self.open(Rank::New).map(move |(partition, assigned)| {
            let extra = if self.lanes.blocked(partition) == 0 { spare } else { 0 };
            (partition, own(assigned) + extra)
        })
    }

    fn room_for_due(&self, window: usize) -> impl Iterator<Item = (&Partition, usize)> {
        let due = self.startable(Rank::Due);
        let has_room = due < window / 2 && due + self.startable(Rank::New) < window;
        self.open(Rank::Due).map(move |(partition, assigned)| {
            let more = has_room && self.lanes.blocked(partition) == 0;
            (partition, usize::from(assigned.heads.is_empty() && (assigned.startable() == 0 || more)))
        })
    }

    /// The part of the window that new messages leave to those that are due.
    fn kept_for_due(&self, window: usize) -> usize {
        let is_waiting = |assigned: &Assigned| assigned.heads.is_empty() && assigned.lag.is_some_and(|lag| lag > 0);
        let half = window / 2;
        if self.open(Rank::Due).any(|(_, assigned)| is_waiting(assigned)) {
            half
        } else {
            self.startable(Rank::Due).min(half)
        }
    }

    fn of(&self, rank: Rank) -> impl Iterator<Item = (&Partition, &Assigned)> {
        self.partitions.iter().filter(move |(_, assigned)| assigned.rank == rank)
    }

    fn open(&self, rank: Rank) -> impl Iterator<Item = (&Partition, &Assigned)> {
        self.of(rank).filter(|(_, assigned)| !assigned.closing)
    }

    fn startable(&self, rank: Rank) -> usize {
        self.of(rank).map(|(_, assigned)| assigned.startable()).sum()
    }

    /// Bytes that may still come: none while the bound is reached, all of it while nothing is in flight.
    fn room_in_bytes(&self) -> Option<u64> {
        let bytes: u64 = self.partitions.values().map(|assigned| assigned.bytes).sum();
        let room = self.limits.bytes.0.saturating_sub(bytes);
        (room > 0 || bytes == 0).then_some(room)
    }
}
