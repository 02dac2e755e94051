//! Members of one group beside each other, each with its own line to one store, in paused time.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::select_all;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::time::{Instant, sleep_until};

use self::line::Line;
use super::*;
use crate::model::{Checkpoint, Position};
use crate::storage::conditional::{Fields, Memory};

mod chaos;
mod checkpoints;
mod counting;
mod directory;
mod line;
mod outage;
mod sharing;

const LEASE: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_secs(5);
/// Until everybody has looked and done something about it.
const LOOK: Duration = Duration::from_millis(5100);

/// Everything of one group.
struct Crowd {
    store: Arc<Memory>,
    partitions: u32,
    members: BTreeMap<usize, Mate>,
    /// Those that were killed, and do not know.
    dead: Vec<Mate>,
    joined: usize,
    /// In no order, as ids are, and the same in each run.
    ids: StdRng,
}

struct Mate {
    group: Group,
    line: Arc<Line>,
    owned: BTreeMap<u32, Epoch>,
    /// What each ownership began with.
    kept: BTreeMap<u32, Option<Kept>>,
    asked: BTreeSet<u32>,
    told: Vec<GroupEvent>,
    /// Whether it keeps what it is asked for.
    clings: bool,
}

impl Crowd {
    fn new(partitions: u32) -> Self {
        let store = Arc::new(Memory::new(Clock::system()));
        Self { store, partitions, members: BTreeMap::new(), dead: Vec::new(), joined: 0, ids: StdRng::seed_from_u64(0) }
    }

    /// Another member; says its number.
    fn join(&mut self) -> usize {
        let line = Arc::new(Line::new(self.store.clone()));
        self.joined += 1;
        let joining = Joining {
            entries: line.clone(),
            layout: layout(),
            topic: "orders".into(),
            partitions: self.partitions,
            ownership: Ownership { lease: LEASE, poll: POLL },
            clock: Clock::system(),
        };
        let group = Group::join_as(format!("lockgate-{:016x}", self.ids.random::<u64>()), joining);
        let (owned, kept, asked, told) = Default::default();
        self.members.insert(self.joined, Mate { group, line, owned, kept, asked, told, clings: false });
        self.joined
    }

    /// A crowd of so many, once their shares have settled.
    async fn of(partitions: u32, members: usize) -> Self {
        let mut crowd = Self::new(partitions);
        for _ in 0..members {
            crowd.join();
            crowd.until(3 * POLL, |crowd| crowd.is_balanced()).await;
        }
        crowd
    }

    fn member(&mut self, number: usize) -> &mut Mate {
        self.members.get_mut(&number).unwrap()
    }

    /// One is gone from one moment to the next, as a process that is killed.
    fn kill(&mut self, number: usize) {
        let mate = self.members.remove(&number).unwrap();
        mate.line.cut();
        self.dead.push(mate);
    }

    /// Passes time.
    async fn pass(&mut self, time: Duration) {
        let end = Instant::now() + time;
        self.until_or(end, |_| false).await;
    }

    /// Until `done`, which must be before so much time has passed; says how much did.
    async fn until(&mut self, within: Duration, done: impl Fn(&Self) -> bool) -> Duration {
        let start = Instant::now();
        self.until_or(start + within, &done).await;
        assert!(done(self), "{:?}: {:?}", start.elapsed(), self.shares());
        start.elapsed()
    }

    async fn until_or(&mut self, end: Instant, done: impl Fn(&Self) -> bool) {
        while !done(self) {
            if self.members.is_empty() {
                return sleep_until(end).await;
            }
            let events =
                self.members.iter_mut().map(|(number, mate)| async move { (*number, mate.group.next().await) }.boxed());
            let (number, event) = tokio::select! {
                biased;
                (told, ..) = select_all(events) => told,
                () = sleep_until(end) => return,
            };
            self.told(number, event);
        }
    }

    fn told(&mut self, number: usize, event: GroupEvent) {
        if let GroupEvent::Acquired { partition, .. } = &event {
            let others = self.members.iter().filter(|(other, _)| **other != number).map(|(_, mate)| mate);
            let holders = others.chain(&self.dead).filter(|mate| mate.holds(*partition));
            assert_eq!(holders.count(), 0, "partition {partition} has an owner already");
        }
        self.member(number).told(event);
    }

    /// How many partitions each has, the least first.
    fn shares(&self) -> Vec<usize> {
        let mut shares: Vec<usize> = self.members.values().map(|mate| mate.owned.len()).collect();
        shares.sort_unstable();
        shares
    }

    fn is_balanced(&self) -> bool {
        let shares = self.shares();
        let differ = shares.last().zip(shares.first()).map_or(0, |(most, least)| most - least);
        differ <= 1 && shares.iter().sum::<usize>() == self.partitions as usize
    }

    /// What stands in an entry.
    async fn entry(&self, kind: Kind, partition: u32) -> Option<Fields> {
        let entry = self.store.read(&layout().entry(kind, partition)).await.unwrap();
        entry.map(|entry| entry.fields)
    }

    /// Somebody else writes an entry, whatever stands there.
    async fn write(&self, kind: Kind, partition: u32, fields: &Fields) {
        let name = layout().entry(kind, partition);
        let version = self.store.read(&name).await.unwrap().map(|entry| entry.version);
        self.store.put(&name, fields, version.as_ref()).await.unwrap().unwrap();
    }

    /// The base of the checkpoint that stands there.
    async fn base(&self, partition: u32) -> Option<i64> {
        let fields = self.entry(Kind::Checkpoint, partition).await?;
        layout::kept(&fields).unwrap().map(|kept| kept.checkpoint.base().0)
    }
}

impl Mate {
    fn told(&mut self, event: GroupEvent) {
        self.told.push(event.clone());
        match event {
            GroupEvent::Acquired { partition, epoch, kept } => {
                assert_eq!(self.owned.insert(partition, epoch), None, "it is owned already");
                self.kept.insert(partition, kept);
            }
            GroupEvent::Asked(partitions) => {
                self.asked.extend(partitions);
                if !self.clings {
                    self.let_go();
                }
            }
            GroupEvent::Lost(partitions) => {
                for partition in partitions {
                    // None where it was let go meanwhile.
                    self.owned.remove(&partition);
                    self.asked.remove(&partition);
                }
            }
            GroupEvent::Confirmed(_) | GroupEvent::Failed(_) | GroupEvent::Well => {}
        }
    }

    /// Lets go what it is asked for.
    fn let_go(&mut self) {
        for partition in std::mem::take(&mut self.asked) {
            let epoch = self.owned.remove(&partition).unwrap();
            self.group.release(partition, epoch);
            assert!(!self.group.holds(partition, epoch));
        }
    }

    fn holds(&self, partition: u32) -> bool {
        self.owned.get(&partition).is_some_and(|epoch| self.group.holds(partition, *epoch))
    }

    fn commit(&self, partition: u32, base: i64) -> BoxFuture<'static, Result<(), CommitError>> {
        self.group.commit(partition, self.owned[&partition], at(base))
    }
}

fn layout() -> Layout {
    Layout::new("name.servicebus.windows.net", "orders", "g")
}

/// A checkpoint with nothing settled above.
fn at(base: i64) -> Kept {
    Kept { checkpoint: Checkpoint::plain(Position(base)), offset: Some((base * 100).to_string()) }
}

fn not_owned(partition: u32) -> Result<(), CommitError> {
    Err(CommitError::NotOwned(vec![Partition::new("orders", partition)]))
}
