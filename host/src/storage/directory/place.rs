//! Where a blob lies below the store's folder. Paths arrive normalised; what is left to hold here is links: each folder
//! on the way is looked at, and one that is a link is followed only when it stays in the store. Everything here blocks.

use std::fs::{self, DirBuilder, File, Metadata};
use std::io::{self, ErrorKind};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::failure::{failed, store_failed};
use crate::storage::intake::RESERVED;
use crate::storage::{BlobPath, StoreError};

/// Folders are for the host and its group.
pub(super) const FOLDER_MODE: u32 = 0o750;

/// The folder of a store.
pub(super) struct Root {
    /// Without links.
    path: PathBuf,
    /// Held while folders are made and removed, so that a folder another put has made is durable when this one sees it,
    /// and stays until the blob is in it.
    making: Mutex<()>,
}

/// What stands at a place.
pub(super) enum Found {
    /// A blob, open for reading.
    Blob(File),
    /// A folder, which other blobs may lie in.
    Folder,
    /// Nothing.
    Nothing,
}

/// What to do about a folder that is missing on the way to a blob.
#[derive(Clone, Copy)]
enum Missing {
    Make,
    Report,
}

impl Root {
    /// Makes the folder where it is missing.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(FOLDER_MODE).create(path)?;
        let path = path.canonicalize()?;
        if let Some(parent) = path.parent() {
            // A parent that may not be read cannot be made durable by this user; that is no reason not to start.
            let _ = sync_folder(parent);
        }
        Ok(Self { path, making: Mutex::new(()) })
    }

    /// The folder itself.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The last segment of a path.
    pub(super) fn name(path: &BlobPath) -> &str {
        path.as_str().rsplit('/').next().unwrap_or(path.as_str())
    }

    /// The folder a blob lies in, made durably where it is missing.
    pub(super) fn make_folder(&self, path: &BlobPath, _: &MutexGuard<'_, ()>) -> Result<PathBuf, StoreError> {
        self.folder(path, Missing::Make)?.ok_or_else(|| StoreError::NotFound(path.clone()))
    }

    /// Held from making a blob's folder until the blob stands in it.
    pub(super) fn making(&self) -> MutexGuard<'_, ()> {
        self.making.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A blob, open for reading.
    pub(super) fn find(&self, path: &BlobPath) -> Result<File, StoreError> {
        let missing = || StoreError::NotFound(path.clone());
        let folder = self.folder(path, Missing::Report)?.ok_or_else(missing)?;
        match Self::look(&folder.join(Self::name(path)), path)? {
            Found::Blob(file) => Ok(file),
            Found::Folder | Found::Nothing => Err(missing()),
        }
    }

    /// Removes a blob, durably.
    pub(super) fn remove(&self, path: &BlobPath) -> Result<(), StoreError> {
        let Some(folder) = self.folder(path, Missing::Report)? else { return Ok(()) };
        let place = folder.join(Self::name(path));
        let Found::Blob(_) = Self::look(&place, path)? else { return Ok(()) };
        match fs::remove_file(&place).and_then(|()| sync_folder(&folder)) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(self.failed("remove", path, &folder, &error)),
            _ => {
                self.prune(folder);
                Ok(())
            }
        }
    }

    /// Removes folders that are empty, upwards and never the store's own. The system refuses what is not empty, so a
    /// put that comes between at most makes its folder once more. What cannot be removed stays.
    fn prune(&self, mut folder: PathBuf) {
        let _making = self.making();
        while folder != self.path && folder.starts_with(&self.path) && fs::remove_dir(&folder).is_ok() && folder.pop() {
            // The folder may come back after a crash, empty as it was.
            let _ = sync_folder(&folder);
        }
    }

    /// What an error in `folder` means: in the store's own, it is the store's.
    pub(super) fn failed(&self, doing: &'static str, path: &BlobPath, folder: &Path, error: &io::Error) -> StoreError {
        if folder == self.path { store_failed(doing, path, error) } else { failed(doing, path, error) }
    }

    /// What stands at a place whose folder was found by this type. Only a regular file is ever opened.
    pub(super) fn look(place: &Path, path: &BlobPath) -> Result<Found, StoreError> {
        match metadata(place, path)? {
            None => Ok(Found::Nothing),
            Some(metadata) if metadata.is_dir() => Ok(Found::Folder),
            Some(metadata) if metadata.is_file() => match File::open(place) {
                Ok(file) => Ok(Found::Blob(file)),
                Err(error) if error.kind() == ErrorKind::NotFound => Ok(Found::Nothing),
                Err(error) => Err(failed("read", path, &error)),
            },
            Some(_) => Err(StoreError::Other(format!("what stands at {path} is a link or a device, not a blob"))),
        }
    }

    /// The folder of a blob, free of links; `None` where one on the way is missing.
    fn folder(&self, path: &BlobPath, missing: Missing) -> Result<Option<PathBuf>, StoreError> {
        let mut folder = self.path.clone();
        let Some((parents, _)) = path.as_str().rsplit_once('/') else { return Ok(Some(folder)) };
        for segment in parents.split('/') {
            let next = folder.join(segment);
            folder = match (metadata(&next, path)?, missing) {
                (Some(metadata), _) if metadata.is_dir() => next,
                (Some(metadata), _) if metadata.is_symlink() => self.followed(&next, path)?,
                (None, Missing::Make) => {
                    make(&folder, &next).map_err(|error| self.failed("make the folder of", path, &folder, &error))?;
                    next
                }
                (None, Missing::Report) | (Some(_), Missing::Report) => return Ok(None),
                (Some(_), Missing::Make) => {
                    return Err(StoreError::Other(format!("a blob stands on the way to {path}, at `{segment}`")));
                }
            };
        }
        Ok(Some(folder))
    }

    fn followed(&self, link: &Path, path: &BlobPath) -> Result<PathBuf, StoreError> {
        let target = link.canonicalize().map_err(|error| failed("follow a link to", path, &error))?;
        let inside = target.strip_prefix(&self.path).is_ok_and(|inside| !inside.starts_with(RESERVED));
        match inside && target.is_dir() {
            true => Ok(target),
            false => Err(StoreError::Other(format!("a link on the way to {path} leads out of the store"))),
        }
    }
}

/// Of the thing itself, not of what a link leads to. A file on the way means that nothing stands there.
fn metadata(place: &Path, path: &BlobPath) -> Result<Option<Metadata>, StoreError> {
    match fs::symlink_metadata(place) {
        Ok(metadata) => Ok(Some(metadata)),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(None),
        Err(error) => Err(failed("find", path, &error)),
    }
}

fn make(parent: &Path, folder: &Path) -> io::Result<()> {
    match DirBuilder::new().mode(FOLDER_MODE).create(folder) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error),
        _ => sync_folder(parent),
    }
}

/// Makes the names in a folder durable.
pub(super) fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}
