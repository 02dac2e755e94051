//! A circuit breaker as a pure state machine: time comes in as an argument, and nothing here waits. It only counts;
//! what counts as a failure is the caller's to say, by [`Event`].

use std::time::{Duration, Instant};

use super::config;

/// How long to wait when a half-open breaker has all its trials under way.
const TRIALS_BUSY: Duration = Duration::from_secs(1);

const CENTURY: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

/// The state of one endpoint's host.
///
/// | state | admits | goes to |
/// |---|---|---|
/// | closed | everything | open, after `failures` in a row |
/// | open | nothing, for `open_for` | half open, with the first request after that |
/// | half open | `trials` at once | closed, after `successes` answers; open, at the first failure |
///
/// What was admitted in an earlier state no longer counts: a stall that is noticed late does not open a breaker that
/// has closed since.
#[derive(Debug)]
pub(super) struct Breaker {
    config: config::Breaker,
    state: State,
    /// Counts the states so far.
    era: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Closed { failures: u32 },
    Open { until: Instant },
    HalfOpen { running: u32, answered: u32 },
}

/// Says in which state a request was admitted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Pass {
    era: u64,
}

/// What became of a request that was admitted. `Answered`, `Failed` or `Abandoned` comes once; behind `Answered` may
/// come `Completed` or `Failed`, for the body.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Event {
    /// The head of an answer came that speaks for a sane system: half open, this is what counts.
    Answered,
    /// The body ended, or its reader wanted no more: closed, this is what ends a row of failures.
    Completed,
    /// No connection, nothing in time (head or body), or an answer that speaks for a broken system.
    Failed,
    /// It ended in a way that says nothing about the system.
    Abandoned,
}

/// A change that people want to know of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Change {
    /// No more requests for a while.
    Opened,
    /// All is well again.
    Closed,
}

impl Breaker {
    /// A closed one.
    pub(super) fn new(config: config::Breaker) -> Self {
        Self { config, state: State::Closed { failures: 0 }, era: 0 }
    }

    /// How long to wait, if a request would be refused now.
    pub(super) fn refusal(&self, now: Instant) -> Option<Duration> {
        match self.state {
            State::Closed { .. } => None,
            State::Open { until } => (now < until).then(|| until - now),
            State::HalfOpen { running, .. } => {
                (running >= self.config.trials.get()).then(|| TRIALS_BUSY.min(self.config.open_for.0))
            }
        }
    }

    /// Admits a request, or says how long to wait.
    pub(super) fn admit(&mut self, now: Instant) -> Result<Pass, Duration> {
        if let Some(wait) = self.refusal(now) {
            return Err(wait);
        }
        match &mut self.state {
            State::Closed { .. } => {}
            State::HalfOpen { running, .. } => *running += 1,
            State::Open { .. } => self.enter(State::HalfOpen { running: 1, answered: 0 }),
        }
        Ok(Pass { era: self.era })
    }

    /// Takes note of what became of a request.
    pub(super) fn observe(&mut self, pass: Pass, event: Event, now: Instant) -> Option<Change> {
        if pass.era != self.era {
            return None;
        }
        match (&mut self.state, event) {
            (State::Closed { failures }, Event::Failed) => {
                *failures += 1;
                if *failures >= self.config.failures.get() {
                    return Some(self.open(now));
                }
            }
            (State::Closed { failures }, Event::Completed) => *failures = 0,
            (State::HalfOpen { .. }, Event::Failed) => return Some(self.open(now)),
            (State::HalfOpen { running, answered }, Event::Answered) => {
                *running = running.saturating_sub(1);
                *answered += 1;
                if *answered >= self.config.successes.get() {
                    self.enter(State::Closed { failures: 0 });
                    return Some(Change::Closed);
                }
            }
            (State::HalfOpen { running, .. }, Event::Abandoned) => *running = running.saturating_sub(1),
            (State::Closed { .. }, Event::Answered | Event::Abandoned)
            | (State::HalfOpen { .. }, Event::Completed)
            | (State::Open { .. }, _) => {}
        }
        None
    }

    fn open(&mut self, now: Instant) -> Change {
        // A time beyond what the clock can hold is as good as a century.
        let until = now.checked_add(self.config.open_for.0).unwrap_or_else(|| now + CENTURY);
        self.enter(State::Open { until });
        Change::Opened
    }

    fn enter(&mut self, state: State) {
        self.state = state;
        self.era += 1;
    }
}

#[cfg(test)]
#[path = "breaker_tests.rs"]
mod tests;
