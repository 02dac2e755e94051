//! What something costs in this process: time on the wall, and CPU time by the kernel's own clock.

use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

/// What one run took.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Cost {
    /// Time on the wall.
    pub(crate) wall: Duration,
    /// CPU time of this process, over all its threads.
    pub(crate) cpu: Duration,
}

impl Cost {
    /// What `run` takes.
    pub(crate) fn of<T>(run: impl FnOnce() -> T) -> (T, Self) {
        let meter = Meter::start();
        let value = run();
        (value, meter.stop())
    }

    /// CPU time a message, in microseconds.
    pub(crate) fn cpu_micros_each(&self, messages: usize) -> f64 {
        self.cpu.as_secs_f64() * 1e6 / messages.max(1) as f64
    }

    /// Messages a second.
    pub(crate) fn rate(&self, messages: usize) -> f64 {
        messages as f64 / self.wall.as_secs_f64()
    }
}

/// Measures from its start to its stop.
#[derive(Debug)]
pub(crate) struct Meter {
    began: Instant,
    cpu: Duration,
}

impl Meter {
    /// Begins now.
    pub(crate) fn start() -> Self {
        Self { began: Instant::now(), cpu: own_cpu() }
    }

    /// What it took until now.
    pub(crate) fn stop(&self) -> Cost {
        Cost { wall: self.began.elapsed(), cpu: own_cpu().saturating_sub(self.cpu) }
    }
}

/// CPU time of this process so far, over all its threads; those that ended count.
fn own_cpu() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ProcessCPUTime)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn computing_takes_cpu_and_waiting_takes_time() {
        let mut turns = 0_u64;
        let (began, meter) = (own_cpu(), Meter::start());
        while own_cpu() == began {
            turns = std::hint::black_box(turns + 1);
        }
        let cost = meter.stop();
        assert!(cost.cpu > Duration::ZERO && cost.wall > Duration::ZERO, "{cost:?} after {turns} turns");
        assert_eq!(Cost { wall: Duration::from_secs(2), cpu: Duration::from_secs(1) }.rate(10), 5.0);
        assert_eq!(Cost { wall: Duration::from_secs(2), cpu: Duration::from_secs(1) }.cpu_micros_each(10), 100_000.0);
    }
}
