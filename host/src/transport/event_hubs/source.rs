//! Reads one topic for one group, as a member of it. It finds out where a partition that it has now begins, opens a link
//! to it, and hands out what the links have read, as it is wanted; it lets go what others ask for once it is told to. What
//! it does of its own waits in futures that it owns, so that a dropped `next` loses nothing.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::future::{BoxFuture, join_all};
use futures::stream::FuturesUnordered;
use futures::{FutureExt, StreamExt};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until};

use super::Namespace;
use super::group::{Group, GroupEvent, Joining};
use super::growth::growth;
use super::link::Told;
use super::reading::{Heard, Reading};
use super::start::{self, Acquired, Begun, Found, News};
use crate::model::Partition;
use crate::transport::{
    Assignment, Commit, CommitError, Demand, Epoch, Source, SourceEvent, Start, Subscription, TransportError,
};

/// How often the lag is told anew though nothing wakes.
const TICK: Duration = Duration::from_secs(1);
/// Things that links have told which are taken in at once, at most.
const AT_ONCE: usize = 64;

pub(super) struct HubSource {
    namespace: Arc<Namespace>,
    subscription: Subscription,
    /// Before the group, so that links end before others are given what they read.
    reading: Reading,
    told: mpsc::Receiver<Told>,
    group: Group,
    /// How many partitions the hub had when this member joined.
    joined_with: u32,
    /// Ends when the hub has more partitions than the group knows.
    growth: BoxFuture<'static, u32>,
    /// Partitions that are ours and are not told yet.
    starting: BTreeMap<u32, Epoch>,
    /// Finds out where they begin; at most one for each.
    starts: FuturesUnordered<BoxFuture<'static, Step>>,
    /// Ends when partitions that were asked back may go; at most one for each ownership.
    replies: FuturesUnordered<BoxFuture<'static, Vec<(u32, Epoch)>>>,
    /// What is to be told next: a few at most, for nothing is begun before they are.
    events: VecDeque<SourceEvent>,
    /// Whether a failure was told, and nothing since.
    troubled: bool,
    /// Whether the store fails.
    store_fails: bool,
    tick: Instant,
}

/// How far a partition has come that begins.
enum Step {
    Found(Found),
    /// What was new of it was stored, or was not.
    Stored(Acquired, Begun, Result<(), CommitError>),
}

impl HubSource {
    /// Joins the group. The hub has so many partitions.
    pub(super) fn new(namespace: Arc<Namespace>, subscription: &Subscription, partitions: u32) -> Self {
        let hub = namespace.hub(&subscription.topic);
        let group = Group::join(Joining {
            entries: namespace.entries.clone(),
            layout: namespace.layout(&hub, &subscription.group),
            topic: subscription.topic.clone(),
            partitions,
            ownership: namespace.ownership,
            clock: namespace.clock.clone(),
        });
        tracing::info!(transport = %namespace.name, topic = %subscription.topic, hub, group = %subscription.group,
            member = group.id(), partitions, "joins the group");
        let (reading, told) = Reading::new(namespace.clone(), subscription);
        Self {
            tick: namespace.clock.now() + TICK,
            growth: growth(namespace.clone(), subscription.topic.clone(), partitions),
            joined_with: partitions,
            namespace,
            subscription: subscription.clone(),
            reading,
            told,
            group,
            starting: BTreeMap::new(),
            starts: FuturesUnordered::new(),
            replies: FuturesUnordered::new(),
            events: VecDeque::new(),
            troubled: false,
            store_fails: false,
        }
    }

    /// What can be told at once. What may go goes before anything more of it is handed out.
    fn ready(&mut self, demand: &dyn Demand) -> Option<SourceEvent> {
        while let Some(event) = self.group.next().now_or_never() {
            self.group_event(event);
        }
        while let Some(Some(ending)) = self.replies.next().now_or_never() {
            self.let_go(ending);
        }
        while let Some(Some(step)) = self.starts.next().now_or_never() {
            self.step(step);
        }
        if let Some(partitions) = (&mut self.growth).now_or_never() {
            self.grow(partitions);
        }
        for _ in 0..AT_ONCE {
            let Ok(told) = self.told.try_recv() else { break };
            self.hear(told);
        }
        if let Some(event) = self.events.pop_front() {
            return Some(event);
        }
        let (group, now) = (&self.group, self.namespace.clock.now());
        let batch = self.reading.hand_out(demand, |index, epoch| group.holds(index, epoch), now);
        batch.map(SourceEvent::Messages)
    }

    fn grow(&mut self, partitions: u32) {
        tracing::info!(transport = %self.namespace.name, topic = %self.subscription.topic, partitions,
            "the hub has more partitions than before");
        self.group.grow(partitions);
        self.growth = growth(self.namespace.clone(), self.subscription.topic.clone(), partitions);
    }

    fn group_event(&mut self, event: GroupEvent) {
        match event {
            GroupEvent::Acquired { partition, epoch, kept } => {
                self.starting.insert(partition, epoch);
                let of = Acquired { partition, epoch, kept, wait: start::FIRST_WAIT };
                self.find(of, Duration::ZERO);
            }
            GroupEvent::Asked(partitions) => self.asked_back(&partitions),
            GroupEvent::Lost(partitions) => {
                self.starting.retain(|index, _| !partitions.contains(index));
                let lost = self.reading.end(|index, _| partitions.contains(&index));
                if !lost.is_empty() {
                    self.events.push_back(SourceEvent::Lost(lost));
                }
                self.see_whether_well();
            }
            GroupEvent::Confirmed(partition) => self.reading.open_again(partition),
            GroupEvent::Failed(reason) => {
                self.store_fails = true;
                self.fail(self.namespace.store_failed(reason));
            }
            GroupEvent::Well => {
                self.store_fails = false;
                self.see_whether_well();
            }
        }
    }

    /// What was not told yet goes at once, all else when the reply comes.
    fn asked_back(&mut self, wanted: &[u32]) {
        for (partition, epoch) in self.starting.extract_if(.., |index, _| wanted.contains(index)) {
            self.group.release(partition, epoch);
        }
        let (partitions, ending) = self.reading.ask_back(wanted);
        if partitions.is_empty() {
            return;
        }
        let (reply, replied) = oneshot::channel();
        self.events.push_back(SourceEvent::Revoked { partitions, reply });
        // A reply that is dropped lets go too.
        self.replies.push(Box::pin(async move {
            let _ = replied.await;
            ending
        }));
    }

    /// Ownerships may go, as far as they are not over already. Their links end first.
    fn let_go(&mut self, ending: Vec<(u32, Epoch)>) {
        self.reading.end(|index, epoch| ending.contains(&(index, epoch)));
        for (index, epoch) in ending {
            self.group.release(index, epoch);
        }
    }

    /// Of a partition that came later than this member, `latest` is the first event: nobody was there to read it.
    fn find(&self, of: Acquired, wait: Duration) {
        let start = match self.subscription.start {
            Start::Latest if of.partition >= self.joined_with => Start::Earliest,
            start => start,
        };
        let subscription = Subscription { start, ..self.subscription.clone() };
        self.starts.push(start::find(&self.namespace, &subscription, of, wait).map(Step::Found).boxed());
    }

    /// A partition that begins has come further, if it is still ours.
    fn step(&mut self, step: Step) {
        let (Step::Found(Found { of, .. }) | Step::Stored(of, ..)) = &step;
        if self.starting.get(&of.partition) != Some(&of.epoch) {
            return;
        }
        match step {
            Step::Found(Found { of, begun: Ok(begun) }) => self.store(of, begun),
            Step::Found(Found { of, begun: Err(error) }) => self.not_begun(of, error),
            Step::Stored(of, begun, Ok(())) => self.begin(&of, begun),
            // The group tells that it is lost.
            Step::Stored(_, _, Err(CommitError::NotOwned(_))) => {}
            Step::Stored(of, _, Err(CommitError::Unavailable(reason))) => {
                let error = self.namespace.store_failed(reason);
                self.not_begun(of, error);
            }
        }
    }

    /// Stores what is new of where a partition begins, before it is told.
    fn store(&mut self, of: Acquired, begun: Begun) {
        let storing = match begun.news(of.kept.as_ref()) {
            News::None => return self.begin(&of, begun),
            News::Further(kept) => self.group.commit(of.partition, of.epoch, kept),
            News::Anew(kept) => self.group.begin_anew(of.partition, of.epoch, kept),
        };
        self.starts.push(storing.map(|stored| Step::Stored(of, begun, stored)).boxed());
    }

    fn not_begun(&mut self, of: Acquired, error: TransportError) {
        let wait = of.wait;
        if error.is_transient() {
            let of = Acquired { wait: (wait * 2).min(start::LONGEST_WAIT), ..of };
            self.find(of, wait);
        }
        self.fail(error);
    }

    fn begin(&mut self, of: &Acquired, begun: Begun) {
        self.starting.remove(&of.partition);
        let (assignment, lost) = self.reading.begin(of.epoch, begun);
        self.assigned(vec![assignment]);
        if let Some(lost) = lost {
            self.fail(lost);
        }
    }

    /// Of those that were assigned one after another, one event is made.
    fn assigned(&mut self, mut assignments: Vec<Assignment>) {
        if let Some(SourceEvent::Assigned(before)) = self.events.back_mut() {
            before.append(&mut assignments);
        } else {
            self.events.push_back(SourceEvent::Assigned(assignments));
        }
    }

    fn hear(&mut self, told: Told) {
        match self.reading.hear(told) {
            Heard::Nothing => {}
            Heard::Failed(error) => self.fail(error),
            Heard::Broke(partition, epoch, error) => {
                self.group.suspect(partition, epoch);
                if let Some(error) = error {
                    self.fail(error);
                }
            }
            Heard::Ends(partition, epoch) => {
                let lost = self.reading.end(|index, _| index == partition);
                self.events.push_back(SourceEvent::Lost(lost));
                // It comes back, to this member or another, and is begun anew.
                self.group.release(partition, epoch);
            }
            Heard::Well => self.see_whether_well(),
        }
    }

    /// One that has nothing to read would never be heard to be well again.
    fn see_whether_well(&mut self) {
        if self.troubled && !self.store_fails && !self.reading.is_failing() && self.starting.is_empty() {
            self.troubled = false;
            self.assigned(Vec::new());
        }
    }

    fn fail(&mut self, error: TransportError) {
        self.troubled = true;
        self.events.push_back(SourceEvent::Failed(error));
    }

    fn partition(&self, index: u32) -> Partition {
        Partition::new(self.subscription.topic.clone(), index)
    }
}

#[async_trait]
impl Source for HubSource {
    async fn next(&mut self, demand: &dyn Demand) -> SourceEvent {
        loop {
            if let Some(event) = self.ready(demand) {
                return event;
            }
            tokio::select! {
                biased;
                event = self.group.next() => self.group_event(event),
                Some(ending) = self.replies.next() => self.let_go(ending),
                Some(step) = self.starts.next() => self.step(step),
                Some(told) = self.told.recv() => self.hear(told),
                partitions = &mut self.growth => self.grow(partitions),
                () = sleep_until(self.tick) => self.tick = self.namespace.clock.now() + TICK,
            }
        }
    }

    fn commit(&mut self, commits: Vec<Commit>) -> BoxFuture<'static, Result<(), CommitError>> {
        let (mut storing, mut over) = (Vec::new(), Vec::new());
        for commit in commits {
            let Commit { partition, epoch, .. } = &commit;
            match self.reading.kept(&commit) {
                Some(kept) => storing.push(self.group.commit(partition.index, *epoch, kept)),
                None => over.push(self.partition(partition.index)),
            }
        }
        Box::pin(async move {
            let mut unavailable = None;
            for stored in join_all(storing).await {
                match stored {
                    Ok(()) => {}
                    Err(CommitError::NotOwned(partitions)) => over.extend(partitions),
                    Err(CommitError::Unavailable(reason)) => unavailable = Some(reason),
                }
            }
            match unavailable {
                Some(reason) => Err(CommitError::Unavailable(reason)),
                None if over.is_empty() => Ok(()),
                None => Err(CommitError::NotOwned(over)),
            }
        })
    }
}
