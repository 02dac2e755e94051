//! The tasks that calls into the plugin run in. There are a few for a pipeline, not one a message: each takes the calls
//! that it is handed, runs them beside each other, and hands back how each ended. What starts in one turn of the loop is
//! handed over together, so that a message costs no wake-up of its own.
//!
//! A call that computes keeps the others of its runner waiting for as long as it does not wait itself; the engine lets
//! no guest do that for more than a tick. Up to [`most`] calls, each has a runner for itself.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures::future::{AbortRegistration, Abortable};
use futures::stream::FuturesUnordered;
use futures::{FutureExt, StreamExt};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::spill::{RestoreError, Spill, whole};
use crate::model::{Message, Outcome, without_queries};
use crate::plugin::{Attempt, CallError, Plugin};

/// The fewest runners that a pipeline may come to have.
const FEWEST: usize = 32;
/// Runners that what starts together is spread over, for each processor.
const SPREAD: usize = 4;

/// A call that is to run.
pub(super) struct Job {
    /// What its end is told under.
    pub(super) key: usize,
    /// The message.
    pub(super) message: Arc<Message>,
    /// Which try of it.
    pub(super) attempt: Attempt,
    /// Ends it early.
    pub(super) abort: AbortRegistration,
}

/// How a call ended.
pub(super) enum Answer {
    /// The plugin answered.
    Called(Result<Outcome, CallError>),
    /// The plugin was not called, for a part of the message lies in a store and was not read back.
    Unread(RestoreError),
    /// It was aborted.
    Aborted,
    /// It panicked, with these words.
    Panicked(String),
}

struct Runner {
    jobs: mpsc::UnboundedSender<Vec<Job>>,
    /// Calls that it has.
    load: usize,
}

/// Where an answer came from.
pub(super) struct Answered {
    /// The job's key.
    pub(super) key: usize,
    /// How it ended.
    pub(super) answer: Answer,
    runner: usize,
}

/// The runners of a pipeline. Bounded by the calls that run at once.
pub(super) struct Runners {
    plugin: Arc<dyn Plugin>,
    spill: Option<Arc<dyn Spill>>,
    tasks: JoinSet<()>,
    runners: Vec<Runner>,
    /// What is to be handed over.
    waiting: Vec<Job>,
    sender: mpsc::UnboundedSender<Answered>,
    answers: mpsc::UnboundedReceiver<Answered>,
    processors: usize,
}

impl Runners {
    /// Runners that call this plugin, and read back what was spilled. They are made as they are needed.
    pub(super) fn new(plugin: Arc<dyn Plugin>, spill: Option<Arc<dyn Spill>>) -> Self {
        let (sender, answers) = mpsc::unbounded_channel();
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        let (tasks, runners, waiting) = (JoinSet::new(), Vec::new(), Vec::new());
        Self { plugin, spill, tasks, runners, waiting, sender, answers, processors }
    }

    /// Adds a job to those that are handed over next.
    pub(super) fn add(&mut self, job: Job) {
        self.waiting.push(job);
    }

    /// Hands over what was added: to those that have least, in as few parts as keep the processors busy.
    pub(super) fn hand_over(&mut self) {
        if self.waiting.is_empty() {
            return;
        }
        let mut jobs = std::mem::take(&mut self.waiting).into_iter();
        let part = jobs.len().div_ceil(self.processors * SPREAD);
        while jobs.len() > 0 {
            let jobs: Vec<Job> = jobs.by_ref().take(part).collect();
            let Some(runner) = self.least_loaded() else { return };
            runner.load += jobs.len();
            // Its task ends only with this.
            let _ = runner.jobs.send(jobs);
        }
    }

    /// How a job ended; one that was handed over always does. Wakes the task that polled last.
    pub(super) fn poll_answer(&mut self, context: &mut Context<'_>) -> Poll<Option<Answered>> {
        let answered = self.answers.poll_recv(context);
        if let Poll::Ready(Some(Answered { runner, .. })) = &answered
            && let Some(runner) = self.runners.get_mut(*runner)
        {
            runner.load = runner.load.saturating_sub(1);
        }
        answered
    }

    /// One that has nothing, made where there is none and may be, else the one that has least.
    fn least_loaded(&mut self) -> Option<&mut Runner> {
        let least = self.runners.iter().enumerate().min_by_key(|(_, runner)| runner.load);
        let idle = least.filter(|(_, runner)| runner.load == 0 || self.runners.len() >= self.most());
        let index = match idle.map(|(index, _)| index) {
            Some(index) => index,
            None => self.make(),
        };
        self.runners.get_mut(index)
    }

    /// The most runners that are made.
    fn most(&self) -> usize {
        FEWEST.max(self.processors * SPREAD)
    }

    fn make(&mut self) -> usize {
        let (jobs, receiver) = mpsc::unbounded_channel();
        let number = self.runners.len();
        let (plugin, spill, answers) = (self.plugin.clone(), self.spill.clone(), self.sender.clone());
        self.tasks.spawn(run(number, plugin, spill, receiver, answers));
        self.runners.push(Runner { jobs, load: 0 });
        number
    }
}

/// Runs calls beside each other until nobody hands over any more.
async fn run(
    runner: usize,
    plugin: Arc<dyn Plugin>,
    spill: Option<Arc<dyn Spill>>,
    mut jobs: mpsc::UnboundedReceiver<Vec<Job>>,
    answers: mpsc::UnboundedSender<Answered>,
) {
    let mut running = FuturesUnordered::new();
    loop {
        tokio::select! {
            biased;
            more = jobs.recv() => match more {
                Some(more) => running.extend(more.into_iter().map(|job| call(&*plugin, spill.as_deref(), job))),
                None => return,
            },
            Some((key, answer)) = running.next() => {
                let _ = answers.send(Answered { key, answer, runner });
            }
        }
    }
}

async fn call(plugin: &dyn Plugin, spill: Option<&dyn Spill>, job: Job) -> (usize, Answer) {
    let Job { key, message, attempt, abort } = job;
    let called = async {
        match whole(&message, spill).await {
            Ok(message) => Answer::Called(plugin.call(message, attempt).await),
            Err(error) => Answer::Unread(error),
        }
    };
    let answer = match AssertUnwindSafe(Abortable::new(called, abort)).catch_unwind().await {
        Ok(Ok(answer)) => answer,
        Ok(Err(_)) => Answer::Aborted,
        Err(panic) => Answer::Panicked(words(&*panic)),
    };
    (key, answer)
}

/// What a panic said.
pub(super) fn words(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.map_or_else(|| "a task panicked".to_owned(), |text| format!("a task panicked: {}", without_queries(text)))
}

#[cfg(test)]
#[path = "runners_tests.rs"]
mod tests;
