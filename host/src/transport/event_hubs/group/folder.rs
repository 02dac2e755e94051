//! A group's folder in the store: lists, reads and writes its entries. Bounded in how much it does at once and how long
//! it waits, and counted.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};

use crate::model::Clock;
use crate::storage::conditional::{Conditional, Entry, Failure, Fields, Version};
use crate::transport::event_hubs::layout::{self, Kind, Layout};
use crate::transport::event_hubs::owners::Stands;

/// Calls that are under way at once; who comes later waits. As many as a large hub has partitions, so that its leases
/// are renewed in one go.
const AT_ONCE: usize = 32;
/// How often an entry is written that changes under this member's hands.
const TRIES: usize = 5;

pub(super) struct Folder {
    store: Arc<dyn Conditional>,
    layout: Layout,
    clock: Clock,
    room: Semaphore,
    /// How long one call may take.
    patience: Duration,
    calls: Counters,
}

/// How many calls a member has made of the store.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Calls {
    pub(super) lists: u64,
    pub(super) reads: u64,
    pub(super) puts: u64,
}

#[derive(Debug, Default)]
struct Counters {
    lists: AtomicU64,
    reads: AtomicU64,
    puts: AtomicU64,
}

/// What became of writing an owner.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Wrote {
    /// It stands there, since `begun` at the earliest.
    Done { version: Version, begun: Instant },
    /// Something else does, or nothing.
    Otherwise(Option<Stands>),
}

impl Folder {
    pub(super) fn new(store: Arc<dyn Conditional>, layout: Layout, clock: Clock, patience: Duration) -> Self {
        Self { store, layout, clock, room: Semaphore::new(AT_ONCE), patience, calls: Counters::default() }
    }

    pub(super) fn clock(&self) -> &Clock {
        &self.clock
    }

    /// How many calls there were.
    pub(super) fn calls(&self) -> Calls {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Calls { lists: count(&self.calls.lists), reads: count(&self.calls.reads), puts: count(&self.calls.puts) }
    }

    /// All entries of the group, with their versions.
    pub(super) async fn list(&self) -> Result<Vec<(Kind, u32, Version)>, Failure> {
        let folder = self.layout.folder();
        let listed = self.call(&self.calls.lists, "listing", folder, self.store.list(folder)).await?;
        let entries = listed.into_iter().filter_map(|listed| {
            let (kind, partition) = self.layout.kind_of(&listed.name)?;
            Some((kind, partition, listed.version))
        });
        Ok(entries.collect())
    }

    /// An entry, if it is there.
    pub(super) async fn read(&self, kind: Kind, partition: u32) -> Result<Option<Entry>, Failure> {
        let name = self.layout.entry(kind, partition);
        self.call(&self.calls.reads, "reading", &name, self.store.read(&name)).await
    }

    /// Who an ownership or a wish names, if it is there.
    pub(super) async fn stands(&self, kind: Kind, partition: u32) -> Result<Option<Stands>, Failure> {
        let stands =
            |entry: Entry| Stands { owner: layout::owner_of(&entry.fields).map(str::to_owned), version: entry.version };
        Ok(self.read(kind, partition).await?.map(stands))
    }

    /// Writes an entry in the place of what had that version, or where nothing stood; none when something else stands
    /// there.
    pub(super) async fn put(
        &self,
        (kind, partition): (Kind, u32),
        fields: &Fields,
        expected: Option<&Version>,
    ) -> Result<Option<Version>, Failure> {
        let name = self.layout.entry(kind, partition);
        self.call(&self.calls.puts, "writing", &name, self.store.put(&name, fields, expected)).await
    }

    /// Writes `me` into an ownership or a wish in the place of what had that version, or takes `me` out of it. Where `me`
    /// stands there already, an answer was lost: it is written again all the same, for since when it stands so is not
    /// known.
    pub(super) async fn put_owner(
        &self,
        entry: (Kind, u32),
        me: &str,
        owns: Owns,
        mut expected: Option<Version>,
    ) -> Result<Wrote, Failure> {
        let owner = if owns == Owns::Yes { me } else { "" };
        for _ in 0..TRIES {
            let begun = self.clock.now();
            if let Some(version) = self.put(entry, &layout::owned_by(owner), expected.as_ref()).await? {
                return Ok(Wrote::Done { version, begun });
            }
            let found = self.stands(entry.0, entry.1).await?;
            match found {
                Some(Stands { version, owner: Some(owner) }) if owner == me => expected = Some(version),
                found => return Ok(Wrote::Otherwise(found)),
            }
        }
        Err(Failure::Other(format!("{} changes all the time", self.layout.entry(entry.0, entry.1))))
    }

    async fn call<T>(
        &self,
        counter: &AtomicU64,
        doing: &str,
        name: &str,
        call: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        // Nobody closes it.
        let _room = self.room.acquire().await;
        counter.fetch_add(1, Ordering::Relaxed);
        let late = |_| Failure::Unavailable(format!("{doing} {name} took longer than {:?}", self.patience));
        timeout(self.patience, call).await.map_err(late)?
    }
}

/// Whether a member is to stand in an entry.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Owns {
    /// It is written into it.
    Yes,
    /// It is taken out of it.
    No,
}
