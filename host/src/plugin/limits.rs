//! What one call may use, and how the host notices when it uses more.
//!
//! | limit | counts | noticed by |
//! |---|---|---|
//! | `memory` | linear memory and tables of the instance | the store's limiter, when the guest asks for more |
//! | `cpu` | ticks that pass while the guest is polled | the epoch callback, which only runs while the guest computes |
//! | `stall` | time in which nothing moves | [`watch`], beside the guest |
//! | `deadline` | time | [`watch`], beside the guest |
//!
//! Besides, a call has at most [`HOST_CALLS`] host calls under way, and what the host holds for it is bounded by its memory.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};
use wasmtime::ResourceLimiter;

use super::capabilities::HOST_CALLS;
use super::ticker::{TICK, Ticks};
use crate::model::Progress;

/// The most elements that one table may have: large programs of interpreted languages have some ten thousand.
pub(super) const TABLE_ELEMENTS: usize = 40_000;
/// What an element of a table takes in the host, in bytes.
const TABLE_ELEMENT: u64 = 8;

/// A guest used more than it may. Travels through the guest as the error that ends it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub(super) enum Exceeded {
    /// Computed for too long.
    #[error("it computed for longer than `limits.cpu`")]
    Cpu,
    /// Wanted too much memory.
    #[error("it needs more than `limits.memory`")]
    Memory,
    /// Wanted too large a table.
    #[error("it wants a table of more than {TABLE_ELEMENTS} elements")]
    Table,
    /// Called the host too often at once.
    #[error("it has more than {HOST_CALLS} host calls under way at once")]
    HostCalls,
}

/// How long one call computed: the ticks that passed while it was polled. What it waits for is not charged, however
/// often it waits.
#[derive(Debug)]
pub(super) struct Meter {
    ticks: Ticks,
    budget: u64,
    /// Ticks of the polls that ended.
    spent: AtomicU64,
    /// The tick at which the current poll began.
    since: AtomicU64,
}

impl Meter {
    /// A meter for calls that may compute for `cpu`.
    pub(super) fn new(ticks: Ticks, cpu: Duration) -> Self {
        let budget = u64::try_from(cpu.as_millis().div_ceil(TICK.as_millis())).unwrap_or(u64::MAX);
        Self { ticks, budget, spent: AtomicU64::new(0), since: AtomicU64::new(0) }
    }

    /// Runs one call, which starts with its whole budget.
    pub(super) async fn run<F: Future>(&self, call: F) -> F::Output {
        self.spent.store(0, Ordering::Relaxed);
        let mut call = pin!(call);
        poll_fn(|context| {
            let _computing = self.ticks.computing();
            self.since.store(self.ticks.now(), Ordering::Relaxed);
            let polled = call.as_mut().poll(context);
            self.spent.fetch_add(self.this_poll(), Ordering::Relaxed);
            polled
        })
        .await
    }

    /// Whether the running call is over its budget. Asked while it computes.
    pub(super) fn is_over(&self) -> bool {
        self.spent.load(Ordering::Relaxed).saturating_add(self.this_poll()) > self.budget
    }

    fn this_poll(&self) -> u64 {
        self.ticks.now().saturating_sub(self.since.load(Ordering::Relaxed))
    }
}

/// Bounds the memory of one instance, over all its linear memories and tables.
#[derive(Debug)]
pub(super) struct MemoryLimit {
    limit: u64,
    used: u64,
    /// What of it was used before the first call.
    at_rest: u64,
}

impl MemoryLimit {
    /// At most this many bytes.
    pub(super) fn new(limit: u64) -> Self {
        Self { limit, used: 0, at_rest: 0 }
    }

    /// From here on it is looked at how much an instance fills.
    pub(super) fn rest(&mut self) {
        self.at_rest = self.used;
    }

    /// Whether three quarters are filled of what an instance had left when it began: memory is never given back, so one of
    /// the next calls would run out of it.
    pub(super) fn is_filled(&self) -> bool {
        let (filled, room) = (self.used.saturating_sub(self.at_rest), self.limit.saturating_sub(self.at_rest));
        filled > room / 4 * 3
    }

    fn take(&mut self, bytes: u64) -> Result<(), Exceeded> {
        let used = self.used.saturating_add(bytes);
        if used > self.limit {
            return Err(Exceeded::Memory);
        }
        self.used = used;
        Ok(())
    }
}

impl ResourceLimiter for MemoryLimit {
    fn memory_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        self.take(desired.saturating_sub(current) as u64)?;
        Ok(true)
    }

    fn table_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        if desired > TABLE_ELEMENTS {
            return Err(Exceeded::Table.into());
        }
        self.take((desired.saturating_sub(current) as u64).saturating_mul(TABLE_ELEMENT))?;
        Ok(true)
    }
}

/// Why a call that has not ended has to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Overdue {
    /// Nothing moved while it waited on the host.
    Stalled,
    /// It waits, and on nothing.
    Idle,
    /// Its time is up.
    Deadline,
}

/// Resolves once a call has to end. Computing counts as progress: it has a limit of its own.
pub(super) async fn watch(progress: &Progress, stall: Duration, deadline: Option<Instant>) -> Overdue {
    let stalled = async {
        loop {
            match stall.saturating_sub(progress.idle()) {
                Duration::ZERO if progress.in_host_call() => return Overdue::Stalled,
                Duration::ZERO => return Overdue::Idle,
                left => sleep(left).await,
            }
        }
    };
    match deadline {
        Some(deadline) => timeout_at(deadline, stalled).await.unwrap_or(Overdue::Deadline),
        None => stalled.await,
    }
}

#[cfg(test)]
mod tests {
    use std::task::Poll;

    use super::*;

    const STALL: Duration = Duration::from_secs(10);

    #[tokio::test]
    async fn ticks_count_only_while_the_call_is_polled() {
        let ticks = Ticks::default();
        let meter = Meter::new(ticks.clone(), TICK * 3);
        let mut polls = 0;
        let call = poll_fn(|context| {
            polls += 1;
            (0..2).for_each(|_| ticks.advance());
            context.waker().wake_by_ref();
            if meter.is_over() { Poll::Ready(polls) } else { Poll::Pending }
        });
        let mut call = pin!(meter.run(call));
        let ended = poll_fn(|context| {
            let polled = call.as_mut().poll(context);
            (0..100).for_each(|_| ticks.advance());
            polled
        });
        assert_eq!(ended.await, 2, "two ticks a poll, a budget of three, the hundred between them are not charged");
    }

    #[test]
    fn memory_is_bounded_over_all_memories_of_an_instance() {
        let mut limit = MemoryLimit::new(10);
        assert!(limit.memory_growing(0, 6, None).unwrap());
        assert!(limit.memory_growing(0, 4, None).unwrap());
        let refused = limit.memory_growing(4, 5, None).unwrap_err();
        assert_eq!(refused.downcast_ref(), Some(&Exceeded::Memory));
    }

    #[test]
    fn tables_count_as_memory_and_none_is_too_large() {
        let mut limit = MemoryLimit::new(8 * 10);
        assert!(limit.table_growing(0, 6, None).unwrap());
        assert!(limit.table_growing(0, 4, None).unwrap());
        let refused = limit.table_growing(4, 5, None).unwrap_err();
        assert_eq!(refused.downcast_ref(), Some(&Exceeded::Memory));
        let refused = MemoryLimit::new(u64::MAX).table_growing(0, TABLE_ELEMENTS + 1, None).unwrap_err();
        assert_eq!(refused.downcast_ref(), Some(&Exceeded::Table));
    }

    #[tokio::test(start_paused = true)]
    async fn a_wait_on_the_host_stalls_and_a_wait_on_nothing_is_idle() {
        let progress = Progress::new();
        assert_eq!(watch(&progress, STALL, None).await, Overdue::Idle);
        progress.touch();
        let _under_way = progress.host_call();
        assert_eq!(watch(&progress, STALL, None).await, Overdue::Stalled);
    }

    #[tokio::test(start_paused = true)]
    async fn a_deadline_comes_even_while_things_move() {
        let progress = Progress::new();
        let deadline = Instant::now() + STALL * 3;
        let moving = async {
            loop {
                sleep(STALL / 2).await;
                progress.touch();
            }
        };
        let overdue = tokio::select! {
            overdue = watch(&progress, STALL, Some(deadline)) => overdue,
            () = moving => unreachable!(),
        };
        assert_eq!((overdue, Instant::now()), (Overdue::Deadline, deadline));
    }

    #[tokio::test(start_paused = true)]
    async fn a_paused_clock_never_stalls() {
        let progress = Progress::new();
        let paused = progress.pause();
        let stalled = tokio::time::timeout(STALL * 100, watch(&progress, STALL, None)).await;
        assert!(stalled.is_err());
        drop(paused);
        assert_eq!(watch(&progress, STALL, None).await, Overdue::Idle);
    }
}
