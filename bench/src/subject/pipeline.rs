//! A pipeline of the library in this process: supervised, on a transport, until it has settled everything.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use lockgate::flow::config::{InFlight, Order};
use lockgate::flow::dead_letter::Maker;
use lockgate::flow::pipeline::{End, Parts, Settings};
use lockgate::flow::retry::Policy;
use lockgate::flow::router::{Route, Router};
use lockgate::flow::supervisor::{Handle, OpenError, supervise};
use lockgate::model::{Clock, Size};
use lockgate::plugin::Plugin;
use lockgate::transport::{OnLostPosition, Start, Subscription, Transport, TransportError};
use std::num::NonZeroUsize;

use super::plugins::Expected;
use crate::cost::{Cost, Meter};

/// The topic that pipelines read.
pub(crate) const FROM: &str = "from";
/// The topic that they write.
pub(crate) const TO: &str = "to";
/// How often it is looked whether everything is settled, once every call has ended.
const LOOK: Duration = Duration::from_millis(1);

/// How a pipeline runs.
#[derive(Clone)]
pub(crate) struct Course {
    /// Where it reads and writes.
    pub(crate) transport: Arc<dyn Transport>,
    /// What messages go through.
    pub(crate) plugin: Arc<dyn Plugin>,
    /// Its calls, of which there is one a message.
    pub(crate) expected: Arc<Expected>,
    /// The plugin's outputs; all of them go to [`TO`].
    pub(crate) outputs: &'static [&'static str],
    /// Messages in the plugin at once.
    pub(crate) concurrency: usize,
    /// Messages read and not settled.
    pub(crate) in_flight: usize,
    /// Which messages may run beside each other.
    pub(crate) order: Order,
}

impl Course {
    /// Runs until so many messages are settled as done. Answers what that took, from the pipeline's start on.
    pub(crate) async fn run(self, messages: usize) -> anyhow::Result<Cost> {
        let expected = self.expected.clone();
        let meter = Meter::start();
        let handle = supervise("bench".into(), opener(self)?);
        expected.over().await;
        wait_for_settlement(&handle, messages as u64).await?;
        let cost = meter.stop();
        handle.stop().await;
        match handle.end().await {
            End::Stopped => Ok(cost),
            End::Failed { reason } | End::Broken { reason } => bail!("the pipeline failed: {reason}"),
        }
    }

    async fn open(&self) -> Result<(Settings, Parts), TransportError> {
        let sink = self.transport.sink(TO).await?;
        let outputs: BTreeMap<String, Route> =
            self.outputs.iter().map(|output| ((*output).to_owned(), Route::Topic(sink.clone()))).collect();
        let dead_letter = self.transport.sink("dead").await?;
        let router = Arc::new(Router { pipeline: "bench".into(), outputs, dead_letter, retry: None, spill: None });
        let subscription = Subscription {
            topic: FROM.into(),
            group: "bench".into(),
            start: Start::Earliest,
            on_lost_position: OnLostPosition::Fail,
        };
        let source = self.transport.source(&subscription).await?;
        Ok((self.settings(), Parts { source, plugin: self.plugin.clone(), router, clock: Clock::system() }))
    }

    fn settings(&self) -> Settings {
        let maker = Maker {
            pipeline: "bench".into(),
            plugin: "bench".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            sha256: "".into(),
        };
        Settings {
            maker,
            concurrency: self.concurrency,
            in_flight: InFlight {
                messages: NonZeroUsize::new(self.in_flight).unwrap_or(NonZeroUsize::MIN),
                bytes: Size(64 << 20),
            },
            order: self.order.clone(),
            retry: Policy::default(),
            retry_topic: None,
            checkpoint_every: Duration::from_secs(1),
            drain_for: Duration::from_secs(30),
        }
    }
}

fn opener(course: Course) -> anyhow::Result<lockgate::flow::supervisor::Open> {
    let course = Arc::new(course);
    Ok(Box::new(move || {
        let course = course.clone();
        Box::pin(async move { course.open().await.map_err(|error| OpenError::Never(error.to_string())) })
    }))
}

async fn wait_for_settlement(handle: &Handle, messages: u64) -> anyhow::Result<()> {
    loop {
        let snapshot = handle.snapshot().await.context("the pipeline has ended")?;
        let counts = &snapshot.counts;
        if counts.retried > 0 || !counts.dead.is_empty() || !counts.skipped.is_empty() {
            bail!("messages failed: {counts:?}");
        }
        if counts.done >= messages {
            return Ok(());
        }
        tokio::time::sleep(LOOK).await;
    }
}
