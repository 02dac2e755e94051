//! The loop of one pipeline. It alone owns source, windows, lanes and what is under way; calls run in tasks that get the
//! message only. It drains before it admits: ends of calls and commits come before new messages. What is there of a kind
//! is taken together, so that a busy pipeline pays for a turn of the loop once for many messages.
//!
//! | room | is for |
//! |---|---|
//! | `effects` | what becomes of a message whose call has ended |
//! | `committing` | storing checkpoints |
//! | `closing` | the end of partitions, and of the pipeline |
//! | `oldest` | what is told of the oldest message |

mod closing;
mod committing;
mod effects;
mod oldest;

use std::collections::VecDeque;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until};
use tracing::{error, info, warn};

use super::backoff::Backoff;
use super::config;
use super::dead_letter::Maker;
use super::hold::Gate;
use super::in_flight::{Bounds, InFlight, Work};
use super::measures::Measures;
use super::parking::Reader;
use super::retry;
use super::router::{Pending, Router};
use super::snapshot::{Command, Counts, Snapshot, State};
use super::stage::{Ended, Settlement, Stages, Try};
use super::timers::Timers;
use crate::model::{Clock, Partition};
use crate::plugin::Plugin;
use crate::transport::{Source, SourceEvent};
use closing::COMMIT_GRACE;
use committing::Committing;

/// The wait before an unavailable topic is tried again; it doubles.
const SINK_FIRST_WAIT: Duration = Duration::from_millis(100);
/// The longest of these waits.
const SINK_LONGEST_WAIT: Duration = Duration::from_secs(5);
/// What is taken of one kind before the loop looks at the others.
const MOST_AT_ONCE: usize = 1024;

/// How a pipeline delivers.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Who it is, for dead letters and logs.
    pub maker: Maker,
    /// Messages in the plugin at once.
    pub concurrency: usize,
    /// Messages read and not settled.
    pub in_flight: config::InFlight,
    /// Which messages may run beside each other.
    pub order: config::Order,
    /// When to try again.
    pub retry: retry::Policy,
    /// Where it parks and reads back what it parked; its source hands out this topic's partitions too.
    pub retry_topic: Option<Arc<str>>,
    /// How often checkpoints are stored.
    pub checkpoint_every: Duration,
    /// How long what runs may go on once the pipeline, or a partition, is to stop.
    pub drain_for: Duration,
}

/// What a pipeline runs on.
pub struct Parts {
    /// Where messages come from.
    pub source: Box<dyn Source>,
    /// What they go through.
    pub plugin: Arc<dyn Plugin>,
    /// Where they go to.
    pub router: Arc<Router>,
    /// Wall and monotonic time.
    pub clock: Clock,
}

/// How a pipeline ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum End {
    /// It was told to, and has stored its checkpoints.
    Stopped,
    /// It cannot go on until somebody acts.
    Failed {
        /// What happened.
        reason: String,
    },
    /// A bug of the host: it must be rebuilt from its checkpoint.
    Broken {
        /// What happened.
        reason: String,
    },
}

/// Partitions that are asked back.
struct Revoking {
    partitions: Vec<Partition>,
    reply: oneshot::Sender<()>,
    deadline: Instant,
}

enum Due {
    Start(Work),
    Publish { work: Work, settlement: Settlement, pending: Pending },
}

impl Due {
    fn work(&self) -> &Work {
        match self {
            Self::Start(work) | Self::Publish { work, .. } => work,
        }
    }

    fn into_work(self) -> Work {
        match self {
            Self::Start(work) | Self::Publish { work, .. } => work,
        }
    }
}

/// One running pipeline.
pub struct Pipeline {
    settings: Settings,
    parts: Parts,
    in_flight: InFlight,
    gate: Gate<Work>,
    /// Messages that may start before new ones: backed off, or released from a hold.
    again: VecDeque<Work>,
    stages: Stages,
    timers: Timers<Due>,
    committing: Committing,
    revoking: Vec<Revoking>,
    stop: Option<Instant>,
    /// Why the pipeline stops, when nobody told it to: the source is at its end for good.
    failure: Option<String>,
    /// The source has failed for good twice: it has no more to say.
    silent: bool,
    /// Nobody is left who could tell anything.
    deaf: bool,
    /// What outside does not work, while it does not.
    sink_trouble: Option<String>,
    source_trouble: Option<String>,
    /// When an unavailable topic is tried again.
    sink_backoff: Backoff,
    /// Admits and starts nothing until it is resumed.
    paused: bool,
    counts: Counts,
    measures: Measures,
    /// What the plugin had moved before this pipeline began.
    bytes_before: u64,
}

impl Pipeline {
    /// A pipeline that has not read anything yet.
    pub fn new(settings: Settings, parts: Parts) -> Self {
        let reader = Reader { pipeline: settings.maker.pipeline.clone(), retry_topic: settings.retry_topic.clone() };
        Self {
            bytes_before: parts.plugin.bytes_moved(),
            in_flight: InFlight::new(settings.in_flight, settings.order.clone(), reader),
            settings,
            gate: Gate::default(),
            again: VecDeque::new(),
            stages: Stages::new(parts.plugin.clone(), parts.router.spill.clone()),
            timers: Timers::default(),
            committing: Committing::default(),
            revoking: Vec::new(),
            stop: None,
            failure: None,
            silent: false,
            deaf: false,
            sink_trouble: None,
            source_trouble: None,
            paused: false,
            counts: Counts::default(),
            measures: Measures::default(),
            sink_backoff: Backoff::new(SINK_FIRST_WAIT, SINK_LONGEST_WAIT),
            parts,
        }
    }

    /// Runs until told to stop, or until it cannot go on. Says how it was at its end.
    pub async fn run(mut self, commands: &mut mpsc::Receiver<Command>) -> (End, Snapshot) {
        let end = self.run_to_end(commands).await;
        (end, self.snapshot())
    }

    async fn run_to_end(&mut self, commands: &mut mpsc::Receiver<Command>) -> End {
        let mut alarm = pin!(sleep_until(self.next_wake()));
        loop {
            self.counts.admitted += self.in_flight.fall_due(self.parts.clock.now()) as u64;
            self.start();
            self.give_up_what_is_late();
            self.begin_commit();
            self.release_partitions();
            if let Some(end) = self.stopped() {
                return end;
            }
            let wake = self.next_wake();
            if wake != alarm.deadline() {
                alarm.as_mut().reset(wake);
            }
            let bounds = self.bounds();
            let wanted = self.in_flight.wanted(bounds);
            let end = tokio::select! {
                biased;
                command = commands.recv(), if !self.deaf => self.obey(command),
                ended = self.stages.next() => self.all_ended(ended),
                committed = self.committing.next() => self.committed(committed),
                () = &mut alarm => self.on_time(),
                event = self.parts.source.next(&wanted), if !self.silent => self.all_told(event, bounds),
            };
            if let Some(end) = end {
                return end;
            }
        }
    }

    /// Starts what may start, as long as a slot is free and what messages made becomes durable. What waits to become
    /// so is bounded by `in_flight.bytes` and what the slots make beyond it.
    fn start(&mut self) {
        while self.may_start() {
            let Some(work) = self.next_work() else { break };
            let attempt = work.tries.attempt(&self.settings.retry);
            self.stages.call(work, attempt, self.parts.clock.now());
        }
        self.stages.hand_over();
    }

    fn may_start(&self) -> bool {
        let slot_free = self.stages.calls() < self.settings.concurrency;
        slot_free
            && !self.paused
            && self.sink_trouble.is_none()
            && self.stages.publishing() <= self.settings.in_flight.bytes.0
    }

    fn next_work(&mut self) -> Option<Work> {
        if let Some(mut work) = self.gate.trial(self.parts.clock.now().into_std()) {
            work.trial = true;
            return Some(work);
        }
        if !self.gate.is_open() {
            return None;
        }
        self.again.pop_front().or_else(|| self.in_flight.start())
    }

    /// What bounds that which may be read now; none while nothing may.
    fn bounds(&mut self) -> Option<Bounds> {
        if self.stop.is_some() || self.paused || self.sink_trouble.is_some() || !self.gate.is_open() {
            return None;
        }
        self.in_flight.bounds()
    }

    fn obey(&mut self, command: Option<Command>) -> Option<End> {
        match command {
            Some(Command::Snapshot(reply)) => {
                let _ = reply.send(self.snapshot());
            }
            Some(Command::Pause) => self.paused = true,
            Some(Command::Resume) => self.paused = false,
            Some(Command::Stop) => self.stop(),
            None => {
                self.deaf = true;
                self.stop();
            }
        }
        None
    }

    /// Begins to stop: nothing more starts, what runs may finish.
    fn stop(&mut self) {
        if self.stop.is_none() {
            self.stop = Some(self.parts.clock.now() + self.settings.drain_for);
            self.close(&self.in_flight.partitions());
        }
    }

    /// Takes what has ended by now, and then reads, lest a busy plugin keep new messages out.
    fn all_ended(&mut self, first: Ended) -> Option<End> {
        let mut next = Some(first);
        for _ in 0..MOST_AT_ONCE {
            let Some(ended) = next else { break };
            if let Some(end) = self.ended(ended) {
                return Some(end);
            }
            next = self.stages.next().now_or_never();
        }
        self.read()
    }

    /// Reads what is there and wanted.
    fn read(&mut self) -> Option<End> {
        let bounds = self.bounds()?;
        let event = self.parts.source.next(&self.in_flight.wanted(Some(bounds))).now_or_never()?;
        self.all_told(event, Some(bounds))
    }

    /// Takes what the source has to tell by now, as far as its messages are wanted.
    fn all_told(&mut self, first: SourceEvent, bounds: Option<Bounds>) -> Option<End> {
        let (mut next, mut bounds) = (Some(first), bounds);
        for _ in 0..MOST_AT_ONCE {
            let Some(event) = next else { break };
            let goes_on = match (&event, &mut bounds) {
                (SourceEvent::Messages(batch), Some(bounds)) => bounds.take(&self.in_flight, batch),
                _ => false,
            };
            if let Some(end) = self.event(event) {
                return Some(end);
            }
            if !goes_on {
                break;
            }
            next = self.parts.source.next(&self.in_flight.wanted(bounds)).now_or_never();
        }
        None
    }

    fn event(&mut self, event: SourceEvent) -> Option<End> {
        if !matches!(event, SourceEvent::Failed(_)) {
            self.source_trouble = None;
        }
        match event {
            SourceEvent::Assigned(assignments) => {
                for assignment in &assignments {
                    info!(pipeline = %self.settings.maker.pipeline, partition = %assignment.partition,
                        checkpoint = assignment.checkpoint.as_ref().map(tracing::field::debug), "assigned");
                }
                // What belongs to an earlier assignment of them is over.
                let partitions: Vec<Partition> =
                    assignments.iter().map(|assignment| assignment.partition.clone()).collect();
                self.forget(&partitions);
                for partition in &partitions {
                    self.committing.know(&partition.topic, self.parts.clock.now() + self.settings.checkpoint_every);
                }
                self.in_flight.assign(assignments);
                if self.stop.is_some() {
                    self.close(&self.in_flight.partitions());
                }
            }
            SourceEvent::Messages(batch) => {
                let (wall, now) = (self.parts.clock.wall(), self.parts.clock.now());
                self.counts.admitted += self.in_flight.admit(batch, wall, now) as u64;
            }
            SourceEvent::Revoked { partitions, reply } => {
                self.close(&partitions);
                let deadline = self.parts.clock.now() + self.settings.drain_for;
                self.revoking.push(Revoking { partitions, reply, deadline });
            }
            SourceEvent::Lost(partitions) => self.lose(&partitions),
            SourceEvent::Failed(error) if error.is_transient() => {
                if self.source_trouble.is_none() {
                    warn!(pipeline = %self.settings.maker.pipeline, %error, "the source failed; it is tried again");
                }
                self.source_trouble = Some(error.to_string());
            }
            SourceEvent::Failed(_) if self.failure.is_some() => self.silent = true,
            // It is listened to while what runs finishes: partitions may be asked back, or lost.
            SourceEvent::Failed(error) => {
                error!(pipeline = %self.settings.maker.pipeline, %error, "the source failed for good; what runs may finish");
                self.failure = Some(error.to_string());
                self.stop();
            }
        }
        None
    }

    /// When the loop must look again though nothing happened.
    fn next_wake(&self) -> Instant {
        let now = self.parts.clock.now();
        let deadlines = self.revoking.iter().map(|revoking| revoking.deadline).chain(self.stop);
        let ahead = deadlines.chain(self.stop.map(|deadline| deadline + COMMIT_GRACE)).filter(|at| *at > now);
        // A trial that is due but may not start is looked at again once what keeps it has changed.
        let trial = self.gate.due().filter(|_| self.may_start()).map(Instant::from_std);
        let due = self.timers.next().into_iter().chain(self.in_flight.next_due());
        ahead.chain(due).chain(trial).chain(self.committing.due()).min().unwrap_or(now + self.settings.checkpoint_every)
    }

    fn on_time(&mut self) -> Option<End> {
        let now = self.parts.clock.now();
        while let Some(due) = self.timers.due(now) {
            match due {
                Due::Start(work) => self.again.push_back(work),
                Due::Publish { work, settlement, pending } => {
                    self.stages.publish(work, settlement, pending, Try::Again);
                }
            }
        }
        None
    }

    fn snapshot(&self) -> Snapshot {
        let mut counts = self.counts.clone();
        counts.bytes = self.parts.plugin.bytes_moved().saturating_sub(self.bytes_before);
        Snapshot {
            pipeline: self.settings.maker.pipeline.clone(),
            state: self.state(),
            counts,
            measures: self.measures.clone(),
            running: self.stages.calls(),
            idle: self.in_flight.idle(),
            partitions: self.in_flight.states(|partition, position| self.oldest(partition, position)),
        }
    }

    fn state(&self) -> State {
        if self.stop.is_some() {
            return State::Draining;
        }
        if self.paused {
            return State::Paused;
        }
        if let Some(reason) = self.gate.reason() {
            return State::Held { reason: reason.to_owned() };
        }
        let troubles = [self.sink_trouble.as_ref(), self.source_trouble.as_ref(), self.committing.trouble()];
        match troubles.into_iter().flatten().next() {
            Some(reason) => State::Blocked { reason: reason.clone() },
            None if self.in_flight.partitions().is_empty() => State::Starting,
            None => State::Running,
        }
    }
}

#[cfg(test)]
#[path = "pipeline_parking_tests.rs"]
mod parking_tests;
#[cfg(test)]
#[path = "pipeline_tests.rs"]
mod tests;
