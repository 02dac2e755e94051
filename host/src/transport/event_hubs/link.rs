//! The link to one partition that this source owns: a task with a receiver, and so a connection, of its own, so that one
//! that breaks takes no other with it. It reads ahead one piece at a time and hands on the next one only once the last was
//! taken. What breaks is opened again behind the last event that was read, but only when it was confirmed that the
//! partition is still ours: two owners that both did so unasked would steal it from each other for ever.
//!
//! A link that brings nothing for a while asks the partition: where there is something to read at two looks in a row, the
//! link is silent, and is opened again.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, Semaphore, mpsc, oneshot, watch};

use super::Namespace;
use super::client::From;
use super::reader::Reader;
use crate::model::{Message, Position};
use crate::transport::{PartitionInfo, Subscription, TransportError};

/// What every owner of a partition opens its receiver with, as the official processors do: the last one to open one has
/// the partition.
pub(super) const EPOCH: i64 = 0;
/// After how much silence a partition is asked how far it goes.
pub(super) const WATCH: Duration = Duration::from_secs(15);

/// What a link is opened with.
#[derive(Clone)]
pub(super) struct Parts {
    pub(super) namespace: Arc<Namespace>,
    /// The topic's name in the namespace.
    pub(super) hub: Arc<str>,
    pub(super) subscription: Subscription,
    /// Where links tell what they have. Bounded, and heard whatever the demand: who finds it full waits.
    pub(super) told: mpsc::Sender<Told>,
    /// Bytes that each link may read ahead.
    pub(super) share: watch::Receiver<u64>,
}

/// A link. Dropped, it ends.
pub(super) struct Link {
    number: u64,
    /// Pieces that may be read: at most one.
    turns: Arc<Semaphore>,
    /// Told when it may open again.
    again: Arc<Notify>,
    _over: oneshot::Sender<Infallible>,
}

/// What a link tells.
#[derive(Debug)]
pub(super) struct Told {
    pub(super) partition: u32,
    /// Which link.
    pub(super) number: u64,
    pub(super) said: Said,
}

/// See [`Told`].
#[derive(Debug)]
pub(super) enum Said {
    /// It is open.
    Open,
    /// Events came.
    Read(Piece),
    /// The partition has grown.
    End(i64),
    /// The partition is so now, and all of it that was on its way has come.
    Bounds(PartitionInfo),
    /// It broke, and waits to be told to open again.
    Broken(Broken),
}

/// Events that were read.
#[derive(Debug, Default)]
pub(super) struct Piece {
    pub(super) messages: Vec<Message>,
    /// Their offsets, by position.
    pub(super) offsets: Vec<(Position, String)>,
    /// The position that the next event of the partition will get, as far as it was told.
    pub(super) end: Option<i64>,
}

/// How a link broke.
#[derive(Debug)]
pub(super) struct Broken {
    pub(super) error: TransportError,
    /// Whether that is no failure yet: links break now and then, and most are open again at once.
    pub(super) is_expected: bool,
}

/// With this position.
pub(super) fn behind(next: i64) -> From {
    // No event stands before the first one, and the service does not know such a number.
    if next <= 0 { From::Earliest } else { From::After(Position(next - 1)) }
}

/// What a receiver calls itself.
pub(super) fn id(what: &str, partition: u32) -> String {
    format!("lockgate-{what}-{partition}")
}

impl Link {
    /// Begins to read a partition with this position. It is read only as it is told to go on.
    pub(super) fn open(parts: &Parts, partition: u32, number: u64, next: i64) -> Self {
        let (turns, again, (over, ended)) = (Arc::new(Semaphore::new(0)), Arc::new(Notify::new()), oneshot::channel());
        let mut reader = Reader::new(parts, partition, (number, next), (turns.clone(), again.clone()));
        // It ends when the link is dropped.
        drop(tokio::spawn(async move {
            tokio::select! {
                biased;
                _ = ended => {}
                _ = reader.run() => {}
            }
            reader.close().await;
        }));
        Self { number, turns, again, _over: over }
    }

    /// Which one it is.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// Lets it read one more piece: the last one was taken.
    pub(super) fn go_on(&self) {
        if self.turns.available_permits() == 0 {
            self.turns.add_permits(1);
        }
    }

    /// Lets it open again what broke: the partition is still ours.
    pub(super) fn open_again(&self) {
        self.again.notify_one();
    }
}
