//! Stores checkpoints: every so often, and early when much has settled or somebody waits for it. Those of each topic by
//! themselves: one topic's may have to wait for the other's. A group that agrees anew keeps the commits of a member that has
//! said so already, until every member has; another one of the same pipeline may be waiting for its last commit.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use futures::stream::{FuturesUnordered, StreamExt};
use tokio::time::Instant;
use tracing::warn;

use super::{End, Pipeline};
use crate::model::Partition;
use crate::transport::{Commit, CommitError};

/// The wait before a commit that failed is tried again; it doubles.
const FIRST_WAIT: Duration = Duration::from_millis(200);
/// The longest of these waits.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// Checkpoints that are stored, and when those of a topic are stored next.
#[derive(Default)]
pub(super) struct Committing {
    topics: BTreeMap<Arc<str>, Topic>,
    under_way: FuturesUnordered<BoxFuture<'static, Committed>>,
}

struct Topic {
    next: Instant,
    is_under_way: bool,
    /// Why the last commit failed.
    trouble: Option<String>,
    /// The wait before one that failed is tried again.
    wait: Duration,
}

/// A commit that has ended.
pub(super) struct Committed {
    topic: Arc<str>,
    commits: Vec<Commit>,
    result: Result<(), CommitError>,
}

impl Committing {
    /// Checkpoints of a topic are to be stored from then on.
    pub(super) fn know(&mut self, topic: &Arc<str>, next: Instant) {
        if !self.topics.contains_key(topic) {
            self.topics.insert(topic.clone(), Topic { next, is_under_way: false, trouble: None, wait: FIRST_WAIT });
        }
    }

    /// The next commit that ends; never while none is under way. Cancel safe.
    pub(super) async fn next(&mut self) -> Committed {
        match self.under_way.next().await {
            Some(committed) => committed,
            None => std::future::pending().await,
        }
    }

    pub(super) fn is_under_way(&self) -> bool {
        !self.under_way.is_empty()
    }

    /// When a commit is to begin though nothing happened.
    pub(super) fn due(&self) -> Option<Instant> {
        self.topics.values().filter(|topic| !topic.is_under_way).map(|topic| topic.next).min()
    }

    /// Why checkpoints cannot be stored.
    pub(super) fn trouble(&self) -> Option<&String> {
        self.topics.values().find_map(|topic| topic.trouble.as_ref())
    }

    /// The topics whose checkpoints are to be stored now: those that are due, and those that are to be early. Together
    /// with one that is due, those that would be due later, so that they are due together.
    fn ready(&self, now: Instant, is_early: impl Fn(&str) -> bool) -> Vec<Arc<str>> {
        let any_due = self.due().is_some_and(|due| due <= now);
        let is_ready = |(name, topic): &(&Arc<str>, &Topic)| {
            let without_trouble = topic.trouble.is_none() && (any_due || is_early(name));
            !topic.is_under_way && (without_trouble || topic.next <= now)
        };
        self.topics.iter().filter(is_ready).map(|(name, _)| name.clone()).collect()
    }

    fn begin(&mut self, topic: Arc<str>, commits: Vec<Commit>, done: BoxFuture<'static, Result<(), CommitError>>) {
        if let Some(topic) = self.topics.get_mut(&topic) {
            topic.is_under_way = true;
        }
        self.under_way.push(Box::pin(async move { Committed { topic, commits, result: done.await } }));
    }

    fn has_nothing(&mut self, topic: &str) {
        if let Some(topic) = self.topics.get_mut(topic) {
            (topic.trouble, topic.wait) = (None, FIRST_WAIT);
        }
    }

    fn put_off(&mut self, topic: &str, until: Instant) {
        if let Some(topic) = self.topics.get_mut(topic) {
            topic.next = topic.next.max(until);
        }
    }

    /// A commit has ended, well or not. Says whether it is the first that failed.
    fn ended(&mut self, topic: &str, trouble: Option<String>, now: Instant, every: Duration) -> bool {
        let Some(topic) = self.topics.get_mut(topic) else { return false };
        topic.is_under_way = false;
        let is_new = topic.trouble.is_none() && trouble.is_some();
        match trouble.is_some() {
            true => {
                topic.next = now + topic.wait;
                topic.wait = (topic.wait * 2).min(LONGEST_WAIT);
            }
            false => {
                topic.next = if topic.next <= now { now + every } else { topic.next };
                topic.wait = FIRST_WAIT;
            }
        }
        topic.trouble = trouble;
        is_new
    }
}

impl Pipeline {
    pub(super) fn begin_commit(&mut self) {
        let now = self.parts.clock.now();
        let closing = self.stop.is_some() || !self.revoking.is_empty();
        for topic in self.committing.ready(now, |topic| closing || self.in_flight.commit_is_urgent(topic)) {
            self.committing.put_off(&topic, now + self.settings.checkpoint_every);
            let commits = self.in_flight.commits(&topic);
            if commits.is_empty() {
                // Nor is there anything that could not be stored: that is stored, or somebody else's.
                self.committing.has_nothing(&topic);
                self.in_flight.stored(&topic, commits);
                continue;
            }
            let done = self.parts.source.commit(commits.clone());
            self.committing.begin(topic, commits, done);
        }
    }

    pub(super) fn committed(&mut self, Committed { topic, commits, result }: Committed) -> Option<End> {
        let (now, every) = (self.parts.clock.now(), self.settings.checkpoint_every);
        match result {
            Ok(()) => {
                self.committing.ended(&topic, None, now, every);
                self.in_flight.stored(&topic, commits);
            }
            Err(CommitError::Unavailable(reason)) => {
                self.in_flight.not_stored(&topic);
                if self.committing.ended(&topic, Some(reason.clone()), now, every) {
                    warn!(pipeline = %self.settings.maker.pipeline, %topic, reason,
                        "checkpoints cannot be stored; it is tried again");
                }
            }
            Err(CommitError::NotOwned(partitions)) => {
                self.committing.ended(&topic, None, now, every);
                self.in_flight.not_stored(&topic);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commit_that_failed_is_no_trouble_once_there_is_nothing_to_store() {
        let (mut committing, topic, now) = (Committing::default(), Arc::from("work"), Instant::now());
        committing.know(&topic, now);
        assert!(committing.ended(&topic, Some("down".to_owned()), now, LONGEST_WAIT), "it is news");
        assert!(!committing.ended(&topic, Some("down".to_owned()), now, LONGEST_WAIT), "it is none");
        assert_eq!(committing.trouble().map(String::as_str), Some("down"));
        committing.has_nothing(&topic);
        assert_eq!(committing.trouble(), None);
        assert!(committing.ready(now, |_| true).contains(&topic), "it may be early again");
    }
}
