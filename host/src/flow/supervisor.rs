//! Keeps one pipeline running: opens it, opens it again when something outside fails or a bug of the host breaks it,
//! and answers for it meanwhile. The other pipelines never notice.

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tracing::{error, warn};

use super::pipeline::{End, Parts, Pipeline, Settings};
use super::snapshot::{Command, Counts, Snapshot, State};

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

/// A supervised pipeline.
pub struct Handle {
    /// Its name.
    pub pipeline: Arc<str>,
    commands: mpsc::Sender<Command>,
    task: JoinHandle<End>,
}

impl Handle {
    /// How it is now; `None` once it has ended.
    pub async fn snapshot(&self) -> Option<Snapshot> {
        let (reply, answer) = oneshot::channel();
        self.commands.send(Command::Snapshot(reply)).await.ok()?;
        answer.await.ok()
    }

    /// Tells it to stop; [`Handle::end`] says when it has.
    pub async fn stop(&self) {
        // A pipeline that has ended already needs no telling.
        let _ = self.commands.send(Command::Stop).await;
    }

    /// Whether it has ended.
    pub fn has_ended(&self) -> bool {
        self.task.is_finished()
    }

    /// Waits for its end.
    pub async fn end(self) -> End {
        self.task.await.unwrap_or_else(|error| End::Broken { reason: error.to_string() })
    }
}

/// Starts a pipeline and keeps it running.
pub fn supervise(pipeline: Arc<str>, open: Open) -> Handle {
    let (commands, inbox) = mpsc::channel(COMMANDS);
    let task = tokio::spawn(keep_running(pipeline.clone(), open, inbox));
    Handle { pipeline, commands, task }
}

async fn keep_running(pipeline: Arc<str>, open: Open, mut commands: mpsc::Receiver<Command>) -> End {
    let mut wait = FIRST_WAIT;
    loop {
        let reason = match open().await {
            Ok((settings, parts)) => match run(settings, parts, &mut commands).await {
                End::Broken { reason } => {
                    error!(%pipeline, reason, "a bug of the host broke the pipeline; it starts again from its checkpoint");
                    reason
                }
                End::Failed { reason } => {
                    error!(%pipeline, reason, "the pipeline failed");
                    return End::Failed { reason };
                }
                End::Stopped => return End::Stopped,
            },
            Err(OpenError::Later(reason)) => {
                warn!(%pipeline, reason, wait = ?wait, "the pipeline cannot start; it is tried again");
                reason
            }
            Err(OpenError::Never(reason)) => {
                error!(%pipeline, reason, "the pipeline cannot start");
                return End::Failed { reason };
            }
        };
        if sit_out(&pipeline, wait, &reason, &mut commands).await == Told::Stop {
            return End::Stopped;
        }
        wait = (wait * 2).min(LONGEST_WAIT);
    }
}

/// Runs the loop in a task of its own, so that a panic ends that task only.
async fn run(settings: Settings, parts: Parts, commands: &mut mpsc::Receiver<Command>) -> End {
    let (sender, mut inbox) = mpsc::channel(COMMANDS);
    let mut task = tokio::spawn(async move { Pipeline::new(settings, parts).run(&mut inbox).await });
    loop {
        tokio::select! {
            biased;
            ended = &mut task => {
                return ended.unwrap_or_else(|error| End::Broken { reason: error.to_string() });
            }
            command = commands.recv() => {
                // Nobody is left to tell: the pipeline stops.
                let _ = sender.send(command.unwrap_or(Command::Stop)).await;
            }
        }
    }
}

#[derive(PartialEq, Eq)]
enum Told {
    Nothing,
    Stop,
}

/// Waits before the next try, and answers for the pipeline meanwhile.
async fn sit_out(pipeline: &Arc<str>, wait: Duration, reason: &str, commands: &mut mpsc::Receiver<Command>) -> Told {
    let until = tokio::time::Instant::now() + wait;
    loop {
        tokio::select! {
            () = tokio::time::sleep_until(until) => return Told::Nothing,
            command = commands.recv() => match command {
                Some(Command::Snapshot(reply)) => {
                    let _ = reply.send(Snapshot {
                        pipeline: pipeline.clone(),
                        state: State::Blocked { reason: reason.to_owned() },
                        counts: Counts::default(),
                        running: 0,
                        idle: false,
                        partitions: Vec::new(),
                    });
                }
                Some(Command::Stop) | None => return Told::Stop,
            },
        }
    }
}
