//! The engine against real components: the guest `probe`, built from `tests/guests/probe`, does what its message says.
//! Endpoints and stores are doubles in [`doubles`].

mod calls;
mod doubles;
mod files;
mod hostile;
mod limits;
mod loading;
mod logs;
mod requests;

use std::num::{NonZeroU32, NonZeroUsize};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, LazyLock, OnceLock};

use super::config::{Config, Grants, Isolation, Limits};
use super::{Attempt, CallError, Component, Engine, EngineSettings, Plugin, PoolSettings};
use crate::model::{Clock, Headers, Message, MessageId, Origin, Outcome, Partition, Position, Timestamp, Verdict};
use doubles::{Endpoints, MemoryStore};

/// The target folder of this test run.
static TARGET: LazyLock<PathBuf> = LazyLock::new(|| {
    let test = std::env::current_exe().unwrap();
    test.ancestors().nth(3).unwrap().to_owned()
});

/// One engine for all tests that need no own.
static ENGINE: LazyLock<Engine> = LazyLock::new(|| {
    let cache = Some(TARGET.join("probe-cache"));
    Engine::new(EngineSettings { slots: 200, cache }).unwrap()
});

/// The probe's file, built when the first test asks for it.
fn probe() -> &'static Path {
    static PROBE: OnceLock<PathBuf> = OnceLock::new();
    PROBE.get_or_init(|| {
        logs::set_up();
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let built = Command::new(cargo)
            .args(["build", "--quiet", "--package", "probe", "--target", "wasm32-wasip2", "--profile", "guest"])
            .arg("--target-dir")
            .arg(&*TARGET)
            .current_dir(std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into()))
            .status()
            .unwrap();
        assert!(built.success(), "the probe cannot be built: is the target wasm32-wasip2 installed?");
        TARGET.join("wasm32-wasip2/guest/probe.wasm")
    })
}

fn config() -> Config {
    Config { component: probe().to_owned(), sha256: None, limits: Limits::default(), isolation: Isolation::Exclusive }
}

async fn component(limits: Limits, isolation: Isolation) -> Component {
    ENGINE.load("probe", &Config { limits, isolation, ..config() }).await.unwrap()
}

/// How a test wants its plugin.
struct Wanted {
    limits: Limits,
    isolation: Isolation,
    concurrency: usize,
    config_json: &'static str,
}

impl Default for Wanted {
    fn default() -> Self {
        Self { limits: Limits::default(), isolation: Isolation::Exclusive, concurrency: 1, config_json: "{}" }
    }
}

/// A pool of probes and the doubles that they call.
struct Bench {
    plugin: Arc<dyn Plugin>,
    endpoints: Arc<Endpoints>,
    cache: Arc<MemoryStore>,
}

impl Bench {
    async fn new(wanted: Wanted) -> Self {
        Self::of(&component(wanted.limits, wanted.isolation).await, &wanted)
    }

    fn of(component: &Component, wanted: &Wanted) -> Self {
        let (endpoints, cache) = (Arc::new(Endpoints::default()), Arc::new(MemoryStore::default()));
        let plugin = component.pool(PoolSettings {
            pipeline: "copies".into(),
            config_json: wanted.config_json.into(),
            grants: Grants {
                endpoints: vec!["files".into()],
                stores: vec!["cache".into(), "lake".into(), "unopened".into()],
                keyvalues: Vec::new(),
            },
            concurrency: NonZeroUsize::new(wanted.concurrency).unwrap(),
            http: endpoints.clone(),
            stores: [
                ("cache".to_owned(), cache.clone() as _),
                ("lake".to_owned(), Arc::new(MemoryStore::default()) as _),
                ("secret".to_owned(), Arc::new(MemoryStore::default()) as _),
            ]
            .into(),
            clock: Clock::from_fn(|| Timestamp(1_700_000_000_000)),
        });
        Self { plugin, endpoints, cache }
    }

    /// Has a probe run `command`.
    async fn call(&self, command: &str) -> Result<Outcome, CallError> {
        self.plugin.call(Arc::new(message(command)), first_attempt()).await
    }

    /// What a probe answered on its output, when all went well.
    async fn said(&self, command: &str) -> String {
        let outcome = self.call(command).await.unwrap();
        assert_eq!((&outcome.verdict, outcome.emit.len()), (&Verdict::Done, 1), "{command}");
        String::from_utf8(outcome.emit[0].payload.to_vec()).unwrap()
    }

    /// Calls that the instance which takes the next one has seen, that one included.
    async fn count(&self) -> String {
        self.said("count").await
    }
}

fn first_attempt() -> Attempt {
    Attempt { number: NonZeroU32::MIN, left: 4 }
}

fn message(command: &str) -> Message {
    let mut headers = Headers::default();
    headers.push("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
    headers.push("colour", vec![0xff, 0x00]);
    Message {
        id: MessageId::given("m-1"),
        origin: Origin {
            transport: "bus".into(),
            partition: Partition::new("tasks", 3),
            position: Position(42),
            enqueued: Timestamp(1_600_000_000_000),
        },
        key: Some("k-1".into()),
        headers,
        payload: command.to_owned().into(),
    }
}
