//! A namespace of Event Hubs, reached by secure WebSocket, with who reads what in a blob container: both emulators. One that
//! all tests of a process share, each with hubs that no other has, and namespaces of a test's own. None outlives the process,
//! however that ends.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Arc, OnceLock};

use anyhow::anyhow;
use lockgate::model::{Secret, SecretRef, Secrets};
use lockgate::storage::config::{AzureAuth, Config};
use lockgate::storage::contract::create_container;
use serde_json::json;
use tempfile::TempDir;
use tokio::runtime::Handle;
use tokio::task::spawn_blocking;
pub use xtask::eventhubs::Emulator;

use super::azurite::{ACCOUNT, Azurite, Data, KEY};
use super::built;

/// The container that keeps ownership and checkpoints, and its name as a store in a spec.
pub const CHECKPOINTS: &str = "checkpoints";
/// The namespace's own name, by which every client keeps checkpoints; where it answers is another place, as with a private
/// endpoint.
pub const NAME: &str = "lockgate.servicebus.windows.net";
/// The files of what a host signs in with.
const HUBS: &str = "hubs";
const STORE: &str = "account";

/// A namespace, and the account that keeps its checkpoints.
pub struct Namespace {
    /// The namespace.
    pub emulator: Arc<Emulator>,
    /// The account.
    pub azurite: Azurite,
    secrets: TempDir,
}

/// The one that the tests of this process share; started when it is first asked for.
pub async fn shared() -> anyhow::Result<&'static Namespace> {
    static SHARED: OnceLock<Result<Namespace, String>> = OnceLock::new();
    let handle = Handle::current();
    let start = move || handle.block_on(Namespace::start()).map_err(|error| format!("{error:#}"));
    let get = || SHARED.get_or_init(start);
    spawn_blocking(get).await?.as_ref().map_err(|error| anyhow!(error.clone()))
}

impl Namespace {
    /// One without hubs, with the account's data in memory.
    pub async fn start() -> anyhow::Result<Self> {
        Self::start_with(Data::InMemory).await
    }

    /// One without hubs.
    pub async fn start_with(account: Data) -> anyhow::Result<Self> {
        let start = || Emulator::for_tests(&built::programs()?.eventhubs_emulator);
        let emulator = Arc::new(spawn_blocking(start).await??);
        let azurite = Azurite::start_with(account).await?;
        let config = Config::Azure {
            account: ACCOUNT.to_owned(),
            container: CHECKPOINTS.to_owned(),
            prefix: None,
            endpoint: Some(azurite.endpoint.clone()),
            auth: AzureAuth::Key(SecretRef("account".to_owned())),
        };
        let secrets = Secrets(BTreeMap::from([("account".to_owned(), Secret::new(KEY))]));
        create_container(&config, &secrets)
            .await
            .map_err(|error| anyhow!("cannot make the container of checkpoints: {error}"))?;
        let secrets = tempfile::tempdir()?;
        // As with a private endpoint: the namespace's name is not where it answers.
        let (_, key) = emulator.connection_string().split_once(';').unwrap_or_default();
        for (file, secret) in [(HUBS, format!("Endpoint=sb://{NAME}/;{key}")), (STORE, KEY.to_owned())] {
            std::fs::write(secrets.path().join(file), secret)?;
        }
        Ok(Self { emulator, azurite, secrets })
    }

    /// Makes a hub with these consumer groups.
    pub async fn add(&self, hub: &str, partitions: u32, groups: &[String]) -> anyhow::Result<()> {
        let body = json!({ "partitions": partitions, "groups": groups });
        self.ask("POST", format!("/hubs/{hub}"), body).await
    }

    /// Asks the namespace for something, in the words of the emulator's README.
    pub async fn ask(&self, method: &'static str, path: String, body: serde_json::Value) -> anyhow::Result<()> {
        let emulator = self.emulator.clone();
        spawn_blocking(move || emulator.ask(method, &path, &body)).await??;
        Ok(())
    }

    /// What lays this namespace over the transport `bus` of a spec: its own settings, each on a line of its own, and the
    /// hubs of topics that are not called as they are.
    pub fn overlay(&self, settings: &[&str], hubs: &BTreeMap<String, String>) -> String {
        let mut text = format!(
            r#"secrets:
  hubs: {{ file: "{}" }}
  account: {{ file: "{}" }}
stores:
  {CHECKPOINTS}:
    azure:
      account: {ACCOUNT}
      container: {CHECKPOINTS}
      endpoint: "{}"
      auth: {{ key: "${{secrets.account}}" }}
transports:
  bus:
    event_hubs:
      connection_string: "${{secrets.hubs}}"
      endpoint: "{}"
      checkpoints: {CHECKPOINTS}
      ca: "{}"
"#,
            self.secrets.path().join(HUBS).display(),
            self.secrets.path().join(STORE).display(),
            self.azurite.endpoint,
            self.emulator.address(),
            self.emulator.ca().display()
        );
        for setting in settings {
            push(&mut text, &format!("    {setting}"));
        }
        if !hubs.is_empty() {
            push(&mut text, "    topics:");
        }
        for (topic, hub) in hubs {
            push(&mut text, &format!("      {topic}: {{ name: {hub} }}"));
        }
        text
    }
}

fn push(text: &mut String, line: &str) {
    // Writing into a text cannot fail.
    let _ = writeln!(text, "{line}");
}
