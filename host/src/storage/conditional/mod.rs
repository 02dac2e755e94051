//! Small entries that several processes change, each only as it saw them last: compare-and-swap, for leases and
//! checkpoints. An entry is a few short fields under a name, as Azure keeps metadata with an empty blob.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;

use super::azure::Azure;
use super::config::Config;
use super::open::SetupError;
use crate::model::{Clock, Secrets, Timestamp};

#[cfg(any(test, feature = "testing"))]
pub mod contract;
mod memory;
mod sqlite;

pub use memory::Memory;

/// What an entry holds: names of lower-case letters, digits and `_`, values of printable ASCII.
pub type Fields = BTreeMap<String, String>;

/// Which content of an entry one has seen. Every change gives it another one.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Version(pub(super) String);

#[cfg(test)]
impl Version {
    /// One of a store that does not exist, for tests of what only compares them.
    pub(crate) fn of(number: u32) -> Self {
        Self(number.to_string())
    }
}

/// An entry in a listing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Listed {
    /// Its whole name.
    pub name: String,
    /// Its content, to be told from the one that was seen before.
    pub version: Version,
    /// When it was changed, by the store's clock.
    pub modified: Timestamp,
}

/// An entry.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// Which content this is.
    pub version: Version,
    /// When it was changed, by the store's clock.
    pub modified: Timestamp,
    /// What it holds.
    pub fields: Fields,
}

/// Why a call failed. Whether a change was made is not known then: read the entry.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Failure {
    /// The store as a whole cannot now: again later.
    #[error("the store is unavailable: {0}")]
    Unavailable(String),
    /// Anything else, most of it about this one entry.
    #[error("the store failed: {0}")]
    Other(String),
}

/// Keeps entries. A name is a path: segments of what is no `/`, at most 1000 bytes in all.
#[async_trait]
pub trait Conditional: Send + Sync {
    /// The entries in a folder and below, in no order. Cheap: what they hold is not read.
    async fn list(&self, folder: &str) -> Result<Vec<Listed>, Failure>;

    /// One entry, if it is there.
    async fn read(&self, name: &str) -> Result<Option<Entry>, Failure>;

    /// Puts fields in the place of those that had this version, or where nothing stands; answers their version, or none
    /// when something else stands there. A change whose answer was lost and that was tried again may be answered so too:
    /// who writes fields that nobody else would write sees by reading.
    async fn put(&self, name: &str, fields: &Fields, expected: Option<&Version>) -> Result<Option<Version>, Failure>;
}

/// Opens the entries beside the blobs of the store that the spec calls `name`: in Azure as empty blobs with metadata, in a
/// directory in a SQLite file of the hidden folder, for processes of one machine. Blocks on the file system for a
/// directory, shortly.
pub fn open(name: &str, config: &Config, secrets: &Secrets, clock: &Clock) -> Result<Arc<dyn Conditional>, SetupError> {
    match config {
        Config::Memory {} => Ok(Arc::new(Memory::new(clock.clone()))),
        Config::Directory { path } => match sqlite::Sqlite::open(path, clock) {
            Ok(entries) => Ok(Arc::new(entries)),
            Err(reason) => Err(SetupError::Folder { store: name.to_owned(), path: path.clone(), reason }),
        },
        Config::Azure { .. } => Ok(Arc::new(Azure::open(name, config, secrets, |key| std::env::var(key).ok())?)),
    }
}
