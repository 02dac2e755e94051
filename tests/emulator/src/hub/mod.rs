//! The namespace: hubs, their partitions, and who reads them. It is shared by all connections; each partition has a lock
//! of its own, which is held for as long as it takes to append or to look, and never across an await.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::num::NonZeroU64;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};

use jiff::Timestamp;

use crate::amqp::message::Sent;
use crate::config::{self, Config, DEFAULT_GROUP, Right, Status};
use crate::faults::Switchboard;
use crate::refusal::Refusal;

mod log;
mod partition_key;
mod readers;
mod start;
mod throttle;

pub use log::Extent;
pub(crate) use log::Kept;
pub(crate) use readers::Reader;
use readers::Readers;
pub(crate) use start::Start;
use throttle::Throttle;

/// All hubs.
pub(crate) struct Hubs {
    /// By their names in lower case.
    by_name: RwLock<BTreeMap<String, Arc<Hub>>>,
    /// The largest message of those that do not say.
    max_message_size: u64,
}

/// One hub.
pub(crate) struct Hub {
    pub(crate) name: String,
    pub(crate) created: Timestamp,
    /// They only become more.
    partitions: RwLock<Vec<Arc<Partition>>>,
    /// Of its partitions, those that come later too.
    retention: config::Retention,
    /// The largest message.
    pub(crate) max_message_size: u64,
    /// What goes wrong with this one.
    pub(crate) switchboard: Switchboard,
    /// In lower case.
    groups: Mutex<Vec<String>>,
    status: Mutex<Status>,
    throttle: Mutex<Throttle>,
    /// Where goes what is sent to no partition in particular.
    next: AtomicUsize,
}

/// One partition.
pub(crate) struct Partition(Mutex<Shared>);

struct Shared {
    log: log::Log,
    readers: Readers,
}

impl Hubs {
    /// Those that the configuration names, all of them empty.
    pub(crate) fn new(config: &Config, now: Timestamp) -> Self {
        let hubs = Self { by_name: RwLock::default(), max_message_size: config.max_message_size.get() };
        for (name, hub) in &config.hubs {
            hubs.add(name, hub, now);
        }
        hubs
    }

    /// Adds an empty hub; whether there was none of that name.
    pub(crate) fn add(&self, name: &str, config: &config::Hub, now: Timestamp) -> bool {
        let hub = Hub::new(name, config, self.max_message_size, now);
        let mut by_name = self.by_name.write().unwrap_or_else(PoisonError::into_inner);
        match by_name.entry(name.to_lowercase()) {
            Entry::Vacant(vacant) => {
                vacant.insert(Arc::new(hub));
                true
            }
            Entry::Occupied(_) => false,
        }
    }

    /// The hub of a name.
    pub(crate) fn get(&self, name: &str) -> Option<Arc<Hub>> {
        self.by_name.read().unwrap_or_else(PoisonError::into_inner).get(&name.to_lowercase()).cloned()
    }

    /// All of them.
    pub(crate) fn all(&self) -> Vec<Arc<Hub>> {
        self.by_name.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }
}

impl Hub {
    fn new(name: &str, config: &config::Hub, max_message_size: u64, now: Timestamp) -> Self {
        let groups = [DEFAULT_GROUP].into_iter().chain(config.groups.iter().map(String::as_str));
        let hub = Self {
            name: name.to_owned(),
            created: now,
            partitions: RwLock::default(),
            retention: config.retention,
            max_message_size: config.max_message_size.map_or(max_message_size, NonZeroU64::get),
            switchboard: Switchboard::default(),
            groups: Mutex::new(groups.map(str::to_lowercase).collect()),
            status: Mutex::new(config.status),
            throttle: Mutex::new(Throttle::new(config.throughput, now)),
            next: AtomicUsize::new(0),
        };
        hub.grow(config.partitions.get());
        hub
    }

    /// Adds empty partitions until it has so many.
    pub(crate) fn grow(&self, count: usize) {
        let mut partitions = self.partitions.write().unwrap_or_else(PoisonError::into_inner);
        while partitions.len() < count {
            partitions.push(Arc::new(Partition::new(self.retention)));
        }
    }

    /// How many partitions it has.
    pub(crate) fn count(&self) -> usize {
        self.all().len()
    }

    /// Its partitions.
    pub(crate) fn partitions(&self) -> Vec<Arc<Partition>> {
        self.all().clone()
    }

    /// One of its partitions.
    pub(crate) fn at(&self, index: usize) -> Result<Arc<Partition>, Refusal> {
        let partitions = self.all();
        partitions.get(index).cloned().ok_or_else(|| Refusal::no_partition(partitions.len()))
    }

    fn all(&self) -> RwLockReadGuard<'_, Vec<Arc<Partition>>> {
        self.partitions.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether there is a consumer group of that name.
    pub(crate) fn has_group(&self, name: &str) -> bool {
        locked(&self.groups).iter().any(|group| group.eq_ignore_ascii_case(name))
    }

    /// Adds a consumer group, unless there is one of that name.
    pub(crate) fn add_group(&self, name: &str) {
        let mut groups = locked(&self.groups);
        if !groups.iter().any(|group| group.eq_ignore_ascii_case(name)) {
            groups.push(name.to_lowercase());
        }
    }

    /// The partition of an id.
    pub(crate) fn partition(&self, id: &str) -> Result<usize, Refusal> {
        let count = self.count();
        id.parse().ok().filter(|index| *index < count).ok_or_else(|| Refusal::no_partition(count))
    }

    /// Whether it can be used now.
    pub(crate) fn status(&self) -> Status {
        *locked(&self.status)
    }

    /// Switches it on or off. Whoever calls this tells the connections.
    pub(crate) fn switch(&self, status: Status) {
        *locked(&self.status) = status;
    }

    /// Whether it can be used for this; an error where it is switched off.
    pub(crate) fn usable(&self, right: Right, url: &str) -> Result<(), Refusal> {
        let is_usable = match self.status() {
            Status::Active => true,
            Status::Disabled => false,
            Status::SendDisabled => right != Right::Send,
            Status::ReceiveDisabled => right != Right::Listen,
        };
        if is_usable { Ok(()) } else { Err(Refusal::disabled(url)) }
    }

    /// Appends what was sent, to `partition` or to where its key or the turn leads.
    pub(crate) fn append(
        &self,
        sent: Sent,
        size: usize,
        partition: Option<usize>,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        if !locked(&self.throttle).admits(sent.events.len(), size, now) {
            return Err(Refusal::busy());
        }
        let index = match (partition, &sent.partition_key) {
            (Some(partition), _) => partition,
            (None, Some(key)) => partition_key::partition(key, self.count()),
            (None, None) => self.next.fetch_add(1, Ordering::Relaxed) % self.count().max(1),
        };
        self.at(index)?.append(sent, now);
        Ok(())
    }
}

impl Partition {
    fn new(retention: config::Retention) -> Self {
        Self(Mutex::new(Shared { log: log::Log::new(retention), readers: Readers::default() }))
    }

    fn append(&self, sent: Sent, now: Timestamp) {
        let mut shared = locked(&self.0);
        shared.log.append(sent.events, sent.partition_key.as_deref(), now);
        shared.readers.wake();
    }

    /// Lets a receiver in, and says with which sequence number it begins.
    pub(crate) fn admit(&self, group: &str, reader: &Arc<Reader>, start: Start, limit: usize) -> Result<i64, Refusal> {
        let mut shared = locked(&self.0);
        let from = shared.log.begin(start)?;
        shared.readers.admit(group, reader, limit)?;
        Ok(from)
    }

    /// Up to so many events from a sequence number on. A receiver that was ended gets none: under the same lock as
    /// others take its place, so that nobody reads beside a new holder.
    pub(crate) fn read(&self, reader: &Reader, from: i64, most: usize, now: Timestamp) -> Result<Vec<Kept>, Refusal> {
        let mut shared = locked(&self.0);
        match reader.ended() {
            Some(refusal) => Err(refusal.clone()),
            None => Ok(shared.log.read(from, most, now)),
        }
    }

    /// Forgets a receiver.
    pub(crate) fn leave(&self, group: &str, reader: &Arc<Reader>) {
        locked(&self.0).readers.leave(group, reader);
    }

    /// Ends the receivers of a group; how many there were.
    pub(crate) fn steal(&self, group: &str) -> usize {
        locked(&self.0).readers.steal(group)
    }

    /// Lets go of what stands before a sequence number.
    pub(crate) fn forget_before(&self, sequence: i64) {
        locked(&self.0).log.forget_before(sequence);
    }

    /// What can be asked about it.
    pub(crate) fn extent(&self, now: Timestamp) -> Extent {
        let mut shared = locked(&self.0);
        shared.log.forget(now);
        shared.log.extent()
    }

    /// How many receivers there are, by consumer group.
    pub(crate) fn receivers(&self) -> BTreeMap<String, usize> {
        locked(&self.0).readers.counts().map(|(group, count)| (group.to_owned(), count)).collect()
    }
}

/// What a panic left behind is as good as before: nothing here is changed by halves.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
