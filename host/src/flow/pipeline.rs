//! The loop of one pipeline. It alone owns source, windows, lanes and what is under way; calls run in tasks that get the
//! message only. It drains before it admits: ends of calls and commits come before new messages. What is there of a kind
//! is taken together, so that a busy pipeline pays for a turn of the loop once for many messages.

mod oldest;

use std::collections::VecDeque;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until};
use tracing::{debug, error, info, warn};

use super::backoff::Backoff;
use super::config;
use super::dead_letter::{Maker, dead_letter};
use super::hold::{Gate, Role};
use super::in_flight::{Bounds, InFlight, Work};
use super::measures::{Measures, age};
use super::parking::{Reader, park};
use super::retry::{self, Step};
use super::router::{Pending, Publication, Router};
use super::snapshot::{Command, Counts, Snapshot, State};
use super::stage::{Ended, Settlement, Stages, Try};
use super::timers::Timers;
use super::triage::{Cause, Class, Effect, triage, unread};
use crate::model::{Clock, Partition};
use crate::plugin::Plugin;
use crate::transport::{Commit, CommitError, Source, SourceEvent};

/// The wait before an unavailable topic is tried again; it doubles.
const SINK_FIRST_WAIT: Duration = Duration::from_millis(100);
/// The longest of these waits.
const SINK_LONGEST_WAIT: Duration = Duration::from_secs(5);
/// The wait before a commit that failed is tried again; it doubles.
const COMMIT_FIRST_WAIT: Duration = Duration::from_millis(200);
/// The longest of these waits.
const COMMIT_LONGEST_WAIT: Duration = Duration::from_secs(5);
/// What is taken of one kind before the loop looks at the others.
const MOST_AT_ONCE: usize = 1024;
/// How long a stop waits for its last commit beyond `drain_for`.
const COMMIT_GRACE: Duration = Duration::from_secs(5);

/// A log line about one message: says which one in every field that people search by.
macro_rules! tell {
    ($level:ident, $self:ident, $work:ident, $($fact:tt)+) => {
        $level!(
            pipeline = %$self.settings.maker.pipeline,
            partition = %$work.message.origin.partition,
            offset = $work.message.origin.position.0,
            message_id = %$work.message.id,
            trace_id = $work.message.trace_id(),
            $($fact)+
        )
    };
}

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

struct Committing {
    commits: Vec<Commit>,
    done: BoxFuture<'static, Result<(), CommitError>>,
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
    committing: Option<Committing>,
    next_commit: Instant,
    revoking: Vec<Revoking>,
    stop: Option<Instant>,
    /// Why the pipeline stops, when nobody told it to: the source is at its end for good.
    failure: Option<String>,
    /// Nobody is left who could tell anything.
    deaf: bool,
    /// What outside does not work, while it does not.
    sink_trouble: Option<String>,
    source_trouble: Option<String>,
    commit_trouble: Option<String>,
    /// The wait before a commit is tried again.
    commit_wait: Duration,
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
        let next_commit = parts.clock.now() + settings.checkpoint_every;
        let reader = Reader { pipeline: settings.maker.pipeline.clone(), retry_topic: settings.retry_topic.clone() };
        Self {
            bytes_before: parts.plugin.bytes_moved(),
            in_flight: InFlight::new(settings.in_flight, settings.order.clone(), reader),
            settings,
            gate: Gate::default(),
            again: VecDeque::new(),
            stages: Stages::new(parts.plugin.clone(), parts.router.spill.clone()),
            timers: Timers::default(),
            committing: None,
            next_commit,
            revoking: Vec::new(),
            stop: None,
            failure: None,
            deaf: false,
            sink_trouble: None,
            source_trouble: None,
            commit_trouble: None,
            commit_wait: COMMIT_FIRST_WAIT,
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
        let mut alarm = pin!(sleep_until(self.next_commit));
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
                result = committed(&mut self.committing) => self.committed(result),
                () = &mut alarm => self.on_time(),
                event = self.parts.source.next(&wanted), if self.failure.is_none() => self.all_told(event, bounds),
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
        let bounds = self.bounds().filter(|_| self.failure.is_none())?;
        let event = self.parts.source.next(&self.in_flight.wanted(Some(bounds))).now_or_never()?;
        self.all_told(event, Some(bounds))
    }

    fn ended(&mut self, ended: Ended) -> Option<End> {
        match ended {
            Ended::Called { work, called, since } => {
                let mut work = work;
                self.measures.in_plugin.record(self.parts.clock.now() - since);
                let now = self.parts.clock.wall();
                let effect = triage(called, &mut work.tries, &self.settings.retry, now);
                self.apply(work, effect);
            }
            Ended::Unread { work, error } => self.apply(work, unread(&error)),
            Ended::Published { work, settlement, publication } => self.published(work, settlement, publication),
            Ended::Aborted { work } => {
                self.give_up(work);
                // It may have been the last that waited for a topic.
                self.see_whether_topics_are_back();
            }
            Ended::Broken { reason } => return Some(End::Broken { reason }),
        }
        None
    }

    fn apply(&mut self, mut work: Work, effect: Effect) {
        if !self.in_flight.owns(&work) {
            return self.give_up(work);
        }
        if let Effect::Hold { after, reason } = effect {
            return self.hold(work, after, reason);
        }
        self.pass(&mut work);
        match effect {
            Effect::Done { emit } => {
                let pending = self.parts.router.emissions(&work.message, emit);
                self.publish(work, Settlement::Done, pending);
            }
            Effect::Skip { reason } => {
                tell!(debug, self, work, reason, "skipped");
                if self.in_flight.settle(work) {
                    Counts::count(&mut self.counts.skipped, &reason);
                }
            }
            Effect::Again { wait } => self.back_off(work, wait),
            Effect::Park { step } => self.park(work, step),
            Effect::DeadLetter { emit, cause } => {
                let pending = self.parts.router.emissions(&work.message, emit);
                self.dead_letter(work, pending, &cause);
            }
            Effect::Hold { .. } => {}
        }
    }

    /// A verdict other than hold: when it is the trial's, the rest may go on.
    fn pass(&mut self, work: &mut Work) {
        if std::mem::take(&mut work.trial) {
            info!(pipeline = %self.settings.maker.pipeline, "the held message passed; the pipeline goes on");
            self.again.extend(self.gate.release());
        }
    }

    /// Gives a message up unsettled; when it was the trial, another is tried in its place.
    fn give_up(&mut self, work: Work) {
        if work.trial {
            self.gate.abandon_trial(self.parts.clock.now().into_std());
        }
        self.in_flight.give_up(work);
    }

    fn hold(&mut self, mut work: Work, after: Option<Duration>, reason: String) {
        if self.in_flight.is_closing(&work) {
            return self.give_up(work);
        }
        let role = if std::mem::take(&mut work.trial) { Role::Trial } else { Role::One };
        if self.gate.is_open() || role == Role::Trial {
            tell!(warn, self, work, reason, "the pipeline is held");
        }
        self.gate.hold(work, role, after, reason, self.parts.clock.now().into_std());
    }

    fn back_off(&mut self, work: Work, wait: Duration) {
        if self.in_flight.is_closing(&work) {
            return self.in_flight.give_up(work);
        }
        self.counts.retried += 1;
        let failure = work.tries.failures().last();
        let reason = failure.map_or("", |failure| failure.text.as_str());
        tell!(info, self, work, attempt = work.tries.failed(), wait = ?wait, reason, "failed; it is tried again");
        self.timers.push(self.parts.clock.now() + wait, Due::Start(work));
    }

    fn park(&mut self, work: Work, step: Step) {
        let reason = work.tries.failures().last().map_or("", |failure| failure.text.as_str());
        let (maker, now) = (&self.settings.maker, self.parts.clock.wall());
        let record = |partitions| park(&work.message, &work.tries, step, maker, partitions, now);
        match self.parts.router.parked(record) {
            Some(pending) => {
                tell!(info, self, work, attempt = work.tries.failed(), delay = ?step.delay, reason, "failed; it is parked");
                self.publish(work, Settlement::Parked, pending);
            }
            None => {
                let reason = format!("{reason} (the pipeline has no retry topic)");
                let cause = Cause { class: Class::Exhausted, code: "retry".into(), reason };
                self.dead_letter(work, Pending::default(), &cause);
            }
        }
    }

    fn dead_letter(&mut self, work: Work, pending: Pending, cause: &Cause) {
        tell!(warn, self, work, class = cause.class.as_str(), code = cause.code, reason = cause.reason, "dead letter");
        let now = self.parts.clock.wall();
        let record = dead_letter(&work.message, cause, &work.tries, &self.settings.maker, now);
        let pending = self.parts.router.letter(pending, record);
        self.publish(work, Settlement::Dead { code: cause.code.clone() }, pending);
    }

    fn publish(&mut self, work: Work, settlement: Settlement, pending: Pending) {
        if pending.is_empty() {
            return self.settle(work, settlement);
        }
        self.stages.publish(work, settlement, pending, Try::First);
    }

    fn published(&mut self, work: Work, settlement: Settlement, publication: Publication) {
        if !self.in_flight.owns(&work) {
            self.see_whether_topics_are_back();
            return self.give_up(work);
        }
        match publication {
            Publication::Durable => {
                self.see_whether_topics_are_back();
                self.settle(work, settlement);
            }
            Publication::Refused { rest, reason } => {
                self.see_whether_topics_are_back();
                if let Settlement::Dead { .. } = settlement {
                    tell!(warn, self, work, reason, "an emission beside a dead letter is refused");
                    return self.publish(work, settlement, rest);
                }
                let cause = Cause { class: Class::Refused, code: "refused".into(), reason };
                self.dead_letter(work, Pending::default(), &cause);
            }
            Publication::Unavailable { rest, reason } => {
                if self.sink_trouble.is_none() {
                    warn!(pipeline = %self.settings.maker.pipeline, reason, "a topic is unavailable; the pipeline waits");
                }
                self.sink_trouble = Some(reason);
                let due = Due::Publish { work, settlement, pending: rest };
                self.timers.push(self.sink_backoff.failed(self.parts.clock.now()), due);
            }
        }
    }

    /// Nothing waits for a topic any more: the pipeline goes on.
    fn see_whether_topics_are_back(&mut self) {
        if self.sink_trouble.is_none() {
            return;
        }
        let waits = self.timers.iter().any(|due| matches!(due, Due::Publish { .. }));
        if !waits && !self.stages.repeats() {
            self.sink_trouble = None;
            self.sink_backoff.passed();
        }
    }

    fn settle(&mut self, work: Work, settlement: Settlement) {
        let age = age(&work.message, self.parts.clock.wall());
        if !self.in_flight.settle(work) {
            return;
        }
        match settlement {
            Settlement::Done => {
                self.counts.done += 1;
                self.measures.latency.record(age);
            }
            Settlement::Parked => self.counts.parked += 1,
            Settlement::Dead { code } => Counts::count(&mut self.counts.dead, &code),
        }
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
            SourceEvent::Failed(error) => {
                error!(pipeline = %self.settings.maker.pipeline, %error, "the source failed for good; what runs may finish");
                self.failure = Some(error.to_string());
                self.stop();
            }
        }
        None
    }

    /// Partitions that somebody else has: nothing of them is published or stored any more.
    fn lose(&mut self, partitions: &[Partition]) {
        if partitions.is_empty() {
            return;
        }
        warn!(pipeline = %self.settings.maker.pipeline, ?partitions, "partitions lost");
        self.forget(partitions);
    }

    /// Ends everything that belongs to these partitions.
    fn forget(&mut self, partitions: &[Partition]) {
        self.close(partitions);
        self.give_up_publishing(partitions);
        self.stages.abort(partitions);
        self.in_flight.remove(partitions);
        for revoking in &mut self.revoking {
            revoking.partitions.retain(|partition| !partitions.contains(partition));
        }
        self.revoking.retain(|revoking| !revoking.partitions.is_empty());
    }

    /// Nothing more of these partitions starts; what waits is given up.
    fn close(&mut self, partitions: &[Partition]) {
        let of = |work: &Work| partitions.contains(work.partition());
        self.in_flight.close(partitions);
        let waits = |due: &Due| matches!(due, Due::Start(work) if of(work));
        let backing_off = self.timers.remove_where(waits).into_iter().map(Due::into_work);
        let (again, kept) = std::mem::take(&mut self.again).into_iter().partition(of);
        self.again = kept;
        let again: VecDeque<Work> = again;
        let held = self.gate.drop_where(of);
        for work in backing_off.chain(again).chain(held) {
            self.in_flight.give_up(work);
        }
    }

    fn give_up_publishing(&mut self, partitions: &[Partition]) {
        let of = |due: &Due| partitions.contains(due.work().partition());
        for due in self.timers.remove_where(of) {
            self.in_flight.give_up(due.into_work());
        }
        self.see_whether_topics_are_back();
    }

    fn begin_commit(&mut self) {
        let now = self.parts.clock.now();
        let closing = self.stop.is_some() || !self.revoking.is_empty();
        let early = self.commit_trouble.is_none() && (closing || self.in_flight.commit_is_urgent());
        if self.committing.is_some() || now < self.next_commit && !early {
            return;
        }
        let commits = self.in_flight.commits();
        if commits.is_empty() {
            self.next_commit = self.next_commit.max(now + self.settings.checkpoint_every);
            return self.in_flight.stored(commits);
        }
        self.next_commit = now + self.settings.checkpoint_every;
        let done = self.parts.source.commit(commits.clone());
        self.committing = Some(Committing { commits, done });
    }

    fn committed(&mut self, result: Result<(), CommitError>) -> Option<End> {
        let commits = self.committing.take().map(|committing| committing.commits).unwrap_or_default();
        match result {
            Ok(()) => {
                self.commit_trouble = None;
                self.commit_wait = COMMIT_FIRST_WAIT;
                self.in_flight.stored(commits);
            }
            Err(CommitError::Unavailable(reason)) => {
                if self.commit_trouble.is_none() {
                    warn!(pipeline = %self.settings.maker.pipeline, reason, "checkpoints cannot be stored; it is tried again");
                }
                self.in_flight.not_stored();
                self.commit_trouble = Some(reason);
                self.next_commit = self.parts.clock.now() + self.commit_wait;
                self.commit_wait = (self.commit_wait * 2).min(COMMIT_LONGEST_WAIT);
            }
            Err(CommitError::NotOwned(partitions)) => {
                self.in_flight.not_stored();
                // A partition that was assigned anew meanwhile is ours: only the commit came from before.
                let is_current = |commit: &&Commit| self.in_flight.is_current(&commit.partition, commit.epoch);
                let current = commits.iter().filter(is_current).map(|commit| commit.partition.clone());
                let lost: Vec<Partition> = current.filter(|partition| partitions.contains(partition)).collect();
                self.lose(&lost);
            }
        }
        None
    }

    /// Lets partitions go that are asked back, once nothing of them runs and their checkpoint is stored.
    fn release_partitions(&mut self) {
        let mut waiting = Vec::new();
        for revoking in std::mem::take(&mut self.revoking) {
            if self.is_drained(&revoking.partitions) && self.in_flight.is_stored(&revoking.partitions) {
                self.in_flight.remove(&revoking.partitions);
                let _ = revoking.reply.send(());
            } else {
                waiting.push(revoking);
            }
        }
        self.revoking = waiting;
    }

    fn is_drained(&self, partitions: &[Partition]) -> bool {
        let waits = |due: &Due| partitions.contains(due.work().partition());
        self.stages.is_empty_of(partitions) && !self.timers.iter().any(waits)
    }

    /// How the pipeline ends, once it was to stop and has.
    fn stopped(&self) -> Option<End> {
        let deadline = self.stop?;
        let partitions = self.in_flight.partitions();
        let stored = self.committing.is_none() && self.in_flight.is_stored(&partitions);
        if !(stored && self.is_drained(&partitions)) && self.parts.clock.now() < deadline + COMMIT_GRACE {
            return None;
        }
        match &self.failure {
            Some(reason) => Some(End::Failed { reason: reason.clone() }),
            None if stored => Some(End::Stopped),
            None => {
                let why = self.commit_trouble.as_deref().unwrap_or("it takes too long");
                let reason =
                    format!("stopped without storing the last checkpoint ({why}); what settled since will repeat");
                Some(End::Failed { reason })
            }
        }
    }

    /// When the loop must look again though nothing happened.
    fn next_wake(&self) -> Instant {
        let now = self.parts.clock.now();
        let deadlines = self.revoking.iter().map(|revoking| revoking.deadline).chain(self.stop);
        let ahead = deadlines.chain(self.stop.map(|deadline| deadline + COMMIT_GRACE)).filter(|at| *at > now);
        // A trial that is due but may not start is looked at again once what keeps it has changed.
        let trial = self.gate.due().filter(|_| self.may_start()).map(Instant::from_std);
        let due = self.timers.next().into_iter().chain(self.in_flight.next_due());
        ahead.chain(due).chain(trial).chain([self.next_commit]).min().unwrap_or(self.next_commit)
    }

    fn on_time(&mut self) -> Option<End> {
        let now = self.parts.clock.now();
        if now >= self.next_commit && self.committing.is_some() {
            self.next_commit = now + self.settings.checkpoint_every;
        }
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

    /// Ends what runs on though its time to drain is over. Looked at in every turn, so that it cannot be missed.
    fn give_up_what_is_late(&mut self) {
        let over = self.out_of_time(self.parts.clock.now());
        if over.is_empty() || self.is_drained(&over) {
            return;
        }
        let pipeline = &self.settings.maker.pipeline;
        warn!(%pipeline, partitions = ?over, "the time to drain is over; what still runs is given up and will run again");
        self.give_up_publishing(&over);
        self.stages.abort(&over);
    }

    /// Partitions whose time to drain is over.
    fn out_of_time(&self, now: Instant) -> Vec<Partition> {
        if self.stop.is_some_and(|deadline| now >= deadline) {
            return self.in_flight.partitions();
        }
        let over = self.revoking.iter().filter(|revoking| now >= revoking.deadline);
        over.flat_map(|revoking| revoking.partitions.clone()).collect()
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
        let troubles = [&self.sink_trouble, &self.source_trouble, &self.commit_trouble];
        match troubles.into_iter().flatten().next() {
            Some(reason) => State::Blocked { reason: reason.clone() },
            None if self.in_flight.partitions().is_empty() => State::Starting,
            None => State::Running,
        }
    }
}

/// Waits for the commit under way; for ever when there is none. Cancel safe: the commit stays where it is.
async fn committed(committing: &mut Option<Committing>) -> Result<(), CommitError> {
    match committing {
        Some(committing) => (&mut committing.done).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
#[path = "pipeline_parking_tests.rs"]
mod parking_tests;
#[cfg(test)]
#[path = "pipeline_tests.rs"]
mod tests;
