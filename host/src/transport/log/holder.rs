//! Who holds a lease is told alive by a lock on a file of its own: the system frees it when the process dies, however
//! it dies, and so does dropping the source. A file that is gone or can be locked belongs to nobody any more.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

/// A locked file. Dropping it lets go.
#[derive(Debug)]
pub(super) struct Holder {
    id: String,
    path: PathBuf,
    _file: File,
}

impl Holder {
    /// Makes and locks a file with a new name.
    pub(super) fn new(folder: &Path) -> io::Result<Self> {
        let id = format!("{:032x}", rand::random::<u128>());
        let path = path_of(folder, &id);
        let file = File::create_new(&path)?;
        file.try_lock()?;
        Ok(Self { id, path, _file: file })
    }

    /// The file's name, kept in the lease.
    pub(super) fn id(&self) -> &str {
        &self.id
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        // A file that stays behind can be locked, so it counts as gone all the same.
        let _ = fs::remove_file(&self.path);
    }
}

/// Whether the holder with that id still lives. Where it cannot be told, it does. Removes the file of a dead one.
pub(super) fn is_alive(folder: &Path, id: &str) -> bool {
    let path = path_of(folder, id);
    let file = match File::open(&path) {
        Ok(file) => file,
        Err(error) => return error.kind() != io::ErrorKind::NotFound,
    };
    match file.try_lock() {
        Ok(()) => {
            let _ = fs::remove_file(&path);
            false
        }
        Err(TryLockError::WouldBlock | TryLockError::Error(_)) => true,
    }
}

fn path_of(folder: &Path, id: &str) -> PathBuf {
    folder.join(format!("{id}.lock"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_holder_lives_until_it_is_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let holder = Holder::new(folder.path()).unwrap();
        let id = holder.id().to_owned();
        assert!(is_alive(folder.path(), &id));
        drop(holder);
        assert!(!is_alive(folder.path(), &id));
    }

    #[test]
    fn a_file_that_a_dead_process_left_is_nobodys() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("left.lock"), "").unwrap();
        assert!(!is_alive(folder.path(), "left"));
        assert!(!folder.path().join("left.lock").exists());
    }
}
