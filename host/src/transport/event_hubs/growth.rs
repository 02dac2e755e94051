//! Partitions that a hub gets while it is read: an operator may add some, and nothing tells a reader. So it is asked now and
//! then.

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use tokio::time::sleep;

use super::Namespace;

/// How often a hub is asked how many partitions it has.
pub(super) const EVERY: Duration = Duration::from_secs(60);

/// Ends when a hub has more partitions than are known: with how many. What fails meanwhile is tried again, and told by whoever
/// reads or writes.
pub(super) fn growth(namespace: Arc<Namespace>, topic: Arc<str>, known: u32) -> BoxFuture<'static, u32> {
    Box::pin(async move {
        loop {
            sleep(namespace.growth).await;
            match namespace.partitions(&topic).await {
                Ok(partitions) if partitions > known => return partitions,
                Ok(_) => {}
                Err(error) => tracing::debug!(%error, "it is not known how many partitions there are now"),
            }
        }
    })
}
