//! Reads one topic in memory for one group. The sources of a group share the topic's partitions: each takes what is
//! free up to its share, and asks those that have more.

use std::collections::{BTreeMap, VecDeque};
use std::ops::{Bound, RangeBounds};
use std::sync::Arc;

use async_trait::async_trait;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use futures::{FutureExt, StreamExt};
use tokio::sync::{oneshot, watch};

use super::Shared;
use super::group::Group;
use super::state::{Log, Topic, named};
use crate::model::{Message, Partition};
use crate::transport::cursor::Cursor;
use crate::transport::{
    Assignment, Commit, CommitError, Demand, Epoch, Source, SourceEvent, Subscription, TransportError,
};

pub(super) struct MemorySource {
    shared: Arc<Shared>,
    physical: Arc<str>,
    subscription: Subscription,
    /// Its number among the sources.
    number: u64,
    changed: watch::Receiver<()>,
    owned: BTreeMap<u32, Owned>,
    /// The version of the group that was looked at last.
    seen: Option<u64>,
    /// The partition that was served last.
    turn: u32,
    /// A few at most: no more are made before these are told.
    events: VecDeque<SourceEvent>,
    /// Partitions that are asked back, each with the assignment that is to end; at most one entry for each.
    releasing: FuturesUnordered<BoxFuture<'static, Vec<(u32, Epoch)>>>,
}

/// A partition of this source.
struct Owned {
    epoch: Epoch,
    cursor: Cursor,
    /// Whether it was asked back.
    asked: bool,
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
            owned: BTreeMap::new(),
            seen: None,
            turn: 0,
            events: VecDeque::new(),
            releasing: FuturesUnordered::new(),
        }
    }

    /// What can be told at once.
    fn ready(&mut self, demand: &dyn Demand) -> Option<SourceEvent> {
        self.changed.mark_unchanged();
        if let Some(event) = self.events.pop_front() {
            return Some(event);
        }
        while let Some(Some(ending)) = self.releasing.next().now_or_never() {
            self.released(ending);
        }
        let shared = self.shared.clone();
        let mut state = shared.state();
        let topic = state.topic(&self.physical, None);
        self.share(topic);
        if let Some(event) = self.events.pop_front() {
            return Some(event);
        }
        if topic.faults.reads > 0 {
            topic.faults.reads -= 1;
            return Some(self.failed("told to fail"));
        }
        self.messages(topic, demand)
    }

    /// Sees what of the group's partitions is whose: first what was taken away, then what may be had, then what is
    /// asked back.
    fn share(&mut self, topic: &mut Topic) {
        let group = topic.group(&self.subscription.group, self.subscription.start);
        if self.seen == Some(group.version()) {
            return;
        }
        // What this source changes itself is looked at once more, until nothing is left to change.
        self.seen = Some(group.version());
        group.join(self.number);
        self.see_what_is_lost(group);
        let step = group.balance(self.number);
        if !step.is_empty() {
            self.shared.changed.send_replace(());
        }
        self.assign(&step.claim, topic);
        let group = topic.group(&self.subscription.group, self.subscription.start);
        self.see_what_is_asked_back(group);
    }

    fn see_what_is_lost(&mut self, group: &Group) {
        let lost = self.owned.extract_if(.., |index, owned| !group.is_current(*index, owned.epoch));
        let lost: Vec<Partition> = lost.map(|(_, owned)| owned.cursor.partition().clone()).collect();
        if !lost.is_empty() {
            self.events.push_back(SourceEvent::Lost(lost));
        }
    }

    fn see_what_is_asked_back(&mut self, group: &Group) {
        let asked = self.owned.iter_mut().filter(|(index, owned)| !owned.asked && group.is_asked_back(**index));
        let (mut partitions, mut ending) = (Vec::new(), Vec::new());
        for (index, owned) in asked {
            owned.asked = true;
            partitions.push(owned.cursor.partition().clone());
            ending.push((*index, owned.epoch));
        }
        if partitions.is_empty() {
            return;
        }
        let (reply, replied) = oneshot::channel();
        self.events.push_back(SourceEvent::Revoked { partitions, reply });
        // A reply that is dropped lets go too.
        self.releasing.push(Box::pin(async move {
            let _ = replied.await;
            ending
        }));
    }

    fn assign(&mut self, partitions: &[u32], topic: &mut Topic) {
        let mut assignments = Vec::new();
        for &index in partitions {
            let Some(bounds) = topic.log(index).map(Log::bounds) else { continue };
            let group = topic.group(&self.subscription.group, self.subscription.start);
            let Some((epoch, checkpoint)) = group.assign(index, self.number) else { continue };
            let partition = Partition::new(self.subscription.topic.clone(), index);
            let mut cursor = Cursor::new(partition.clone(), checkpoint, bounds.end);
            // What is lost and may not be passed is told when it is to be read.
            if cursor.pass_what_is_gone(bounds.first, &self.subscription).is_ok() {
                group.store(index, cursor.checkpoint());
            }
            let (checkpoint, checkpoint_limit) = (Some(cursor.checkpoint().clone()), topic.faults.checkpoint_limit);
            assignments.push(Assignment { partition, epoch, checkpoint, checkpoint_limit });
            self.owned.insert(index, Owned { epoch, cursor, asked: false });
        }
        if !assignments.is_empty() {
            self.events.push_back(SourceEvent::Assigned(assignments));
        }
    }

    /// The next batch: of the first partition behind the last served that has one, else news of the lag.
    fn messages(&mut self, topic: &Topic, demand: &dyn Demand) -> Option<SourceEvent> {
        let (behind, before) = ((Bound::Excluded(self.turn), Bound::Unbounded), ..=self.turn);
        let event = self.first_of(behind, topic, demand);
        let event = event.or_else(|| self.first_of(before, topic, demand));
        let now = self.shared.clock.now();
        event.or_else(|| {
            let news = self.owned.values_mut().find_map(|owned| owned.cursor.news(now));
            news.map(SourceEvent::Messages)
        })
    }

    fn first_of(
        &mut self,
        partitions: impl RangeBounds<u32>,
        topic: &Topic,
        demand: &dyn Demand,
    ) -> Option<SourceEvent> {
        let Self { owned, shared, subscription, turn, .. } = self;
        for (index, Owned { cursor, .. }) in owned.range_mut(partitions) {
            let Some(log) = topic.log(*index) else { continue };
            let bounds = log.bounds();
            cursor.grow(bounds.end);
            if let Err(lost) = cursor.pass_what_is_gone(bounds.first, subscription) {
                return Some(SourceEvent::Failed(lost));
            }
            if cursor.is_empty() && !cursor.is_behind() {
                continue;
            }
            let Some(room) = demand.room(cursor.partition()) else { continue };
            if cursor.is_empty() {
                // They share the log's own bytes, so reading ahead takes no memory worth a bound.
                let messages = log.from(cursor.next()).take(room.messages);
                cursor.take_in(messages.map(|message| named(message, &subscription.topic)).collect::<Vec<Message>>());
            }
            if let Some(batch) = cursor.hand_out(room, shared.clock.now()) {
                *turn = *index;
                return Some(SourceEvent::Messages(batch));
            }
        }
        None
    }

    fn failed(&self, reason: &str) -> SourceEvent {
        SourceEvent::Failed(TransportError::Unavailable {
            transport: self.shared.name.clone(),
            reason: reason.to_owned(),
        })
    }

    /// Partitions that were asked back may go, unless they went and came again meanwhile.
    fn released(&mut self, ending: Vec<(u32, Epoch)>) {
        self.owned.retain(|index, owned| !ending.contains(&(*index, owned.epoch)));
        self.shared.change(|state| {
            let topic = state.topic(&self.physical, None);
            topic.group(&self.subscription.group, self.subscription.start).end(ending);
        });
    }
}

#[async_trait]
impl Source for MemorySource {
    async fn next(&mut self, demand: &dyn Demand) -> SourceEvent {
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
            let group = topic.group(&self.subscription.group, self.subscription.start);
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
            if let Some(group) = topic.groups.get_mut(&self.subscription.group) {
                group.leave(self.number);
            }
        });
    }
}
