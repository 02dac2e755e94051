//! A model checker for delivery: thousands of seeded runs drive the real loop through everything that can happen to it,
//! and an oracle that knows every message says whether a promise is broken.
//!
//! `LOCKGATE_SEED=n` runs one seed and says what happens (with `--nocapture` at once); `LOCKGATE_RUNS=n` says how many
//! are run. A seed that found something stays in [`FOUND`], and what it found is a test of its own in `named`.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use driver::Driver;

mod driver;
mod fate;
mod named;
mod oracle;
mod script;
mod setup;
mod tardy;
mod world;

/// How many seeds the test command runs.
const RUNS: u64 = 5_000;
/// So many broken seeds are enough to find a short one among them.
const ENOUGH: usize = 20;
/// Seeds that found a fault, each with what it was.
const FOUND: [(u64, &str); 2] = [
    (37, "the loop spun while a trial was due that a topic kept from starting"),
    (1286, "a partition that was lost while a write was repeated left the pipeline blocked for ever"),
];

/// A run that broke a promise.
struct Broken {
    seed: u64,
    wrong: String,
    trace: String,
}

/// Runs one seed in its own runtime, in paused time, on this thread.
fn run(seed: u64, aloud: bool) -> Result<(), Broken> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let mut driver = Driver::random(seed);
        driver.shared.look().oracle.aloud = aloud;
        let result = driver.run().await;
        let world = driver.shared.look();
        let trace = || format!("{}\n{}", world.oracle.trace(), world.oracle.account());
        result.map_err(|wrong| Broken { seed, wrong, trace: trace() })
    })
}

/// Runs seeds on every core until enough are broken; the one with the shortest story is the one to read.
fn shortest_broken(runs: u64) -> (usize, Option<Broken>) {
    let (next, broken) = (AtomicU64::new(0), Mutex::new(Vec::new()));
    let work = || {
        while let Some(seed) = Some(next.fetch_add(1, Ordering::Relaxed)).filter(|seed| *seed < runs) {
            let result = run(seed, false);
            let mut broken = broken.lock().unwrap();
            broken.extend(result.err());
            if broken.len() >= ENOUGH {
                return;
            }
        }
    };
    std::thread::scope(|scope| {
        let cores = std::thread::available_parallelism().map_or(1, Into::into);
        (0..cores).for_each(|_| drop(scope.spawn(work)));
    });
    let broken = broken.into_inner().unwrap();
    (broken.len(), broken.into_iter().min_by_key(|broken| broken.trace.len()))
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|value| value.parse().unwrap())
}

#[test]
fn whatever_happens_no_message_is_lost_and_every_promise_is_kept() {
    if let Some(seed) = number("LOCKGATE_SEED") {
        match run(seed, true) {
            Ok(()) => return println!("seed {seed}: all is well"),
            Err(Broken { wrong, .. }) => panic!("seed {seed}: {wrong}"),
        }
    }
    let runs = number("LOCKGATE_RUNS").unwrap_or(RUNS);
    if let (count, Some(Broken { seed, wrong, trace })) = shortest_broken(runs) {
        panic!(
            "{trace}\n{count} of at most {runs} seeds broke a promise; the shortest is LOCKGATE_SEED={seed}: {wrong}"
        );
    }
}

#[test]
fn what_a_seed_has_found_is_not_found_again() {
    for (seed, what) in FOUND {
        if let Err(Broken { wrong, trace, .. }) = run(seed, false) {
            panic!("{trace}\nLOCKGATE_SEED={seed} ({what}): {wrong}");
        }
    }
}
