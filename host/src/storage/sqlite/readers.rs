//! Connections that only read, made when needed and kept for the next read.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rusqlite::Connection;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

use super::{Error, connection};

/// Reads at once; who comes later waits.
const READERS: usize = 4;

pub(super) struct Readers {
    path: PathBuf,
    busy: Duration,
    idle: Mutex<Vec<Connection>>,
    room: Arc<Semaphore>,
}

impl Readers {
    pub(super) fn new(path: PathBuf, busy: Duration) -> Self {
        Self { path, busy, idle: Mutex::new(Vec::new()), room: Arc::new(Semaphore::new(READERS)) }
    }

    /// Runs `job` in a read transaction. A dropped call still runs to its end, unheard.
    pub(super) async fn run<T, F>(self: &Arc<Self>, job: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, Error> + Send + 'static,
    {
        let ended = |_| Error::Unavailable("the read was broken off".into());
        let permit = self.room.clone().acquire_owned().await.map_err(|_| ended(()))?;
        let readers = self.clone();
        let read = spawn_blocking(move || {
            let _permit = permit;
            readers.read(job)
        });
        read.await.map_err(|_| ended(()))?
    }

    fn read<T>(&self, job: impl FnOnce(&Connection) -> Result<T, Error>) -> Result<T, Error> {
        let kept = self.idle().pop();
        let mut connection = match kept {
            Some(connection) => connection,
            None => connection::reader(&self.path, self.busy)?,
        };
        let transaction = connection.transaction()?;
        let outcome = job(&transaction);
        drop(transaction);
        // A connection that has seen trouble is not kept.
        if outcome.is_ok() {
            self.idle().push(connection);
        }
        outcome
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
