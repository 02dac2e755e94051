//! `lockgate run`

use std::time::Duration;

use clap::Args;
use futures::future::join_all;
use futures::stream::{FuturesUnordered, StreamExt};
use indicatif::{MultiProgress, ProgressDrawTarget};
use tokio::time::{Interval, MissedTickBehavior};
use tracing::info;

use super::place::SpecFiles;
use super::progress::Display;
use super::signals::Signals;
use super::summary::{Summary, Tracked};
use super::{Ended, Failure, Format, answer};
use crate::assemble::{self, Host};
use crate::flow::snapshot::Snapshot;
use crate::flow::supervisor::Handle;
use crate::model::Clock;

/// How often pipelines are asked how they get on.
const LOOK: Duration = Duration::from_millis(200);
/// How long a pipeline may take to answer before its last answer is shown on.
const PATIENCE: Duration = Duration::from_secs(1);

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
    #[arg(long, value_name = "PIPELINE", value_delimiter = ',')]
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
        let secrets = assemble::secrets(checked.plan())?;
        let mut signals = Signals::listen()?;
        let Some(host) = signals.unless_told(assemble::start(checked, &secrets, &self.only)).await else {
            return Ok(());
        };
        let host = host?;
        info!(pipelines = host.pipelines().len(), "running");
        progress.set_draw_target(ProgressDrawTarget::stderr());
        let mut watch = Watch::new(&host, progress, Clock::system());
        watch.until_stopped(self.until_idle, &mut signals).await;
        watch.display.end();
        progress.set_draw_target(ProgressDrawTarget::hidden());
        let Watch { tracked, .. } = watch;
        let names: Vec<String> = host.pipelines().iter().map(|handle| handle.pipeline.to_string()).collect();
        conclude(&names, &tracked, |summary| match self.format {
            Format::Text => answer(summary),
            Format::Json => answer(serde_json::to_string(summary)?),
        })
    }
}

/// Prints the summary. That nobody reads it does not hide that a pipeline failed.
fn conclude(names: &[String], tracked: &[Tracked], print: impl FnOnce(&Summary) -> Ended) -> Ended {
    let printed = print(&Summary::new(names.iter().map(String::as_str).zip(tracked)));
    failed(names, tracked).and(printed)
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

/// Watches the pipelines of a host.
struct Watch<'a> {
    host: &'a Host,
    tracked: Vec<Tracked>,
    display: Display,
    clock: Clock,
}

impl<'a> Watch<'a> {
    fn new(host: &'a Host, progress: &MultiProgress, clock: Clock) -> Self {
        let now = clock.now();
        let tracked = host.pipelines().iter().map(|_| Tracked::new(now)).collect();
        let names = host.pipelines().iter().map(|handle| &*handle.pipeline);
        Self { host, tracked, display: Display::new(progress, names, now), clock }
    }

    /// Until every pipeline has ended: because all of them failed, was told to by a signal, or is idle. A pipeline
    /// that does not listen delays neither a signal nor the others.
    async fn until_stopped(&mut self, until_idle: bool, signals: &mut Signals) {
        let pipelines = self.host.pipelines();
        let mut looks = tokio::time::interval(LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // One a pipeline, once it is to stop.
        let mut stops = FuturesUnordered::new();
        let mut stopping = false;
        while !pipelines.iter().all(|handle| handle.ending().is_some()) {
            let stop = tokio::select! {
                biased;
                () = signals.told(), if !stopping => true,
                Some(()) = stops.next() => false,
                idle = self.look_around(&mut looks, until_idle && !stopping) => idle,
            };
            if stop {
                stopping = true;
                stops.extend(pipelines.iter().map(Handle::stop));
            }
        }
        self.look().await;
    }

    /// Looks when it is time to, and says whether nothing is left to do, if that is asked. May be dropped at any time.
    async fn look_around(&mut self, looks: &mut Interval, until_idle: bool) -> bool {
        looks.tick().await;
        self.look().await;
        until_idle && self.is_idle().await
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

    /// Asks all pipelines at once.
    async fn look(&mut self) {
        let clock = &self.clock;
        let looks = self.host.pipelines().iter().zip(&mut self.tracked).map(async |(handle, tracked)| {
            if let Some(ending) = handle.ending() {
                tracked.end(ending, clock.now());
            } else if let Ok(Some(snapshot)) = tokio::time::timeout(PATIENCE, handle.snapshot()).await {
                tracked.update(snapshot, clock.now());
            }
        });
        join_all(looks).await;
        let names = self.host.pipelines().iter().map(|handle| &*handle.pipeline);
        self.display.show(names.zip(&self.tracked), clock.now());
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;
    use crate::flow::pipeline::End;
    use crate::flow::supervisor::{Handle, OpenError, supervise};

    /// Two pipelines: one does not listen, one cannot start now and does.
    fn host() -> Host {
        let deaf = Handle::deaf("deaf");
        let listening = || async { Err(OpenError::Later("no route".into())) }.boxed();
        Host::of(vec![deaf, supervise("listening".into(), Box::new(listening))])
    }

    fn watch(host: &Host) -> Watch<'_> {
        Watch::new(host, &MultiProgress::with_draw_target(ProgressDrawTarget::hidden()), Clock::system())
    }

    fn ends(host: &Host) -> Vec<Option<End>> {
        host.pipelines().iter().map(|handle| handle.ending().map(|ending| ending.end)).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn a_pipeline_that_does_not_listen_keeps_no_other_from_stopping() {
        let host = host();
        let (tell, mut signals) = Signals::by_hand();
        let mut watch = watch(&host);
        // Long enough that more lies in the deaf one's queue than it holds.
        let running = tokio::time::timeout(Duration::from_secs(60), watch.until_stopped(false, &mut signals)).await;
        assert_eq!((running.is_err(), ends(&host)), (true, vec![None, None]));
        tell.send_replace(true);
        let stopping = tokio::time::timeout(Duration::from_secs(60), watch.until_stopped(false, &mut signals)).await;
        assert_eq!((stopping.is_err(), ends(&host)), (true, vec![None, Some(End::Stopped)]));
    }

    #[tokio::test(start_paused = true)]
    async fn a_signal_is_heard_while_a_pipeline_is_looked_at() {
        let host = host();
        let (tell, mut signals) = Signals::by_hand();
        let mut watch = watch(&host);
        let telling = async {
            tokio::time::sleep(PATIENCE / 4).await;
            tell.send_replace(true);
            std::future::pending::<()>().await;
        };
        let within = tokio::time::timeout(PATIENCE / 2, async {
            tokio::join!(watch.until_stopped(false, &mut signals), telling)
        });
        assert!(within.await.is_err(), "the deaf one never ends");
        assert_eq!(ends(&host), [None, Some(End::Stopped)]);
    }

    #[test]
    fn a_summary_that_nobody_reads_hides_no_failure() {
        let nobody = |_: &Summary| Err(std::io::Error::from(std::io::ErrorKind::BrokenPipe).into());
        let mut tracked = Tracked::new(Clock::system().now());
        assert!(matches!(conclude(&["p".into()], std::slice::from_ref(&tracked), nobody), Err(Failure::Runtime(_))));
        tracked.failure = Some("page 7".into());
        let Err(Failure::Runtime(error)) = conclude(&["p".into()], &[tracked], nobody) else { panic!("no failure") };
        assert_eq!(error.to_string(), "pipeline p: page 7");
    }
}
