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

/// Bytes of one segment: what common file systems take.
const SEGMENT_LIMIT: usize = 255;
/// Bytes of a whole path: Azure takes 1,024 characters.
const PATH_LIMIT: usize = 1024;

impl BlobPath {
    /// Reads a path. Empty and `.` segments go; whatever could leave the store, or mean another place on another
    /// store, is refused.
    pub fn parse(text: &str) -> Result<Self, PathError> {
        let refused = |reason| PathError { path: text.chars().take(200).collect(), reason };
        if text.starts_with('/') {
            return Err(refused("it is absolute"));
        }
        if text.chars().any(|c| c.is_control() || c == '\\' || c == ':') {
            return Err(refused("it holds a control character, a backslash or a colon"));
        }
        let segments: Vec<&str> = text.split('/').filter(|segment| !segment.is_empty() && *segment != ".").collect();
        for segment in &segments {
            match *segment {
                ".." => return Err(refused("it holds `..`")),
                long if long.len() > SEGMENT_LIMIT => return Err(refused("a segment is longer than 255 bytes")),
                odd if odd.ends_with(['.', ' ']) => return Err(refused("a segment ends in a dot or a space")),
                _ => {}
            }
        }
        let path = segments.join("/");
        match path.len() {
            0 => Err(refused("it names nothing")),
            1..=PATH_LIMIT => Ok(Self(path)),
            _ => Err(refused("it is longer than 1024 bytes")),
        }
    }

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_normalised() {
        for (text, path) in [("a/b.pdf", "a/b.pdf"), ("a//./b", "a/b"), ("ü/…x", "ü/…x"), ("a/..b", "a/..b")] {
            assert_eq!(BlobPath::parse(text).unwrap().as_str(), path, "{text:?}");
        }
    }

    #[test]
    fn what_could_leave_the_store_is_refused() {
        let long = format!("a/{}", "x".repeat(256));
        let deep = "a/".repeat(600);
        for text in
            ["", ".", "/etc", "..", "a/../b", "a/..", "a\\b", "C:x", "a\0b", "a\nb", "a./b", "a /b", &long, &deep]
        {
            assert!(BlobPath::parse(text).is_err(), "{text:?}");
        }
    }
}
