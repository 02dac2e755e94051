//! What an error of the file system means to whoever asked: the path's own fault, or the store's.

use std::io::{Error, ErrorKind};

use crate::storage::{BlobPath, StoreError};

/// Reads an error that was met on the way to one blob, or at it.
///
/// | kind | answer |
/// |---|---|
/// | a name the file system does not take, a file where a folder is needed or the other way round, another file system mounted below the store | `Other`: this path can never be stored here |
/// | no permission, links in a circle, unreadable sectors | `Other`: other paths may well be fine |
/// | anything else (no space, quota, read-only, too many open files, device) | `Unavailable`: no fault of the path |
pub(super) fn failed(doing: &'static str, path: &BlobPath, error: &Error) -> StoreError {
    let is_local = error.kind() == ErrorKind::PermissionDenied || is_circle(error) || is_unreadable(error);
    match store_failed(doing, path, error) {
        StoreError::Unavailable(text) if is_local => StoreError::Other(text),
        other => other,
    }
}

/// Reads an error that was met in the store's own folders: like [`failed`], but what the host may not do there, or
/// cannot read, concerns every blob.
pub(super) fn store_failed(doing: &'static str, path: &BlobPath, error: &Error) -> StoreError {
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

/// `ELOOP`, which the standard library does not name yet.
fn is_circle(error: &Error) -> bool {
    const ELOOP: i32 = if cfg!(target_os = "linux") { 40 } else { 62 };
    error.raw_os_error() == Some(ELOOP)
}

/// `EIO`, likewise.
fn is_unreadable(error: &Error) -> bool {
    const EIO: i32 = 5;
    error.raw_os_error() == Some(EIO)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_fault_of_the_path_is_the_store_being_unavailable() {
        let path = BlobPath::parse("a/b").unwrap();
        for kind in [ErrorKind::StorageFull, ErrorKind::QuotaExceeded, ErrorKind::ReadOnlyFilesystem, ErrorKind::Other]
        {
            assert!(matches!(failed("write", &path, &kind.into()), StoreError::Unavailable(_)), "{kind:?}");
        }
        for kind in [ErrorKind::InvalidFilename, ErrorKind::NotADirectory, ErrorKind::CrossesDevices] {
            assert!(matches!(failed("write", &path, &kind.into()), StoreError::Other(_)), "{kind:?}");
        }
    }

    #[test]
    fn what_may_be_one_files_fault_holds_nobody_else_up_but_does_in_the_stores_own_folders() {
        let path = BlobPath::parse("a/b").unwrap();
        let os = Error::from_raw_os_error;
        for error in [ErrorKind::PermissionDenied.into(), os(5), os(40)] {
            assert!(matches!(failed("read", &path, &error), StoreError::Other(_)), "{error}");
            assert!(matches!(store_failed("write", &path, &error), StoreError::Unavailable(_)), "{error}");
        }
    }
}
