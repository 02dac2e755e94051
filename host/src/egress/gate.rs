//! What a request passes before it goes to one host of an endpoint: breaker, concurrency, rate. Who waits here waits
//! for the host's own limits, so the call's stall clock stands still meanwhile; it does not while the call holds a place
//! itself, for calls that wait for each other's places would wait for ever.

use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter, clock::Clock as _, middleware::NoOpMiddleware};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::breaker::{Breaker, Change, Event, Pass};
use super::config::{self, Config, Rate};
use crate::model::{Clock, Held, Progress};

/// What a gate holds its requests to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    max_concurrent: Option<usize>,
    rate: Option<Quota>,
    breaker: config::Breaker,
}

impl Limits {
    /// As the spec says.
    pub(super) fn new(config: &Config) -> Self {
        Self {
            max_concurrent: config.max_concurrent.map(|most| most.get().min(Semaphore::MAX_PERMITS)),
            rate: config.rate.and_then(quota),
            breaker: config.breaker,
        }
    }
}

/// Evenly spread, after a burst of at most what a second brings; `None` where that is more than a clock can tell apart.
fn quota(rate: Rate) -> Option<Quota> {
    let interval = rate.per.0 / rate.count.get();
    let in_a_second = Duration::from_secs(1).as_nanos().checked_div(interval.as_nanos())?;
    let burst = u32::try_from(in_a_second).ok().and_then(NonZeroU32::new).unwrap_or(NonZeroU32::MIN);
    Quota::with_period(interval).map(|quota| quota.allow_burst(burst))
}

/// The gate of one endpoint's host.
pub(super) struct Gate {
    endpoint: Arc<str>,
    host: Box<str>,
    clock: Clock,
    breaker: Mutex<Breaker>,
    /// Waiters are calls of plugins, whose number the slots bound; they come in order.
    permits: Option<Arc<Semaphore>>,
    rate: Option<Pace>,
}

impl Gate {
    /// An open gate with a closed breaker.
    pub(super) fn new(endpoint: Arc<str>, host: &str, limits: Limits, clock: Clock) -> Self {
        Self {
            endpoint,
            host: host.into(),
            breaker: Mutex::new(Breaker::new(limits.breaker)),
            permits: limits.max_concurrent.map(|most| Arc::new(Semaphore::new(most))),
            rate: limits.rate.map(|quota| Pace::new(quota, clock.clone())),
            clock,
        }
    }

    /// Waits for a place and for the rate, or says how long the breaker stays open. An open breaker answers at once:
    /// nobody queues for what is down.
    pub(super) async fn admit(self: &Arc<Self>, progress: &Progress) -> Result<Admission, Duration> {
        if let Some(wait) = self.breaker().refusal(self.now()) {
            return Err(wait);
        }
        let place = self.wait(progress).await;
        // It may have opened meanwhile.
        let pass = self.breaker().admit(self.now())?;
        Ok(Admission { gate: self.clone(), pass, phase: Phase::Head, _place: place })
    }

    async fn wait(&self, progress: &Progress) -> Option<Place> {
        let place = match &self.permits {
            Some(permits) => place(permits.clone(), progress).await,
            None => None,
        };
        if let Some(rate) = &self.rate {
            let _paused = progress.pause();
            rate.turn().await;
        }
        place
    }

    fn observe(&self, pass: Pass, event: Event) {
        let change = self.breaker().observe(pass, event, self.now());
        let (endpoint, host) = (&*self.endpoint, &*self.host);
        match change {
            Some(Change::Opened) => tracing::warn!(endpoint, host, "breaker opened"),
            Some(Change::Closed) => tracing::info!(endpoint, host, "breaker closed"),
            None => {}
        }
    }

    fn breaker(&self) -> MutexGuard<'_, Breaker> {
        // Its methods do not panic half-way, so what a poisoned lock holds is sound.
        self.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Instant {
        self.clock.now().into_std()
    }
}

/// One of the `max_concurrent`, and the note on the call's stall clock that it has it.
type Place = (OwnedSemaphorePermit, Held);

/// The semaphore is never closed, so there always comes one.
async fn place(permits: Arc<Semaphore>, progress: &Progress) -> Option<Place> {
    let _queued = progress.queue();
    let permit = permits.acquire_owned().await.ok()?;
    Some((permit, progress.hold()))
}

/// A request that is under way: holds its place until it is dropped, and tells the breaker what became of it.
pub(super) struct Admission {
    gate: Arc<Gate>,
    pass: Pass,
    phase: Phase,
    _place: Option<Place>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    /// The head of the answer is waited for.
    Head,
    /// The body is coming.
    Body,
    /// All is told.
    Over,
}

impl Admission {
    /// The head of a sane answer came.
    pub(super) fn answered(&mut self) {
        self.phase = Phase::Body;
        self.gate.observe(self.pass, Event::Answered);
    }

    /// It failed in a way that counts, once a request.
    pub(super) fn failed(&mut self) {
        if self.phase != Phase::Over {
            self.phase = Phase::Over;
            self.gate.observe(self.pass, Event::Failed);
        }
    }

    /// The body broke, which counts neither way.
    pub(super) fn broke(&mut self) {
        self.phase = Phase::Over;
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        match self.phase {
            Phase::Head => self.gate.observe(self.pass, Event::Abandoned),
            Phase::Body => self.gate.observe(self.pass, Event::Completed),
            Phase::Over => {}
        }
    }
}

/// A rate, kept in the order in which calls come.
struct Pace {
    limiter: RateLimiter<NotKeyed, InMemoryState, Monotonic, NoOpMiddleware<Instant>>,
    next: tokio::sync::Mutex<()>,
    clock: Monotonic,
}

impl Pace {
    fn new(quota: Quota, clock: Clock) -> Self {
        let clock = Monotonic(clock);
        Self { limiter: RateLimiter::direct_with_clock(quota, clock.clone()), next: tokio::sync::Mutex::new(()), clock }
    }

    /// Waits until the rate lets one more pass. Dropped before, it has taken nothing.
    async fn turn(&self) {
        let _next = self.next.lock().await;
        while let Err(not_yet) = self.limiter.check() {
            tokio::time::sleep(not_yet.wait_time_from(self.clock.now())).await;
        }
    }
}

/// The limiter's view of the clock.
#[derive(Clone)]
struct Monotonic(Clock);

impl governor::clock::Clock for Monotonic {
    type Instant = Instant;

    fn now(&self) -> Instant {
        self.0.now().into_std()
    }
}

#[cfg(test)]
#[path = "gate_tests.rs"]
mod tests;
