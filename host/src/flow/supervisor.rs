//! Keeps one pipeline running: opens it, opens it again when something outside fails or a bug of the host breaks it,
//! and answers for it meanwhile. The other pipelines never notice.

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use futures::stream::{FuturesUnordered, StreamExt};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tracing::{error, warn};

use super::lives::Lives;
use super::pipeline::{End, Parts, Pipeline, Settings};
use super::remote::Remote;
use super::snapshot::{Command, Snapshot, State};

/// The wait before a pipeline is opened again; it doubles.
const FIRST_WAIT: Duration = Duration::from_secs(1);
/// The longest of these waits.
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// Commands that may wait for the loop; who sends more waits.
const COMMANDS: usize = 16;

/// Why a pipeline cannot be opened.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum OpenError {
    /// Not now: tried again.
    #[error("{0}")]
    Later(String),
    /// Not until somebody acts.
    #[error("{0}")]
    Never(String),
}

/// Opens a pipeline: source, plugin and sinks anew.
pub type Open = Box<dyn Fn() -> BoxFuture<'static, Result<(Settings, Parts), OpenError>> + Send + Sync>;

/// How a supervised pipeline ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ending {
    /// Why.
    pub end: End,
    /// As it was at its end, with what all its lives counted; `None` when it never got to run.
    pub last: Option<Snapshot>,
}

/// A supervised pipeline.
pub struct Handle {
    /// Its name.
    pub pipeline: Arc<str>,
    commands: mpsc::Sender<Command>,
    ending: watch::Receiver<Option<Ending>>,
    task: JoinHandle<()>,
}

impl Handle {
    /// How it is now; `None` once it has ended. Waits while the pipeline is being opened.
    pub async fn snapshot(&self) -> Option<Snapshot> {
        let (reply, answer) = oneshot::channel();
        self.commands.send(Command::Snapshot(reply)).await.ok()?;
        answer.await.ok()
    }

    /// A line to it, for others in the process.
    pub fn remote(&self) -> Remote {
        Remote::new(self.pipeline.clone(), self.commands.clone(), self.ending.clone())
    }

    /// Tells it to stop; [`Handle::end`] says when it has.
    pub async fn stop(&self) {
        // A pipeline that has ended already needs no telling.
        let _ = self.commands.send(Command::Stop).await;
    }

    /// How it ended; `None` while it runs.
    pub fn ending(&self) -> Option<Ending> {
        if !self.task.is_finished() {
            return None;
        }
        let broken = || Ending { end: End::Broken { reason: "its supervisor panicked".into() }, last: None };
        Some(self.ending.borrow().clone().unwrap_or_else(broken))
    }

    /// A pipeline that never reads a command and never ends: the worst that one can do to those who watch it.
    #[cfg(test)]
    pub(crate) fn deaf(pipeline: &str) -> Self {
        let (commands, inbox) = mpsc::channel(COMMANDS);
        let (tell, ending) = watch::channel(None);
        let task = tokio::spawn(async move {
            std::future::pending::<()>().await;
            drop((inbox, tell));
        });
        Self { pipeline: pipeline.into(), commands, ending, task }
    }

    /// Waits for its end.
    pub async fn end(self) -> End {
        if let Err(error) = self.task.await {
            return End::Broken { reason: error.to_string() };
        }
        self.ending.borrow().as_ref().map_or(End::Stopped, |ending| ending.end.clone())
    }
}

/// Starts a pipeline and keeps it running.
pub fn supervise(pipeline: Arc<str>, open: Open) -> Handle {
    let (commands, inbox) = mpsc::channel(COMMANDS);
    let (tell, ending) = watch::channel(None);
    let name = pipeline.clone();
    let task = tokio::spawn(async move {
        let ending = keep_running(name, open, inbox).await;
        tell.send_replace(Some(ending));
    });
    Handle { pipeline, commands, ending, task }
}

async fn keep_running(pipeline: Arc<str>, open: Open, mut commands: mpsc::Receiver<Command>) -> Ending {
    let mut lives = Lives::new(pipeline.clone());
    let end = live(&pipeline, open, &mut lives, &mut commands).await;
    Ending { end, last: lives.into_last() }
}

/// One life after another, until one ends for good.
async fn live(pipeline: &Arc<str>, open: Open, lives: &mut Lives, commands: &mut mpsc::Receiver<Command>) -> End {
    let mut wait = FIRST_WAIT;
    loop {
        let Some(opened) = attend(&State::Starting, open(), lives, commands).await else { return End::Stopped };
        let reason = match opened {
            Ok((settings, parts)) => {
                let started = tokio::time::Instant::now();
                let (end, told) = run(settings, parts, lives, commands).await;
                if started.elapsed() > LONGEST_WAIT {
                    wait = FIRST_WAIT;
                }
                match end {
                    End::Broken { reason } if told == Told::Stop => {
                        error!(%pipeline, reason, "a bug of the host broke the pipeline while it stopped");
                        return End::Broken { reason };
                    }
                    End::Broken { reason } => {
                        error!(%pipeline, reason, "a bug of the host broke the pipeline; it starts again from its checkpoint");
                        reason
                    }
                    End::Failed { reason } => {
                        error!(%pipeline, reason, "the pipeline failed");
                        return End::Failed { reason };
                    }
                    End::Stopped => return End::Stopped,
                }
            }
            Err(OpenError::Later(reason)) => {
                warn!(%pipeline, reason, wait = ?wait, "the pipeline cannot start; it is tried again");
                reason
            }
            Err(OpenError::Never(reason)) => {
                error!(%pipeline, reason, "the pipeline cannot start");
                return End::Failed { reason };
            }
        };
        let blocked = State::Blocked { reason };
        if attend(&blocked, tokio::time::sleep(wait), lives, commands).await.is_none() {
            return End::Stopped;
        }
        wait = (wait * 2).min(LONGEST_WAIT);
    }
}

/// One life: runs the loop in a task of its own, so that a panic ends that task only. Says whether it was told to stop.
async fn run(
    settings: Settings,
    parts: Parts,
    lives: &mut Lives,
    commands: &mut mpsc::Receiver<Command>,
) -> (End, Told) {
    let (sender, mut inbox) = mpsc::channel(COMMANDS);
    if lives.is_paused() {
        // Read before anything is admitted. There is room: the channel is new.
        let _ = sender.send(Command::Pause).await;
    }
    let mut task = tokio::spawn(async move { Pipeline::new(settings, parts).run(&mut inbox).await });
    // Bounded by who asks: each waits for its answer.
    let mut asked = FuturesUnordered::new();
    let (mut told, mut deaf) = (Told::Nothing, false);
    loop {
        tokio::select! {
            biased;
            ended = &mut task => {
                let (end, last) = match ended {
                    Ok((end, last)) => (end, Some(last)),
                    Err(error) => (End::Broken { reason: error.to_string() }, None),
                };
                lives.end(last);
                return (end, told);
            }
            Some((reply, answered)) = asked.next() => answer(lives, reply, answered),
            command = commands.recv(), if !deaf => {
                deaf = command.is_none();
                // Nobody is left to tell: the pipeline stops.
                let command = match command.unwrap_or(Command::Stop) {
                    Command::Snapshot(reply) => {
                        let (ask, answered) = oneshot::channel();
                        asked.push(async { (reply, answered.await) });
                        Command::Snapshot(ask)
                    }
                    command => command,
                };
                lives.hear(&command);
                if matches!(command, Command::Stop) {
                    told = Told::Stop;
                }
                let _ = sender.send(command).await;
            }
        }
    }
}

/// Tells on what a life answers. One that ended instead leaves the question open.
fn answer(lives: &mut Lives, reply: oneshot::Sender<Snapshot>, answered: Result<Snapshot, oneshot::error::RecvError>) {
    if let Ok(snapshot) = answered {
        let _ = reply.send(lives.tell(snapshot));
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Told {
    Nothing,
    Stop,
}

/// Waits for something while the pipeline does not run, and answers for it meanwhile. `None` when it is told to stop.
async fn attend<T>(
    state: &State,
    awaited: impl Future<Output = T>,
    lives: &mut Lives,
    commands: &mut mpsc::Receiver<Command>,
) -> Option<T> {
    tokio::pin!(awaited);
    loop {
        tokio::select! {
            biased;
            done = &mut awaited => return Some(done),
            command = commands.recv() => match command {
                Some(Command::Snapshot(reply)) => drop(reply.send(lives.between(state))),
                Some(Command::Stop) | None => return None,
                Some(command) => lives.hear(&command),
            },
        }
    }
}

#[cfg(test)]
#[path = "supervisor_tests.rs"]
mod tests;
