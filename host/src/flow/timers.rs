//! What is due later, in order. Pure. Bounded by what is in flight.

use std::collections::BTreeMap;

use tokio::time::Instant;

/// Items by the time at which they are due.
#[derive(Debug)]
pub(super) struct Timers<T> {
    items: BTreeMap<(Instant, u64), T>,
    count: u64,
}

impl<T> Default for Timers<T> {
    fn default() -> Self {
        Self { items: BTreeMap::new(), count: 0 }
    }
}

impl<T> Timers<T> {
    /// Adds an item.
    pub(super) fn push(&mut self, at: Instant, item: T) {
        self.count += 1;
        self.items.insert((at, self.count), item);
    }

    /// When the next item is due.
    pub(super) fn next(&self) -> Option<Instant> {
        self.items.first_key_value().map(|((at, _), _)| *at)
    }

    /// An item that is due.
    pub(super) fn due(&mut self, now: Instant) -> Option<T> {
        let entry = self.items.first_entry()?;
        (entry.key().0 <= now).then(|| entry.remove())
    }

    /// Removes the items that are gone.
    pub(super) fn remove_where(&mut self, gone: impl Fn(&T) -> bool) -> Vec<T> {
        self.items.extract_if(.., |_, item| gone(item)).map(|(_, item)| item).collect()
    }

    /// All items, each with the time at which it is due.
    pub(super) fn entries(&self) -> impl Iterator<Item = (Instant, &T)> {
        self.items.iter().map(|((at, _), item)| (*at, item))
    }

    /// All items.
    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.items.values()
    }
}
