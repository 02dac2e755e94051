//! Plugins: native ones, which take nothing but what they do, and the component of `bench/guest`.

use std::num::{NonZeroU32, NonZeroUsize};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Context;
use async_trait::async_trait;
use lockgate::egress::Client;
use lockgate::model::{Clock, Emission, Message, Outcome, Secrets, Verdict};
use lockgate::plugin::config::{Config, Grants, Isolation, Limits};
use lockgate::plugin::{Attempt, CallError, Component, Engine, EngineSettings, Plugin, PoolSettings};
use lockgate::storage::Stores;
use tokio::sync::Notify;

/// The first try of a message.
pub(crate) const FIRST: Attempt = Attempt { number: NonZeroU32::MIN, left: 2 };

/// Calls that are still to come.
#[derive(Debug)]
pub(crate) struct Expected {
    left: AtomicU64,
    over: Notify,
}

impl Expected {
    /// So many calls.
    pub(crate) fn new(calls: usize) -> Arc<Self> {
        Arc::new(Self { left: AtomicU64::new(calls as u64), over: Notify::new() })
    }

    /// Waits until all have ended.
    pub(crate) async fn over(&self) {
        self.over.notified().await;
    }

    fn ended(&self) {
        if self.left.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.over.notify_one();
        }
    }
}

/// Emits every message as it is, or emits nothing.
pub(crate) struct NoOp {
    /// Where the message goes.
    pub(crate) output: Option<&'static str>,
    /// The calls.
    pub(crate) expected: Arc<Expected>,
}

#[async_trait]
impl Plugin for NoOp {
    async fn call(&self, message: Arc<Message>, _: Attempt) -> Result<Outcome, CallError> {
        let emission = |output: &'static str| Emission {
            output: output.to_owned(),
            key: message.key.clone(),
            headers: message.headers.clone(),
            payload: message.payload.clone(),
        };
        let outcome = Outcome { verdict: Verdict::Done, emit: self.output.map(emission).into_iter().collect() };
        self.expected.ended();
        Ok(outcome)
    }

    fn bytes_moved(&self) -> u64 {
        0
    }
}

/// Waits as the message says.
pub(crate) struct Waiting {
    /// The calls.
    pub(crate) expected: Arc<Expected>,
}

#[async_trait]
impl Plugin for Waiting {
    async fn call(&self, message: Arc<Message>, _: Attempt) -> Result<Outcome, CallError> {
        let wait = message.headers.text(enrich::WAIT_MS).and_then(|wait| wait.parse().ok()).unwrap_or_default();
        tokio::time::sleep(Duration::from_millis(wait)).await;
        self.expected.ended();
        Ok(Outcome::of(Verdict::Done))
    }

    fn bytes_moved(&self) -> u64 {
        0
    }
}

/// Another plugin, whose calls are counted.
pub(crate) struct Counted {
    /// The plugin.
    pub(crate) plugin: Arc<dyn Plugin>,
    /// The calls.
    pub(crate) expected: Arc<Expected>,
}

#[async_trait]
impl Plugin for Counted {
    async fn call(&self, message: Arc<Message>, attempt: Attempt) -> Result<Outcome, CallError> {
        let called = self.plugin.call(message, attempt).await;
        self.expected.ended();
        called
    }

    fn bytes_moved(&self) -> u64 {
        self.plugin.bytes_moved()
    }
}

/// How the component runs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted {
    /// Messages in the plugin at once.
    pub(crate) concurrency: usize,
    /// What a call may use.
    pub(crate) limits: Limits,
    /// Whether it looks at everything that a call has, and hands key and headers on.
    pub(crate) thorough: bool,
}

/// The component of `bench/guest`, compiled once.
pub(crate) struct Enrich {
    engine: Engine,
    file: std::path::PathBuf,
}

impl Enrich {
    /// With room for so many instances at once, over all pools.
    pub(crate) fn new(file: &Path, slots: usize) -> anyhow::Result<Self> {
        Ok(Self { engine: Engine::new(EngineSettings { slots, cache: None })?, file: file.to_owned() })
    }

    /// The component under these limits.
    pub(crate) async fn component(&self, limits: Limits) -> anyhow::Result<Component> {
        let config = Config { component: self.file.clone(), sha256: None, limits, isolation: Isolation::Exclusive };
        Ok(self.engine.load("enrich", &config).await?)
    }

    /// Slots of the component, as a pipeline has them.
    pub(crate) async fn pool(&self, wanted: Wanted) -> anyhow::Result<Arc<dyn Plugin>> {
        let Wanted { concurrency, limits, thorough } = wanted;
        Ok(self.component(limits).await?.pool(PoolSettings {
            pipeline: "bench".into(),
            config_json: format!("{{\"thorough\":{thorough}}}"),
            grants: Grants::default(),
            concurrency: NonZeroUsize::new(concurrency).context("no slots are wanted")?,
            http: Arc::new(Client::new(&Default::default(), &Secrets::default())?),
            stores: Stores::new(),
            clock: Clock::system(),
        }))
    }
}
