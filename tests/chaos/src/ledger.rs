//! The oracle, shared by what sends, what follows and what waits; whoever waits is woken when messages end.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout;

use crate::found::Found;
use crate::oracle::Oracle;

/// The oracle, and how far messages are.
#[derive(Debug)]
pub struct Ledger {
    oracle: Mutex<Oracle>,
    ended: watch::Sender<u64>,
}

/// Nothing ended for as long as one is patient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stuck {
    /// Messages that had ended by then.
    pub ended: u64,
    /// How long nothing did.
    pub patience: Duration,
}

impl std::fmt::Display for Stuck {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "stuck: no message ended for {:?}, after {} had", self.patience, self.ended)
    }
}

impl std::error::Error for Stuck {}

impl Ledger {
    /// With an oracle.
    pub fn new(oracle: Oracle) -> Self {
        Self { oracle: Mutex::new(oracle), ended: watch::Sender::new(0) }
    }

    /// The oracle, for a moment.
    pub fn oracle(&self) -> MutexGuard<'_, Oracle> {
        self.oracle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells the oracle what was found, and wakes who waits.
    pub fn found(&self, found: &Found) {
        let ended = {
            let mut oracle = self.oracle();
            oracle.found(found);
            oracle.ended()
        };
        self.ended.send_if_modified(|before| std::mem::replace(before, ended) != ended);
    }

    /// How many messages have ended, to be waited for.
    pub fn ended(&self) -> watch::Receiver<u64> {
        self.ended.subscribe()
    }

    /// Waits until the oracle says so; fails when no message ends for so long.
    pub async fn until(&self, is: impl Fn(&Oracle) -> bool, patience: Duration) -> Result<(), Stuck> {
        let mut ended = self.ended();
        loop {
            if is(&self.oracle()) {
                return Ok(());
            }
            if timeout(patience, ended.changed()).await.is_err() {
                return Err(Stuck { ended: *ended.borrow(), patience });
            }
        }
    }
}
