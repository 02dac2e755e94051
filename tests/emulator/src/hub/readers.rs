//! Who reads a partition, by consumer group:
//!
//! | new receiver | there are | becomes of it |
//! |---|---|---|
//! | without an epoch | receivers with one | refused |
//! | without an epoch | as many as are allowed | refused |
//! | with an epoch | one with a higher | refused |
//! | with an epoch | others | takes the partition: all of them end |
//! | otherwise | | reads beside the others |

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use tokio::sync::Notify;

use crate::refusal::Refusal;

/// One receiver.
#[derive(Debug)]
pub(crate) struct Reader {
    /// As it calls itself.
    name: Option<String>,
    epoch: Option<i64>,
    /// Wakes the connection that it is on.
    wake: Arc<Notify>,
    /// Why it reads no more.
    ended: OnceLock<Refusal>,
}

impl Reader {
    /// One that reads nothing yet.
    pub(crate) fn new(name: Option<String>, epoch: Option<i64>, wake: Arc<Notify>) -> Arc<Self> {
        Arc::new(Self { name, epoch, wake, ended: OnceLock::new() })
    }

    /// Why it reads no more.
    pub(crate) fn ended(&self) -> Option<&Refusal> {
        self.ended.get()
    }

    fn name(&self) -> &str {
        self.name.as_deref().unwrap_or("nil")
    }

    fn end(&self, refusal: Refusal) {
        // The first reason is the one that is told.
        let _ = self.ended.set(refusal);
        self.wake.notify_one();
    }
}

/// The receivers of one partition.
#[derive(Debug, Default)]
pub(crate) struct Readers(HashMap<String, Vec<Arc<Reader>>>);

impl Readers {
    /// Lets a receiver in, or says why not.
    pub(crate) fn admit(&mut self, group: &str, reader: &Arc<Reader>, limit: usize) -> Result<(), Refusal> {
        let there = self.0.entry(group.to_owned()).or_default();
        let highest = there.iter().filter_map(|there| Some((there.epoch?, there))).max_by_key(|(epoch, _)| *epoch);
        match (reader.epoch, highest) {
            (None, Some((epoch, _))) => return Err(Refusal::no_epoch(epoch)),
            (None, None) if there.len() >= limit => {
                let names: Vec<_> = there.iter().map(|there| there.name()).collect();
                return Err(Refusal::too_many_receivers(limit, &names));
            }
            (Some(new), Some((current, holder))) if new < current => {
                return Err(Refusal::lower_epoch(holder.name(), current, reader.name(), new));
            }
            (Some(epoch), _) => end_all(there, reader.name(), epoch),
            (None, None) => {}
        }
        there.push(reader.clone());
        Ok(())
    }

    /// Forgets a receiver.
    pub(crate) fn leave(&mut self, group: &str, reader: &Arc<Reader>) {
        if let Some(there) = self.0.get_mut(group) {
            there.retain(|there| !Arc::ptr_eq(there, reader));
        }
    }

    /// Ends a group's receivers, as if one with a higher epoch had come and gone; how many there were.
    pub(crate) fn steal(&mut self, group: &str) -> usize {
        let Some(there) = self.0.get_mut(group) else { return 0 };
        let (stolen, highest) = (there.len(), there.iter().filter_map(|there| there.epoch).max());
        end_all(there, "nil", highest.unwrap_or(-1).saturating_add(1));
        stolen
    }

    /// How many there are, by group.
    pub(crate) fn counts(&self) -> impl Iterator<Item = (&str, usize)> {
        self.0.iter().filter(|(_, there)| !there.is_empty()).map(|(group, there)| (group.as_str(), there.len()))
    }

    /// Wakes every receiver, because there is something to read.
    pub(crate) fn wake(&self) {
        self.0.values().flatten().for_each(|there| there.wake.notify_one());
    }
}

fn end_all(there: &mut Vec<Arc<Reader>>, new: &str, epoch: i64) {
    for reader in there.drain(..) {
        reader.end(Refusal::stolen(new, epoch, reader.name(), reader.epoch));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: usize = 2;

    fn reader(epoch: impl Into<Option<i64>>) -> Arc<Reader> {
        Reader::new(None, epoch.into(), Arc::default())
    }

    fn condition(refused: Result<(), Refusal>) -> String {
        refused.unwrap_err().condition.into_owned()
    }

    #[test]
    fn an_equal_or_higher_epoch_takes_the_partition() {
        for epochs in [[0, 0], [1, 5]] {
            let (mut readers, [old, new]) = (Readers::default(), epochs.map(reader));
            readers.admit("g", &old, LIMIT).unwrap();
            readers.admit("g", &new, LIMIT).unwrap();
            assert_eq!(old.ended().unwrap().condition, "amqp:link:stolen");
            assert!(old.ended().unwrap().description.starts_with("New receiver 'nil' with higher epoch of"));
            assert_eq!(new.ended(), None);
        }
    }

    #[test]
    fn a_lower_epoch_is_refused() {
        let mut readers = Readers::default();
        let holder = reader(5);
        readers.admit("g", &holder, LIMIT).unwrap();
        assert_eq!(condition(readers.admit("g", &reader(4), LIMIT)), "amqp:link:stolen");
        assert_eq!(holder.ended(), None);
    }

    #[test]
    fn without_an_epoch_nobody_reads_beside_one_that_has_one() {
        let mut readers = Readers::default();
        let (plain, holder) = (reader(None), reader(0));
        readers.admit("g", &plain, LIMIT).unwrap();
        readers.admit("g", &holder, LIMIT).unwrap();
        assert!(plain.ended().is_some());
        assert_eq!(condition(readers.admit("g", &plain, LIMIT)), "amqp:link:stolen");
        readers.admit("another", &reader(None), LIMIT).unwrap();
    }

    #[test]
    fn more_than_are_allowed_are_refused() {
        let mut readers = Readers::default();
        let first = reader(None);
        readers.admit("g", &first, LIMIT).unwrap();
        readers.admit("g", &reader(None), LIMIT).unwrap();
        assert_eq!(condition(readers.admit("g", &reader(None), LIMIT)), "amqp:resource-limit-exceeded");
        readers.leave("g", &first);
        readers.admit("g", &reader(None), LIMIT).unwrap();
    }

    #[test]
    fn after_the_holder_has_left_a_lower_epoch_may_read() {
        let mut readers = Readers::default();
        let holder = reader(9);
        readers.admit("g", &holder, LIMIT).unwrap();
        readers.leave("g", &holder);
        readers.admit("g", &reader(1), LIMIT).unwrap();
        readers.admit("g", &reader(None), LIMIT).unwrap_err();
    }

    #[test]
    fn a_stolen_receiver_is_told_so_and_may_come_again() {
        let mut readers = Readers::default();
        let holder = reader(3);
        readers.admit("g", &holder, LIMIT).unwrap();
        assert_eq!((readers.steal("g"), readers.steal("g"), readers.steal("another")), (1, 0, 0));
        assert!(holder.ended().unwrap().description.contains("higher epoch of '4'"));
        readers.admit("g", &reader(3), LIMIT).unwrap();
    }

    #[tokio::test]
    async fn whoever_ends_or_has_something_to_read_is_woken() {
        let mut readers = Readers::default();
        let wake = Arc::new(Notify::new());
        readers.admit("g", &Reader::new(None, Some(1), wake.clone()), LIMIT).unwrap();
        readers.wake();
        wake.notified().await;
        readers.admit("g", &reader(2), LIMIT).unwrap();
        wake.notified().await;
    }
}
