//! Looking at events from outside: no group is joined, no partition is taken from anybody, nothing is stored. Receivers
//! without an epoch are kept between two looks, because who looks at a partition mostly goes on there.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::timeout;

use super::client::{Client, Failure, Receiver, Wanted};
use super::message::message;
use crate::model::{Message, Partition, Position};

/// Messages that one look answers, at most.
const MOST: usize = 1000;
/// Bytes that one look answers; a single larger message comes alone.
const MOST_BYTES: u64 = 16 << 20;
/// Bytes that are read ahead.
const AHEAD: u64 = 2 << 20;
/// How long it may take until the next events come, where there are some.
const PATIENCE: Duration = Duration::from_secs(30);
/// Receivers that are kept; what exceeds that is closed.
const KEPT: usize = 64;

/// The receivers by which one looks.
pub(super) struct Looks {
    group: String,
    /// By hub and partition.
    kept: Mutex<BTreeMap<(String, u32), Open>>,
}

/// A receiver, and what it brings next.
struct Open {
    receiver: Receiver,
    next: i64,
}

impl Looks {
    /// In a consumer group.
    pub(super) fn new(group: &str) -> Self {
        Self { group: group.to_owned(), kept: Mutex::default() }
    }

    /// Messages of a partition at or above a position, at most so many.
    pub(super) async fn read(
        &self,
        client: &Client,
        transport: &Arc<str>,
        hub: &str,
        partition: &Partition,
        from: Position,
        max: usize,
    ) -> Result<Vec<Message>, Failure> {
        let bounds = client.partition(hub, partition.index).await?;
        let (from, max) = (from.0.max(bounds.first), max.min(MOST));
        if from >= bounds.end || max == 0 {
            return Ok(Vec::new());
        }
        let place = (hub.to_owned(), partition.index);
        let kept = self.kept().remove(&place).filter(|open| open.next == from);
        let mut open = match kept {
            Some(open) => open,
            None => self.open(client, hub, partition.index, from).await?,
        };
        let (mut messages, mut left) = (Vec::new(), MOST_BYTES);
        // Each event that is taken is behind the one before, so this ends.
        while messages.len() < max && left > 0 && open.next < bounds.end {
            let events = timeout(PATIENCE, open.receiver.next(max - messages.len(), left)).await;
            let events = events.map_err(|_| Failure::late(&format!("{hub}/{}", partition.index), "events"))??;
            for event in events {
                left = left.saturating_sub(event.size);
                open.next = event.place.position.0.saturating_add(1);
                if event.place.position.0 >= from {
                    messages.push(message(transport, hub, partition, event));
                }
            }
        }
        self.keep(place, open);
        Ok(messages)
    }

    async fn open(&self, client: &Client, hub: &str, partition: u32, from: i64) -> Result<Open, Failure> {
        let wanted = Wanted {
            hub: hub.to_owned(),
            group: self.group.clone(),
            partition,
            from: super::link::behind(from),
            epoch: None,
            id: super::link::id("look", partition),
            bytes: AHEAD,
            tells_end: false,
        };
        Ok(Open { receiver: client.receiver(&wanted).await?, next: from })
    }

    fn keep(&self, place: (String, u32), open: Open) {
        let mut kept = self.kept();
        if kept.len() < KEPT {
            kept.insert(place, open);
        }
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, BTreeMap<(String, u32), Open>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
