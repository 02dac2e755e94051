//! Sums over all partitions, kept up with each change of one, so that what may be read costs the same however many
//! partitions there are. Pure.

use std::iter::Sum;
use std::ops::{Deref, DerefMut};

use super::Assigned;
use crate::flow::lanes::Rank;

/// What one partition adds to the bounds, or all of them.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Totals {
    /// Bytes in flight.
    pub bytes: u64,
    /// Partitions of new messages.
    pub new_partitions: usize,
    /// New messages that may run.
    pub new: usize,
    /// What partitions of new messages do not use of their share.
    pub reserved: usize,
    /// Partitions where something waits to be read that is due.
    pub due_partitions: usize,
    /// Messages that were parked, are due and may run.
    pub due: usize,
    /// Messages that are parked until later.
    pub heads: usize,
}

impl Totals {
    /// What a partition adds, when each has this share of the window.
    pub(super) fn of(assigned: &Assigned, share: usize) -> Self {
        let (startable, heads) = (assigned.startable(), assigned.heads.len());
        let own = Self { bytes: assigned.bytes, heads, ..Self::default() };
        match assigned.rank {
            Rank::New => Self { new_partitions: 1, new: startable, reserved: share.saturating_sub(startable), ..own },
            Rank::Due => {
                let waits = !assigned.closing && assigned.waits();
                Self { due: startable, due_partitions: usize::from(waits), ..own }
            }
        }
    }

    /// A partition that added `before` adds `after` now.
    pub(super) fn change(&mut self, before: Self, after: Self) {
        let with = |all: usize, before: usize, after: usize| (all + after).saturating_sub(before);
        *self = Self {
            bytes: (self.bytes + after.bytes).saturating_sub(before.bytes),
            new_partitions: with(self.new_partitions, before.new_partitions, after.new_partitions),
            new: with(self.new, before.new, after.new),
            reserved: with(self.reserved, before.reserved, after.reserved),
            due_partitions: with(self.due_partitions, before.due_partitions, after.due_partitions),
            due: with(self.due, before.due, after.due),
            heads: with(self.heads, before.heads, after.heads),
        };
    }
}

impl Sum for Totals {
    fn sum<I: Iterator<Item = Self>>(parts: I) -> Self {
        let mut all = Self::default();
        parts.for_each(|part| all.change(Self::default(), part));
        all
    }
}

/// One partition while it changes. The totals follow when this is dropped.
pub(super) struct Changing<'a> {
    assigned: &'a mut Assigned,
    totals: &'a mut Totals,
    share: usize,
    before: Totals,
}

impl<'a> Changing<'a> {
    /// A partition that is about to change, when each has this share of the window.
    pub(super) fn new(assigned: &'a mut Assigned, totals: &'a mut Totals, share: usize) -> Self {
        Self { before: Totals::of(assigned, share), assigned, totals, share }
    }
}

impl Deref for Changing<'_> {
    type Target = Assigned;

    fn deref(&self) -> &Assigned {
        self.assigned
    }
}

impl DerefMut for Changing<'_> {
    fn deref_mut(&mut self) -> &mut Assigned {
        self.assigned
    }
}

impl Drop for Changing<'_> {
    fn drop(&mut self) {
        self.totals.change(self.before, Totals::of(self.assigned, self.share));
    }
}
