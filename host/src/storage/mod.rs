//! Blob stores by name. A store keeps whole blobs under normalised paths; a put is atomic on each of them, identical
//! content is answered as already there, and different content is never overwritten unless told.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;

use crate::model::Progress;

mod azure;
pub mod conditional;
pub mod config;
#[cfg(any(test, feature = "testing"))]
pub mod contract;
mod directory;
mod intake;
mod memory;
mod open;
mod path;
pub mod sqlite;

pub use open::{SetupError, open};
pub use path::{BlobPath, PathError};

/// A blob as it stands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Stored {
    /// Bytes.
    pub size: u64,
    /// SHA-256 in lower-case hex.
    pub sha256: String,
    /// The store's own version mark, if it has one.
    pub etag: Option<String>,
    /// The media type, if the store keeps one.
    pub content_type: Option<String>,
}

/// A blob that is being read, as far as that is known without reading it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Opened {
    /// Bytes.
    pub size: u64,
    /// The store's own version mark, if it has one.
    pub etag: Option<String>,
    /// The media type, if the store keeps one.
    pub content_type: Option<String>,
}

/// How to put.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct PutOptions {
    /// Kept with the blob where the store can.
    pub content_type: Option<String>,
    /// What to do when something different stands there.
    pub replace: Replace,
    /// Refuse a body above this size, in bytes.
    pub max_bytes: Option<u64>,
    /// Refuse a body of another size, in bytes.
    pub expected_bytes: Option<u64>,
}

/// What to do when something different stands at a path.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Replace {
    /// Answer [`StoreError::Conflict`].
    #[default]
    Refuse,
    /// Put the new content in its place.
    Overwrite,
}

/// Bytes on their way into a store. An error is the source's, in words for the operator, without secrets.
pub type Source = BoxStream<'static, Result<Bytes, String>>;

/// Why a call on a store failed.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum StoreError {
    /// Nothing there.
    #[error("nothing stands at {0}")]
    NotFound(BlobPath),
    /// Something else stands there already.
    #[error("different content stands at {path} already: {} bytes, sha256 {}", stored.size, stored.sha256)]
    Conflict {
        /// Where.
        path: BlobPath,
        /// What stands there.
        stored: Stored,
    },
    /// Above the limit.
    #[error("larger than {limit} bytes")]
    TooLarge {
        /// The limit in bytes.
        limit: u64,
    },
    /// The body failed, not the store.
    #[error("the source failed: {0}")]
    Source(String),
    /// The store as a whole cannot now: again later.
    #[error("the store is unavailable: {0}")]
    Unavailable(String),
    /// Anything else, most of it about this one path.
    #[error("the store failed: {0}")]
    Other(String),
}

/// Keeps blobs.
#[async_trait]
pub trait BlobStore: Send + Sync {
    /// Streams a blob in. Atomic: no reader ever sees half of it, and a failure leaves what stood there.
    async fn put(
        &self,
        path: &BlobPath,
        source: Source,
        options: &PutOptions,
        progress: &Progress,
    ) -> Result<Stored, StoreError>;
    /// What stands at a path. A store that keeps no hash reads the blob to tell it, which touches `progress`.
    async fn stat(&self, path: &BlobPath, progress: &Progress) -> Result<Stored, StoreError>;
    /// A blob as a stream. Reads nothing of it before it is asked for bytes, so there is no hash.
    async fn open(&self, path: &BlobPath) -> Result<(Opened, Source), StoreError>;
    /// Removes a blob; nothing there is no error.
    async fn delete(&self, path: &BlobPath) -> Result<(), StoreError>;
}

/// The stores of the spec by name.
pub type Stores = std::collections::BTreeMap<String, Arc<dyn BlobStore>>;
