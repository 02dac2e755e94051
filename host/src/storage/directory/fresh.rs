//! Folders that were made a moment ago, and may not be durable yet: a folder is once the one above it was made durable
//! after it. Any put below such a folder sees to that before it answers, whoever made it, so that no put waits for
//! another one's. A folder of a put that failed stays here until one below it succeeds, or it is removed.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Folders that may not be durable.
#[derive(Debug, Default)]
pub(super) struct Fresh(Mutex<Made>);

#[derive(Debug, Default)]
struct Made {
    /// Each with its number.
    folders: HashMap<PathBuf, u64>,
    count: u64,
}

/// A folder that may not be durable, as it was found: one that is made again under its name is another.
#[derive(Debug)]
pub(super) struct New {
    /// Where it is.
    pub(super) folder: PathBuf,
    number: u64,
}

impl Fresh {
    /// Makes a folder. Whoever sees it on the disk and asks afterwards is told of it.
    pub(super) fn make(&self, folder: &Path, make: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        let mut made = self.made();
        make()?;
        made.count += 1;
        let number = made.count;
        made.folders.insert(folder.to_owned(), number);
        Ok(())
    }

    /// The folder, if it may not be durable.
    pub(super) fn find(&self, folder: &Path) -> Option<New> {
        let number = *self.made().folders.get(folder)?;
        Some(New { folder: folder.to_owned(), number })
    }

    /// The folder is durable.
    pub(super) fn forget(&self, new: &New) {
        let mut made = self.made();
        if made.folders.get(&new.folder) == Some(&new.number) {
            made.folders.remove(&new.folder);
        }
    }

    /// The folder is gone.
    pub(super) fn removed(&self, folder: &Path) {
        self.made().folders.remove(folder);
    }

    fn made(&self) -> MutexGuard<'_, Made> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(fresh: &Fresh, folder: &str) {
        fresh.make(Path::new(folder), || Ok(())).unwrap();
    }

    #[test]
    fn a_folder_is_fresh_until_it_is_durable_or_gone() {
        let fresh = Fresh::default();
        let find = |folder: &str| fresh.find(Path::new(folder));
        made(&fresh, "a");
        made(&fresh, "a/b");
        fresh.forget(&find("a").unwrap());
        assert!(find("a").is_none() && find("a/b").is_some());
        fresh.removed(Path::new("a/b"));
        assert!(find("a/b").is_none());
        assert!(fresh.make(Path::new("c"), || Err(io::ErrorKind::StorageFull.into())).is_err());
        assert!(find("c").is_none(), "it was not made");
    }

    #[test]
    fn a_folder_that_was_made_again_is_not_durable_by_what_was_found_before() {
        let fresh = Fresh::default();
        made(&fresh, "a");
        let before = fresh.find(Path::new("a")).unwrap();
        fresh.removed(Path::new("a"));
        made(&fresh, "a");
        fresh.forget(&before);
        assert!(fresh.find(Path::new("a")).is_some());
    }
}
