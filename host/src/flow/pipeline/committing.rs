//! Stores checkpoints: every so often, and early when much has settled or somebody waits for it.

use std::time::Duration;

use futures::future::BoxFuture;
use tracing::warn;

use super::{End, Pipeline};
use crate::model::Partition;
use crate::transport::{Commit, CommitError};

/// The wait before a commit that failed is tried again; it doubles.
pub(super) const COMMIT_FIRST_WAIT: Duration = Duration::from_millis(200);
/// The longest of these waits.
const COMMIT_LONGEST_WAIT: Duration = Duration::from_secs(5);

/// Checkpoints that are being stored.
pub(super) struct Committing {
    pub(super) commits: Vec<Commit>,
    pub(super) done: BoxFuture<'static, Result<(), CommitError>>,
}

/// Waits for the commit under way; for ever when there is none. Cancel safe: the commit stays where it is.
pub(super) async fn committed(committing: &mut Option<Committing>) -> Result<(), CommitError> {
    match committing {
        Some(committing) => (&mut committing.done).await,
        None => std::future::pending().await,
    }
}

impl Pipeline {
    pub(super) fn begin_commit(&mut self) {
        let now = self.parts.clock.now();
        let closing = self.stop.is_some() || !self.revoking.is_empty();
        let early = self.commit_trouble.is_none() && (closing || self.in_flight.commit_is_urgent());
        if self.committing.is_some() || now < self.next_commit && !early {
            return;
        }
        let commits = self.in_flight.commits();
        if commits.is_empty() {
            self.next_commit = self.next_commit.max(now + self.settings.checkpoint_every);
            return self.in_flight.stored(commits);
        }
        self.next_commit = now + self.settings.checkpoint_every;
        let done = self.parts.source.commit(commits.clone());
        self.committing = Some(Committing { commits, done });
    }

    pub(super) fn committed(&mut self, result: Result<(), CommitError>) -> Option<End> {
        let commits = self.committing.take().map(|committing| committing.commits).unwrap_or_default();
        match result {
            Ok(()) => {
                self.commit_trouble = None;
                self.commit_wait = COMMIT_FIRST_WAIT;
                self.in_flight.stored(commits);
            }
            Err(CommitError::Unavailable(reason)) => {
                if self.commit_trouble.is_none() {
                    warn!(pipeline = %self.settings.maker.pipeline, reason, "checkpoints cannot be stored; it is tried again");
                }
                self.in_flight.not_stored();
                self.commit_trouble = Some(reason);
                self.next_commit = self.parts.clock.now() + self.commit_wait;
                self.commit_wait = (self.commit_wait * 2).min(COMMIT_LONGEST_WAIT);
            }
            Err(CommitError::NotOwned(partitions)) => {
                self.in_flight.not_stored();
                // A partition that was assigned anew meanwhile is ours: only the commit came from before.
                let is_current = |commit: &&Commit| self.in_flight.is_current(&commit.partition, commit.epoch);
                let current = commits.iter().filter(is_current).map(|commit| commit.partition.clone());
                let lost: Vec<Partition> = current.filter(|partition| partitions.contains(partition)).collect();
                self.lose(&lost);
            }
        }
        None
    }
}
