//! An emulator with its hubs, a store of checkpoints, and transports on them.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use eventhubs_emulator::Emulator;
use eventhubs_emulator::config::{Config as Served, DEFAULT_KEY, Hub, Retention};
use tempfile::TempDir;

use crate::model::{Clock, Partition, Position, Record, Secret, SecretRef, Secrets};
use crate::storage::config::Config as Store;
use crate::transport::config::Ownership;
use crate::transport::event_hubs::EventHubs;
use crate::transport::event_hubs::config::Config;
use crate::transport::{
    Assignment, Batch, Commit, Demand, Means, OnLostPosition, Room, Rooms, Sink, Source, SourceEvent, Start,
    Subscription, Transport, TransportError,
};

/// How long a test waits for the next event.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);
/// Room for everything.
pub(super) const ALL: Room = Room { messages: 100_000, bytes: 1 << 30 };
/// The consumer groups of every hub.
pub(super) const GROUPS: [&str; 3] = ["g", "one", "other"];

/// An emulator with its hubs, and a store.
pub(super) struct Scene {
    pub(super) emulator: Emulator,
    pub(super) folder: TempDir,
    store: Store,
    secrets: Secrets,
    hubs: Mutex<BTreeSet<String>>,
}

impl Scene {
    /// With checkpoints in a folder.
    pub(super) async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::Directory { path: folder.path().join("store") };
        Self::on(folder, store, Secrets::default()).await
    }

    /// With checkpoints in a store. Its secrets are those that the store needs.
    pub(super) async fn on(folder: TempDir, store: Store, mut secrets: Secrets) -> Self {
        let config = Served { settle_ms: 0, ..Served::default() }.with_key(DEFAULT_KEY, "SAS_KEY_VALUE");
        let emulator = Emulator::start(config).await.unwrap();
        std::fs::write(folder.path().join("ca.pem"), emulator.ca()).unwrap();
        let connection_string = emulator.connection_string(DEFAULT_KEY).unwrap();
        secrets.0.insert("hubs".to_owned(), Secret::new(connection_string));
        Self { emulator, folder, store, secrets, hubs: Mutex::default() }
    }

    /// Another emulator in its place, which has none of the hubs.
    pub(super) async fn anew(self) -> Self {
        let Self { folder, store, secrets, .. } = self;
        Self::on(folder, store, secrets).await
    }

    /// A hub of so many partitions that nobody else has.
    pub(super) fn hub(&self, partitions: usize) -> String {
        let name = format!("hub-{:08x}", rand::random::<u32>());
        self.add(&name, partitions);
        name
    }

    /// A hub of this name.
    pub(super) fn add(&self, name: &str, partitions: usize) {
        let groups = GROUPS.map(str::to_owned).into();
        let retention = Retention { bytes: (1 << 30).try_into().unwrap(), ..Retention::default() };
        let hub = Hub { groups, retention, ..Hub::new(NonZeroUsize::new(partitions).unwrap()) };
        self.emulator.add_hub(name, &hub).unwrap();
        self.hubs.lock().unwrap().insert(name.to_owned());
    }

    /// What a spec would say of the emulator.
    pub(super) fn config(&self) -> Config {
        Config {
            connection_string: Some(SecretRef("hubs".into())),
            checkpoints: "lake".to_owned(),
            ca: Some(self.folder.path().join("ca.pem")),
            ..Config::default()
        }
    }

    /// A transport of its own, with connections of its own.
    pub(super) fn transport(&self) -> EventHubs {
        self.transport_with(&self.config())
    }

    /// The same, with other settings.
    pub(super) fn transport_with(&self, config: &Config) -> EventHubs {
        let means = Means {
            clock: Clock::system(),
            secrets: self.secrets.clone(),
            stores: BTreeMap::from([("lake".to_owned(), self.store.clone())]),
            topics: self.hubs.lock().unwrap().clone(),
        };
        // A lease that lasts on a machine that is busy.
        let ownership = Ownership { lease: Duration::from_secs(30), poll: Duration::from_millis(200) };
        EventHubs::open("bus", config, ownership, &BTreeMap::new(), &means).unwrap().watching(Duration::from_secs(1))
    }

    /// A transport on the emulator of another process, with checkpoints of its own.
    pub(super) fn elsewhere(connection_string: &str, topic: &str, folder: &Path) -> EventHubs {
        let config = Config {
            connection_string: Some(SecretRef("hubs".into())),
            checkpoints: "lake".to_owned(),
            ca: Some(folder.join("ca.pem")),
            ..Config::default()
        };
        let means = Means {
            clock: Clock::system(),
            secrets: Secrets(BTreeMap::from([("hubs".to_owned(), Secret::new(connection_string))])),
            stores: BTreeMap::from([("lake".to_owned(), Store::Directory { path: folder.join("elsewhere") })]),
            topics: BTreeSet::from([topic.to_owned()]),
        };
        EventHubs::open("bus", &config, Ownership::default(), &BTreeMap::new(), &means).unwrap()
    }

    /// With another secret in place of the connection string.
    pub(super) fn with_connection_string(mut self, text: &str) -> Self {
        self.secrets.0.insert("hubs".to_owned(), Secret::new(text));
        self
    }
}

pub(super) fn subscription(topic: &str, start: Start, on_lost_position: OnLostPosition) -> Subscription {
    Subscription { topic: topic.into(), group: "g".into(), start, on_lost_position }
}

/// A source and what it has.
pub(super) struct Reader {
    pub(super) source: Box<dyn Source>,
    pub(super) assignments: BTreeMap<u32, Assignment>,
    topic: Arc<str>,
}

impl Reader {
    pub(super) async fn open(hubs: &EventHubs, subscription: &Subscription) -> Self {
        let source = hubs.source(subscription).await.unwrap();
        Self { source, assignments: BTreeMap::new(), topic: subscription.topic.clone() }
    }

    /// From the oldest message on.
    pub(super) async fn of(hubs: &EventHubs, topic: &str) -> Self {
        Self::open(hubs, &subscription(topic, Start::Earliest, OnLostPosition::Fail)).await
    }

    pub(super) async fn event(&mut self, demand: &dyn Demand) -> SourceEvent {
        let event = tokio::time::timeout(PATIENCE, self.source.next(demand)).await.expect("no event came");
        match &event {
            SourceEvent::Assigned(given) => {
                self.assignments.extend(given.iter().map(|given| (given.partition.index, given.clone())));
            }
            SourceEvent::Lost(lost) => {
                self.assignments.retain(|index, _| lost.iter().all(|lost| lost.index != *index));
            }
            _ => {}
        }
        event
    }

    /// Room in all partitions that it has.
    pub(super) fn demand(&self, room: Room) -> Rooms {
        Rooms(self.assignments.keys().map(|index| (Partition::new(self.topic.clone(), *index), room)).collect())
    }

    /// The next event, with room for everything.
    pub(super) async fn next(&mut self) -> SourceEvent {
        let demand = self.demand(ALL);
        self.event(&demand).await
    }

    /// Until it has so many partitions.
    pub(super) async fn until_assigned(&mut self, count: usize) {
        while self.assignments.len() < count {
            match self.event(&Rooms::default()).await {
                SourceEvent::Assigned(_) | SourceEvent::Messages(_) => {}
                event => panic!("{event:?}"),
            }
        }
    }

    /// The next batch, empty or not; whatever fails for a moment is passed over.
    pub(super) async fn batch(&mut self) -> Batch {
        loop {
            match self.next().await {
                SourceEvent::Messages(batch) => return batch,
                SourceEvent::Assigned(_) => {}
                SourceEvent::Failed(error) if error.is_transient() => {}
                event => panic!("{event:?}"),
            }
        }
    }

    /// The positions of the next messages.
    pub(super) async fn positions(&mut self, count: usize) -> Vec<i64> {
        let mut positions = Vec::new();
        while positions.len() < count {
            positions.extend(self.batch().await.messages.iter().map(|message| message.origin.position.0));
        }
        positions
    }

    /// The first failure.
    pub(super) async fn failure(&mut self) -> TransportError {
        loop {
            if let SourceEvent::Failed(error) = self.next().await {
                return error;
            }
        }
    }

    pub(super) async fn commit(&mut self, partition: u32, position: i64) {
        let Assignment { partition, epoch, .. } = self.assignments[&partition].clone();
        let checkpoint = crate::model::Checkpoint::plain(Position(position));
        self.source.commit(vec![Commit { partition, epoch, checkpoint }]).await.unwrap();
    }
}

/// A record for a partition.
pub(super) fn record(partition: u32, payload: impl Into<Bytes>) -> Record {
    Record { partition: Some(partition), payload: payload.into(), ..Record::default() }
}

/// Writes so many records into a partition.
pub(super) async fn write(sink: &dyn Sink, partition: u32, count: usize) {
    let records = (0..count).map(|number| record(partition, number.to_string())).collect();
    sink.write(records).await.into_iter().for_each(|answer| assert!(answer.is_ok(), "{answer:?}"));
}
