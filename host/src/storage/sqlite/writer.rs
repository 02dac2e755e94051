//! The thread that writes. It takes what lies there, never waiting for a group to fill, runs it in one transaction,
//! and answers once that is durable; in between it looks whether another process has written, and does the upkeep.

use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use rusqlite::{Connection, Transaction, TransactionBehavior};
use tokio::sync::{OwnedSemaphorePermit, oneshot};
use tokio::time::Instant;
use tracing::warn;

use super::guard::guarded;
use super::{Error, Keeper, Options, Upkeep, shrink};

/// Writes in one transaction, at most.
const GROUP_JOBS: usize = 4096;
/// Bytes in one transaction, about; a single larger write is done alone.
const GROUP_BYTES: u64 = 16 << 20;
/// A write-ahead log above this many bytes is cut when there is nothing to do.
const WAL_BYTES: u64 = 64 << 20;
/// How many times as long it is between two looks at what others write, once they have written nothing for a while.
const RARELY: u32 = 5;
/// The part by which that time grows with each look that finds nothing.
const SLOWER: u32 = 16;
/// Free pages above which the file is made smaller when there is nothing to do.
const FREE_PAGES: i64 = 4096;

/// One write, on the writer thread.
pub trait Job: Send {
    /// Bytes, about: bounds the transaction.
    fn weight(&self) -> u64;
    /// Does it, within the transaction. May be called again after a rollback. When it fails, nothing of it is kept, and
    /// the other writes of the transaction are not affected.
    fn run(&mut self, connection: &Connection) -> Result<(), Error>;
    /// The transaction is durable, or is not. Called at most once, and last; without a call of `run` before it when no
    /// transaction could be begun. Must not block.
    fn answer(self: Box<Self>, outcome: Result<(), Error>);
}

/// A [`Job`] with its answer.
pub(super) struct Task<T, F, A> {
    weight: u64,
    job: F,
    then: A,
    value: Option<T>,
    reply: oneshot::Sender<Result<T, Error>>,
    /// Its place in the queue, given back when it is answered; what was posted has none.
    _permit: Option<OwnedSemaphorePermit>,
}

impl<T, F, A> Task<T, F, A> {
    pub(super) fn new(
        weight: u64,
        job: F,
        then: A,
        reply: oneshot::Sender<Result<T, Error>>,
        permit: Option<OwnedSemaphorePermit>,
    ) -> Self {
        Self { weight, job, then, value: None, reply, _permit: permit }
    }
}

impl<T, F, A> Job for Task<T, F, A>
where
    T: Send,
    F: FnMut(&Connection) -> Result<T, Error> + Send,
    A: FnOnce(&T) + Send,
{
    fn weight(&self) -> u64 {
        self.weight
    }

    fn run(&mut self, connection: &Connection) -> Result<(), Error> {
        self.value = Some((self.job)(connection)?);
        Ok(())
    }

    fn answer(self: Box<Self>, outcome: Result<(), Error>) {
        let Self { value, then, reply, .. } = *self;
        let missing = || Error::Unavailable("the write was not run".into());
        let answer = outcome.and_then(|()| value.ok_or_else(missing));
        if let Ok(value) = &answer {
            // The write stands whatever becomes of this; a panic is logged.
            let _ = guarded("what follows a write", || {
                then(value);
                Ok(())
            });
        }
        // Who no longer waits is not told.
        let _ = reply.send(answer);
    }
}

/// How a transaction failed.
enum Failure {
    /// One of its writes did, so that the others may be fine.
    Job(Error),
    /// It could not be begun or made durable.
    Transaction(Error),
}

pub(super) struct Writer {
    connection: Connection,
    jobs: Receiver<Box<dyn Job>>,
    options: Options,
    /// SQLite's count of what other connections have written.
    seen: i64,
    next_poll: Instant,
    /// How long it is until the look after that.
    rest: Duration,
    next_beat: Instant,
    next_upkeep: Instant,
    /// Whether something was written since the last upkeep.
    busy: bool,
}

impl Writer {
    pub(super) fn new(connection: Connection, jobs: Receiver<Box<dyn Job>>, options: Options) -> Result<Self, Error> {
        let now = options.clock.now();
        let seen = data_version(&connection)?;
        let next = now + options.upkeep_every;
        // Without a keeper nobody is told anything.
        let rest = options.keeper.as_ref().map_or(options.upkeep_every, |_| options.poll);
        let next_poll = now + rest;
        Ok(Self { connection, jobs, seen, next_poll, rest, next_beat: next, next_upkeep: next, busy: true, options })
    }

    /// Runs until nobody can send any more and everything sent is done.
    pub(super) fn run(mut self) {
        loop {
            let wake = self.next_poll.min(self.next_beat).min(self.next_upkeep);
            match self.jobs.recv_timeout(wake.saturating_duration_since(self.options.clock.now())) {
                Ok(job) => {
                    let group = self.gather(job);
                    self.write(group);
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            let now = self.options.clock.now();
            if now >= self.next_poll {
                self.observe();
                self.next_poll = now + self.rest;
            }
            if now >= self.next_beat {
                self.next_beat = now + self.options.upkeep_every;
                self.beat();
            }
            if now >= self.next_upkeep {
                self.upkeep(now);
            }
        }
    }

    fn gather(&self, first: Box<dyn Job>) -> Vec<Box<dyn Job>> {
        let mut weight = first.weight();
        let mut group = vec![first];
        while group.len() < GROUP_JOBS && weight < GROUP_BYTES {
            let Ok(job) = self.jobs.try_recv() else { break };
            weight = weight.saturating_add(job.weight());
            group.push(job);
        }
        group
    }

    fn write(&mut self, mut group: Vec<Box<dyn Job>>) {
        self.busy = true;
        let outcome = match transact(&mut self.connection, &mut group) {
            Ok(()) => Ok(()),
            Err(Failure::Job(_)) if group.len() > 1 => return self.write_one_by_one(group),
            Err(Failure::Job(error) | Failure::Transaction(error)) => Err(error),
        };
        for job in group {
            job.answer(outcome.clone());
        }
    }

    /// So that one write that fails does not take its group with it.
    fn write_one_by_one(&mut self, group: Vec<Box<dyn Job>>) {
        for mut job in group {
            let outcome = transact(&mut self.connection, std::slice::from_mut(&mut job));
            job.answer(outcome.map_err(|(Failure::Job(error) | Failure::Transaction(error))| error));
        }
    }

    /// Tells the keeper when another connection has written since the last time. SQLite does not count what this
    /// connection writes itself.
    fn observe(&mut self) {
        let Some(keeper) = self.options.keeper.clone() else { return };
        let poll = self.options.poll;
        self.rest = match self.look(&*keeper) {
            Ok(true) => poll,
            Ok(false) => self.rest.saturating_add(self.rest / SLOWER).min(poll.saturating_mul(RARELY)),
            Err(error) => {
                warn!(database = %self.options.path.display(), %error, "cannot see what other processes write; trying again");
                poll.max(Duration::from_secs(1))
            }
        };
    }

    fn look(&mut self, keeper: &dyn Keeper) -> Result<bool, Error> {
        let version = data_version(&self.connection)?;
        if version == self.seen {
            return Ok(false);
        }
        let transaction = self.connection.transaction()?;
        guarded("looking at what others wrote", || keeper.observe(&transaction))?;
        self.seen = version;
        Ok(true)
    }

    fn beat(&mut self) {
        if let Err(error) = self.keep(|keeper, connection| keeper.beat(connection)) {
            warn!(database = %self.options.path.display(), %error,
                "cannot say that this process lives: another may take its leases; trying again");
        }
    }

    fn upkeep(&mut self, now: Instant) {
        let idle = !std::mem::take(&mut self.busy);
        self.next_upkeep = now + self.options.upkeep_every;
        let outcome = self.keep(|keeper, connection| keeper.upkeep(connection));
        match outcome.map(|upkeep| upkeep.unwrap_or(Upkeep::Done)) {
            Ok(Upkeep::More) => self.next_upkeep = now,
            Ok(Upkeep::Done) if idle => self.shrink(),
            Ok(Upkeep::Done) => {}
            Err(error) => warn!(database = %self.options.path.display(), %error, "upkeep failed; trying again"),
        }
    }

    /// What the keeper does, in a transaction of its own; nothing without a keeper.
    fn keep<T>(&mut self, run: impl FnOnce(&dyn Keeper, &Connection) -> Result<T, Error>) -> Result<Option<T>, Error> {
        let Some(keeper) = self.options.keeper.clone() else { return Ok(None) };
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let kept = guarded("upkeep", || run(&*keeper, &transaction))?;
        transaction.commit()?;
        Ok(Some(kept))
    }

    /// Gives disk space back, a step at a time. Only when idle: appends use free pages again, and cutting the
    /// write-ahead log waits for readers.
    fn shrink(&mut self) {
        let shrunk = shrink::vacuum(&self.connection, FREE_PAGES);
        if let Err(error) = shrunk.and_then(|()| shrink::cut(&self.options.path, WAL_BYTES)) {
            warn!(database = %self.options.path.display(), %error, "disk space could not be given back; trying again");
        }
    }
}

fn transact(connection: &mut Connection, group: &mut [Box<dyn Job>]) -> Result<(), Failure> {
    let broken = |error: rusqlite::Error| Failure::Transaction(error.into());
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(broken)?;
    for job in group {
        let run = guarded("the write", || job.run(&transaction));
        run.map_err(|error| blame(&transaction, error))?;
    }
    transaction.commit().map_err(broken)
}

/// SQLite rolls the whole transaction back by itself when the disk is full or fails.
fn blame(transaction: &Transaction<'_>, error: Error) -> Failure {
    if transaction.is_autocommit() { Failure::Transaction(error) } else { Failure::Job(error) }
}

fn data_version(connection: &Connection) -> Result<i64, Error> {
    Ok(connection.prepare_cached("PRAGMA data_version")?.query_row((), |row| row.get(0))?)
}
