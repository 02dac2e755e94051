//! The contract suite, with entries in a folder and in Azure's emulator.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use eventhubs_emulator::Faults;
use tokio::sync::Mutex;

use super::scene::Scene;
use crate::model::{Checkpoint, Message, Partition, Position, Record, Secret, SecretRef, Secrets};
use crate::storage::conditional::{Conditional, Fields};
use crate::storage::config::{AzureAuth, Config as Store};
use crate::storage::contract::create_container;
use crate::transport::contract::{PARTITIONS, Subject};
use crate::transport::event_hubs::EventHubs;
use crate::transport::event_hubs::layout::{Kind, Layout, kept, owned_by, stored};
use crate::transport::{
    PartitionInfo, Sink, Source, Subscription, TopicInfo, Transport, TransportError, WriteError, Written,
};

/// Who takes partitions away here: one of our kind, which is not robbed of them.
const TAKER: &str = "lockgate-contract";

/// The service tells no writer where its events stand, so they are looked for: by one at a time, for no more than five may
/// look at a partition.
pub(in crate::transport::event_hubs) struct Telling(EventHubs, Arc<Mutex<()>>);

impl Telling {
    pub(in crate::transport::event_hubs) fn of(hubs: EventHubs) -> Arc<dyn Transport> {
        Arc::new(Self(hubs, Arc::default()))
    }
}

struct TellingSink {
    hubs: EventHubs,
    topic: String,
    inner: Arc<dyn Sink>,
    looks: Arc<Mutex<()>>,
}

impl TellingSink {
    async fn bounds(&self) -> Vec<PartitionInfo> {
        let Self { hubs, topic, inner, .. } = self;
        hubs.0.bounds(topic, inner.partitions()).await.unwrap()
    }

    /// Messages that came since the partitions ended there.
    async fn came(&self, before: &[PartitionInfo]) -> Vec<Message> {
        let _alone = self.looks.lock().await;
        let after = self.bounds().await;
        let mut came = Vec::new();
        for (index, (before, after)) in (0..).zip(before.iter().zip(after)) {
            let mut next = before.end;
            while next < after.end {
                let partition = Partition::new(self.topic.as_str(), index);
                let read = self.hubs.read(&partition, Position(next), 1000).await.unwrap();
                next = read.last().map_or(after.end, |last| last.origin.position.0 + 1);
                came.extend(read);
            }
        }
        came
    }
}

#[async_trait]
impl Sink for TellingSink {
    async fn write(&self, records: Vec<Record>) -> Vec<Result<Option<Written>, WriteError>> {
        let before = self.bounds().await;
        let answers = self.inner.write(records.clone()).await;
        let mut came = self.came(&before).await;
        let mut place = |record: &Record| {
            let is = |message: &Message| {
                (&message.key, &message.headers, &message.payload) == (&record.key, &record.headers, &record.payload)
            };
            let found = came.remove(came.iter().position(is).expect("it is not there"));
            Written { partition: found.origin.partition.index, position: found.origin.position }
        };
        let told = records.iter().zip(answers).map(|(record, answer)| answer.map(|_| Some(place(record))));
        told.collect()
    }

    fn partitions(&self) -> u32 {
        self.inner.partitions()
    }
}

#[async_trait]
impl Transport for Telling {
    async fn source(&self, subscription: &Subscription) -> Result<Box<dyn Source>, TransportError> {
        self.0.source(subscription).await
    }

    async fn sink(&self, topic: &str) -> Result<Arc<dyn Sink>, TransportError> {
        let inner = self.0.sink(topic).await?;
        Ok(Arc::new(TellingSink { hubs: self.0.clone(), topic: topic.to_owned(), inner, looks: self.1.clone() }))
    }

    async fn topics(&self) -> Result<Vec<TopicInfo>, TransportError> {
        self.0.topics().await
    }

    async fn checkpoints(&self, topic: &str, group: &str) -> Result<Vec<(u32, Checkpoint)>, TransportError> {
        self.0.checkpoints(topic, group).await
    }

    async fn read(&self, partition: &Partition, from: Position, max: usize) -> Result<Vec<Message>, TransportError> {
        self.0.read(partition, from, max).await
    }
}

struct OnEmulator(Scene);

fn entries(hubs: &EventHubs, topic: &str, group: &str) -> (Arc<dyn Conditional>, Layout) {
    (hubs.0.entries.clone(), hubs.0.layout(topic, group))
}

/// Takes partitions as the next owner does, up to its link: the ownership, then the checkpoint.
pub(in crate::transport::event_hubs) async fn take_away(hubs: &EventHubs, topic: &str, group: &str) {
    let (entries, layout) = entries(hubs, topic, group);
    for partition in 0..PARTITIONS {
        replace(&*entries, &layout.entry(Kind::Ownership, partition), |_| owned_by(TAKER)).await;
        replace(&*entries, &layout.entry(Kind::Checkpoint, partition), |fields| {
            kept(fields).unwrap().map(|kept| stored(&kept, TAKER)).unwrap_or_default()
        })
        .await;
    }
}

/// Lets go of what was taken.
pub(in crate::transport::event_hubs) async fn give_back(hubs: &EventHubs, topic: &str, group: &str) {
    let (entries, layout) = entries(hubs, topic, group);
    for partition in 0..PARTITIONS {
        replace(&*entries, &layout.entry(Kind::Ownership, partition), |_| owned_by("")).await;
    }
}

/// Writes an entry anew, whatever stands there.
async fn replace(entries: &dyn Conditional, name: &str, fields: impl Fn(&Fields) -> Fields) {
    loop {
        let stands = entries.read(name).await.unwrap();
        let before = stands.as_ref().map(|entry| entry.fields.clone()).unwrap_or_default();
        let version = stands.map(|entry| entry.version);
        if entries.put(name, &fields(&before), version.as_ref()).await.unwrap().is_some() {
            return;
        }
    }
}

#[async_trait]
impl Subject for OnEmulator {
    async fn open(&self) -> Arc<dyn Transport> {
        Telling::of(self.0.transport())
    }

    async fn topic(&self) -> String {
        self.0.hub(PARTITIONS as usize)
    }

    async fn break_reads(&self, topic: &str) {
        let faults = Faults { refuse_receivers: Some("amqp:internal-error".to_owned()), ..Faults::default() };
        self.0.emulator.set_faults_of(topic, faults).unwrap();
    }

    async fn mend_reads(&self, topic: &str) {
        self.0.emulator.set_faults_of(topic, Faults::default()).unwrap();
    }

    async fn take_away(&self, topic: &str, group: &str) {
        take_away(&self.0.transport(), topic, group).await;
        for partition in 0..PARTITIONS {
            self.0.emulator.steal(topic, group, &partition.to_string()).unwrap();
        }
    }

    async fn give_back(&self, topic: &str, group: &str) {
        give_back(&self.0.transport(), topic, group).await;
    }

    async fn forget(&self, topic: &str, partition: u32, before: Position) {
        self.0.emulator.forget(topic, &partition.to_string(), before.0).unwrap();
    }

    /// The limit of a Standard namespace, less what is around a payload.
    fn largest(&self) -> usize {
        (1 << 20) - 1024
    }
}

mod in_a_folder {
    use super::*;

    crate::transport_contract!(OnEmulator(Scene::new().await));
}

mod azurite {
    use super::*;

    /// The account's key that Azure's emulator has.
    const KEY: &str = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

    async fn scene() -> Scene {
        let endpoint = std::env::var("LOCKGATE_AZURITE").expect("LOCKGATE_AZURITE names no emulator");
        let store = Store::Azure {
            account: "devstoreaccount1".to_owned(),
            container: format!("t{:016x}", rand::random::<u64>()),
            prefix: None,
            endpoint: Some(endpoint),
            auth: AzureAuth::Key(SecretRef("account".into())),
        };
        let secrets = Secrets(BTreeMap::from([("account".to_owned(), Secret::new(KEY))]));
        create_container(&store, &secrets).await.unwrap();
        Scene::on(tempfile::tempdir().unwrap(), store, secrets).await
    }

    crate::transport_contract!(
        #[ignore = "needs Azure's storage emulator: cargo xtask test starts it"]
        OnEmulator(scene().await)
    );
}
