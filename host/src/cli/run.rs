//! `lockgate run`

use std::time::Duration;

use clap::Args;
use indicatif::MultiProgress;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing::{info, warn};

use super::place::SpecFiles;
use super::progress::Display;
use super::summary::{Summary, Tracked};
use super::{Ended, Failure, Format, answer};
use crate::assemble::{self, Host};
use crate::flow::snapshot::Snapshot;

/// How often pipelines are asked how they get on.
const LOOK: Duration = Duration::from_millis(200);
/// How long a pipeline may take to answer before its last answer is shown on.
const PATIENCE: Duration = Duration::from_secs(1);
/// Exit code after a second signal, as shells tell an interrupt.
const INTERRUPTED: i32 = 130;

/// Run the pipelines of a spec until told to stop.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  lockgate run
  lockgate run -f pipelines.yaml -f production.yaml --log json
  lockgate run --only claimx-download --set pipelines.claimx-download.concurrency=50
  lockgate run --until-idle --format json

SIGTERM or Ctrl-C: nothing new starts, what runs may finish within `drain_for`, checkpoints are stored.
A second one: ends at once. Neither loses a message; what was not settled runs again.")]
pub(super) struct Run {
    #[command(flatten)]
    spec: SpecFiles,
    /// Only these pipelines.
    #[arg(long, value_name = "PIPELINE")]
    only: Vec<String>,
    /// End once nothing is unread, unsettled or due.
    #[arg(long)]
    until_idle: bool,
    /// How the summary at the end is printed.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

impl Run {
    pub(super) async fn obey(self, progress: &MultiProgress) -> Ended {
        let checked = self.spec.checked().await?;
        assemble::check_names(checked.plan(), &self.only).map_err(Failure::Usage)?;
        let secrets = assemble::secrets(checked.plan()).map_err(Failure::Usage)?;
        let host = assemble::start(checked, &secrets, &self.only).await?;
        info!(pipelines = host.pipelines().len(), "running");
        let mut watch = Watch::new(&host, progress);
        let mut signals = Signals::new()?;
        watch.until_stopped(self.until_idle, &mut signals).await;
        watch.display.end();
        let Watch { tracked, .. } = watch;
        let names: Vec<String> = host.pipelines().iter().map(|handle| handle.pipeline.to_string()).collect();
        let summary = Summary::new(names.iter().map(String::as_str).zip(&tracked));
        match self.format {
            Format::Text => answer(&summary)?,
            Format::Json => answer(serde_json::to_string(&summary)?)?,
        }
        failed(&names, &tracked)
    }
}

/// The run failed when one of its pipelines did.
fn failed(names: &[String], tracked: &[Tracked]) -> Ended {
    let failures: Vec<String> = names
        .iter()
        .zip(tracked)
        .filter_map(|(name, tracked)| tracked.failure.as_ref().map(|failure| format!("pipeline {name}: {failure}")))
        .collect();
    if failures.is_empty() { Ok(()) } else { Err(anyhow::anyhow!("{}", failures.join("; ")).into()) }
}

/// SIGTERM and Ctrl-C.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// Watches the pipelines of a host.
struct Watch<'a> {
    host: &'a Host,
    tracked: Vec<Tracked>,
    display: Display,
}

impl<'a> Watch<'a> {
    fn new(host: &'a Host, progress: &MultiProgress) -> Self {
        let tracked = host.pipelines().iter().map(|_| Tracked::new()).collect();
        let names = host.pipelines().iter().map(|handle| &*handle.pipeline);
        Self { host, tracked, display: Display::new(progress, names) }
    }

    /// Until every pipeline has ended: because all of them failed, was told to by a signal, or is idle.
    async fn until_stopped(&mut self, until_idle: bool, signals: &mut Signals) {
        let mut stopping = false;
        let mut looks = tokio::time::interval(LOOK);
        loop {
            tokio::select! {
                biased;
                () = signals.next() => {
                    if stopping {
                        warn!("told to stop again: ends at once; what was not settled runs again");
                        std::process::exit(INTERRUPTED);
                    }
                    info!("told to stop: what runs may finish");
                    stopping = true;
                    self.stop().await;
                }
                _ = looks.tick() => self.look().await,
            }
            if self.host.pipelines().iter().all(|handle| handle.ending().is_some()) {
                return self.look().await;
            }
            if until_idle && !stopping && self.is_idle().await {
                stopping = true;
                self.stop().await;
            }
        }
    }

    /// Whether nothing is left to do. What one pipeline wrote last, another may not know of yet: so the topics are
    /// asked as well.
    async fn is_idle(&self) -> bool {
        if !self.tracked.iter().all(Tracked::is_idle) {
            return false;
        }
        let running = self.tracked.iter().filter(|tracked| tracked.failure.is_none());
        let snapshots: Vec<&Snapshot> = running.filter_map(|tracked| tracked.last.as_ref()).collect();
        self.host.has_read_everything(&snapshots).await
    }

    async fn stop(&self) {
        for handle in self.host.pipelines() {
            handle.stop().await;
        }
    }

    async fn look(&mut self) {
        for (handle, tracked) in self.host.pipelines().iter().zip(&mut self.tracked) {
            if let Some(ending) = handle.ending() {
                tracked.end(ending);
            } else if let Ok(Some(snapshot)) = tokio::time::timeout(PATIENCE, handle.snapshot()).await {
                tracked.update(snapshot);
            }
        }
        let names = self.host.pipelines().iter().map(|handle| &*handle.pipeline);
        self.display.show(names.zip(&self.tracked));
    }
}
