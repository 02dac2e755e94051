//! The stall clock of one plugin call: who moves bytes or returns from a wait says so here, and who waits only for
//! the host's own limits stops the clock meanwhile. The plugin engine watches it; egress and storage only report.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::time::Instant;

#[derive(Debug)]
struct State {
    start: Instant,
    /// Milliseconds from `start` to the last progress.
    last: AtomicU64,
    paused: AtomicUsize,
    /// Waits for a place at one of the host's limits.
    queued: AtomicUsize,
    /// Places at the host's limits that the call holds.
    held: AtomicUsize,
    waiting: AtomicUsize,
}

/// A handle on a call's stall clock. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Progress(Arc<State>);

impl Default for Progress {
    fn default() -> Self {
        Self::new()
    }
}

impl Progress {
    /// A clock that starts now.
    pub fn new() -> Self {
        Self(Arc::new(State {
            start: Instant::now(),
            last: AtomicU64::new(0),
            paused: AtomicUsize::new(0),
            queued: AtomicUsize::new(0),
            held: AtomicUsize::new(0),
            waiting: AtomicUsize::new(0),
        }))
    }

    /// Something moved: bytes, or a host call returned.
    pub fn touch(&self) {
        let elapsed = u64::try_from(self.0.start.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.0.last.fetch_max(elapsed, Ordering::Relaxed);
    }

    /// The wait that follows is the host's own (a rate, a concurrency limit, a sleep): it does not count until the
    /// guard is dropped.
    #[must_use = "the clock stands still only while the guard lives"]
    pub fn pause(&self) -> Paused {
        self.0.paused.fetch_add(1, Ordering::AcqRel);
        Paused(self.clone())
    }

    /// The wait that follows is for a place that somebody has to free. It does not count until the guard is dropped,
    /// unless the call holds a place itself: then it may be what it waits for, and only the stall limit ends that.
    #[must_use = "the wait is excused only while the guard lives"]
    pub fn queue(&self) -> Queued {
        self.0.queued.fetch_add(1, Ordering::AcqRel);
        Queued(self.clone())
    }

    /// The call holds a place that others may wait for, until the guard is dropped.
    #[must_use = "the place counts as held only while the guard lives"]
    pub fn hold(&self) -> Held {
        self.touch();
        self.0.held.fetch_add(1, Ordering::AcqRel);
        Held(self.clone())
    }

    /// A host call is under way until the guard is dropped.
    #[must_use = "the call counts as under way only while the guard lives"]
    pub fn host_call(&self) -> HostCall {
        self.0.waiting.fetch_add(1, Ordering::AcqRel);
        HostCall(self.clone())
    }

    /// Whether the guest waits in a host call: if it stalls then, it is the world's fault, else its own.
    pub fn in_host_call(&self) -> bool {
        self.0.waiting.load(Ordering::Acquire) > 0
    }

    /// How long nothing has moved; zero while paused.
    pub fn idle(&self) -> Duration {
        if self.is_excused() {
            self.touch();
            return Duration::ZERO;
        }
        self.0.start.elapsed().saturating_sub(Duration::from_millis(self.0.last.load(Ordering::Relaxed)))
    }

    fn is_excused(&self) -> bool {
        let is_any = |count: &AtomicUsize| count.load(Ordering::Acquire) > 0;
        is_any(&self.0.paused) || is_any(&self.0.queued) && !is_any(&self.0.held)
    }
}

/// Keeps the stall clock stopped while it lives, unless the call holds a place.
#[derive(Debug)]
pub struct Queued(Progress);

impl Drop for Queued {
    fn drop(&mut self) {
        self.0.touch();
        self.0.0.queued.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Says that the call holds a place while it lives.
#[derive(Debug)]
pub struct Held(Progress);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.touch();
        self.0.0.held.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Keeps the stall clock stopped while it lives.
#[derive(Debug)]
pub struct Paused(Progress);

impl Drop for Paused {
    fn drop(&mut self) {
        self.0.touch();
        self.0.0.paused.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Marks a host call as under way while it lives.
#[derive(Debug)]
pub struct HostCall(Progress);

impl Drop for HostCall {
    fn drop(&mut self) {
        self.0.touch();
        self.0.0.waiting.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_paused_clock_does_not_count() {
        let progress = Progress::new();
        tokio::time::advance(Duration::from_secs(5)).await;
        assert_eq!(progress.idle(), Duration::from_secs(5));
        let paused = progress.pause();
        tokio::time::advance(Duration::from_secs(60)).await;
        assert_eq!(progress.idle(), Duration::ZERO);
        drop(paused);
        tokio::time::advance(Duration::from_secs(2)).await;
        assert_eq!(progress.idle(), Duration::from_secs(2));
    }
    #[tokio::test(start_paused = true)]
    async fn a_wait_for_a_place_counts_only_while_the_call_holds_one_itself() {
        let progress = Progress::new();
        let _queued = progress.queue();
        tokio::time::advance(Duration::from_secs(60)).await;
        let held = progress.hold();
        tokio::time::advance(Duration::from_secs(7)).await;
        assert_eq!(progress.idle(), Duration::from_secs(7));
        drop(held);
        tokio::time::advance(Duration::from_secs(60)).await;
        assert_eq!(progress.idle(), Duration::ZERO);
    }
}
