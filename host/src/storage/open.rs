//! From `stores:` of the spec to a store. Opening a directory makes what is missing and clears what killed processes
//! left; opening Azure connects to nothing yet.

use std::path::PathBuf;
use std::sync::Arc;

use super::BlobStore;
use super::azure::Azure;
use super::config::Config;
use super::directory::Directory;
use super::memory::Memory;
use crate::model::Secrets;

/// Why a store cannot be opened. No text holds a secret.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum SetupError {
    /// The folder of a directory store.
    #[error("store {store}: folder {} cannot be used: {reason}", path.display())]
    Folder {
        /// Which store.
        store: String,
        /// Which folder.
        path: PathBuf,
        /// What the system said.
        reason: String,
    },
    /// A secret that nothing declares.
    #[error("store {store}: secret {secret} is not declared")]
    Secret {
        /// Which store.
        store: String,
        /// Which secret.
        secret: String,
    },
    /// A field whose value cannot be used.
    #[error("store {store}: {field} {reason}")]
    Invalid {
        /// Which store.
        store: String,
        /// Which field.
        field: &'static str,
        /// What is wrong with it.
        reason: String,
    },
}

impl SetupError {
    /// What to do about it.
    pub fn help(&self) -> String {
        match self {
            Self::Folder { path, .. } => {
                format!("let the host create, read and write {}, or name another `path`", path.display())
            }
            Self::Secret { secret, .. } => format!("declare it: `secrets: {{ {secret}: {{ env: … }} }}`"),
            Self::Invalid { store, field, .. } => format!("correct `{field}` of `stores.{store}`"),
        }
    }
}

/// Opens the store that the spec calls `name`. Blocks on the file system for a directory, shortly, so call it while
/// starting.
pub fn open(name: &str, config: &Config, secrets: &Secrets) -> Result<Arc<dyn BlobStore>, SetupError> {
    match config {
        Config::Memory {} => Ok(Arc::new(Memory::default())),
        Config::Directory { path } => match Directory::open(path) {
            Ok(directory) => Ok(Arc::new(directory)),
            Err(error) => {
                Err(SetupError::Folder { store: name.to_owned(), path: path.clone(), reason: error.to_string() })
            }
        },
        Config::Azure { .. } => Ok(Arc::new(Azure::open(name, config, secrets, |key| std::env::var(key).ok())?)),
    }
}
