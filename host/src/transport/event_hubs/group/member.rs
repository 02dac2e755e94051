//! The task of a member. It owns all there is to know of the group, and does one thing after another with it; the calls
//! of the store run beside each other, at most one look and one change of each entry, and what they bring is taken in
//! where they end.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};
use tracing::info;

use super::acquire::{Acquired, Failed};
use super::folder::{Folder, Owns, Wrote};
use super::held::Held;
use super::outbox::Outbox;
use super::pace::Pace;
use super::timing::Timing;
use super::trouble::Trouble;
use super::{GroupEvent, Order, Orders};
use crate::storage::conditional::Failure;
use crate::transport::Epoch;
use crate::transport::event_hubs::layout::Kind;
use crate::transport::event_hubs::owners::{Looked, Owners};
use crate::transport::membership::Membership;

mod acting;
mod done;
mod leaving;

pub(super) struct Member {
    me: String,
    folder: Arc<Folder>,
    partitions: u32,
    timing: Timing,
    owners: Owners,
    /// What it owns. An ownership that names it and is not here is none, and is taken again or let go.
    tenures: BTreeMap<u32, Tenure>,
    /// Ownerships to be let go, and when that is to be tried.
    releasing: BTreeMap<u32, Instant>,
    /// When wishes are to be written again.
    wishes: BTreeMap<u32, Instant>,
    /// What is under way: at most a look, and one change of each entry.
    work: FuturesUnordered<BoxFuture<'static, Done>>,
    changing: BTreeSet<(Kind, u32)>,
    looking: bool,
    /// What was changed, or was being changed, since the look that is under way has begun.
    touched: BTreeSet<(Kind, u32)>,
    next_look: Instant,
    /// The wait before a look that failed is tried again.
    wait: Duration,
    /// Whether something is known that was not acted upon.
    news: bool,
    /// How many partitions are being taken.
    claiming: usize,
    pace: Pace,
    trouble: Trouble,
    outbox: Outbox,
    epochs: u64,
    held: Arc<Held>,
    _membership: Membership,
}

/// A partition that is owned.
#[derive(Clone, Copy, Debug)]
struct Tenure {
    epoch: Epoch,
    /// Until when that is sure.
    until: Instant,
    renew_at: Instant,
    /// Whether it was told that another asks for it.
    asked: bool,
    /// Since when it is to be confirmed.
    suspected: Option<Instant>,
}

/// A call that has ended.
enum Done {
    Looked(Result<Looked, Failure>),
    Claimed(u32, Epoch, Result<Acquired, Failed>),
    Renewed(u32, Epoch, Result<Wrote, Failure>),
    Released(u32, Result<Wrote, Failure>),
    Wished(u32, Owns, Result<Wrote, Failure>),
}

impl Member {
    pub(super) fn new(me: &str, folder: &Arc<Folder>, partitions: u32, timing: Timing, held: &Arc<Held>) -> Self {
        let now = folder.clock().now();
        Self {
            me: me.to_owned(),
            folder: folder.clone(),
            partitions,
            timing,
            owners: Owners::new(me, timing.lease),
            tenures: BTreeMap::new(),
            releasing: BTreeMap::new(),
            wishes: BTreeMap::new(),
            work: FuturesUnordered::new(),
            changing: BTreeSet::new(),
            looking: false,
            touched: BTreeSet::new(),
            next_look: now,
            wait: timing.again,
            news: false,
            claiming: 0,
            pace: Pace::new(timing.again, timing.lease),
            trouble: Trouble::default(),
            outbox: Outbox::default(),
            epochs: 0,
            held: held.clone(),
            _membership: Membership::begin(),
        }
    }

    /// Until nobody listens any more; then it lets go what it has.
    pub(super) async fn run(mut self, tell: mpsc::Sender<GroupEvent>, orders: Arc<Orders>) {
        loop {
            // What is over is seen first, however long this has slept.
            self.end_what_is_over();
            orders.take().into_iter().for_each(|order| self.obey(order));
            self.begin();
            let due = self.due();
            tokio::select! {
                biased;
                () = tell.closed() => break,
                Ok(room) = tell.reserve(), if !self.outbox.is_empty() => {
                    if let Some(event) = self.outbox.pop() {
                        room.send(event);
                    }
                }
                Some(done) = self.work.next() => {
                    // What was over before it came stays over, for whoever used it has been told so.
                    self.end_what_is_over();
                    self.done(done);
                }
                () = orders.wake.notified() => {}
                () = sleep_until(due) => {}
            }
        }
        self.leave().await;
    }

    fn now(&self) -> Instant {
        self.folder.clock().now()
    }

    fn obey(&mut self, order: Order) {
        let now = self.now();
        let (partition, epoch) = match order {
            Order::Grow(partitions) => {
                self.partitions = self.partitions.max(partitions);
                self.next_look = now;
                return;
            }
            Order::Release(partition, epoch) | Order::Suspect(partition, epoch) | Order::Doubt(partition, epoch) => {
                (partition, epoch)
            }
        };
        let due = self.pace.due(partition, now);
        let Some(tenure) = self.tenures.get_mut(&partition).filter(|tenure| tenure.epoch == epoch) else { return };
        match order {
            Order::Suspect(..) => {
                tenure.suspected = Some(now);
                tenure.renew_at = tenure.renew_at.min(due);
            }
            Order::Release(..) => {
                self.tenures.remove(&partition);
                self.outbox.released(partition);
                self.releasing.insert(partition, now);
            }
            Order::Doubt(..) => {
                self.pace.went(partition, now);
                self.lose(vec![partition]);
                self.next_look = now;
            }
            Order::Grow(_) => {}
        }
    }

    /// Ends ownerships that are not sure any more, and those that are another's.
    fn end_what_is_over(&mut self) {
        let now = self.now();
        let over =
            self.tenures.iter().filter(|(partition, tenure)| now >= tenure.until || !self.owners.is_mine(**partition));
        let over: Vec<u32> = over.map(|(partition, _)| *partition).collect();
        if !over.is_empty() {
            self.lose(over);
        }
    }

    fn lose(&mut self, partitions: Vec<u32>) {
        for partition in &partitions {
            if let Some(tenure) = self.tenures.remove(partition) {
                self.held.end(*partition, tenure.epoch);
            }
        }
        info!(member = self.me, ?partitions, "partitions are lost");
        self.news = true;
        self.outbox.push(GroupEvent::Lost(partitions));
    }

    /// When something is to be done next.
    fn due(&self) -> Instant {
        let renewals = self.tenures.iter().filter(|(partition, _)| self.is_free(Kind::Ownership, **partition));
        let releases = self.releasing.iter().filter(|(partition, _)| self.is_free(Kind::Ownership, **partition));
        let wishes = self.wishes.iter().filter(|(partition, _)| self.is_free(Kind::Wish, **partition));
        let times = renewals
            .map(|(_, tenure)| tenure.renew_at)
            .chain(releases.map(|(_, at)| *at))
            .chain(wishes.map(|(_, at)| *at))
            .chain(self.tenures.values().map(|tenure| tenure.until))
            .chain(Some(self.next_look).filter(|_| !self.looking));
        times.min().unwrap_or_else(|| self.now() + self.timing.poll)
    }
}
