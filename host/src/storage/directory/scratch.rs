//! The hidden folder of a store, where blobs on their way in are written. Every open store has a folder of its own in
//! it, with a lock that the system frees when the process ends, however it ends; no process id is kept, which another
//! process could have by now. Whose folder is left, and cleared:
//!
//! | the folder's lock | its owner ran | cleared |
//! |---|---|---|
//! | is held | anywhere | never |
//! | is free | under the kernel that runs now, in whatever container | at once |
//! | seems free, or locks do not work | on another machine, or before a restart of this one | when nothing in it has changed for a day |
//!
//! The last line is for file systems of several machines: their locks may be known to one machine only, and times of
//! files are the file system's own, the same for all. A put that waits shows every hour that it lives, so a file may
//! be as old as it likes. Clearing and making folders happens under one lock of the hidden folder, so that none is ever
//! seen between being made and being locked.

use std::fs::{self, DirBuilder, File, Permissions, TryLockError};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use tempfile::{Builder, NamedTempFile, TempDir};
use tokio::time::Instant;

use super::disk::{Disk, FOLDER_MODE};
use super::names::Names;
use crate::model::Clock;
use crate::storage::path::RESERVED;

const LOCK: &str = "lock";
const WRITER: &str = "writer-";
/// Was a writer's, and is about to be removed.
const LEFT: &str = "left-";
/// How long nothing changes in a folder of another machine before it is taken for left.
const LEFTOVER_AGE: Duration = Duration::from_secs(24 * 60 * 60);
/// How often a put that waits shows that it lives.
pub(super) const SHOW_EVERY: Duration = Duration::from_secs(60 * 60);
/// How often an open store looks for what others left.
const SWEEP_EVERY: Duration = Duration::from_secs(24 * 60 * 60);

/// One open store's own folder. Removed when dropped, before its lock is freed.
pub(super) struct Scratch {
    hidden: PathBuf,
    disk: Disk,
    own: Mutex<Own>,
    swept: Mutex<Instant>,
}

struct Own {
    folder: TempDir,
    _lock: File,
}

impl Scratch {
    /// Makes the folder, and clears those of processes that are gone.
    pub(super) fn open(root: &Path, disk: Disk) -> io::Result<Self> {
        let hidden = root.join(RESERVED);
        let own = Own::make(&hidden)?;
        Ok(Self { hidden, disk, own: Mutex::new(own), swept: Mutex::new(Clock::system().now()) })
    }

    /// How the file system tells names apart.
    pub(super) fn names(&self) -> io::Result<Names> {
        Names::of(self.own().folder.path())
    }

    /// A new file that goes when it is dropped. Where somebody has removed the folder, it is made again.
    pub(super) fn file(&self) -> io::Result<NamedTempFile> {
        self.sweep_when_due();
        let mut own = self.own();
        match self.disk.draft(own.folder.path()) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                *own = Own::make(&self.hidden)?;
                self.disk.draft(own.folder.path())
            }
            made => made,
        }
    }

    /// What makes changes on the disk.
    pub(super) fn disk(&self) -> &Disk {
        &self.disk
    }

    /// Shows those of other machines that this process lives.
    pub(super) fn show_life(&self) {
        let own = self.own();
        if let Err(error) = file_system_time(own.folder.path()) {
            tracing::warn!(folder = %own.folder.path().display(), %error, "other hosts cannot be shown that this one lives");
        }
    }

    fn sweep_when_due(&self) {
        let now = Clock::system().now();
        {
            let mut swept = self.swept.lock().unwrap_or_else(PoisonError::into_inner);
            if now.saturating_duration_since(*swept) < SWEEP_EVERY {
                return;
            }
            *swept = now;
        }
        let own = self.own();
        let swept = Gate::close(&self.hidden).and_then(|gate| sweep(&self.hidden, own.folder.path(), &gate));
        if let Err(error) = swept {
            tracing::warn!(folder = %self.hidden.display(), %error, "leftovers cannot be looked for");
        }
    }

    fn own(&self) -> MutexGuard<'_, Own> {
        self.own.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Own {
    fn make(hidden: &Path) -> io::Result<Self> {
        match DirBuilder::new().mode(FOLDER_MODE).create(hidden) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        if !fs::symlink_metadata(hidden)?.is_dir() {
            return Err(io::Error::new(ErrorKind::NotADirectory, format!("its own folder {RESERVED} is no folder")));
        }
        let gate = Gate::close(hidden)?;
        let folder =
            Builder::new().prefix(&writer()).permissions(Permissions::from_mode(FOLDER_MODE)).tempdir_in(hidden)?;
        let lock = File::create_new(folder.path().join(LOCK))?;
        // Where locks do not work, the time of the last change is what others look at.
        let _ = lock.try_lock();
        sweep(hidden, folder.path(), &gate)?;
        Ok(Self { folder, _lock: lock })
    }
}

/// The lock of the hidden folder, held until it is dropped.
struct Gate {
    _lock: File,
    works: bool,
}

impl Gate {
    fn close(hidden: &Path) -> io::Result<Self> {
        let lock = File::options().create(true).truncate(false).write(true).open(hidden.join(LOCK))?;
        let locked = lock.lock();
        if let Err(error) = &locked {
            tracing::warn!(folder = %hidden.display(), %error, "store cannot lock; what a killed host leaves is cleared after a day");
        }
        Ok(Self { _lock: lock, works: locked.is_ok() })
    }
}

/// How the folders of this kernel's processes begin. It has a new id each time it starts, and every container on it has
/// the same; where none is known, no folder is known to be of this kernel.
fn writer() -> String {
    format!("{WRITER}{}-", kernel().unwrap_or_default())
}

fn kernel() -> Option<String> {
    let text = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let id: String = text.chars().filter(char::is_ascii_hexdigit).collect();
    (id.len() == 32).then_some(id)
}

fn sweep(hidden: &Path, own: &Path, gate: &Gate) -> io::Result<()> {
    let now = file_system_time(own)?;
    for entry in fs::read_dir(hidden)? {
        let folder = entry?.path();
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if folder == own || ![WRITER, LEFT].iter().any(|prefix| name.starts_with(prefix)) {
            continue;
        }
        let is_of_this_kernel = kernel().is_some() && name.starts_with(&writer());
        let cleared = match lock_of(&folder) {
            Lock::Held => continue,
            Lock::Free if gate.works && is_of_this_kernel => fs::remove_dir_all(&folder).map(|()| true),
            Lock::Free | Lock::Unknown => clear_old(&folder, now),
        };
        match cleared {
            Ok(true) => tracing::info!(folder = %folder.display(), "leftovers of a killed process cleared"),
            Ok(false) => {}
            Err(error) => tracing::warn!(folder = %folder.display(), %error, "leftovers cannot be cleared"),
        }
    }
    Ok(())
}

/// Clears a folder in which nothing has changed for long. It loses its name first: its owner, should it live after all
/// and begin something in this moment, finds nothing and makes itself another, and what it began is given back.
fn clear_old(folder: &Path, now: SystemTime) -> io::Result<bool> {
    if !is_old(folder, now)? {
        return Ok(false);
    }
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    let aside = folder.with_file_name(format!("{LEFT}{name}"));
    fs::rename(folder, &aside)?;
    if !is_old(&aside, now)? {
        fs::rename(&aside, folder)?;
        return Ok(false);
    }
    fs::remove_dir_all(&aside).map(|()| true)
}

/// Whether a folder and all in it are older than a living owner lets them become.
fn is_old(folder: &Path, now: SystemTime) -> io::Result<bool> {
    let is_old = |place: &Path| match fs::symlink_metadata(place).and_then(|metadata| metadata.modified()) {
        Ok(then) => Ok(now.duration_since(then).is_ok_and(|age| age > LEFTOVER_AGE)),
        // Somebody removes what is in it, so somebody lives.
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    };
    if !is_old(folder)? {
        return Ok(false);
    }
    for entry in fs::read_dir(folder)? {
        if !is_old(&entry?.path())? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// What time it is for the file system. The folder has changed by it.
fn file_system_time(folder: &Path) -> io::Result<SystemTime> {
    Builder::new().prefix("time-").tempfile_in(folder)?.as_file().metadata()?.modified()
}

/// What this machine knows of the lock of a writer's folder.
enum Lock {
    Held,
    /// Or was never made, by a process that ended before.
    Free,
    Unknown,
}

fn lock_of(folder: &Path) -> Lock {
    match File::open(folder.join(LOCK)) {
        Ok(lock) => match lock.try_lock() {
            Ok(()) => Lock::Free,
            Err(TryLockError::WouldBlock) => Lock::Held,
            Err(TryLockError::Error(_)) => Lock::Unknown,
        },
        Err(error) if error.kind() == ErrorKind::NotFound => Lock::Free,
        Err(_) => Lock::Unknown,
    }
}
