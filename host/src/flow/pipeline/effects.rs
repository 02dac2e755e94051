//! What becomes of a message once its call has ended: it is settled, tried again, held, parked or dead-lettered, and what
//! it made is published.

use std::time::Duration;

use tracing::{debug, info, warn};

use super::{Due, End, Pipeline};
use crate::flow::dead_letter::dead_letter;
use crate::flow::hold::Role;
use crate::flow::in_flight::Work;
use crate::flow::measures::age;
use crate::flow::parking::park;
use crate::flow::retry::Step;
use crate::flow::router::{Pending, Publication};
use crate::flow::snapshot::Counts;
use crate::flow::stage::{Ended, Settlement, Try};
use crate::flow::triage::{Cause, Class, Effect, triage, unread};

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

impl Pipeline {
    pub(super) fn ended(&mut self, ended: Ended) -> Option<End> {
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
    pub(super) fn give_up(&mut self, work: Work) {
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

    pub(super) fn publish(&mut self, work: Work, settlement: Settlement, pending: Pending) {
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
    pub(super) fn see_whether_topics_are_back(&mut self) {
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
}
