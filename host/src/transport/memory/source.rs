//! Reads one topic in memory for one group. The first source of a group has all partitions; a second one waits until
//! the first is gone.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use async_trait::async_trait;
use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use tokio::sync::{oneshot, watch};

use super::Shared;
use super::state::{Log, Order, Topic, named};
use crate::model::{Message, Partition};
use crate::transport::cursor::Cursor;
use crate::transport::{
    Assignment, Commit, CommitError, Demand, Epoch, Source, SourceEvent, Subscription, TransportError,
};

pub(super) struct MemorySource {
    shared: Arc<Shared>,
    physical: String,
    subscription: Subscription,
    /// Its number among the sources.
    number: u64,
    changed: watch::Receiver<()>,
    cursors: BTreeMap<u32, Cursor>,
    /// The partition that was served last.
    turn: u32,
    events: VecDeque<SourceEvent>,
    /// Partitions that are asked back, each with the assignment that is to end; at most one entry for each.
    releasing: FuturesUnordered<BoxFuture<'static, Vec<(u32, Epoch)>>>,
    /// Whether it was told that another source has the group.
    waiting: bool,
}

impl MemorySource {
    pub(super) fn new(shared: Arc<Shared>, subscription: Subscription) -> Self {
        let number = shared.change(|state| {
            state.sources += 1;
            state.sources
        });
        Self {
            physical: shared.physical(&subscription.topic),
            changed: shared.changed.subscribe(),
            shared,
            subscription,
            number,
            cursors: BTreeMap::new(),
            turn: 0,
            events: VecDeque::new(),
            releasing: FuturesUnordered::new(),
            waiting: false,
        }
    }

    /// What can be told at once.
    fn ready(&mut self, demand: &Demand) -> Option<SourceEvent> {
        self.changed.mark_unchanged();
        if let Some(event) = self.events.pop_front() {
            return Some(event);
        }
        let shared = self.shared.clone();
        let mut state = shared.state();
        let topic = state.topic(&self.physical, None);
        if !self.owns(topic) {
            return self.claim(topic);
        }
        let group = topic.group(&self.subscription.group, self.subscription.start);
        if let Some(order) = group.orders.pop_front() {
            return self.obey(order, topic);
        }
        if topic.faults.reads > 0 {
            topic.faults.reads -= 1;
            return Some(self.failed("told to fail"));
        }
        self.messages(topic, demand)
    }

    fn owns(&self, topic: &Topic) -> bool {
        topic.groups.get(&self.subscription.group).is_some_and(|group| group.owner == Some(self.number))
    }

    fn claim(&mut self, topic: &mut Topic) -> Option<SourceEvent> {
        let group = topic.group(&self.subscription.group, self.subscription.start);
        if let Some(owner) = group.owner {
            let Subscription { topic, group, .. } = self.subscription.clone();
            let in_use = TransportError::GroupInUse { topic, group, owner: format!("source {owner}") };
            return (!std::mem::replace(&mut self.waiting, true)).then_some(SourceEvent::Failed(in_use));
        }
        group.owner = Some(self.number);
        group.orders.clear();
        self.waiting = false;
        let all: Vec<u32> = (0..topic.partitions()).collect();
        self.assign(&all, topic)
    }

    fn obey(&mut self, order: Order, topic: &mut Topic) -> Option<SourceEvent> {
        let of = |partitions: &[u32]| partitions.iter().map(|index| self.partition(*index)).collect();
        match order {
            Order::Assign(partitions) => self.assign(&partitions, topic),
            Order::Lose(partitions) => {
                let lost = SourceEvent::Lost(of(&partitions));
                self.cursors.retain(|index, _| !partitions.contains(index));
                Some(lost)
            }
            Order::Revoke(partitions) => {
                let (reply, replied) = oneshot::channel();
                let revoked = SourceEvent::Revoked { partitions: of(&partitions), reply };
                let group = topic.group(&self.subscription.group, self.subscription.start);
                let ending = group.epochs(&partitions);
                // A reply that is dropped lets go too.
                self.releasing.push(Box::pin(async move {
                    let _ = replied.await;
                    ending
                }));
                Some(revoked)
            }
        }
    }

    fn assign(&mut self, partitions: &[u32], topic: &mut Topic) -> Option<SourceEvent> {
        let mut assignments = Vec::new();
        for &index in partitions {
            let Some(bounds) = topic.log(index).map(Log::bounds) else { continue };
            let group = topic.group(&self.subscription.group, self.subscription.start);
            let Some((epoch, checkpoint)) = group.assign(index) else { continue };
            let partition = self.partition(index);
            let mut cursor = Cursor::new(partition.clone(), checkpoint, bounds.end);
            // What is lost and may not be passed is told when it is to be read.
            if cursor.pass_what_is_gone(bounds.first, &self.subscription).is_ok() {
                group.store(index, cursor.checkpoint());
            }
            let (checkpoint, checkpoint_limit) = (Some(cursor.checkpoint().clone()), topic.faults.checkpoint_limit);
            assignments.push(Assignment { partition, epoch, checkpoint, checkpoint_limit });
            self.cursors.insert(index, cursor);
        }
        Some(SourceEvent::Assigned(assignments))
    }

    fn messages(&mut self, topic: &Topic, demand: &Demand) -> Option<SourceEvent> {
        let now = self.shared.clock.now();
        let after = self.cursors.range(self.turn.saturating_add(1)..).map(|(index, _)| *index);
        let order: Vec<u32> = after.chain(self.cursors.range(..=self.turn).map(|(index, _)| *index)).collect();
        for index in order {
            let (Some(cursor), Some(log)) = (self.cursors.get_mut(&index), topic.log(index)) else { continue };
            let bounds = log.bounds();
            cursor.grow(bounds.end);
            if let Err(lost) = cursor.pass_what_is_gone(bounds.first, &self.subscription) {
                return Some(SourceEvent::Failed(lost));
            }
            let Some(room) = demand.0.get(cursor.partition()).copied() else { continue };
            if cursor.wants(room) {
                // They share the log's own bytes, so reading ahead takes no memory worth a bound.
                let messages = log.from(cursor.next()).take(room.messages);
                cursor.take_in(
                    messages.map(|message| named(message, &self.subscription.topic)).collect::<Vec<Message>>(),
                );
            }
            if let Some(batch) = cursor.hand_out(room, now) {
                self.turn = index;
                return Some(SourceEvent::Messages(batch));
            }
        }
        self.cursors.values_mut().find_map(|cursor| cursor.news(now)).map(SourceEvent::Messages)
    }

    fn partition(&self, index: u32) -> Partition {
        Partition::new(self.subscription.topic.clone(), index)
    }

    fn failed(&self, reason: &str) -> SourceEvent {
        SourceEvent::Failed(TransportError::Unavailable {
            transport: self.shared.name.clone(),
            reason: reason.to_owned(),
        })
    }

    /// Partitions that were asked back may go, unless they went and came again meanwhile.
    fn released(&mut self, ending: Vec<(u32, Epoch)>) {
        let shared = self.shared.clone();
        let partitions = shared.change(|state| {
            let topic = state.topic(&self.physical, None);
            let group = topic.group(&self.subscription.group, self.subscription.start);
            let partitions: Vec<u32> = group.current(ending);
            group.release(&partitions);
            partitions
        });
        self.cursors.retain(|index, _| !partitions.contains(index));
    }
}

#[async_trait]
impl Source for MemorySource {
    async fn next(&mut self, demand: &Demand) -> SourceEvent {
        loop {
            if let Some(event) = self.ready(demand) {
                return event;
            }
            tokio::select! {
                biased;
                Some(ending) = self.releasing.next() => self.released(ending),
                // The sender lives as long as this source does.
                _ = self.changed.changed() => {}
            }
        }
    }

    fn commit(&mut self, commits: Vec<Commit>) -> BoxFuture<'static, Result<(), CommitError>> {
        let outcome = self.shared.change(|state| {
            let topic = state.topic(&self.physical, None);
            if let Some(reason) = &topic.faults.commits {
                return Err(CommitError::Unavailable(reason.clone()));
            }
            let ours = self.owns(topic);
            let group = topic.group(&self.subscription.group, self.subscription.start);
            if !ours {
                return Err(CommitError::NotOwned(commits.into_iter().map(|commit| commit.partition).collect()));
            }
            match group.commit(commits) {
                refused if refused.is_empty() => Ok(()),
                refused => Err(CommitError::NotOwned(refused)),
            }
        });
        Box::pin(async { outcome })
    }
}

impl Drop for MemorySource {
    fn drop(&mut self) {
        self.shared.change(|state| {
            let topic = state.topic(&self.physical, None);
            if self.owns(topic)
                && let Some(group) = topic.groups.get_mut(&self.subscription.group)
            {
                group.owner = None;
                group.assigned.iter_mut().for_each(|assigned| assigned.1 = false);
            }
        });
    }
}
