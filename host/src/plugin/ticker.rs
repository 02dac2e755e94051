//! Moves the engine's epoch on while guests compute, from a thread of its own: a guest that never returns keeps every
//! runtime thread busy. It rests while no guest computes, so that a host with nothing to do wakes for nothing.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::{self, Thread};
use std::time::Duration;

use wasmtime::EngineWeak;

/// How often the engine's epoch moves on: the grain of `limits.cpu`, and the longest that a guest computes in one go.
pub(super) const TICK: Duration = Duration::from_millis(10);
/// Ticks at which no guest computed, before it rests: waking it costs more than a short call.
const QUIET: u32 = 10;

/// Ticks of the engine's epoch so far. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(super) struct Ticks(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    count: AtomicU64,
    /// Guests that compute at this moment.
    computing: AtomicUsize,
    /// Whether the thread sleeps until it is woken.
    rests: AtomicBool,
    /// Whether the engine is gone.
    over: AtomicBool,
    thread: OnceLock<Thread>,
}

/// A guest computes for as long as this lives.
#[must_use]
pub(super) struct Computing<'a>(&'a Ticks);

impl Drop for Computing<'_> {
    fn drop(&mut self) {
        self.0.0.computing.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Ticks {
    /// Begins to move the epoch of `engine` on, until [`Ticks::end`] or until the engine is gone.
    pub(super) fn start(&self, engine: EngineWeak) -> io::Result<()> {
        let ticks = self.clone();
        thread::Builder::new().name("lockgate-epoch".into()).spawn(move || ticks.run(&engine)).map(drop)
    }

    /// Ends the thread.
    pub(super) fn end(&self) {
        self.0.over.store(true, Ordering::SeqCst);
        self.wake();
    }

    /// A guest is about to compute.
    pub(super) fn computing(&self) -> Computing<'_> {
        // Either the thread sees that one computes before it rests, or this sees that it rests.
        self.0.computing.fetch_add(1, Ordering::SeqCst);
        if self.0.rests.load(Ordering::SeqCst) {
            self.wake();
        }
        Computing(self)
    }

    /// How many there were so far.
    pub(super) fn now(&self) -> u64 {
        self.0.count.load(Ordering::Relaxed)
    }

    /// One more.
    pub(super) fn advance(&self) {
        self.0.count.fetch_add(1, Ordering::Relaxed);
    }

    fn run(&self, engine: &EngineWeak) {
        // Nobody else sets it.
        let _ = self.0.thread.set(thread::current());
        let mut quiet = 0;
        while let Some(engine) = engine.upgrade().filter(|_| !self.0.over.load(Ordering::SeqCst)) {
            self.advance();
            engine.increment_epoch();
            drop(engine);
            thread::sleep(TICK);
            quiet = if self.nobody_computes() { quiet + 1 } else { 0 };
            if quiet == QUIET {
                self.rest();
                quiet = 0;
            }
        }
    }

    /// Returns once a guest computes or the engine is gone; it may return before.
    fn rest(&self) {
        self.0.rests.store(true, Ordering::SeqCst);
        if self.nobody_computes() && !self.0.over.load(Ordering::SeqCst) {
            thread::park();
        }
        self.0.rests.store(false, Ordering::SeqCst);
    }

    fn nobody_computes(&self) -> bool {
        self.0.computing.load(Ordering::SeqCst) == 0
    }

    fn wake(&self) {
        if let Some(thread) = self.0.thread.get() {
            thread.unpark();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use wasmtime::Engine;

    use super::*;

    /// Waits until `is` holds, without an upper bound of its own: what never holds is found by the test's runner.
    fn until(is: impl Fn() -> bool) {
        while !is() {
            thread::yield_now();
        }
    }

    #[test]
    fn it_rests_while_nothing_computes_and_goes_on_when_something_does() {
        let (engine, ticks) = (Engine::default(), Ticks::default());
        ticks.start(engine.weak()).unwrap();
        for _ in 0..3 {
            until(|| ticks.0.rests.load(Ordering::SeqCst));
            let before = ticks.now();
            let computing = ticks.computing();
            until(|| ticks.now() > before + u64::from(QUIET) + 1);
            assert!(!ticks.0.rests.load(Ordering::SeqCst), "it never rests beside a guest that computes");
            drop(computing);
        }
        ticks.end();
    }

    #[test]
    fn a_resting_thread_ends_with_its_engine() {
        let (engine, ticks) = (Engine::default(), Ticks::default());
        let (ended, end) = mpsc::channel();
        let (weak, run) = (engine.weak(), ticks.clone());
        thread::spawn(move || {
            run.run(&weak);
            ended.send(()).unwrap();
        });
        until(|| ticks.0.rests.load(Ordering::SeqCst));
        ticks.end();
        end.recv().unwrap();
    }
}
