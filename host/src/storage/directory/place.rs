//! Where a blob lies below the store's folder. Paths arrive normalised; what is left to hold here is links: each folder
//! on the way is looked at, and one that is a link is followed only when it stays in the store. It does not hold against
//! somebody who may write in the store's folder and swaps folders for links between the look and the use; guests cannot
//! make links. A folder in which nothing lies is nothing: a killed put may leave one, and it stands in no blob's way.
//! Everything here blocks.

use std::fs::{self, DirBuilder, File};
use std::io::{self, ErrorKind};
use std::iter;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use rustix::fs::OFlags;

use super::disk::{Disk, FOLDER_MODE};
use super::failure::{failed, store_failed};
use super::fresh::{Fresh, New};
use super::names::{Entry, Names};
use crate::storage::path::{PATH_LIMIT, RESERVED};
use crate::storage::{BlobPath, StoreError};

/// Bytes of a whole path that the system takes.
const SYSTEM_LIMIT: usize = if cfg!(target_os = "linux") { 4095 } else { 1023 };
/// Opens neither what a link leads to nor a pipe that nobody writes to.
const ONLY_FILES: i32 = OFlags::NOFOLLOW.union(OFlags::NONBLOCK).bits().cast_signed();

/// The folder of a store.
pub(super) struct Root {
    /// Without links.
    path: PathBuf,
    names: Names,
    disk: Disk,
    /// Folders that may not be durable yet.
    fresh: Fresh,
    /// Shared by puts while they make a folder and until the blob is in it; whoever removes folders has it alone. Nobody
    /// waits for the disk meanwhile.
    making: RwLock<()>,
}

/// Folders that have to be made durable for a blob to be.
#[derive(Debug)]
pub(super) struct Unsynced {
    /// The one that the blob was named in, and those above it that got a new one.
    pub(super) folders: Vec<PathBuf>,
    new: Vec<New>,
}

/// What stands at a place.
pub(super) enum Found {
    /// A blob, open for reading.
    Blob(File),
    /// A folder, which other blobs may lie in.
    Folder,
    /// Nothing of this name, but something that the file system takes for it.
    Twin,
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
    /// Makes the folder where it is missing, and says where it is without links.
    pub(super) fn make(path: &Path) -> io::Result<PathBuf> {
        DirBuilder::new().recursive(true).mode(FOLDER_MODE).create(path)?;
        let path = path.canonicalize()?;
        // A blob's path that only one store has no room for would be refused by that one only.
        let longest = SYSTEM_LIMIT - 1 - PATH_LIMIT;
        if path.as_os_str().len() > longest {
            let reason = format!("its whole path is longer than {longest} bytes, too long to have blobs below it");
            return Err(io::Error::new(ErrorKind::InvalidFilename, reason));
        }
        if let Some(parent) = path.parent() {
            // A parent that may not be read cannot be made durable by this user; that is no reason not to start.
            let _ = Disk::default().sync_folder(parent);
        }
        Ok(path)
    }

    /// The folder that [`Root::make`] has found.
    pub(super) fn new(path: PathBuf, names: Names, disk: Disk) -> Self {
        Self { path, names, disk, fresh: Fresh::default(), making: RwLock::new(()) }
    }

    /// The last segment of a path.
    pub(super) fn name(path: &BlobPath) -> &str {
        path.as_str().rsplit('/').next().unwrap_or(path.as_str())
    }

    /// The folder a blob lies in, made where it is missing.
    pub(super) fn make_folder(&self, path: &BlobPath, _: &RwLockReadGuard<'_, ()>) -> Result<PathBuf, StoreError> {
        self.folder(path, Missing::Make)?.ok_or_else(|| StoreError::NotFound(path.clone()))
    }

    /// Held from making a blob's folder until the blob stands in it: no folder is removed meanwhile.
    pub(super) fn making(&self) -> RwLockReadGuard<'_, ()> {
        self.making.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn removing(&self) -> RwLockWriteGuard<'_, ()> {
        self.making.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// What has to be made durable once a blob was named in this folder. A folder above it that another put has made,
    /// and not made durable yet, is among them.
    pub(super) fn unsynced(&self, folder: &Path) -> Unsynced {
        let above = folder.ancestors().take_while(|above| *above != self.path);
        let new: Vec<New> = above.filter_map(|above| self.fresh.find(above)).collect();
        let parents = new.iter().filter_map(|new| new.folder.parent());
        Unsynced { folders: iter::once(folder).chain(parents).map(Path::to_owned).collect(), new }
    }

    /// Makes the names in a folder durable, as `path` needs it.
    pub(super) fn sync(&self, folder: &Path, path: &BlobPath) -> Result<(), StoreError> {
        match self.disk.sync_folder(folder) {
            // Named, then deleted by somebody else with its folder: the put came first.
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            synced => synced.map_err(|error| failed("name", path, &error)),
        }
    }

    /// All of it is durable.
    pub(super) fn synced(&self, unsynced: &Unsynced) {
        unsynced.new.iter().for_each(|new| self.fresh.forget(new));
    }

    /// A blob, open for reading.
    pub(super) fn find(&self, path: &BlobPath) -> Result<File, StoreError> {
        let missing = || StoreError::NotFound(path.clone());
        let folder = self.folder(path, Missing::Report)?.ok_or_else(missing)?;
        match self.look(&folder.join(Self::name(path)), path)? {
            Found::Blob(file) => Ok(file),
            Found::Folder | Found::Twin | Found::Nothing => Err(missing()),
        }
    }

    /// Removes a blob, durably.
    pub(super) fn remove(&self, path: &BlobPath) -> Result<(), StoreError> {
        let Some(folder) = self.folder(path, Missing::Report)? else { return Ok(()) };
        let place = folder.join(Self::name(path));
        let Found::Blob(_) = self.look(&place, path)? else { return Ok(()) };
        match self.disk.remove(&place).and_then(|()| self.disk.sync_folder(&folder)) {
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
        let _removing = self.removing();
        // Nothing is made durable: a folder that comes back after a crash is as empty as it was.
        while folder != self.path && folder.starts_with(&self.path) && self.remove_folder(&folder) && folder.pop() {}
    }

    fn remove_folder(&self, folder: &Path) -> bool {
        let removed = self.disk.remove_folder(folder).is_ok();
        if removed {
            self.fresh.removed(folder);
        }
        removed
    }

    /// Removes a folder in which no blob lies, however deep, and says whether it did. A put of another process that
    /// loses its folder by this makes it once more.
    pub(super) fn clear_empty(&self, folder: &Path) -> bool {
        let _removing = self.removing();
        self.without_blobs(folder).is_some_and(|folders| folders.iter().rev().all(|folder| self.remove_folder(folder)))
    }

    /// A folder and all below it, each before what it holds; `None` where anything else lies in one of them.
    fn without_blobs(&self, folder: &Path) -> Option<Vec<PathBuf>> {
        let mut folders = vec![folder.to_owned()];
        let mut looked_at = 0;
        while let Some(folder) = folders.get(looked_at) {
            let entries = fs::read_dir(folder).ok()?;
            looked_at += 1;
            for entry in entries {
                let entry = entry.ok().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))?;
                folders.push(entry.path());
            }
        }
        Some(folders)
    }

    /// What an error in `folder` means: in the store's own, it is the store's.
    pub(super) fn failed(&self, doing: &'static str, path: &BlobPath, folder: &Path, error: &io::Error) -> StoreError {
        if folder == self.path { store_failed(doing, path, error) } else { failed(doing, path, error) }
    }

    /// What stands at a place whose folder was found by this type. Only a regular file is ever opened.
    pub(super) fn look(&self, place: &Path, path: &BlobPath) -> Result<Found, StoreError> {
        match self.entry(place, path)? {
            Entry::Nothing => Ok(Found::Nothing),
            Entry::Twin => Ok(Found::Twin),
            Entry::There(metadata) if metadata.is_dir() => Ok(Found::Folder),
            Entry::There(metadata) if metadata.is_file() => match open(place) {
                Ok(file) => Ok(Found::Blob(file)),
                Err(error) if error.kind() == ErrorKind::NotFound => Ok(Found::Nothing),
                Err(error) => Err(failed("read", path, &error)),
            },
            Entry::There(_) => {
                Err(StoreError::Other(format!("what stands at {path} is a link or a device, not a blob")))
            }
        }
    }

    /// Refuses a path whose name the file system takes for another blob's, before anything is named so.
    pub(super) fn refuse_twin(&self, place: &Path, path: &BlobPath) -> Result<(), StoreError> {
        match self.names {
            Names::Exact(_) => Ok(()),
            Names::Folded(_) if matches!(self.entry(place, path)?, Entry::Twin) => Err(twin(path, Self::name(path))),
            Names::Folded(_) => Ok(()),
        }
    }

    fn entry(&self, place: &Path, path: &BlobPath) -> Result<Entry, StoreError> {
        self.names.entry(place).map_err(|error| failed("find", path, &error))
    }

    /// The folder of a blob, free of links; `None` where one on the way is missing.
    fn folder(&self, path: &BlobPath, missing: Missing) -> Result<Option<PathBuf>, StoreError> {
        let mut folder = self.path.clone();
        let Some((parents, _)) = path.as_str().rsplit_once('/') else { return Ok(Some(folder)) };
        for segment in parents.split('/') {
            let next = folder.join(segment);
            folder = match (self.entry(&next, path)?, missing) {
                (Entry::There(metadata), _) if metadata.is_dir() => next,
                (Entry::There(metadata), _) if metadata.is_symlink() => self.followed(&next, path)?,
                (Entry::Nothing, Missing::Make) => {
                    let made = self.fresh.make(&next, || self.disk.make_folder(&next));
                    made.map_err(|error| self.failed("make the folder of", path, &folder, &error))?;
                    next
                }
                (_, Missing::Report) => return Ok(None),
                (Entry::Twin, Missing::Make) => return Err(twin(path, segment)),
                (Entry::There(_), Missing::Make) => {
                    return Err(StoreError::Other(format!("a blob stands on the way to {path}, at `{segment}`")));
                }
            };
        }
        Ok(Some(folder))
    }

    fn followed(&self, link: &Path, path: &BlobPath) -> Result<PathBuf, StoreError> {
        let target = link.canonicalize().map_err(|error| match error.kind() {
            ErrorKind::NotFound => StoreError::Other(format!("a link on the way to {path} leads nowhere")),
            _ => failed("follow a link to", path, &error),
        })?;
        let inside =
            target.strip_prefix(&self.path).is_ok_and(|inside| inside.iter().all(|segment| segment != RESERVED));
        match inside && target.is_dir() {
            true => Ok(target),
            false => Err(StoreError::Other(format!("a link on the way to {path} leads out of the store"))),
        }
    }
}

fn open(place: &Path) -> io::Result<File> {
    File::options().read(true).custom_flags(ONLY_FILES).open(place)
}

fn twin(path: &BlobPath, segment: &str) -> StoreError {
    StoreError::Other(format!(
        "the file system does not tell {path} from a blob that stands already: at {segment:?} the two differ in case or \
         accents only"
    ))
}
