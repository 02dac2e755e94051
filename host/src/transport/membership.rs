//! Who of this process is in a group of some system, and tells it when it leaves: the end of the process waits for that.

use std::sync::LazyLock;

use tokio::sync::watch;

/// How many members of groups this process has, with those that are about to leave.
static MEMBERSHIPS: LazyLock<watch::Sender<usize>> = LazyLock::new(|| watch::Sender::new(0));

/// Counts a member until it has left.
pub(super) struct Membership(());

impl Membership {
    pub(super) fn begin() -> Self {
        MEMBERSHIPS.send_modify(|count| *count += 1);
        Self(())
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        MEMBERSHIPS.send_modify(|count| *count = count.saturating_sub(1));
    }
}

/// Until no member of this process is in a group: those that were dropped have told so.
pub(super) async fn left() {
    // The sender is there for ever.
    let _ = MEMBERSHIPS.subscribe().wait_for(|count| *count == 0).await;
}
