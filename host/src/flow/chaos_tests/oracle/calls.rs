//! What the oracle makes of calls: none begins that may not, and each answer decides what may follow.

use std::time::Duration;

use tokio::time::Instant;

use super::super::fate::{Doing, Fate};
use super::Oracle;
use crate::model::{Message, Outcome, Position, Verdict};
use crate::plugin::{CallError, Fault};

/// What wall time, in whole milliseconds, may be behind.
const CLOCK: Duration = Duration::from_millis(1);

impl Oracle {
    /// A call begins; its number, and the message's. None for a message that nobody sent to this pipeline.
    pub(in super::super) fn called(&mut self, life: u64, message: &Message, attempt: u32) -> Option<(u64, usize)> {
        let Some(index) = self.index(&message.id, &message.headers) else {
            self.blame(format!("{} is called, which is not this pipeline's", message.id));
            return None;
        };
        self.calls += 1;
        if let Some(why) = self.why_not_to_call(life, index, attempt) {
            let name = self.fates[index].name();
            self.blame(format!("{name} is called though {why}"));
        }
        let trial = self.held.remove(&index).is_some();
        let number = self.assigned.get(&self.fates[index].partition).map_or(0, |assigned| assigned.number);
        let fate = &mut self.fates[index];
        if fate.assignment != number {
            (fate.assignment, fate.failed) = (number, 0);
        }
        (fate.doing, fate.run, fate.judged) = (Doing::Running { trial }, self.calls, false);
        fate.calls += 1;
        let (name, trial) = (fate.name(), if trial { ", alone" } else { "" });
        self.note(format_args!("call {name}, attempt {attempt}{trial}"));
        Some((self.calls, index))
    }

    fn why_not_to_call(&self, life: u64, index: usize, attempt: u32) -> Option<String> {
        let fate = &self.fates[index];
        let Some(assigned) = self.assigned.get(&fate.partition) else {
            return Some("its partition is not ours".into());
        };
        let failed = if fate.assignment == assigned.number { fate.failed } else { 0 };
        let running = |fate: &&Fate| matches!(fate.doing, Doing::Running { .. });
        let covered = assigned.checkpoint.as_ref().is_some_and(|stored| stored.is_settled(Position(fate.position)));
        let tried = self.fates.iter().find(|other| matches!(other.doing, Doing::Running { trial: true }));
        let why = [
            (life != self.life || !self.alive, "its pipeline is gone"),
            (assigned.closing.is_some_and(|at| at < Instant::now()), "its partition is asked back"),
            (fate.due.is_some_and(|due| Instant::now() + CLOCK < due), "it is not due"),
            (covered, "the checkpoint that the pipeline began with says that it is settled"),
            (fate.settled == Some(assigned.number), "it settled in this assignment"),
            (!matches!(fate.doing, Doing::Nothing | Doing::BackingOff | Doing::Held), "it is in hand already"),
            (attempt != fate.before + failed + 1, "that is not the attempt that comes next"),
            (self.fates.iter().filter(running).count() >= self.promises.concurrency, "no slot is free"),
            (tried.is_some(), "a held message is being tried alone"),
        ];
        let why = why.into_iter().find(|(is, _)| *is).map(|(_, why)| why.to_owned());
        let held = self.held.contains_key(&index);
        why.or_else(|| self.why_not_in_its_lane(fate)).or_else(|| self.why_nothing_may_start().filter(|_| !held))
    }

    fn why_not_in_its_lane(&self, fate: &Fate) -> Option<String> {
        fate.lane.as_ref()?;
        let mates = self.fates.iter().filter(|mate| mate.lane == fate.lane && !std::ptr::eq(*mate, fate));
        let ahead = |mate: &&Fate| {
            let of_one_partition = mate.partition == fate.partition && mate.position < fate.position;
            let runs = matches!(mate.doing, Doing::Running { .. } | Doing::Writing { .. });
            of_one_partition && !mate.has_left()
                || runs
                || mate.doing != Doing::Nothing && !self.is_over(&mate.partition)
        };
        mates.clone().find(ahead).map(|mate| format!("{} of its lane is not settled", mate.name()))
    }

    /// A call gave its answer.
    pub(in super::super) fn answered(&mut self, index: usize, attempt: u32, answer: &Result<Outcome, CallError>) {
        let assigned = self.assigned.get(&self.fates[index].partition);
        let closing = assigned.is_none_or(|assigned| assigned.closing.is_some());
        let holds = match answer {
            Ok(outcome) => matches!(outcome.verdict, Verdict::Hold { .. }),
            Err(error) => error.fault() == Fault::Host,
        };
        let fate = &mut self.fates[index];
        let was_trial = fate.doing == Doing::Running { trial: true };
        let name = fate.name();
        if holds {
            fate.held += 1;
            fate.doing = if closing { Doing::Nothing } else { Doing::Held };
            if !closing {
                self.held.insert(index, Instant::now());
            }
            return self.note(format_args!("{name} holds"));
        }
        if attempt >= fate.last {
            (fate.judged, fate.ever_judged) = (true, true);
            fate.planned.iter_mut().for_each(|planned| planned.acked = false);
            fate.doing = Doing::Publishing;
            self.note(format_args!("{name} has its verdict"));
            self.see_whether_settled(index);
        } else {
            fate.failed += 1;
            fate.doing = if closing { Doing::Nothing } else { Doing::BackingOff };
            self.note(format_args!("{name} failed"));
        }
        if was_trial {
            // What was held goes on where it was: none of it had an answer since.
            for held in std::mem::take(&mut self.held).into_keys() {
                self.fates[held].doing = Doing::BackingOff;
            }
        }
    }

    /// A call, or a write, was dropped before its end.
    pub(in super::super) fn dropped(&mut self, index: usize, run: u64) {
        let fate = &mut self.fates[index];
        if fate.run == run && matches!(fate.doing, Doing::Running { .. } | Doing::Writing { .. }) {
            fate.doing = Doing::Nothing;
            let name = fate.name();
            self.note(format_args!("{name} dropped"));
        }
    }
}
