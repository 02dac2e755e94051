//! One member's part in a consumer group of a hub: who owns which partition, and how far each is settled, in entries of a
//! store, as the official clients keep them. Never in memory where the store fails: then nothing new is owned, and what
//! is owned is lost before its lease is over.
//!
//! | module | is for |
//! |---|---|
//! | `member` | the task: looks, takes, renews, asks, lets go |
//! | `look`, `acquire`, `keeper` | what it does with the store: see the group, take a partition, store checkpoints |
//! | `folder` | the calls of the store |
//! | `held` | what is owned for sure, and until when |
//! | `outbox`, `trouble`, `pace`, `timing` | what is to be told; whether the store fails; when something is tried again; how often all this is |
//!
//! What keeps two members from one partition, and a slow one from the checkpoint of the next:
//!
//! | | by |
//! |---|---|
//! | two claim at once | the ownership is written only as it was seen last |
//! | the owner is slow, or sleeps | it holds a partition by its own clock from before it last wrote the ownership, for less than others wait |
//! | it stores a checkpoint all the same | the next owner has written the checkpoint again: that version is over |
//! | there was none to be written again | both would make the first one, and the second of them sees that one is there |

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use futures::future::BoxFuture;
use futures::stream::{StreamExt, TryStreamExt, iter};
use tokio::sync::{Notify, mpsc};

use self::folder::Folder;
use self::held::Held;
use self::keeper::{Keeper, Refused};
use self::member::Member;
use self::timing::Timing;
use super::layout::{self, Kept, Kind, Layout};
use crate::model::{Clock, Partition};
use crate::storage::conditional::{Conditional, Failure};
use crate::transport::config::Ownership;
use crate::transport::{CommitError, Epoch};

mod acquire;
mod folder;
mod held;
mod keeper;
mod look;
mod member;
mod outbox;
mod pace;
#[cfg(test)]
mod tests;
mod timing;
mod trouble;

/// Checkpoints that are read at once by whoever looks at a group from outside.
const AT_ONCE: usize = 16;

/// What a member is made of.
pub(super) struct Joining {
    /// Where ownerships and checkpoints are kept.
    pub(super) entries: Arc<dyn Conditional>,
    pub(super) layout: Layout,
    /// The topic's name in the spec.
    pub(super) topic: Arc<str>,
    /// How many the hub has; more later by [`Group::grow`].
    pub(super) partitions: u32,
    pub(super) ownership: Ownership,
    pub(super) clock: Clock,
}

/// One member of a group. A task of its own renews what it owns, whether it is listened to or not. Dropping it gives
/// everything it owns to the others; [`crate::transport::left`] waits for that.
pub(super) struct Group {
    topic: Arc<str>,
    id: String,
    /// One event; the rest waits in the task, which never waits for anybody to listen.
    events: mpsc::Receiver<GroupEvent>,
    orders: Arc<Orders>,
    held: Arc<Held>,
    folder: Arc<Folder>,
    /// Whether it was told that the task is gone.
    ended: bool,
}

/// What a member has to tell.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum GroupEvent {
    /// A partition is owned from now on.
    Acquired {
        partition: u32,
        /// Counts the ownerships of this member, of all partitions together.
        epoch: Epoch,
        /// What the group has stored. Where it is none, the first one that is stored may turn out to be another's: then
        /// the ownership ends, and a new one begins with what stands there.
        kept: Option<Kept>,
    },
    /// Another member asks for these. They stay owned until [`Group::release`].
    Asked(Vec<u32>),
    /// These are owned no more, or soon are not for sure: nothing of them may be stored or published.
    Lost(Vec<u32>),
    /// What [`Group::suspect`] asked: it is owned, as of a call that began after that.
    Confirmed(u32),
    /// The store fails. Told once until it is well again; the member goes on by itself.
    Failed(String),
    /// Everything that failed works again.
    Well,
}

impl Group {
    /// Begins to be a member. Must be called within a runtime.
    pub(super) fn join(joining: Joining) -> Self {
        Self::join_as(format!("{}{:016x}", layout::OURS, rand::random::<u64>()), joining)
    }

    /// Under an id that nobody else has or had.
    fn join_as(id: String, joining: Joining) -> Self {
        let Joining { entries, layout, topic, partitions, ownership, clock } = joining;
        let timing = Timing::of(ownership);
        let folder = Arc::new(Folder::new(entries, layout, clock, timing.patience));
        let (tell, events) = mpsc::channel(1);
        let (orders, held): (Arc<Orders>, Arc<Held>) = Default::default();
        let member = Member::new(&id, &folder, partitions, timing, &held);
        tokio::spawn(member.run(tell, orders.clone()));
        Self { topic, id, events, orders, held, folder, ended: false }
    }

    /// What the ownerships name it; another one each time.
    pub(super) fn id(&self) -> &str {
        &self.id
    }

    /// The next thing that happened. Cancel safe.
    pub(super) async fn next(&mut self) -> GroupEvent {
        match self.events.recv().await {
            Some(event) => event,
            None if self.ended => std::future::pending().await,
            None => {
                // It ends only with the group, save by a fault of its own.
                self.ended = true;
                GroupEvent::Failed("the task that renews leases has ended: nothing is owned any more".to_owned())
            }
        }
    }

    /// Whether a partition is owned for sure at this moment. To be asked before anything of it is handed out: whoever has
    /// slept finds out here, and not before the events that tell it.
    pub(super) fn holds(&self, partition: u32, epoch: Epoch) -> bool {
        self.held.keeper(partition, epoch, self.folder.clock().now()).is_some()
    }

    /// Stores a checkpoint; one that is behind the stored one changes nothing.
    pub(super) fn commit(
        &self,
        partition: u32,
        epoch: Epoch,
        kept: Kept,
    ) -> BoxFuture<'static, Result<(), CommitError>> {
        self.store(partition, epoch, move |keeper| Box::pin(keeper.store(kept)))
    }

    /// Stores where a partition is begun anew, be it behind what is stored: the hub is another one than it was.
    pub(super) fn begin_anew(
        &self,
        partition: u32,
        epoch: Epoch,
        kept: Kept,
    ) -> BoxFuture<'static, Result<(), CommitError>> {
        self.store(partition, epoch, move |keeper| Box::pin(keeper.begin_anew(kept)))
    }

    /// The hub has so many partitions by now.
    pub(super) fn grow(&self, partitions: u32) {
        self.orders.give(Order::Grow(partitions));
    }

    /// Lets a partition go, once nothing of it is stored any more. Whoever asked for it has it next.
    pub(super) fn release(&self, partition: u32, epoch: Epoch) {
        self.held.end(partition, epoch);
        self.orders.give(Order::Release(partition, epoch));
    }

    /// Something says that a partition is another's: the ownership is proved by a call now. Answered by
    /// [`GroupEvent::Confirmed`] or [`GroupEvent::Lost`]; later each time, where this comes again and again.
    pub(super) fn suspect(&self, partition: u32, epoch: Epoch) {
        self.orders.give(Order::Suspect(partition, epoch));
    }

    /// How many calls of the store there were.
    #[cfg(test)]
    fn calls(&self) -> folder::Calls {
        self.folder.calls()
    }

    fn store(
        &self,
        partition: u32,
        epoch: Epoch,
        store: impl FnOnce(Arc<Keeper>) -> BoxFuture<'static, Result<(), Refused>>,
    ) -> BoxFuture<'static, Result<(), CommitError>> {
        let not_owned = CommitError::NotOwned(vec![Partition::new(self.topic.clone(), partition)]);
        let (held, orders, clock) = (self.held.clone(), self.orders.clone(), self.folder.clock().clone());
        let Some(keeper) = held.keeper(partition, epoch, clock.now()) else {
            // Whoever asks takes it for lost from now on: so it is, should a renewal come at this moment.
            orders.give(Order::Doubt(partition, epoch));
            return Box::pin(async move { Err(not_owned) });
        };
        let storing = store(keeper);
        Box::pin(async move {
            match storing.await {
                Ok(()) => Ok(()),
                Err(Refused::Overwritten) => {
                    orders.give(Order::Doubt(partition, epoch));
                    held.end(partition, epoch);
                    Err(not_owned)
                }
                Err(Refused::Unavailable(_)) if held.keeper(partition, epoch, clock.now()).is_none() => Err(not_owned),
                Err(Refused::Unavailable(reason)) => Err(CommitError::Unavailable(reason)),
            }
        })
    }
}

/// What a member's task is to do. No more than a few for each ownership.
#[derive(Default)]
struct Orders {
    given: Mutex<BTreeSet<Order>>,
    wake: Notify,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Order {
    /// There are so many partitions.
    Grow(u32),
    /// Let a partition go.
    Release(u32, Epoch),
    /// See whether it is owned.
    Suspect(u32, Epoch),
    /// Its checkpoint is another's: end the ownership, and see what is there.
    Doubt(u32, Epoch),
}

impl Orders {
    fn give(&self, order: Order) {
        self.given.lock().unwrap_or_else(PoisonError::into_inner).insert(order);
        self.wake.notify_one();
    }

    fn take(&self) -> BTreeSet<Order> {
        std::mem::take(&mut *self.given.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// What a group has stored, for whoever looks at it from outside.
pub(super) async fn stored(
    entries: &dyn Conditional,
    layout: &Layout,
    partitions: u32,
) -> Result<Vec<(u32, Kept)>, Failure> {
    let listed = entries.list(layout.folder()).await?;
    let listed = listed.into_iter().filter_map(|listed| match layout.kind_of(&listed.name) {
        Some((Kind::Checkpoint, partition)) if partition < partitions => Some((partition, listed.name)),
        _ => None,
    });
    let read = listed.map(async |(partition, name)| {
        let Some(entry) = entries.read(&name).await? else { return Ok(None) };
        let kept = layout::kept(&entry.fields).map_err(|error| Failure::Other(format!("{name}: {error}")))?;
        Ok(kept.map(|kept| (partition, kept)))
    });
    let mut kept: Vec<(u32, Kept)> =
        iter(read).buffer_unordered(AT_ONCE).try_filter_map(async |kept| Ok::<_, Failure>(kept)).try_collect().await?;
    kept.sort_by_key(|(partition, _)| *partition);
    Ok(kept)
}
