//! A host with a secret in every place where a spec takes one, a guest that keeps nothing to itself, and systems that
//! repeat what they are sent.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use e2e::support::built;
use e2e::support::host::Host;
use e2e::support::lockgate::{Lockgate, Outgoing};
use serde_json::Value;
use tempfile::TempDir;

use super::canary::Canary;
use super::hostile::Hostile;
use crate::scene;

/// Everything that may be logged, by libraries too; a longer name must not win.
pub(crate) const EVERYTHING: &str = "trace,hyper::proto::h1::role=trace,hyper_util::client=trace,reqwest=trace,\
                                     rustls=trace,object_store=trace,wasmtime=trace,lockgate=trace";
/// What the config of the guest says.
pub(crate) const IN_CONFIG: &str = "a word of the config";

/// Endpoints with a credential, and what is asked of each.
const SIGNED: [&str; 4] = ["bearer", "basic", "header", "proxied"];
const TARGETS: [&str; 5] = ["echo", "moved", "away", "broken", "../climbs"];
/// Endpoints that cannot be reached.
const UNREACHABLE: [&str; 3] = ["refused", "plain", "nameless"];
const STORES: [&str; 3] = ["keyed", "signed", "absent"];

/// The host, and what it works with.
pub(crate) struct World {
    pub(crate) lockgate: Lockgate,
    pub(crate) hostile: Hostile,
    pub(crate) canaries: Vec<Canary>,
    pub(crate) component: PathBuf,
    folder: TempDir,
}

impl World {
    pub(crate) async fn new() -> Self {
        let hostile = Hostile::start().await;
        let guests = tokio::task::spawn_blocking(built::guests).await.unwrap().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let mut lockgate = scene::lockgate(folder.path(), &spec(&guests.probe, &hostile)).await;
        let canaries = canaries();
        let value = |place: &str| canaries.iter().find(|canary| canary.place == place).unwrap().value.clone();
        std::fs::create_dir(folder.path().join("secrets")).unwrap();
        let file =
            |name: &str, content: String| std::fs::write(folder.path().join("secrets").join(name), content).unwrap();
        file("header", value("header's value, from a file") + "\n");
        file("key", STANDARD.encode(value("account's key, from a file")));
        lockgate.environment.extend([
            ("CANARY_BEARER".into(), value("bearer token, from a variable")),
            ("CANARY_BASIC".into(), STANDARD.encode(format!("me:{}", value("password, encoded in a variable")))),
            (
                "CANARY_SAS".into(),
                format!("sv=2024-05-04&sp=rwdl&sig={}", value("signature of a store, from a variable")),
            ),
            ("CANARY_PROXY".into(), value("token of a proxy, from a variable")),
            ("CANARY_UNUSED".into(), value("secret that nothing uses")),
            ("CANARY_STRAY".into(), value("variable that the spec does not name")),
            ("LOCKGATE_LOG".into(), EVERYTHING.into()),
            ("RUST_LOG".into(), "trace".into()),
            ("LOCKGATE_CACHE_DIR".into(), folder.path().join("components").display().to_string()),
            ("TMPDIR".into(), folder.path().join("temporary").display().to_string()),
        ]);
        std::fs::create_dir(folder.path().join("temporary")).unwrap();
        Self { lockgate, hostile, canaries, component: guests.probe, folder }
    }

    /// The messages that make the guest and the host meet every secret.
    pub(crate) async fn send_all(&self) -> usize {
        let signed = SIGNED.iter().flat_map(|endpoint| TARGETS.map(|target| format!("blame {endpoint} {target}")));
        let unreachable = UNREACHABLE.iter().map(|endpoint| format!("blame {endpoint} f?sig=x"));
        let stores = STORES.iter().map(|store| format!("blame-store {store} a/b"));
        let commands: Vec<String> = signed.chain(unreachable).chain(stores).collect();
        self.send(&commands).await;
        commands.len()
    }

    /// Sends commands, which run one after another.
    pub(crate) async fn send(&self, commands: &[String]) {
        let message = |command: &String| Outgoing {
            key: "k".into(),
            headers: BTreeMap::new(),
            payload: Value::String(command.clone()),
        };
        self.lockgate.send("work", &commands.iter().map(message).collect::<Vec<_>>()).await.unwrap();
    }

    /// A host that logs everything, and where it can be asked.
    pub(crate) async fn host(&self) -> (Host, String) {
        let mut lockgate = self.lockgate.clone();
        lockgate.sets.push("admin.listen=127.0.0.1:0".into());
        let mut host = Host::start(&lockgate, &[]).unwrap();
        let address = crate::operators::address(&mut host).await;
        (host, address)
    }

    /// What stands in the host's files; in those of its secrets they are by right.
    pub(crate) fn files(&self) -> Vec<(String, Vec<u8>)> {
        let mut files = Vec::new();
        let mut folders = vec![self.folder.path().to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() && !path.ends_with("secrets") {
                    folders.push(path);
                } else if path.is_file() {
                    files.push((format!("the file {}", path.display()), std::fs::read(&path).unwrap()));
                }
            }
        }
        files
    }

    /// A file of the host's.
    pub(crate) fn file(&self, path: &str) -> Vec<u8> {
        std::fs::read(self.folder.path().join(path)).unwrap()
    }
}

fn canaries() -> Vec<Canary> {
    vec![
        Canary::new("bearer token, from a variable", "Bearer"),
        Canary::new("password, encoded in a variable", "Basic"),
        Canary::new("header's value, from a file", "Header"),
        Canary::new("token of a proxy, from a variable", "Proxy"),
        Canary::plain("account's key, from a file", "AzureKeyOfAnAccount"),
        Canary::plain("signature of a store, from a variable", "AzureSignature"),
        Canary::new("secret that nothing uses", "Unused"),
        Canary::new("variable that the spec does not name", "Stray"),
    ]
}

fn spec(component: &Path, hostile: &Hostile) -> String {
    let (component, address) = (component.display(), hostile.address);
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let endpoint = |name: &str, url: &str, auth: &str| {
        format!(
            "  {name}: {{ base_url: \"{url}\", allow_addresses: [127.0.0.0/8], auth: {auth}, timeouts: {{ connect: 3s }} }}\n"
        )
    };
    let (bearer, basic) =
        ("{ bearer: { token: \"${secrets.bearer}\" } }", "{ basic: { encoded: \"${secrets.basic}\" } }");
    let bearer_of_proxy = "{ bearer: { token: \"${secrets.proxy}\" } }";
    let header = "{ header: { name: X-Api-Key, value: \"${secrets.header}\" } }";
    let endpoints = [
        endpoint("bearer", &format!("http://{address}/bearer"), bearer),
        endpoint("basic", &format!("http://{address}/basic"), basic),
        endpoint("header", &format!("http://{address}/header"), header),
        format!(
            "  proxied: {{ base_url: \"http://behind.example/proxied\", proxy: {{ url: \"http://{address}\", auth: {bearer_of_proxy} }} }}\n"
        ),
        endpoint("refused", &format!("http://{gone}/x"), bearer),
        endpoint("plain", &format!("https://{address}/x"), header),
        endpoint("nameless", "http://nobody.invalid/x", basic),
    ];
    let store = |name: &str, address, auth: &str| {
        format!(
            "  {name}: {{ azure: {{ account: account, container: lake, endpoint: \"http://{address}/account\", auth: {auth} }} }}\n"
        )
    };
    let stores = [
        store("keyed", address, "{ key: \"${secrets.key}\" }"),
        store("signed", address, "{ sas: \"${secrets.sas}\" }"),
        store("absent", gone, "{ sas: \"${secrets.sas}\" }"),
    ];
    let names = [&SIGNED[..], &UNREACHABLE[..]].concat();
    let bound = names.iter().map(|name| format!("endpoint:{name}"));
    let bound: Vec<String> = bound.chain(STORES.iter().chain(&["cache"]).map(|name| format!("store:{name}"))).collect();
    format!(
        r#"
lockgate: 1
secrets:
  bearer: {{ env: CANARY_BEARER }}
  basic: {{ env: CANARY_BASIC }}
  header: {{ file: secrets/header }}
  key: {{ file: secrets/key }}
  sas: {{ env: CANARY_SAS }}
  proxy: {{ env: CANARY_PROXY }}
  unused: {{ env: CANARY_UNUSED }}
transports: {{ bus: {{ log: {{ path: bus }} }} }}
stores:
  cache: {{ directory: {{ path: cache }} }}
{stores}endpoints:
{endpoints}plugins: {{ probe: {{ component: "{component}", limits: {{ cpu: 20s }} }} }}
pipelines:
  probe:
    from: {{ topic: work, group: probe, start: earliest }}
    plugin: probe
    grants: {{ endpoints: {names:?}, stores: [keyed, signed, absent, cache] }}
    config: {{ words: ["{IN_CONFIG}"], bound: {bound:?} }}
    to: {{ out: {{ topic: made }} }}
    concurrency: 1
    order: key
    dead_letter: {{ topic: dlq }}
"#,
        stores = stores.concat(),
        endpoints = endpoints.concat(),
    )
}
