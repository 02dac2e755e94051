//! Entries in this process only, for trials and tests.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use super::{Conditional, Entry, Failure, Fields, Listed, Version};
use crate::model::Clock;

/// Keeps entries in memory.
pub struct Memory {
    state: Mutex<State>,
    clock: Clock,
}

#[derive(Default)]
struct State {
    entries: BTreeMap<String, Entry>,
    changes: u64,
    /// What every call answers, while there is something.
    failure: Option<String>,
    calls: u64,
}

impl Memory {
    /// Without entries.
    pub fn new(clock: Clock) -> Self {
        Self { state: Mutex::default(), clock }
    }

    /// Lets every call fail with this reason from now on, or none.
    #[cfg(any(test, feature = "testing"))]
    pub fn fail(&self, reason: Option<&str>) {
        self.state().failure = reason.map(str::to_owned);
    }

    /// How many calls there were.
    #[cfg(any(test, feature = "testing"))]
    pub fn calls(&self) -> u64 {
        self.state().calls
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn called(&self) -> Result<MutexGuard<'_, State>, Failure> {
        let mut state = self.state();
        state.calls += 1;
        match &state.failure {
            Some(reason) => Err(Failure::Unavailable(reason.clone())),
            None => Ok(state),
        }
    }
}

#[async_trait]
impl Conditional for Memory {
    async fn list(&self, folder: &str) -> Result<Vec<Listed>, Failure> {
        let state = self.called()?;
        let is_within = |name: &str| name.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'));
        let within = state.entries.iter().filter(|(name, _)| is_within(name));
        let listed = within.map(|(name, entry)| Listed {
            name: name.clone(),
            version: entry.version.clone(),
            modified: entry.modified,
        });
        Ok(listed.collect())
    }

    async fn read(&self, name: &str) -> Result<Option<Entry>, Failure> {
        Ok(self.called()?.entries.get(name).cloned())
    }

    async fn put(&self, name: &str, fields: &Fields, expected: Option<&Version>) -> Result<Option<Version>, Failure> {
        let mut state = self.called()?;
        if state.entries.get(name).map(|entry| &entry.version) != expected {
            return Ok(None);
        }
        state.changes += 1;
        let version = Version(state.changes.to_string());
        let entry = Entry { version: version.clone(), modified: self.clock.wall(), fields: fields.clone() };
        state.entries.insert(name.to_owned(), entry);
        Ok(Some(version))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::storage::conditional::contract;

    #[tokio::test]
    async fn it_keeps_the_contract() {
        let memory: Arc<dyn Conditional> = Arc::new(Memory::new(Clock::system()));
        contract::run(&memory, &memory).await;
    }
}
