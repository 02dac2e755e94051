//! One open folder: its database, and what this process knows of it. A folder that is opened again in this process is
//! the same one, so that writers wake readers at once.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use super::board::Board;
use super::holder;
use super::keeper::Keeper;
use super::member::Process;
use super::schema::SCHEMA;
use crate::model::Clock;
use crate::storage::sqlite::{Database, Error, Options};
use crate::transport::config::Ownership;

/// The database's file.
const FILE: &str = "log.sqlite";
/// The folder of the leases' lock files.
const LEASES: &str = "leases";

/// The longest time between beats.
const BEAT: Duration = Duration::from_secs(3);

/// How long things take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Timing {
    /// How long a call waits for another process's lock.
    pub(super) busy: Duration,
    /// How often it is looked whether another process has written.
    pub(super) observe: Duration,
    /// How often a process says that it lives, and removes what is kept no longer.
    pub(super) beat: Duration,
    /// How long a lease lasts after the last beat of an owner that is not known to be dead.
    pub(super) lease: Duration,
    /// How often a member looks for dead ones, and at the balance, when nothing wakes it.
    pub(super) poll: Duration,
}

impl Timing {
    /// With these leases. A process beats at least three times before its leases end.
    pub(super) fn of(Ownership { lease, poll }: Ownership) -> Self {
        let (busy, observe) = (Duration::from_secs(5), Duration::from_millis(10));
        Self { busy, observe, beat: BEAT.min(lease / 3), lease, poll }
    }
}

/// One open folder.
pub(super) struct Store {
    pub(super) database: Database,
    pub(super) board: Arc<Board>,
    pub(super) process: Process,
    /// The folder of lock files.
    pub(super) leases: PathBuf,
    pub(super) timing: Timing,
}

/// The folders that this process has open.
static OPEN: Mutex<BTreeMap<PathBuf, Weak<Store>>> = Mutex::new(BTreeMap::new());

impl Store {
    /// Opens a folder, and makes it where missing; the same store when it is open already and still writes, with the
    /// timing that it has.
    pub(super) fn open(folder: &Path, clock: &Clock, timing: Timing) -> Result<Arc<Self>, Error> {
        let leases = folder.join(LEASES);
        let make = |error| Error::Unavailable(format!("folder {} cannot be made: {error}", folder.display()));
        make_private(folder).and_then(|()| fs::create_dir_all(&leases)).map_err(make)?;
        let key = fs::canonicalize(folder).map_err(make)?;
        let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
        let store = open.get(&key).and_then(Weak::upgrade);
        if let Some(store) = store.filter(|store| store.database.is_running()) {
            return Ok(store);
        }
        let store = Arc::new(Self::apart(folder, clock, timing)?);
        open.retain(|_, store| store.strong_count() > 0);
        open.insert(key, Arc::downgrade(&store));
        Ok(store)
    }

    /// Opens a folder by itself, as another process would.
    pub(super) fn apart(folder: &Path, clock: &Clock, timing: Timing) -> Result<Self, Error> {
        let leases = folder.join(LEASES);
        holder::sweep(&leases);
        let board = Arc::new(Board::default());
        let process =
            Process { id: rand::random(), name: format!("process {} on {}", std::process::id(), host_name()) };
        let keeper = Keeper { board: board.clone(), process: process.id, clock: clock.clone() };
        let database = Database::open(Options {
            path: folder.join(FILE),
            schema: SCHEMA,
            busy: timing.busy,
            poll: timing.observe,
            upkeep_every: timing.beat,
            clock: clock.clone(),
            keeper: Some(Arc::new(keeper)),
        })?;
        Ok(Self { database, board, process, leases, timing })
    }
}

/// Makes a folder that only this user may look into: messages hold presigned links and personal data. One that is there
/// already stays as its owner made it.
fn make_private(folder: &Path) -> io::Result<()> {
    if let Some(parent) = folder.parent() {
        fs::create_dir_all(parent)?;
    }
    match DirBuilder::new().mode(0o700).create(folder) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        made => made,
    }
}

/// For people only: which machine or container it is.
fn host_name() -> String {
    match fs::read_to_string("/proc/sys/kernel/hostname") {
        Ok(name) => name.trim().to_owned(),
        Err(_) => "this machine".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_new_folder_is_closed_to_others_and_one_that_is_there_stays_as_it_is() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("data").join("bus");
        let mode = || fs::metadata(&folder).unwrap().permissions().mode() & 0o777;
        make_private(&folder).unwrap();
        assert_eq!(mode(), 0o700);
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o750)).unwrap();
        make_private(&folder).unwrap();
        assert_eq!(mode(), 0o750);
    }
}
