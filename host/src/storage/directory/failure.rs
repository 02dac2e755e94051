//! What an error of the file system means to whoever asked: the path's own fault, or the store's.

use std::io::{Error, ErrorKind};

use crate::storage::{BlobPath, StoreError};

/// Reads an error.
///
/// | kind | answer |
/// |---|---|
/// | a name the file system does not take, a file where a folder is needed or the other way round, another file system mounted below the store | `Other`: this path can never be stored here |
/// | anything else (no space, quota, no permission, read-only, device) | `Unavailable`: no fault of the path |
pub(super) fn failed(doing: &'static str, path: &BlobPath, error: &Error) -> StoreError {
    let text = |why: &str| format!("cannot {doing} {path}: {why}");
    match error.kind() {
        ErrorKind::InvalidFilename | ErrorKind::InvalidInput => {
            StoreError::Other(text("the file system does not take this name, or the whole path is too long for it"))
        }
        ErrorKind::NotADirectory => StoreError::Other(text("a file stands where a folder is needed")),
        ErrorKind::IsADirectory | ErrorKind::DirectoryNotEmpty => StoreError::Other(text("a folder stands there")),
        ErrorKind::CrossesDevices => {
            StoreError::Other(text("another file system is mounted there, so that it cannot be put in one step"))
        }
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
            StoreError::Unavailable(text("no space is left; free some or raise the quota"))
        }
        ErrorKind::PermissionDenied => StoreError::Unavailable(text("the host may not; check owner and mode")),
        _ => StoreError::Unavailable(text(&error.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_fault_of_the_path_is_the_store_being_unavailable() {
        let path = BlobPath::parse("a/b").unwrap();
        for kind in [ErrorKind::StorageFull, ErrorKind::QuotaExceeded, ErrorKind::PermissionDenied, ErrorKind::Other] {
            assert!(matches!(failed("write", &path, &kind.into()), StoreError::Unavailable(_)), "{kind:?}");
        }
        for kind in [ErrorKind::InvalidFilename, ErrorKind::NotADirectory, ErrorKind::CrossesDevices] {
            assert!(matches!(failed("write", &path, &kind.into()), StoreError::Other(_)), "{kind:?}");
        }
    }
}
