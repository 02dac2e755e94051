//! Which partitions are a member's for sure, and until when, by its own clock. Written by the member's task; asked by
//! whoever is about to use a partition, so that one that slept through its lease sees so before it does anything else.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;

use super::keeper::Keeper;
use crate::transport::Epoch;

#[derive(Default)]
pub(super) struct Held(Mutex<BTreeMap<u32, Holding>>);

struct Holding {
    epoch: Epoch,
    until: Instant,
    keeper: Arc<Keeper>,
}

impl Held {
    /// A partition is held from now on.
    pub(super) fn begin(&self, partition: u32, epoch: Epoch, until: Instant, keeper: Arc<Keeper>) {
        self.holdings().insert(partition, Holding { epoch, until, keeper });
    }

    /// It is held for longer.
    pub(super) fn extend(&self, partition: u32, epoch: Epoch, until: Instant) {
        let mut holdings = self.holdings();
        if let Some(holding) = holdings.get_mut(&partition).filter(|holding| holding.epoch == epoch) {
            holding.until = holding.until.max(until);
        }
    }

    /// It is held no more.
    pub(super) fn end(&self, partition: u32, epoch: Epoch) {
        self.holdings().retain(|index, holding| *index != partition || holding.epoch != epoch);
    }

    /// Nothing is.
    pub(super) fn end_all(&self) {
        self.holdings().clear();
    }

    /// What stores the checkpoints of an ownership that holds.
    pub(super) fn keeper(&self, partition: u32, epoch: Epoch, now: Instant) -> Option<Arc<Keeper>> {
        let holdings = self.holdings();
        let holding = holdings.get(&partition)?;
        (holding.epoch == epoch && now < holding.until).then(|| holding.keeper.clone())
    }

    fn holdings(&self) -> MutexGuard<'_, BTreeMap<u32, Holding>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
