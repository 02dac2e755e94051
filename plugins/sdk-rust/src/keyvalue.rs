//! Small shared state: dedup windows, caches, ledgers. Safe across hosts. No host of this version grants it yet.

use std::time::Duration;

use crate::{Outcome, host};

/// Why a call failed.
///
/// | error | code | as an outcome |
/// |---|---|---|
/// | `Denied`, `TooLarge` | `denied`, `too-large` | `reject` |
/// | `Unavailable` | `store-unavailable` | `hold` |
/// | `Other` | `store` | `retry` |
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Error {
    /// Refused by policy.
    #[error("{0}")]
    Denied(String),
    /// Above the store's limit.
    #[error("larger than {limit} bytes")]
    TooLarge {
        /// The limit in bytes.
        limit: u64,
    },
    /// The store is down or slow: again later.
    #[error("store {store} is unavailable: {reason}")]
    Unavailable {
        /// The store.
        store: String,
        /// What it says.
        reason: String,
    },
    /// Anything else.
    #[error("store {store} failed: {reason}")]
    Other {
        /// The store.
        store: String,
        /// What it says.
        reason: String,
    },
}

impl Error {
    /// The short stable word of the error.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Denied(_) => "denied",
            Self::TooLarge { .. } => "too-large",
            Self::Unavailable { .. } => "store-unavailable",
            Self::Other { .. } => "store",
        }
    }
}

impl From<Error> for Outcome {
    fn from(error: Error) -> Self {
        let reason = error.to_string();
        match error {
            Error::Denied(_) | Error::TooLarge { .. } => Self::reject(error.code(), reason),
            Error::Unavailable { .. } => Self::hold(reason),
            Error::Other { .. } => Self::retry(reason),
        }
    }
}

/// A value and the version to compare with.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// The value.
    pub value: Vec<u8>,
    /// Its version.
    pub version: u64,
}

/// Whether a conditional write took place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Written {
    /// It did.
    Yes,
    /// Something else stood there: the key was there already, or its version is no longer the current one.
    No,
}

/// The current entry, if there is one.
pub async fn get(store: &str, key: &str) -> Result<Option<Entry>, Error> {
    host::keyvalue_get(store, key).await
}

/// Writes, whatever stands there. Without a time to live the value stays.
pub async fn set(store: &str, key: &str, value: Vec<u8>, time_to_live: Option<Duration>) -> Result<(), Error> {
    host::keyvalue_set(store, key, value, milliseconds(time_to_live)).await
}

/// Writes unless the key is there already.
pub async fn put_if_absent(
    store: &str,
    key: &str,
    value: Vec<u8>,
    time_to_live: Option<Duration>,
) -> Result<Written, Error> {
    host::keyvalue_put_if_absent(store, key, value, milliseconds(time_to_live)).await.map(written)
}

/// Writes if `version` is still the current one.
pub async fn compare_and_set(
    store: &str,
    key: &str,
    version: u64,
    value: Vec<u8>,
    time_to_live: Option<Duration>,
) -> Result<Written, Error> {
    host::keyvalue_compare_and_set(store, key, version, value, milliseconds(time_to_live)).await.map(written)
}

/// Removes a key; nothing there is no error.
pub async fn delete(store: &str, key: &str) -> Result<(), Error> {
    host::keyvalue_delete(store, key).await
}

fn milliseconds(time: Option<Duration>) -> Option<u64> {
    time.map(|time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
}

fn written(it_was: bool) -> Written {
    if it_was { Written::Yes } else { Written::No }
}
