//! Files in the stores that the pipeline was granted. Bytes that the plugin does not need never enter it. Every put is
//! atomic, and answers identical content that stands there already as if it had just been put.

use crate::http::Response;
use crate::{Outcome, host};

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
    /// Answer [`Error::Conflict`].
    #[default]
    Refuse,
    /// Put the new content in its place.
    Overwrite,
}

/// Why a call on a store failed.
///
/// | error | code | as an outcome |
/// |---|---|---|
/// | `Denied`, `NotFound`, `Conflict`, `TooLarge` | `denied`, `not-found`, `conflict`, `too-large` | `reject` |
/// | `Source` | `source` | `retry`: the body failed, not the store |
/// | `Unavailable` | `store-unavailable` | `hold`: no message can pass while the store is down |
/// | `Other` | `store` | `retry` |
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Error {
    /// Refused by policy: a store not granted, a path that leaves it.
    #[error("{0}")]
    Denied(String),
    /// Nothing stands at this path.
    #[error("nothing stands at {path} in store {store}")]
    NotFound {
        /// The store.
        store: String,
        /// The path.
        path: String,
    },
    /// Something else stands at this path already.
    #[error(
        "different content stands at {path} in store {store} already: {} bytes, sha256 {}",
        stored.size,
        stored.sha256
    )]
    Conflict {
        /// The store.
        store: String,
        /// The path.
        path: String,
        /// What stands there.
        stored: Box<Stored>,
    },
    /// Above the limit.
    #[error("larger than {limit} bytes")]
    TooLarge {
        /// The limit in bytes.
        limit: u64,
    },
    /// The source body failed, not the store.
    #[error("the body failed: {0}")]
    Source(String),
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
            Self::NotFound { .. } => "not-found",
            Self::Conflict { .. } => "conflict",
            Self::TooLarge { .. } => "too-large",
            Self::Source(_) => "source",
            Self::Unavailable { .. } => "store-unavailable",
            Self::Other { .. } => "store",
        }
    }
}

impl From<Error> for Outcome {
    fn from(error: Error) -> Self {
        let reason = error.to_string();
        match error {
            Error::Denied(_) | Error::NotFound { .. } | Error::Conflict { .. } | Error::TooLarge { .. } => {
                Self::reject(error.code(), reason)
            }
            Error::Unavailable { .. } => Self::hold(reason),
            Error::Source(_) | Error::Other { .. } => Self::retry(reason),
        }
    }
}

/// Streams a response's body into a store, host-side; a broken body is resumed by range where its origin can.
pub async fn put_response(store: &str, path: &str, source: Response, options: PutOptions) -> Result<Stored, Error> {
    host::put_response(store, path, source.response, options).await
}

/// Stores bytes of the plugin.
pub async fn put_bytes(store: &str, path: &str, data: Vec<u8>, options: PutOptions) -> Result<Stored, Error> {
    host::put_bytes(store, path, data, options).await
}

/// A blob as bytes; [`Error::TooLarge`] above `max` bytes.
pub async fn get(store: &str, path: &str, max: u32) -> Result<Vec<u8>, Error> {
    host::get_blob(store, path, max).await
}

/// What stands at a path; `None` where nothing does.
pub async fn stat(store: &str, path: &str) -> Result<Option<Stored>, Error> {
    match host::stat(store, path).await {
        Ok(stored) => Ok(Some(stored)),
        Err(Error::NotFound { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// A place in a store.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Place<'a> {
    /// The store.
    pub store: &'a str,
    /// The path in it.
    pub path: &'a str,
}

/// Copies between stores, host-side. [`Error::NotFound`] names the place that is empty.
pub async fn copy(from: Place<'_>, to: Place<'_>, options: PutOptions) -> Result<Stored, Error> {
    host::copy(from, to, options).await
}

/// Removes a blob; nothing there is no error.
pub async fn delete(store: &str, path: &str) -> Result<(), Error> {
    host::delete(store, path).await
}
