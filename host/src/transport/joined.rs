//! One source out of several that read different topics, such as a pipeline's topic and its retry topic. Adds nothing
//! to what they promise, and takes nothing away: each has its turn.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use futures::FutureExt;
use futures::future::{BoxFuture, join_all, select_all};

use super::{Commit, CommitError, Demand, Source, SourceEvent};
use crate::model::Partition;

/// Joins sources of different topics: each must have its own, for a commit finds its source by the topic.
pub fn join(sources: Vec<Box<dyn Source>>) -> Box<dyn Source> {
    Box::new(Joined { sources, topics: HashMap::new(), turn: 0 })
}

struct Joined {
    sources: Vec<Box<dyn Source>>,
    /// Which source reads a topic, as far as partitions of it were assigned.
    topics: HashMap<Arc<str>, usize>,
    /// The source that is asked first; it takes turns.
    turn: usize,
}

impl Joined {
    fn note(&mut self, index: usize, event: &SourceEvent) {
        self.turn = index + 1;
        if let SourceEvent::Assigned(assignments) = event {
            let topics = assignments.iter().map(|assignment| assignment.partition.topic.clone());
            self.topics.extend(topics.map(|topic| (topic, index)));
        }
    }
}

#[async_trait]
impl Source for Joined {
    async fn next(&mut self, demand: &dyn Demand) -> SourceEvent {
        if self.sources.is_empty() {
            return std::future::pending().await;
        }
        let middle = self.turn % self.sources.len();
        let (before, after) = self.sources.split_at_mut(middle);
        let in_turn = (middle..).zip(after).chain((0..).zip(before));
        // The first that is ready in this order wins; the others are dropped, which loses nothing of theirs.
        let (event, index) = {
            let polls = in_turn.map(|(index, source)| source.next(demand).map(move |event| (event, index)).boxed());
            select_all(polls).await.0
        };
        self.note(index, &event);
        event
    }

    fn commit(&mut self, commits: Vec<Commit>) -> BoxFuture<'static, Result<(), CommitError>> {
        let mut shares: Vec<Vec<Commit>> = self.sources.iter().map(|_| Vec::new()).collect();
        let mut refused: Vec<Partition> = Vec::new();
        for commit in commits {
            let index = self.topics.get(&commit.partition.topic);
            match index.and_then(|index| shares.get_mut(*index)) {
                Some(share) => share.push(commit),
                None => refused.push(commit.partition),
            }
        }
        let shares = self.sources.iter_mut().zip(shares).filter(|(_, share)| !share.is_empty());
        let answers = join_all(shares.map(|(source, share)| source.commit(share)));
        Box::pin(answers.map(|answers| together(refused, answers)))
    }
}

/// One answer out of several. What is not owned is told once nothing needs to be tried again.
fn together(mut refused: Vec<Partition>, answers: Vec<Result<(), CommitError>>) -> Result<(), CommitError> {
    let mut unavailable = Vec::new();
    for answer in answers {
        match answer {
            Ok(()) => {}
            Err(CommitError::NotOwned(partitions)) => refused.extend(partitions),
            Err(CommitError::Unavailable(reason)) => unavailable.push(reason),
        }
    }
    match (unavailable.is_empty(), refused.is_empty()) {
        (true, true) => Ok(()),
        (true, false) => Err(CommitError::NotOwned(refused)),
        (false, _) => Err(CommitError::Unavailable(unavailable.join("; "))),
    }
}

#[cfg(test)]
#[path = "joined_tests.rs"]
mod tests;
