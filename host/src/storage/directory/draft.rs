//! A blob on its way in: a file in the hidden folder that has no name a reader could know. It goes when it is dropped;
//! only [`Draft::name`] gives it its name. Everything here blocks.

use std::fs::File;
use std::io::{self, ErrorKind, Read, Seek};
use std::path::PathBuf;

use sha2::{Digest, Sha256};
use tempfile::NamedTempFile;

use super::disk::Disk;
use super::failure::{failed, store_failed};
use super::place::{Found, Root};
use super::scratch::Scratch;
use crate::model::Progress;
use crate::storage::intake::{same_or_conflict, stored};
use crate::storage::{BlobPath, Replace, StoreError, Stored};

/// Bytes after which what was written is made durable while more is written, so that the disk is never without work and
/// the last wait is a short one.
const SYNC_EVERY: u64 = 32 << 20;
/// Bytes that may wait to be made durable before no more are written: what lies in the system's memory is bounded.
const UNSYNCED_LIMIT: u64 = 2 * SYNC_EVERY;
/// Bytes hashed at a time.
const CHUNK: usize = 1 << 20;
/// How often to try when what stands at a path vanishes as it is looked at.
const ROUNDS: usize = 3;

/// A blob that has its name, with content that is durable. The name is not yet.
pub(super) struct Named {
    /// The folder it was named in.
    pub(super) folder: PathBuf,
    /// What stands there.
    pub(super) stored: Stored,
}

/// When what was written should be made durable.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Due {
    /// It is little.
    Later,
    /// While more is written.
    Now,
    /// Before more is written.
    First,
}

/// What has come of a blob so far.
pub(super) struct Draft {
    path: BlobPath,
    disk: Disk,
    file: NamedTempFile,
    hasher: Sha256,
    size: u64,
    unsynced: u64,
}

impl Draft {
    /// An empty draft of a blob at `path`.
    pub(super) fn new(scratch: &Scratch, path: BlobPath) -> Result<Self, StoreError> {
        match scratch.file() {
            Ok(file) => {
                Ok(Self { path, disk: scratch.disk().clone(), file, hasher: Sha256::new(), size: 0, unsynced: 0 })
            }
            Err(error) if error.kind() == ErrorKind::NotFound => Err(StoreError::Unavailable(
                "its folder was removed while the host runs; start the host again".to_owned(),
            )),
            Err(error) => Err(store_failed("begin", &path, &error)),
        }
    }

    /// Adds to its end.
    pub(super) fn write(mut self, bytes: &[u8]) -> Result<Self, StoreError> {
        self.append(bytes).map_err(|error| store_failed("write", &self.path, &error))?;
        Ok(self)
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.disk.write(&mut self.file, bytes)?;
        self.hasher.update(bytes);
        let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        self.size = self.size.saturating_add(length);
        self.unsynced = self.unsynced.saturating_add(length);
        Ok(())
    }

    /// Whether what was written should be made durable.
    pub(super) fn due(&self) -> Due {
        match self.unsynced {
            0..SYNC_EVERY => Due::Later,
            SYNC_EVERY..UNSYNCED_LIMIT => Due::Now,
            _ => Due::First,
        }
    }

    /// What makes durable all that was written so far, while more may be. It blocks.
    pub(super) fn sync(&mut self) -> Result<impl FnOnce() -> Result<(), StoreError> + Send + use<>, StoreError> {
        let (disk, path) = (self.disk.clone(), self.path.clone());
        let file = self.file.as_file().try_clone().map_err(|error| store_failed("write", &path, &error))?;
        self.unsynced = 0;
        Ok(move || disk.sync_data(&file).map_err(|error| store_failed("write", &path, &error)))
    }

    /// Gives the blob its name.
    pub(super) fn name(self, root: &Root, replace: Replace, progress: &Progress) -> Result<Named, StoreError> {
        let Self { path, disk, mut file, hasher, size, .. } = self;
        disk.sync(file.as_file()).map_err(|error| store_failed("write", &path, &error))?;
        progress.touch();
        let wanted = stored(size, hasher);
        for _ in 0..ROUNDS {
            // Made anew each time: another process that deletes the last blob in it takes the folder along.
            let making = root.making();
            let folder = root.make_folder(&path, &making)?;
            let target = folder.join(Root::name(&path));
            root.refuse_twin(&target, &path)?;
            let named = disk.name(file, &target, replace);
            drop(making);
            file = match named {
                Ok(_) => return Ok(Named { folder, stored: wanted }),
                Err(refused) if is_taken_or_gone(&refused.error) => refused.file,
                Err(refused) => return Err(root.failed("name", &path, &folder, &refused.error)),
            };
            match root.look(&target, &path)? {
                Found::Blob(standing) => {
                    let stored = already(&disk, standing, &path, &wanted, progress)?;
                    return Ok(Named { folder, stored });
                }
                Found::Folder if !root.clear_empty(&target) => {
                    return Err(StoreError::Other(format!("a folder stands at {path}: there are blobs below it")));
                }
                Found::Folder | Found::Twin | Found::Nothing => {}
            }
        }
        Err(StoreError::Other(format!("what stands at {path}, or its folder, comes and goes")))
    }
}

/// Something stands where a blob was to be named, or its folder does not stand any more.
fn is_taken_or_gone(error: &io::Error) -> bool {
    use ErrorKind::{AlreadyExists, DirectoryNotEmpty, IsADirectory, NotFound};
    matches!(error.kind(), AlreadyExists | DirectoryNotEmpty | IsADirectory | NotFound)
}

/// Another put may have named the blob and not yet made it durable, so this one does before it answers.
fn already(
    disk: &Disk,
    mut standing: File,
    path: &BlobPath,
    wanted: &Stored,
    progress: &Progress,
) -> Result<Stored, StoreError> {
    let stands = same_or_conflict(path, describe(&mut standing, path, progress)?, wanted)?;
    disk.sync(&standing).map_err(|error| failed("write", path, &error))?;
    Ok(stands)
}

/// Size and hash of a file by reading it; leaves it at its start.
pub(super) fn describe(file: &mut File, path: &BlobPath, progress: &Progress) -> Result<Stored, StoreError> {
    hashed(file, progress).map_err(|error| failed("read", path, &error))
}

fn hashed(file: &mut File, progress: &Progress) -> io::Result<Stored> {
    let mut hasher = Sha256::new();
    let mut size = 0;
    let mut chunk = Vec::with_capacity(CHUNK);
    loop {
        chunk.clear();
        let read = (&*file).take(CHUNK as u64).read_to_end(&mut chunk)?;
        if read == 0 {
            break;
        }
        hasher.update(&chunk);
        size += read as u64;
        progress.touch();
    }
    file.rewind()?;
    Ok(stored(size, hasher))
}
