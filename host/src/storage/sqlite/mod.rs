//! One SQLite file in WAL mode, for several processes on one machine (not on a network file system). All writes of a
//! process go through one thread that commits what lies there as one group, with full durability before any of them
//! is answered; reads are short transactions on connections of their own. Knows nothing of what is stored.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::{Arc, mpsc};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rusqlite::Connection;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tracing::error;

use crate::model::Clock;

mod connection;
mod error;
mod guard;
mod readers;
mod shrink;
mod writer;

pub use error::Error;
use readers::Readers;
pub use writer::Job;
use writer::Writer;

/// Writes that may wait for the writer thread; who comes later waits until one is answered.
const QUEUE: usize = 4096;

/// The tables of a file.
#[derive(Clone, Copy, Debug)]
pub struct Schema {
    /// Tells this kind of file from others; kept in the file's header.
    pub application: i32,
    /// The version that `sql` makes.
    pub version: i32,
    /// Makes the tables in an empty file.
    pub sql: &'static str,
    /// Earlier versions, each with what makes the next one of it. A file of any other version is refused.
    pub upgrades: &'static [(i32, &'static str)],
}

/// How to open a file.
pub struct Options {
    /// The file; its folder exists.
    pub path: PathBuf,
    /// Its tables.
    pub schema: Schema,
    /// How long a call waits for another process's lock before it answers [`Error::Unavailable`].
    pub busy: Duration,
    /// How often it is looked whether another process has written; up to five times less often once none has for a
    /// while.
    pub poll: Duration,
    /// How often [`Keeper::beat`] and [`Keeper::upkeep`] run.
    pub upkeep_every: Duration,
    /// Monotonic time.
    pub clock: Clock,
    /// What the owner of the tables adds to the writer thread.
    pub keeper: Option<Arc<dyn Keeper>>,
}

/// What the owner of the tables does on the writer thread between the writes. Must not keep the [`Database`] alive.
pub trait Keeper: Send + Sync {
    /// Another connection, usually another process's, has written. It can be a false alarm.
    fn observe(&self, connection: &Connection) -> Result<(), Error>;
    /// Says that this process lives, in a transaction of its own: what becomes of upkeep does not matter.
    fn beat(&self, connection: &Connection) -> Result<(), Error>;
    /// Regular work, in a transaction of its own. It should touch at most about a thousand rows: writers wait for it.
    /// When it fails that is logged, and it is tried again at its next time.
    fn upkeep(&self, connection: &Connection) -> Result<Upkeep, Error>;
}

/// Whether upkeep is done for now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Upkeep {
    /// Nothing left to do until the next time.
    Done,
    /// There is more: run again as soon as the writes that wait have been done.
    More,
}

/// An open file. Dropping it does the writes that wait and ends the thread; it blocks meanwhile.
pub struct Database {
    /// Always there until it is dropped.
    inbox: Option<mpsc::Sender<Box<dyn Job>>>,
    room: Arc<Semaphore>,
    readers: Arc<Readers>,
    thread: Option<JoinHandle<()>>,
}

impl Database {
    /// Opens a file, and makes it and its tables where missing. Blocks for some milliseconds, and for up to `busy`
    /// while other processes keep it locked.
    pub fn open(options: Options) -> Result<Self, Error> {
        let connection = connection::writer(&options)?;
        let readers = Arc::new(Readers::new(options.path.clone(), options.busy));
        let (inbox, jobs) = mpsc::channel();
        let path = options.path.clone();
        let writer = Writer::new(connection, jobs, options)?;
        // What others run there is guarded by itself; this is for the thread's own mistakes.
        let run = move || {
            if let Err(panic) = catch_unwind(AssertUnwindSafe(|| writer.run())) {
                error!(database = %path.display(), reason = guard::reason(&*panic),
                    "the writer thread has ended in a panic: nothing more is written until the database is opened again");
            }
        };
        let thread = thread::Builder::new()
            .name("sqlite-writer".into())
            .spawn(run)
            .map_err(|error| Error::Unavailable(format!("no thread for the writer: {error}")))?;
        Ok(Self { inbox: Some(inbox), room: Arc::new(Semaphore::new(QUEUE)), readers, thread: Some(thread) })
    }

    /// Whether it still writes. When not, only opening the file again helps.
    pub fn is_running(&self) -> bool {
        self.thread.as_ref().is_some_and(|thread| !thread.is_finished())
    }

    /// Runs `job` in the writer's next transaction; what it answers is durable. Writes are done in the order in which
    /// they were begun. `weight`, in bytes, bounds the transaction.
    ///
    /// `job` may run more than once: what it did before is rolled back then. When it fails, nothing of it is kept,
    /// and the other writes of its group are not affected. A dropped call may still be done, or not.
    pub async fn write<T, F>(&self, weight: u64, job: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: FnMut(&Connection) -> Result<T, Error> + Send + 'static,
    {
        self.write_then(weight, job, |_| {}).await
    }

    /// As [`Database::write`]; besides, `then` runs on the writer thread once the result is durable, in the order of
    /// the writes, and even when nobody waits for the answer any more.
    pub async fn write_then<T, F, A>(&self, weight: u64, job: F, then: A) -> Result<T, Error>
    where
        T: Send + 'static,
        F: FnMut(&Connection) -> Result<T, Error> + Send + 'static,
        A: FnOnce(&T) + Send + 'static,
    {
        let permit = self.room.clone().acquire_owned().await.map_err(|_| closed())?;
        self.send(weight, job, then, Some(permit))?.await.map_err(|_| closed())?
    }

    /// As [`Database::write_then`], for what is begun where nobody can wait, such as when something is dropped: it is
    /// done in its turn, unheard. It does not wait for room in the queue, so it must be rare.
    pub fn post<T, F, A>(&self, job: F, then: A)
    where
        T: Send + 'static,
        F: FnMut(&Connection) -> Result<T, Error> + Send + 'static,
        A: FnOnce(&T) + Send + 'static,
    {
        // A writer that has ended does nothing more, and who posts cannot help it.
        let _ = self.send(0, job, then, None);
    }

    /// Runs a job that answers for itself in the writer's next transaction. A writer that has ended drops it unanswered.
    /// It does not wait for room in the queue, so whoever hands jobs in has few there at a time.
    pub fn hand_in(&self, job: impl Job + 'static) {
        if let Some(inbox) = &self.inbox {
            // What cannot be sent comes back, and is dropped.
            let _ = inbox.send(Box::new(job));
        }
    }

    fn send<T, F, A>(
        &self,
        weight: u64,
        job: F,
        then: A,
        permit: Option<OwnedSemaphorePermit>,
    ) -> Result<oneshot::Receiver<Result<T, Error>>, Error>
    where
        T: Send + 'static,
        F: FnMut(&Connection) -> Result<T, Error> + Send + 'static,
        A: FnOnce(&T) + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let task = writer::Task::new(weight, job, then, reply, permit);
        self.inbox.as_ref().ok_or_else(closed)?.send(Box::new(task)).map_err(|_| closed())?;
        Ok(answer)
    }

    /// Runs `job` in a read transaction, on a thread where it may block. Keep it short, a thousand rows at most: the
    /// write-ahead log grows while it lasts.
    pub async fn read<T, F>(&self, job: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, Error> + Send + 'static,
    {
        self.readers.run(job).await
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        self.inbox.take();
        let Some(thread) = self.thread.take() else { return };
        // Joined, so that the file is closed when this returns. The writer itself cannot wait for its own end.
        if thread.thread().id() != thread::current().id() {
            // A panic was logged by the thread itself.
            let _ = thread.join();
        }
    }
}

fn closed() -> Error {
    Error::Unavailable("the database is closed: its writer thread has ended".into())
}

#[cfg(test)]
mod crash_tests;
#[cfg(test)]
mod tests;
