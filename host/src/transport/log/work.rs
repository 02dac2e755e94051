//! What a source has done beside, in the tables: at most one thing at a time. It lives in the source, so that a dropped
//! `next` loses nothing.

use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use rusqlite::Connection;

use super::board::View;
use super::fetch::{self, Fetched, Plan};
use super::lease;
use super::look::{self, Look, Looked, Sign};
use super::source::Parts;
use super::store::Store;
use crate::storage::sqlite::Error;

/// Something under way.
pub(super) type Work = BoxFuture<'static, Done>;

/// What came of it.
pub(super) enum Done {
    Looked(Result<Looked, Error>),
    Fetched(Result<Fetched, Error>),
    /// The ownerships that are over.
    Released(Result<Vec<(u32, i64)>, Error>),
}

/// A member's place: the group's number and its own.
#[derive(Clone, Copy)]
pub(super) struct Seat {
    pub(super) group: i64,
    pub(super) member: i64,
}

/// A look at the group by a member that believes to own this, and that has seen those stand still for a lease.
pub(super) fn look(parts: &Parts, holder: &str, owned: Vec<(u32, i64)>, stale: Vec<Sign>) -> Work {
    let Parts { store, topic, subscription, .. } = parts;
    let look = Look {
        topic: topic.clone(),
        group: subscription.group.clone(),
        start: subscription.start,
        on_lost_position: subscription.on_lost_position,
        folder: store.leases.clone(),
        holder: holder.to_owned(),
        process: store.process.clone(),
        owned,
        stale,
    };
    Box::pin(write(store, topic.id, move |connection| look::look(connection, &look)).map(Done::Looked))
}

/// Ends ownerships in the tables, so that others may claim.
pub(super) fn release(parts: &Parts, Seat { group, .. }: Seat, ending: Vec<(u32, i64)>) -> Work {
    let topic = parts.topic.id;
    let job = move |connection: &Connection| {
        lease::release(connection, (topic, group), &ending)?;
        Ok(ending.clone())
    };
    Box::pin(write(&parts.store, topic, job).map(Done::Released))
}

/// Reads messages.
pub(super) fn fetch(store: Arc<Store>, plan: Plan) -> Work {
    Box::pin(async move { Done::Fetched(store.database.read(move |connection| fetch::fetch(connection, &plan)).await) })
}

/// Changes who has what, and shows this process's other sources what has changed.
fn write<T: Send + 'static>(
    store: &Arc<Store>,
    topic: i64,
    mut change: impl FnMut(&Connection) -> Result<T, Error> + Send + 'static,
) -> BoxFuture<'static, Result<T, Error>> {
    let (store, board) = (store.clone(), store.board.clone());
    let job = move |connection: &Connection| Ok((change(connection)?, View::read(connection, topic)?));
    let show = move |(_, view): &(T, View)| board.set(topic, view.clone());
    Box::pin(async move { store.database.write_then(0, job, show).await.map(|(value, _)| value) })
}

/// Waits for the work under way; for ever when there is none. Cancel safe: it stays where it is.
pub(super) async fn finished(work: &mut Option<Work>) -> Done {
    match work {
        Some(work) => work.await,
        None => std::future::pending().await,
    }
}
