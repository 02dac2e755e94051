//! The client against the emulator, which shares no code of AMQP with it.

mod failing;
mod receiving;
mod sending;
mod tokens;
mod volume;
mod ways;

use std::num::NonZeroUsize;
use std::time::Duration;

use bytes::Bytes;
use eventhubs_emulator::Emulator;
use eventhubs_emulator::config::{Config as Settings, DEFAULT_KEY, Hub as HubSettings, Jwt, Key, Right};

use super::*;
use crate::model::{Position, Record, Secret, SecretRef};
use crate::transport::event_hubs::config::Protocol;
use crate::transport::event_hubs::message::{Encoded, Event, event, message};

/// How long anything may take. Nothing is measured by it: it only ends a test that would hang.
const PATIENCE: Duration = Duration::from_secs(60);
const KEY: &str = "SAS_KEY_VALUE";
/// What signs tokens of an identity.
const JWT: &str = "not-a-secret";

/// What waits for something, and fails when it does not come.
async fn in_time<T>(what: &str, doing: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, doing).await.unwrap_or_else(|_| panic!("{what} does not come"))
}

/// An emulator with hub `orders` of two partitions and groups, and the file that its clients trust.
struct Scene {
    emulator: Emulator,
    folder: tempfile::TempDir,
}

impl Scene {
    async fn new() -> Self {
        Self::with(|settings| settings).await
    }

    async fn with(change: impl FnOnce(Settings) -> Settings) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let hub = HubSettings { groups: vec!["g".to_owned()], ..HubSettings::new(NonZeroUsize::new(2).unwrap()) };
        let listener = Key { key: "LISTENER".to_owned(), rights: [Right::Listen].into() };
        let mut settings = Settings { settle_ms: 0, ca: Some(folder.path().join("ca.pem")), ..Settings::default() };
        settings.jwt = Some(Jwt { secret: JWT.to_owned(), audience: "https://eventhubs.azure.net".to_owned() });
        settings.keys.insert("listener".to_owned(), listener);
        let settings = change(settings.with_key(DEFAULT_KEY, KEY).with_hub("orders", hub));
        Self { emulator: Emulator::start(settings).await.unwrap(), folder }
    }

    /// As the spec would say it, in the clear.
    fn config(&self) -> Config {
        Config { connection_string: Some(SecretRef("hubs".into())), checkpoints: "lake".into(), ..Config::default() }
    }

    fn connection_string(&self) -> String {
        format!("{};UseDevelopmentEmulator=true", self.emulator.connection_string(DEFAULT_KEY).unwrap())
    }

    fn client_of(&self, config: &Config, secret: &str) -> Client {
        let secrets = Secrets([("hubs".to_owned(), Secret::new(secret))].into());
        Client::new("bus".into(), config, &secrets, &Clock::system()).unwrap()
    }

    fn client(&self) -> Client {
        self.client_of(&self.config(), &self.connection_string())
    }
}

fn wanted(partition: u32, from: From) -> Wanted {
    let (hub, group, id) = ("orders".to_owned(), "g".to_owned(), "reader".to_owned());
    Wanted { hub, group, partition, from, epoch: None, id, bytes: 1 << 20, tells_end: false }
}

fn encoded(payload: impl Into<Bytes>) -> Encoded {
    event(&Record { payload: payload.into(), ..Record::default() }, None).unwrap()
}

/// Sends events that say `first`, `first + 1` and so on.
async fn send(client: &Client, partition: u32, numbers: std::ops::Range<usize>) {
    let sender = in_time("a sender", client.sender("orders", Some(partition))).await.unwrap();
    let events = numbers.map(|number| encoded(number.to_string())).collect();
    in_time("an outcome", sender.send(events, None)).await.unwrap();
}

/// Receives so many events.
async fn receive(receiver: &mut Receiver, count: usize) -> Vec<Event> {
    let mut events = Vec::new();
    while events.len() < count {
        events.extend(in_time("an event", receiver.next(count - events.len(), u64::MAX)).await.unwrap());
    }
    events
}

fn payload(event: Event) -> String {
    let partition = crate::model::Partition::new("orders", 0);
    String::from_utf8(message(&"bus".into(), "orders", &partition, event).payload.to_vec()).unwrap()
}

fn payloads(events: Vec<Event>) -> Vec<String> {
    events.into_iter().map(payload).collect()
}
