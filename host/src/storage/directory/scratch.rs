//! The hidden folder of a store, where blobs on their way in are written. Every open store has a folder of its own in
//! it, with a lock that the system frees when the process ends, however it ends. Opening a store clears the folders
//! whose lock is free; it does so, and makes its own, under one lock of the hidden folder, so that no folder is ever
//! seen between being made and being locked.

use std::fs::{self, DirBuilder, File, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::Path;

use tempfile::{Builder, NamedTempFile, TempDir};

use super::place::FOLDER_MODE;
use crate::storage::intake::RESERVED;

/// Blobs are for the host to write and its group to read.
const FILE_MODE: u32 = 0o640;
const LOCK: &str = "lock";
const WRITER: &str = "writer-";

/// One open store's own folder. Removed when dropped, before its lock is freed.
pub(super) struct Scratch {
    folder: TempDir,
    _lock: File,
}

impl Scratch {
    /// Makes the folder, and clears those of processes that are gone.
    pub(super) fn open(root: &Path) -> io::Result<Self> {
        let hidden = root.join(RESERVED);
        match DirBuilder::new().mode(FOLDER_MODE).create(&hidden) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        if !fs::symlink_metadata(&hidden)?.is_dir() {
            return Err(io::Error::new(ErrorKind::NotADirectory, format!("its own folder {RESERVED} is no folder")));
        }
        let gate = File::options().create(true).truncate(false).write(true).open(hidden.join(LOCK))?;
        match gate.lock() {
            Ok(()) => sweep(&hidden)?,
            Err(error) => {
                tracing::warn!(folder = %root.display(), %error, "store cannot lock; leftovers are not cleared");
            }
        }
        let folder =
            Builder::new().prefix(WRITER).permissions(Permissions::from_mode(FOLDER_MODE)).tempdir_in(&hidden)?;
        let lock = File::create_new(folder.path().join(LOCK))?;
        // Where locks do not work nobody sweeps either, which was said above.
        let _ = lock.try_lock();
        Ok(Self { folder, _lock: lock })
    }

    /// A new file that goes when it is dropped.
    pub(super) fn file(&self) -> io::Result<NamedTempFile> {
        Builder::new().prefix("put-").permissions(Permissions::from_mode(FILE_MODE)).tempfile_in(self.folder.path())
    }
}

fn sweep(hidden: &Path) -> io::Result<()> {
    for entry in fs::read_dir(hidden)? {
        let entry = entry?;
        if !entry.file_name().to_string_lossy().starts_with(WRITER) || !is_left(&entry.path()) {
            continue;
        }
        match fs::remove_dir_all(entry.path()) {
            Ok(()) => tracing::info!(folder = %entry.path().display(), "leftovers of a killed process cleared"),
            Err(error) => tracing::warn!(folder = %entry.path().display(), %error, "leftovers cannot be cleared"),
        }
    }
    Ok(())
}

/// Whether nobody holds a writer's folder. One without a lock was left while it was being made.
fn is_left(folder: &Path) -> bool {
    match File::open(folder.join(LOCK)) {
        Ok(lock) => lock.try_lock().is_ok(),
        Err(error) => error.kind() == ErrorKind::NotFound,
    }
}
