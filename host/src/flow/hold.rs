//! Waiting for a cause that is not the message's fault. Pure. While a message is held nothing else of the pipeline
//! starts; after a while one held message is tried alone, and any verdict but another hold releases the rest.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// The wait before the first trial, where the plugin names none.
const FIRST_WAIT: Duration = Duration::from_secs(10);
/// The longest of the doubling waits.
const LONGEST_WAIT: Duration = Duration::from_secs(300);
/// The shortest wait that a plugin may name, so that a hold is never a busy loop.
const SHORTEST_NAMED: Duration = Duration::from_millis(100);
/// The longest wait that a plugin may name, so that a hold always ends by itself.
const LONGEST_NAMED: Duration = Duration::from_secs(3600);

/// Whether messages may start. Bounded by what is in flight.
#[derive(Debug)]
pub struct Gate<T> {
    held: VecDeque<T>,
    state: State,
    /// What the next wait is, where the plugin names none.
    next_wait: Duration,
    reason: String,
}

/// What a message that holds the pipeline was doing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    /// It ran beside others.
    One,
    /// It was tried alone.
    Trial,
}

#[derive(Debug, PartialEq, Eq)]
enum State {
    Open,
    Waiting { until: Instant },
    Trying,
}

impl<T> Default for Gate<T> {
    fn default() -> Self {
        Self { held: VecDeque::new(), state: State::Open, next_wait: FIRST_WAIT, reason: String::new() }
    }
}

impl<T> Gate<T> {
    /// Whether any message may start.
    pub fn is_open(&self) -> bool {
        self.state == State::Open
    }

    /// What waits for its trial.
    pub fn held(&self) -> impl Iterator<Item = &T> {
        self.held.iter()
    }

    /// Why the gate is closed.
    pub fn reason(&self) -> Option<&str> {
        (!self.is_open()).then_some(self.reason.as_str())
    }

    /// When the next trial is due.
    pub fn due(&self) -> Option<Instant> {
        match self.state {
            State::Waiting { until } => Some(until),
            State::Open | State::Trying => None,
        }
    }

    /// Holds a message, and says whether that closed the gate or prolonged the wait. Messages that were running when
    /// the gate closed may join those that wait; only the trial prolongs the wait.
    pub fn hold(&mut self, item: T, role: Role, after: Option<Duration>, reason: String, now: Instant) -> bool {
        self.held.push_back(item);
        let decides = self.is_open() || self.is_trying() && role == Role::Trial;
        if decides {
            let wait = after.map_or(self.next_wait, |after| after.clamp(SHORTEST_NAMED, LONGEST_NAMED));
            self.next_wait = (self.next_wait * 2).min(LONGEST_WAIT);
            self.state = State::Waiting { until: now + wait };
            self.reason = reason;
        }
        decides
    }

    /// The message to try alone, when its time has come.
    pub fn trial(&mut self, now: Instant) -> Option<T> {
        if self.due().is_none_or(|until| now < until) {
            return None;
        }
        match self.held.pop_front() {
            Some(item) => {
                self.state = State::Trying;
                Some(item)
            }
            None => {
                self.open();
                None
            }
        }
    }

    /// The trial passed: opens the gate and returns what was held.
    pub fn release(&mut self) -> VecDeque<T> {
        self.open();
        std::mem::take(&mut self.held)
    }

    /// The trial was dropped without a verdict: the next one is due at once.
    pub fn abandon_trial(&mut self, now: Instant) {
        if self.is_trying() {
            self.state = State::Waiting { until: now };
        }
    }

    /// Whether a trial is running.
    pub fn is_trying(&self) -> bool {
        self.state == State::Trying
    }

    /// Removes held messages, and opens the gate when none is left and none is being tried.
    pub fn drop_where(&mut self, gone: impl Fn(&T) -> bool) -> Vec<T> {
        let (removed, kept) = std::mem::take(&mut self.held).into_iter().partition::<Vec<_>, _>(|item| gone(item));
        self.held = kept.into();
        if self.held.is_empty() && !self.is_trying() {
            self.open();
        }
        removed
    }

    fn open(&mut self) {
        self.state = State::Open;
        self.next_wait = FIRST_WAIT;
        self.reason.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_message_is_tried_alone_and_waits_double() {
        let (mut gate, start) = (Gate::default(), Instant::now());
        let after = |secs| start + Duration::from_secs(secs);
        gate.hold("a", Role::One, None, "401".into(), start);
        gate.hold("b", Role::One, None, "401 too".into(), start);
        assert_eq!((gate.is_open(), gate.reason(), gate.due()), (false, Some("401"), Some(after(10))));
        assert_eq!(gate.trial(after(9)), None);
        assert_eq!(gate.trial(after(10)), Some("a"));
        assert_eq!(gate.trial(after(99)), None, "one at a time");
        gate.hold("late", Role::One, None, "late".into(), after(10));
        assert_eq!(gate.trial(after(99)), None, "what was running does not end the trial");
        gate.hold("a", Role::Trial, None, "401".into(), after(10));
        assert_eq!(gate.due(), Some(after(30)), "20 s after the failed trial");
        assert_eq!(gate.trial(after(30)), Some("b"));
        assert_eq!(gate.release(), ["late", "a"]);
        assert!(gate.is_open());
        gate.hold("c", Role::One, None, "again".into(), after(100));
        assert_eq!(gate.due(), Some(after(110)), "the waits begin anew");
    }

    #[test]
    fn a_wait_that_the_plugin_names_is_kept_within_reason() {
        for (named, kept) in [(7_000, 7_000), (0, 100), (u64::MAX, 3_600_000)] {
            let (mut gate, start) = (Gate::default(), Instant::now());
            gate.hold((), Role::One, Some(Duration::from_millis(named)), String::new(), start);
            assert_eq!(gate.due(), Some(start + Duration::from_millis(kept)));
        }
    }

    #[test]
    fn the_gate_opens_when_what_it_held_is_gone() {
        let mut gate = Gate::default();
        gate.hold(1, Role::One, None, "x".into(), Instant::now());
        assert_eq!(gate.drop_where(|_| true), [1]);
        assert!(gate.is_open());
    }
}
