//! Paths of blobs: normalised and confined before any store sees them.

use std::fmt;

/// A path that cannot leave its store. Segments are joined by `/`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BlobPath(String);

/// Why a text is no path.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("path {path:?} is refused: {reason}")]
pub struct PathError {
    /// The text, cut to 200 characters.
    pub path: String,
    /// What is wrong with it.
    pub reason: &'static str,
}

impl BlobPath {
    /// The path as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for BlobPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for BlobPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}
