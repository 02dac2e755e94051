//! Where a group begins in a partition that this member has from now on: behind what is stored, else where the
//! subscription says, as a sequence number. What is new of that is stored before anything is read, so that `start` counts
//! once, and so that the next owner does not find the same messages lost again.

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::time::{sleep, timeout};
use tracing::info;

use super::Namespace;
use super::client::{Bounds, Failure, From, Wanted};
use super::layout::Kept;
use super::link::EPOCH;
use super::message::Event;
use crate::model::{Partition, Timestamp};
use crate::transport::beginning::{Place, place};
use crate::transport::{Epoch, PartitionInfo, Start, Subscription, TransportError};

/// The wait before it is tried again to find a beginning; it doubles.
pub(super) const FIRST_WAIT: Duration = Duration::from_millis(200);
/// The longest of these waits.
pub(super) const LONGEST_WAIT: Duration = Duration::from_secs(10);
/// How old what the service says of a partition may be.
const STALE: Duration = Duration::from_secs(2);
/// How long the first event at a time may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// Bytes that are asked for to find the first event at a time.
const ONE: u64 = 64 << 10;

/// A partition whose beginning is looked for.
#[derive(Debug)]
pub(super) struct Acquired {
    pub(super) partition: u32,
    pub(super) epoch: Epoch,
    /// What the group has stored.
    pub(super) kept: Option<Kept>,
    /// The wait before the next try.
    pub(super) wait: Duration,
}

/// What was found, and what is still to be stored of it.
pub(super) struct Found {
    pub(super) of: Acquired,
    pub(super) begun: Result<Begun, TransportError>,
}

/// Where a partition begins.
pub(super) struct Begun {
    pub(super) place: Place,
    /// The offset of the event at its base, where it is known.
    pub(super) offset: Option<String>,
}

/// What is still to be stored of where a partition begins.
pub(super) enum News {
    /// Nothing: it stands there.
    None,
    /// It is further than what stands there.
    Further(Kept),
    /// The hub is another one than it was, and is begun anew.
    Anew(Kept),
}

impl Begun {
    /// What is still to be stored.
    pub(super) fn news(&self, kept: Option<&Kept>) -> News {
        let checkpoint = self.place.cursor.checkpoint();
        let new = Kept { checkpoint: checkpoint.clone(), offset: self.offset.clone() };
        match kept.map(|kept| &kept.checkpoint) {
            _ if self.place.lost.is_some() => News::None,
            Some(stored) if stored == checkpoint => News::None,
            Some(stored) if stored.base() > checkpoint.base() => News::Anew(new),
            Some(_) | None => News::Further(new),
        }
    }
}

/// Looks for the beginning of a partition, after a wait.
pub(super) fn find(
    namespace: &Arc<Namespace>,
    subscription: &Subscription,
    of: Acquired,
    wait: Duration,
) -> BoxFuture<'static, Found> {
    let (namespace, subscription) = (namespace.clone(), subscription.clone());
    async move {
        sleep(wait).await;
        let begun = begin(&namespace, &subscription, &of).await;
        Found { of, begun: begun.map_err(|failure| namespace.error(&subscription.topic, failure)) }
    }
    .boxed()
}

async fn begin(namespace: &Namespace, subscription: &Subscription, of: &Acquired) -> Result<Begun, Failure> {
    let hub = namespace.hub(&subscription.topic);
    let partition = Partition::new(subscription.topic.clone(), of.partition);
    let next = of.kept.as_ref().map(|kept| kept.checkpoint.base().0.saturating_add(1));
    let bounds = bounds(namespace, &hub, of.partition, next).await?;
    let info = PartitionInfo { first: bounds.first, end: bounds.end };
    let (start, last_offset) = match (&of.kept, subscription.start) {
        (Some(_), _) | (None, Start::Earliest) => (bounds.first, None),
        (None, Start::Latest) => (bounds.end, Some(bounds.last_offset)),
        (None, Start::At(time)) => {
            (first_since(namespace, &hub, &subscription.group, of.partition, time, &bounds).await?, None)
        }
    };
    let stored = of.kept.as_ref().map(|kept| kept.checkpoint.clone());
    let place = place(partition.clone(), stored, true, start, info, subscription);
    let from = if of.kept.is_some() { "checkpoint" } else { "start" };
    info!(%partition, group = %subscription.group, from, start = ?subscription.start, next = place.cursor.next(),
        first = bounds.first, end = bounds.end, "a partition begins");
    let is_as_kept = |kept: &&Kept| kept.checkpoint.base() == place.cursor.checkpoint().base();
    let offset = match &of.kept {
        Some(kept) => Some(kept).filter(is_as_kept).and_then(|kept| kept.offset.clone()),
        None => last_offset.filter(|offset| !offset.is_empty()),
    };
    Ok(Begun { place, offset })
}

/// How far a partition goes. Where that seems to be less far than a reader came, it is asked again: what the service says
/// may be a little old.
pub(super) async fn bounds(
    namespace: &Namespace,
    hub: &str,
    partition: u32,
    next: Option<i64>,
) -> Result<Bounds, Failure> {
    let bounds = namespace.client.partition(hub, partition).await?;
    if next.is_none_or(|next| next <= bounds.end) {
        return Ok(bounds);
    }
    sleep(STALE).await;
    namespace.client.partition(hub, partition).await
}

/// The first event that came at this time or later; behind the last one, where none is so late.
async fn first_since(
    namespace: &Namespace,
    hub: &str,
    group: &str,
    partition: u32,
    time: Timestamp,
    bounds: &Bounds,
) -> Result<i64, Failure> {
    if bounds.first >= bounds.end || bounds.last_enqueued.is_some_and(|last| last < time) {
        return Ok(bounds.end);
    }
    let wanted = Wanted {
        hub: hub.to_owned(),
        group: group.to_owned(),
        partition,
        from: From::Since(time),
        epoch: Some(EPOCH),
        id: super::link::id("start", partition),
        bytes: ONE,
        tells_end: false,
    };
    let mut receiver = namespace.client.receiver(&wanted).await?;
    let first = timeout(PATIENCE, receiver.next(1, ONE)).await;
    receiver.close().await;
    let first = first.map_err(|_| Failure::late(&format!("{hub}/{partition}"), "the first event since a time"))??;
    Ok(first.first().map_or(bounds.end, |Event { place, .. }| place.position.0))
}
