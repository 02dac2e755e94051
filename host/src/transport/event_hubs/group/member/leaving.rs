//! How a member leaves: it lets go what it has, so that others need not wait for a lease to end.

use futures::future::join_all;
use tokio::time::timeout;
use tracing::debug;

use super::*;
use crate::storage::conditional::Version;
use crate::transport::event_hubs::group::folder::Calls;

/// How long it waits for calls that are under way, which may make something its own.
const SETTLE: Duration = Duration::from_secs(2);
/// How long it may take in all: what is not let go until then others take when the lease is over.
const LEAVE: Duration = Duration::from_secs(4);

impl Member {
    pub(super) async fn leave(mut self) {
        let done = timeout(LEAVE, async {
            let _ = timeout(SETTLE, self.settle()).await;
            self.held.end_all();
            self.let_go().await
        });
        let refused = done.await.unwrap_or(true);
        let Calls { lists, reads, puts } = self.folder.calls();
        debug!(member = self.me, lists, reads, puts, "calls of the store of ownerships");
        if refused {
            info!(member = self.me, "leaves its group without telling it: others take its partitions after a lease");
        }
    }

    async fn settle(&mut self) {
        self.held.end_all();
        while let Some(done) = self.work.next().await {
            self.done(done);
        }
    }

    /// Says whether the store refused something.
    async fn let_go(&mut self) -> bool {
        let entries = |kind| move |(partition, version): (u32, &Version)| ((kind, partition), version.clone());
        let ownerships = self.owners.mine().map(entries(Kind::Ownership));
        let wishes = self.owners.wishing().map(entries(Kind::Wish));
        let (folder, me) = (&self.folder, &self.me);
        let puts = ownerships
            .chain(wishes)
            .map(|(entry, version)| async move { folder.put_owner(entry, me, Owns::No, Some(version)).await.is_err() });
        let puts: Vec<_> = puts.collect();
        join_all(puts).await.contains(&true)
    }
}
