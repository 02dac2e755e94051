//! Which partition a record goes to, for the transports whose partitions we keep ourselves.

use std::sync::atomic::{AtomicU32, Ordering};

use sha2::{Digest, Sha256};

use crate::model::Record;

/// Partitions of a topic that does not say how many.
pub(super) const DEFAULT_PARTITIONS: u32 = 4;

/// Spreads the records of one sink over the partitions of its topic.
///
/// | record | goes to |
/// |---|---|
/// | with a chosen partition | that one, if there is such a one |
/// | with a key | the first eight bytes of the key's SHA-256, big endian, modulo the number of partitions |
/// | else | the next one in turn |
///
/// The hash is part of what is stored: changing it would break the order of keys.
#[derive(Debug)]
pub(super) struct Spread {
    partitions: u32,
    next: AtomicU32,
}

impl Spread {
    /// Over so many partitions, at least one. Begins anywhere, so that many short-lived sinks spread too.
    pub(super) fn over(partitions: u32) -> Self {
        Self { partitions: partitions.max(1), next: AtomicU32::new(rand::random()) }
    }

    /// How many there are.
    pub(super) fn partitions(&self) -> u32 {
        self.partitions
    }

    /// The record's partition, or what is wrong with the chosen one.
    pub(super) fn choose(&self, record: &Record) -> Result<u32, String> {
        match (record.partition, &record.key) {
            (Some(chosen), _) if chosen < self.partitions => Ok(chosen),
            (Some(chosen), _) => Err(format!("there is no partition {chosen}, only {}", self.partitions)),
            (None, Some(key)) => Ok(self.of_key(key)),
            (None, None) => Ok(self.next.fetch_add(1, Ordering::Relaxed) % self.partitions),
        }
    }

    fn of_key(&self, key: &[u8]) -> u32 {
        let hash = Sha256::digest(key).iter().take(8).fold(0_u64, |hash, byte| hash << 8 | u64::from(*byte));
        u32::try_from(hash % u64::from(self.partitions)).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    #[test]
    fn the_partition_of_a_key_never_changes() {
        let keyed = |key: &'static str| Record { key: Some(Bytes::from(key)), ..Record::default() };
        let partitions = |count| ["", "a", "claim-4711"].map(|key| Spread::over(count).choose(&keyed(key)).unwrap());
        // The hashes begin with e3b0c44298fc1c14, ca978112ca1bbdca and 549bbc347f3ff502.
        assert_eq!(partitions(4), [0, 2, 2]);
        assert_eq!(partitions(7), [1, 4, 0]);
    }

    #[test]
    fn a_chosen_partition_wins_over_the_key() {
        let spread = Spread::over(4);
        let record = Record { key: Some(Bytes::from("a")), partition: Some(3), ..Record::default() };
        assert_eq!(spread.choose(&record), Ok(3));
        let missing = Record { partition: Some(4), ..Record::default() };
        assert_eq!(spread.choose(&missing), Err("there is no partition 4, only 4".into()));
    }

    #[test]
    fn records_without_a_key_take_turns() {
        let spread = Spread::over(3);
        let chosen: Vec<u32> = (0..6).map(|_| spread.choose(&Record::default()).unwrap()).collect();
        assert_eq!(chosen[..3], chosen[3..]);
        let mut once = chosen[..3].to_vec();
        once.sort_unstable();
        assert_eq!(once, [0, 1, 2]);
    }
}
