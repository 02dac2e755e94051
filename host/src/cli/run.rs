//! `lockgate run`

use std::time::Duration;

use clap::{Args, ValueEnum};
use futures::future::join_all;
use futures::stream::{FuturesUnordered, StreamExt};
use indicatif::{MultiProgress, ProgressDrawTarget};
use tokio::time::{Interval, MissedTickBehavior};
use tracing::{error, info};

use super::place::SpecFiles;
use super::progress::Display;
use super::signals::Signals;
use super::summary::{Summary, Tracked};
use super::{Ended, Failure, Format, answer};
use crate::admin::Listener;
use crate::assemble::{self, Host, Surroundings};
use crate::flow::config::OnFatal;
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
  lockgate run --until-idle=parked

SIGTERM or Ctrl-C: nothing new starts, what runs may finish within `drain_for`, checkpoints are stored.
A second one: ends at once. Neither loses a message; what was not settled runs again.")]
pub(super) struct Run {
    #[command(flatten)]
    spec: SpecFiles,
    /// Only these pipelines.
    #[arg(long, value_name = "PIPELINE", value_delimiter = ',')]
    only: Vec<String>,
    /// End once nothing is unread, unsettled or due; with `=parked`, nothing parked either.
    #[arg(long, value_enum, value_name = "WHAT", num_args = 0..=1, require_equals = true, default_missing_value = "due")]
    until_idle: Option<Until>,
    /// How the summary at the end is printed.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// What a run ends for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(super) enum Until {
    /// Nothing is unread, unsettled or due.
    Due,
    /// And nothing is parked.
    Parked,
}

impl Run {
    pub(super) async fn obey(self, progress: &MultiProgress, surroundings: Surroundings) -> Ended {
        let clock = surroundings.clock.clone();
        let checked = self.spec.checked().await?.within(surroundings);
        assemble::check_names(checked.plan(), &self.only).map_err(Failure::Usage)?;
        let secrets = assemble::secrets(checked.plan())?;
        let mut signals = Signals::listen()?;
        let (on_fatal, admin) = (checked.plan().on_fatal, checked.plan().admin);
        let listener = match admin {
            Some(config) => Some(Listener::bind(config).await.map_err(anyhow::Error::from)?),
            None => None,
        };
        let Some(host) = signals.unless_told(assemble::start(checked, &secrets, &self.only)).await else {
            return Ok(());
        };
        let host = host?;
        info!(pipelines = host.pipelines().len(), "running");
        let server = listener.map(|listener| listener.serve(host.served(), clock.clone()));
        progress.set_draw_target(ProgressDrawTarget::stderr());
        let mut watch = Watch::new(&host, progress, clock);
        watch.until_stopped(self.until_idle, on_fatal, &mut signals).await;
        if let Some(server) = server {
            server.stop().await;
        }
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

    /// Until every pipeline has ended: because all of them failed, one did that takes the others along, was told to by
    /// a signal, or is idle. A pipeline that does not listen delays neither a signal nor the others.
    async fn until_stopped(&mut self, until_idle: Option<Until>, on_fatal: OnFatal, signals: &mut Signals) {
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
                over = self.look_around(&mut looks, until_idle.filter(|_| !stopping), on_fatal) => over && !stopping,
            };
            if stop {
                if self.has_failed(on_fatal) {
                    error!("a pipeline failed for good and takes the others along: `on_fatal: exit`");
                }
                stopping = true;
                stops.extend(pipelines.iter().map(Handle::stop));
            }
        }
        self.look().await;
    }

    /// Looks when it is time to, and says whether the run is over: a pipeline failed that takes the others along, or
    /// nothing is left to do, if that is asked. May be dropped at any time.
    async fn look_around(&mut self, looks: &mut Interval, until_idle: Option<Until>, on_fatal: OnFatal) -> bool {
        looks.tick().await;
        self.look().await;
        let idle = match until_idle {
            Some(until) => self.is_idle(until).await,
            None => false,
        };
        idle || self.has_failed(on_fatal)
    }

    /// Whether a pipeline failed for good, where that ends the process.
    fn has_failed(&self, on_fatal: OnFatal) -> bool {
        on_fatal == OnFatal::Exit && self.tracked.iter().any(|tracked| tracked.failure.is_some())
    }

    /// Whether nothing is left to do. What one pipeline wrote last, another may not know of yet: so the topics are
    /// asked as well.
    async fn is_idle(&self, until: Until) -> bool {
        if !self.tracked.iter().all(|tracked| tracked.is_idle(until)) {
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

    #[test]
    fn what_is_parked_is_waited_for_only_where_that_is_said() {
        #[derive(clap::Parser)]
        struct Line {
            #[command(flatten)]
            run: Run,
        }
        let until = |arguments: &[&str]| {
            let line = <Line as clap::Parser>::try_parse_from(["run"].iter().chain(arguments));
            line.map(|line| line.run.until_idle).map_err(|error| error.kind())
        };
        assert_eq!(until(&[]), Ok(None));
        assert_eq!(until(&["--until-idle", "--only", "p"]), Ok(Some(Until::Due)));
        assert_eq!(until(&["--until-idle=parked"]), Ok(Some(Until::Parked)));
        assert!(until(&["--until-idle=soon"]).is_err());
    }

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
        let running =
            tokio::time::timeout(Duration::from_secs(60), watch.until_stopped(None, OnFatal::Stay, &mut signals)).await;
        assert_eq!((running.is_err(), ends(&host)), (true, vec![None, None]));
        tell.send_replace(true);
        let stopping =
            tokio::time::timeout(Duration::from_secs(60), watch.until_stopped(None, OnFatal::Stay, &mut signals)).await;
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
            tokio::join!(watch.until_stopped(None, OnFatal::Stay, &mut signals), telling)
        });
        assert!(within.await.is_err(), "the deaf one never ends");
        assert_eq!(ends(&host), [None, Some(End::Stopped)]);
    }

    /// Two pipelines: one fails at once for good, one waits for something outside.
    fn failing() -> Host {
        let damaged = || async { Err(OpenError::Never("page 7".into())) }.boxed();
        let waiting = || async { Err(OpenError::Later("no route".into())) }.boxed();
        Host::of(vec![supervise("damaged".into(), Box::new(damaged)), supervise("waiting".into(), Box::new(waiting))])
    }

    #[tokio::test(start_paused = true)]
    async fn a_pipeline_that_fails_for_good_takes_the_others_along_when_told() {
        let host = failing();
        let (_tell, mut signals) = Signals::by_hand();
        let mut watch = watch(&host);
        watch.until_stopped(None, OnFatal::Exit, &mut signals).await;
        let failed_end = Some(End::Failed { reason: "page 7".into() });
        assert_eq!(ends(&host), [failed_end, Some(End::Stopped)]);
        let names = ["damaged".to_owned(), "waiting".to_owned()];
        let Err(Failure::Runtime(error)) = failed(&names, &watch.tracked) else { panic!("exit code 0") };
        assert_eq!(error.to_string(), "pipeline damaged: page 7");
    }

    #[tokio::test(start_paused = true)]
    async fn a_pipeline_that_fails_for_good_leaves_the_others_running_otherwise() {
        let host = failing();
        let (tell, mut signals) = Signals::by_hand();
        let mut watch = watch(&host);
        let minute = Duration::from_secs(60);
        let running = tokio::time::timeout(minute, watch.until_stopped(None, OnFatal::Stay, &mut signals)).await;
        assert_eq!((running.is_err(), &ends(&host)[1]), (true, &None));
        tell.send_replace(true);
        watch.until_stopped(None, OnFatal::Stay, &mut signals).await;
        let names = ["damaged".to_owned(), "waiting".to_owned()];
        assert!(failed(&names, &watch.tracked).is_err(), "and the exit code is 1 at the end");
    }

    #[tokio::test]
    async fn an_admin_address_in_use_ends_the_run_before_anything_starts() {
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let folder = tempfile::tempdir().unwrap();
        let spec = folder.path().join("pipelines.yaml");
        let run = |address: std::net::SocketAddr| {
            std::fs::write(&spec, format!("lockgate: 1\nadmin: {{ listen: '{address}' }}\n")).unwrap();
            let spec = SpecFiles { files: vec![spec.clone()], sets: Vec::new() };
            Run { spec, only: Vec::new(), until_idle: Some(Until::Due), format: Format::Json }
        };
        let progress = MultiProgress::with_draw_target(ProgressDrawTarget::hidden());
        let Err(Failure::Runtime(error)) =
            run(taken.local_addr().unwrap()).obey(&progress, Surroundings::default()).await
        else {
            panic!("it ran")
        };
        assert!(error.to_string().starts_with("admin: cannot listen on 127.0.0.1:"), "{error}");
        assert!(
            run("127.0.0.1:0".parse().unwrap()).obey(&progress, Surroundings::default()).await.is_ok(),
            "any free port will do"
        );
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
