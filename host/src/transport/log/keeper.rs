//! What the log does on the writer thread between the writes: tells sources what other processes wrote, says that this
//! process lives, and removes what is kept no longer.

use std::sync::Arc;

use rusqlite::Connection;

use super::board::Board;
use super::{member, retention};
use crate::model::Clock;
use crate::storage::sqlite::{self, Error, Upkeep};

pub(super) struct Keeper {
    pub(super) board: Arc<Board>,
    /// This process among the members'.
    pub(super) process: i64,
    pub(super) clock: Clock,
}

impl sqlite::Keeper for Keeper {
    fn observe(&self, connection: &Connection) -> Result<(), Error> {
        self.board.refresh_all(connection)
    }

    fn beat(&self, connection: &Connection) -> Result<(), Error> {
        member::beat(connection, self.process)
    }

    fn upkeep(&self, connection: &Connection) -> Result<Upkeep, Error> {
        retention::step(connection, self.clock.wall())
    }
}
