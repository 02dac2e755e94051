//! Writes of one sink that wait for the disk at the same time go to it together: one job makes room for all of them and
//! inserts their records, where a job for each would change the same few rows over and over. A write that comes while
//! none waits posts the job; the job takes whatever lies there when its turn comes.

use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rusqlite::Connection;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use super::board::Board;
use super::messages::{self, Placed};
use super::store::Store;
use super::topics::Topic;
use crate::model::Clock;
use crate::storage::sqlite::{Error, Job};
use crate::transport::Written;

/// Bytes of the writes that are on their way, about; who comes later waits. A single larger write waits for all others.
const BYTES: u32 = 16 << 20;
/// What a write weighs besides its records, so that their number is bounded too.
const WRITE: u64 = 256;

/// The writes of one sink.
pub(super) struct Together {
    store: Arc<Store>,
    target: Target,
    room: Arc<Semaphore>,
    waiting: Arc<Mutex<Vec<Write>>>,
}

/// Where records go, and who is told.
#[derive(Clone)]
struct Target {
    topic: Arc<Topic>,
    board: Arc<Board>,
    clock: Clock,
}

/// One write.
struct Write {
    records: Arc<[Placed]>,
    answer: oneshot::Sender<Result<Vec<Written>, Failure>>,
    weight: u64,
    _room: OwnedSemaphorePermit,
}

/// Why a write was not done.
enum Failure {
    /// It failed by itself.
    Own(Error),
    /// One of those that it went with did; it may be fine.
    Shared,
}

impl Together {
    pub(super) fn new(store: Arc<Store>, topic: Arc<Topic>, clock: Clock) -> Self {
        let target = Target { topic, board: store.board.clone(), clock };
        let room = Semaphore::new(usize::try_from(BYTES).unwrap_or(usize::MAX));
        Self { store, target, room: Arc::new(room), waiting: Arc::default() }
    }

    /// Appends records in order, all of them or none; says where each stands once that is durable. A dropped call may
    /// still be done, or not.
    pub(super) async fn append(&self, records: Vec<Placed>) -> Result<Vec<Written>, Error> {
        let weight = records.iter().map(Placed::size).sum::<u64>() + WRITE;
        let permits = u32::try_from(weight).unwrap_or(BYTES).min(BYTES);
        let room = self.room.clone().acquire_many_owned(permits).await.map_err(|_| closed())?;
        let records: Arc<[Placed]> = records.into();
        let (answer, answered) = oneshot::channel();
        self.begin(Write { records: records.clone(), answer, weight, _room: room });
        match answered.await {
            Ok(Ok(written)) => Ok(written),
            Ok(Err(Failure::Own(error))) => Err(error),
            Ok(Err(Failure::Shared)) => self.append_alone(records, weight).await,
            Err(_) => Err(closed()),
        }
    }

    /// Nothing is awaited between the two steps: what waits always has a job that takes it.
    fn begin(&self, write: Write) {
        let mut waiting = lock(&self.waiting);
        waiting.push(write);
        if waiting.len() == 1 {
            drop(waiting);
            let (target, waiting) = (self.target.clone(), self.waiting.clone());
            self.store.database.hand_in(Group { target, waiting, turn: Turn::ToCome });
        }
    }

    async fn append_alone(&self, records: Arc<[Placed]>, weight: u64) -> Result<Vec<Written>, Error> {
        let (target, board) = (self.target.clone(), self.target.clone());
        let job = move |connection: &Connection| target.append(connection, records.iter());
        self.store.database.write_then(weight, job, move |written| board.show(written)).await
    }
}

impl Target {
    /// The time is read on the writer thread, so that it grows with the positions.
    fn append<'r>(
        &self,
        connection: &Connection,
        records: impl Iterator<Item = &'r Placed> + Clone,
    ) -> Result<Vec<Written>, Error> {
        messages::append(connection, &self.topic, records, self.clock.wall())
    }

    /// Wakes those who read the topic in this process.
    fn show(&self, written: &[Written]) {
        self.board.written(self.topic.id, written);
    }
}

/// The job: whatever waits when its turn comes.
struct Group {
    target: Target,
    waiting: Arc<Mutex<Vec<Write>>>,
    turn: Turn,
}

/// How far a job is.
enum Turn {
    /// It has taken nothing.
    ToCome,
    /// It ran these; what came of it. It may run again after a rollback.
    Came(Vec<Write>, Result<Vec<Written>, Error>),
    /// All are answered.
    Over,
}

impl Job for Group {
    fn weight(&self) -> u64 {
        lock(&self.waiting).iter().map(|write| write.weight).sum()
    }

    fn run(&mut self, connection: &Connection) -> Result<(), Error> {
        let writes = match mem::replace(&mut self.turn, Turn::Over) {
            Turn::Came(writes, _) => writes,
            Turn::ToCome | Turn::Over => mem::take(&mut *lock(&self.waiting)),
        };
        let written = self.target.append(connection, writes.iter().flat_map(|write| write.records.iter()));
        let ran = written.as_ref().map(drop).map_err(Clone::clone);
        self.turn = Turn::Came(writes, written);
        ran
    }

    fn answer(mut self: Box<Self>, outcome: Result<(), Error>) {
        let (writes, written) = match mem::replace(&mut self.turn, Turn::Over) {
            Turn::Came(writes, written) => (writes, written),
            Turn::ToCome => (mem::take(&mut *lock(&self.waiting)), Ok(Vec::new())),
            Turn::Over => return,
        };
        match (written, outcome) {
            (Ok(written), Ok(())) => {
                self.target.show(&written);
                let mut written = written.into_iter();
                answer(writes, |records| Ok(written.by_ref().take(records).collect()));
            }
            // One of them failed, unless there is only one.
            (Err(_), Err(_)) if writes.len() > 1 => answer(writes, |_| Err(Failure::Shared)),
            // What kept the transaction from the disk is no matter of one of them.
            (_, Err(error)) | (Err(error), Ok(())) => answer(writes, |_| Err(Failure::Own(error.clone()))),
        }
    }
}

/// Answers every write by the number of its records. Who no longer waits is not told.
fn answer(writes: Vec<Write>, mut share: impl FnMut(usize) -> Result<Vec<Written>, Failure>) {
    for Write { records, answer, .. } in writes {
        let _ = answer.send(share(records.len()));
    }
}

impl Drop for Group {
    /// A writer that has ended runs nothing: nobody may wait for it, and the next write is to post a job again.
    fn drop(&mut self) {
        if let Turn::ToCome = self.turn {
            drop(mem::take(&mut *lock(&self.waiting)));
        }
    }
}

fn lock(waiting: &Mutex<Vec<Write>>) -> MutexGuard<'_, Vec<Write>> {
    waiting.lock().unwrap_or_else(PoisonError::into_inner)
}

fn closed() -> Error {
    Error::Unavailable("the database is closed: its writer thread has ended".into())
}
