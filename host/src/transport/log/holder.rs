//! Who holds a lease is told alive by a lock on a file of its own: the system frees it when the process dies, however
//! it dies, and so does dropping the source. A file that is gone or can be locked belongs to nobody any more.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

/// How the files' names end.
const SUFFIX: &str = ".lock";
/// New files tried before it is taken for a trouble of the file system.
const TRIES: usize = 10;

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
        for _ in 0..TRIES {
            let id = format!("{:032x}", rand::random::<u128>());
            let path = path_of(folder, &id);
            let file = File::create_new(&path)?;
            // Another process may sweep the file away before it is locked; once it is locked nobody does.
            if file.try_lock().is_ok() && path.exists() {
                return Ok(Self { id, path, _file: file });
            }
        }
        Err(io::Error::other("lock files cannot be locked, or disappear"))
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

/// Removes the files that dead holders left. What cannot be looked at stays: it does no harm.
pub(super) fn sweep(folder: &Path) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    let name = |entry: fs::DirEntry| entry.file_name().into_string().ok();
    let names: Vec<String> = entries.flatten().filter_map(name).collect();
    for id in names.iter().filter_map(|name| name.strip_suffix(SUFFIX)) {
        is_alive(folder, id);
    }
}

fn path_of(folder: &Path, id: &str) -> PathBuf {
    folder.join(format!("{id}{SUFFIX}"))
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
    fn a_sweep_takes_what_the_dead_left_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let holder = Holder::new(folder.path()).unwrap();
        for name in ["left.lock", "another.lock", "notes.txt"] {
            fs::write(folder.path().join(name), "").unwrap();
        }
        sweep(folder.path());
        let mut names: Vec<_> = fs::read_dir(folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        let mut kept = [format!("{}.lock", holder.id()), "notes.txt".to_owned()];
        kept.sort();
        assert_eq!(names, kept);
        assert!(is_alive(folder.path(), holder.id()));
    }

    #[test]
    fn holders_that_come_during_a_sweep_are_held() {
        let folder = tempfile::tempdir().unwrap();
        let done = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !done.load(std::sync::atomic::Ordering::SeqCst) {
                    sweep(folder.path());
                }
            });
            let holders: Vec<_> = (0..200).map(|_| Holder::new(folder.path())).collect();
            done.store(true, std::sync::atomic::Ordering::SeqCst);
            assert!(holders.iter().all(|holder| is_alive(folder.path(), holder.as_ref().unwrap().id())));
        });
    }

    #[test]
    fn a_file_that_a_dead_process_left_is_nobodys() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("left.lock"), "").unwrap();
        assert!(!is_alive(folder.path(), "left"));
        assert!(!folder.path().join("left.lock").exists());
    }
}
