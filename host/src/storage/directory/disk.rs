//! Every change that a directory store makes on the disk, one function a step. A put that is killed stops between two
//! of them, so tests stop it at each in turn; nothing else in this folder may change what lies there, but the sweep
//! and the temporary files that remove themselves.

use std::fs::{self, DirBuilder, File, Permissions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::Path;

use tempfile::{Builder, NamedTempFile, PersistError};

use crate::storage::Replace;

/// Blobs are for the host to write and its group to read.
const FILE_MODE: u32 = 0o640;
/// Folders are for the host and its group.
pub(super) const FOLDER_MODE: u32 = 0o750;

/// Makes the changes.
#[derive(Clone, Default)]
pub(super) struct Disk {
    #[cfg(test)]
    steps: super::crash_tests::Steps,
}

impl Disk {
    /// Makes changes, and stops where a test says.
    #[cfg(test)]
    pub(super) fn watched(steps: super::crash_tests::Steps) -> Self {
        Self { steps }
    }

    #[cfg(test)]
    fn step(&self, name: &'static str) {
        self.steps.reach(name);
    }

    #[cfg(not(test))]
    #[expect(clippy::unused_self, reason = "tests watch the steps")]
    fn step(&self, _: &'static str) {}

    /// Makes a folder; one that stands already is no error.
    pub(super) fn make_folder(&self, folder: &Path) -> io::Result<()> {
        self.step("make folder");
        match DirBuilder::new().mode(FOLDER_MODE).create(folder) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error),
            _ => Ok(()),
        }
    }

    /// A new file that goes when it is dropped.
    pub(super) fn draft(&self, folder: &Path) -> io::Result<NamedTempFile> {
        self.step("begin draft");
        Builder::new().prefix("put-").permissions(Permissions::from_mode(FILE_MODE)).tempfile_in(folder)
    }

    /// Adds to the end of a draft.
    pub(super) fn write(&self, draft: &mut NamedTempFile, bytes: &[u8]) -> io::Result<()> {
        self.step("write");
        draft.write_all(bytes)
    }

    /// Makes what was written so far durable.
    pub(super) fn sync_data(&self, draft: &File) -> io::Result<()> {
        self.step("sync data");
        draft.sync_data()
    }

    /// Makes a file durable, its size and mode included.
    pub(super) fn sync(&self, file: &File) -> io::Result<()> {
        self.step("sync file");
        file.sync_all()
    }

    /// Gives a draft its name, in one step.
    pub(super) fn name(&self, draft: NamedTempFile, target: &Path, replace: Replace) -> Result<File, PersistError> {
        self.step("name");
        match replace {
            Replace::Overwrite => draft.persist(target),
            Replace::Refuse => draft.persist_noclobber(target),
        }
    }

    /// Makes the names in a folder durable.
    pub(super) fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        self.step("sync folder");
        File::open(folder)?.sync_all()
    }

    /// Removes a blob's file.
    pub(super) fn remove(&self, file: &Path) -> io::Result<()> {
        self.step("remove");
        fs::remove_file(file)
    }

    /// Removes a folder that is empty; the system refuses any other.
    pub(super) fn remove_folder(&self, folder: &Path) -> io::Result<()> {
        self.step("remove folder");
        fs::remove_dir(folder)
    }
}
