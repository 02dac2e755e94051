//! The contract suite in a namespace of the service: `tests/event-hubs-namespace.sh` runs it, fact by fact, each with a hub that
//! was made for it. Who reads what is kept in a folder.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tempfile::TempDir;

use super::EventHubs;
use super::config::Config;
use super::event_hubs_emulator::contract::{Telling, give_back, take_away};
use crate::model::{Clock, Position, Secret, SecretRef, Secrets};
use crate::storage::config::Config as Store;
use crate::transport::config::Ownership;
use crate::transport::contract::Subject;
use crate::transport::{Means, Transport};

/// The variables that name the namespace, by a connection string, and the hub of the fact.
const NAMESPACE: &str = "LOCKGATE_NAMESPACE";
const HUB: &str = "LOCKGATE_NAMESPACE_HUB";

struct OnNamespace(TempDir);

impl OnNamespace {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn transport(&self) -> EventHubs {
        let connection_string = std::env::var(NAMESPACE).expect("LOCKGATE_NAMESPACE is no connection string");
        let config = Config {
            connection_string: Some(SecretRef("hubs".into())),
            checkpoints: "lake".to_owned(),
            ..Config::default()
        };
        let means = Means {
            clock: Clock::system(),
            secrets: Secrets(BTreeMap::from([("hubs".to_owned(), Secret::new(connection_string))])),
            stores: BTreeMap::from([("lake".to_owned(), Store::Directory { path: self.0.path().join("store") })]),
            topics: BTreeSet::from([hub()]),
        };
        let ownership = Ownership { lease: Duration::from_secs(30), poll: Duration::from_millis(200) };
        EventHubs::open("bus", &config, ownership, &BTreeMap::new(), &means).unwrap()
    }
}

fn hub() -> String {
    std::env::var(HUB).expect("LOCKGATE_NAMESPACE_HUB is no hub")
}

#[async_trait]
impl Subject for OnNamespace {
    async fn open(&self) -> Arc<dyn Transport> {
        Telling::of(self.transport())
    }

    async fn topic(&self) -> String {
        hub()
    }

    async fn break_reads(&self, _: &str) {
        panic!("reading cannot be made to fail here: the script leaves this fact out");
    }

    async fn mend_reads(&self, _: &str) {}

    async fn take_away(&self, topic: &str, group: &str) {
        take_away(&self.transport(), topic, group).await;
    }

    async fn give_back(&self, topic: &str, group: &str) {
        give_back(&self.transport(), topic, group).await;
    }

    async fn forget(&self, _: &str, _: u32, _: Position) {
        panic!("events cannot be let go of here: the script leaves this fact out");
    }

    fn largest(&self) -> usize {
        (1 << 20) - 1024
    }
}

crate::transport_contract!(
    #[ignore = "needs a namespace of Azure Event Hubs: tests/event-hubs-namespace.sh"]
    OnNamespace::new()
);
