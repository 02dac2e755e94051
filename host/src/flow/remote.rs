//! Asks and tells a pipeline from elsewhere in the process, also once it has ended. Never waits for more than an answer;
//! who asks decides how long.

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot, watch};

use super::pipeline::End;
use super::snapshot::{Command, Snapshot};
use super::supervisor::Ending;

/// A line to a supervised pipeline. Cheap to clone.
#[derive(Clone)]
pub struct Remote {
    pipeline: Arc<str>,
    commands: mpsc::Sender<Command>,
    ending: watch::Receiver<Option<Ending>>,
}

/// How a pipeline is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Look {
    /// It is supervised, and tells this.
    Alive(Snapshot),
    /// It has ended.
    Ended {
        /// Why, where it was not told to.
        failure: Option<String>,
        /// As it was last; none when it never got to run.
        last: Option<Snapshot>,
    },
}

impl Remote {
    /// A line to the pipeline that reads these commands and tells its ending there.
    pub(super) fn new(
        pipeline: Arc<str>,
        commands: mpsc::Sender<Command>,
        ending: watch::Receiver<Option<Ending>>,
    ) -> Self {
        Self { pipeline, commands, ending }
    }

    /// The pipeline's name.
    pub fn pipeline(&self) -> &Arc<str> {
        &self.pipeline
    }

    /// How it is now. Waits for ever when the pipeline does not answer. Cancel safe.
    pub async fn look(&self) -> Look {
        loop {
            let (reply, answer) = oneshot::channel();
            if self.commands.send(Command::Snapshot(reply)).await.is_err() {
                return self.ended().await;
            }
            // An answer that never comes: the pipeline ended, or is rebuilt, with the question in its hands.
            if let Ok(snapshot) = answer.await {
                return Look::Alive(snapshot);
            }
        }
    }

    /// Tells it to admit and start nothing more. One that has ended already does neither.
    pub async fn pause(&self) {
        let _ = self.commands.send(Command::Pause).await;
    }

    /// Tells it to go on.
    pub async fn resume(&self) {
        let _ = self.commands.send(Command::Resume).await;
    }

    async fn ended(&self) -> Look {
        let mut ending = self.ending.clone();
        let told = ending.wait_for(Option::is_some).await.map(|ending| ending.clone());
        let Ok(Some(Ending { end, last })) = told else {
            return Look::Ended { failure: Some("its supervisor panicked".into()), last: None };
        };
        let failure = match end {
            End::Stopped => None,
            End::Failed { reason } | End::Broken { reason } => Some(reason),
        };
        Look::Ended { failure, last }
    }
}
