//! Keys and values in memory.

use std::collections::BTreeMap;

use crate::keyvalue::Entry;

/// The keys of one store, at a time.
pub(crate) struct Keys<'a> {
    pub(super) entries: &'a mut BTreeMap<String, (Entry, Option<u64>)>,
    pub(super) now_ms: u64,
}

impl Keys<'_> {
    pub(crate) fn get(&self, key: &str) -> Option<Entry> {
        let (entry, ends) = self.entries.get(key)?;
        ends.is_none_or(|ends| self.now_ms < ends).then(|| entry.clone())
    }

    pub(crate) fn set(&mut self, key: &str, value: Vec<u8>, time_to_live: Option<u64>) {
        let version = self.entries.get(key).map_or(1, |(entry, _)| entry.version + 1);
        let ends = time_to_live.map(|time| self.now_ms.saturating_add(time));
        self.entries.insert(key.into(), (Entry { value, version }, ends));
    }

    /// Whether it was written: only if the current version is this one.
    pub(crate) fn set_if(
        &mut self,
        version: Option<u64>,
        key: &str,
        value: Vec<u8>,
        time_to_live: Option<u64>,
    ) -> bool {
        let current = self.get(key).map(|entry| entry.version);
        let as_expected = current == version;
        if as_expected {
            self.set(key, value, time_to_live);
        }
        as_expected
    }

    pub(crate) fn delete(&mut self, key: &str) {
        self.entries.remove(key);
    }
}
