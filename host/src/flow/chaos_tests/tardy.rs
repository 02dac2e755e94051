//! A source on the memory transport that stores checkpoints late, and tells the oracle what the pipeline is told.

use std::time::Duration;

use async_trait::async_trait;
use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep, sleep_until};

use super::driver::GROUP;
use super::world::Shared;
use crate::model::Partition;
use crate::transport::memory::Memory;
use crate::transport::{Commit, CommitError, Demand, Source, SourceEvent, Transport};

/// A commit that is not durable yet.
struct Commissioned {
    at: Instant,
    commits: Vec<Commit>,
    /// How long its end is not told.
    after: Duration,
    told: oneshot::Sender<Result<(), CommitError>>,
}

/// A source that stores checkpoints late.
pub(super) struct Tardy {
    pub(super) shared: Shared,
    pub(super) inner: Box<dyn Source>,
    memory: Memory,
    /// At most one: a pipeline has one commit under way.
    commissioned: Vec<Commissioned>,
}

impl Tardy {
    pub(super) fn new(shared: Shared, inner: Box<dyn Source>, memory: Memory) -> Self {
        Self { shared, inner, memory, commissioned: Vec::new() }
    }

    fn store(&mut self) {
        for Commissioned { commits, after, told, .. } in self.commissioned.drain(..) {
            let stored: Vec<Commit> = commits.clone();
            let result = self.inner.commit(commits).now_or_never().unwrap();
            let refused: Vec<Partition> = match &result {
                Ok(()) => Vec::new(),
                Err(CommitError::NotOwned(refused)) => refused.clone(),
                // Of two topics, one may have stored its share.
                Err(CommitError::Unavailable(_)) => {
                    let missing = stored.iter().filter(|commit| !is_stored(&self.memory, commit));
                    missing.map(|commit| commit.partition.clone()).collect()
                }
            };
            let mut world = self.shared.look();
            for Commit { partition, checkpoint, .. } in stored {
                if !refused.contains(&partition) {
                    world.oracle.stored(partition, checkpoint);
                }
            }
            // Who is told late, or is gone, hears nothing.
            if after.is_zero() {
                let _ = told.send(result);
            } else {
                tokio::spawn(async move {
                    sleep(after).await;
                    let _ = told.send(result);
                });
            }
        }
    }

    fn tell(&self, event: SourceEvent) -> SourceEvent {
        let mut world = self.shared.look();
        match event {
            SourceEvent::Assigned(assignments) => {
                world.oracle.assigned(&assignments);
                SourceEvent::Assigned(assignments)
            }
            SourceEvent::Messages(mut batch) => {
                let positions: Vec<i64> = batch.messages.iter().map(|message| message.origin.position.0).collect();
                if !positions.is_empty() {
                    world.oracle.handed(&batch.partition, &positions);
                }
                batch.messages.iter_mut().for_each(|message| world.oracle.mark(message));
                SourceEvent::Messages(batch)
            }
            SourceEvent::Revoked { partitions, reply } => {
                let asked = |partition: &Partition| (partition.clone(), world.oracle.asked_back(partition));
                let asked = partitions.iter().map(asked).collect();
                SourceEvent::Revoked { partitions, reply: self.watched(asked, reply) }
            }
            SourceEvent::Lost(partitions) => {
                partitions.iter().for_each(|partition| world.oracle.lost(partition));
                SourceEvent::Lost(partitions)
            }
            SourceEvent::Failed(error) => {
                world.oracle.note(format_args!("source failed: {error}"));
                SourceEvent::Failed(error)
            }
        }
    }

    /// A reply that the oracle hears of.
    fn watched(&self, asked: Vec<(Partition, u64)>, reply: oneshot::Sender<()>) -> oneshot::Sender<()> {
        let (watched, replied) = oneshot::channel();
        let shared = self.shared.clone();
        tokio::spawn(async move {
            if replied.await.is_ok() {
                asked.iter().for_each(|(partition, number)| shared.look().oracle.released(partition, *number));
                let _ = reply.send(());
            }
        });
        watched
    }
}

/// Whether what was to be stored is.
fn is_stored(memory: &Memory, commit: &Commit) -> bool {
    let stored = memory.checkpoints(&commit.partition.topic, GROUP).now_or_never().unwrap().unwrap();
    stored.contains(&(commit.partition.index, commit.checkpoint.clone()))
}

#[async_trait]
impl Source for Tardy {
    async fn next(&mut self, demand: &dyn Demand) -> SourceEvent {
        loop {
            let due = self.commissioned.first().map(|commissioned| commissioned.at);
            let until = async {
                match due {
                    Some(at) => sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                () = until => self.store(),
                event = self.inner.next(demand) => return self.tell(event),
            }
        }
    }

    fn commit(&mut self, commits: Vec<Commit>) -> BoxFuture<'static, Result<(), CommitError>> {
        let (told, answer) = oneshot::channel();
        let (before, after) = {
            let mut world = self.shared.look();
            world.oracle.commits(&commits);
            (world.wait(3_000), world.wait(3_000))
        };
        self.commissioned.push(Commissioned { at: Instant::now() + before, commits, after, told });
        if before.is_zero() {
            self.store();
        }
        Box::pin(async { answer.await.unwrap_or_else(|_| Err(CommitError::Unavailable("the source is gone".into()))) })
    }
}
