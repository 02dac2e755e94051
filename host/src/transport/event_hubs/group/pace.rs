//! When something may be tried again with a partition that went wrong with it before. Pure.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

#[derive(Debug)]
pub(super) struct Pace {
    first: Duration,
    longest: Duration,
    partitions: BTreeMap<u32, Rest>,
}

#[derive(Clone, Copy, Debug)]
struct Rest {
    until: Instant,
    /// The wait after the next time.
    next: Duration,
}

impl Pace {
    /// Waits that double, from the first to the longest; after a quiet time of the longest they begin anew.
    pub(super) fn new(first: Duration, longest: Duration) -> Self {
        Self { first, longest, partitions: BTreeMap::new() }
    }

    /// Something went wrong, or was done that is not to be done often.
    pub(super) fn went(&mut self, partition: u32, now: Instant) {
        let rest = self.partitions.entry(partition).or_insert(Rest { until: now, next: self.first });
        if now >= rest.until + self.longest {
            rest.next = self.first;
        }
        rest.until = rest.until.max(now + rest.next);
        rest.next = (rest.next * 2).min(self.longest);
    }

    /// A partition is left alone for so long.
    pub(super) fn rest(&mut self, partition: u32, until: Instant) {
        let rest = self.partitions.entry(partition).or_insert(Rest { until, next: self.first });
        rest.until = rest.until.max(until);
    }

    /// When the next try may be; in the past where nothing is to be waited for.
    pub(super) fn due(&self, partition: u32, now: Instant) -> Instant {
        self.partitions.get(&partition).map_or(now, |rest| rest.until.max(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_and_begin_anew_after_a_quiet_time() {
        let second = Duration::from_secs(1);
        let (mut pace, start) = (Pace::new(second, 8 * second), Instant::now());
        assert_eq!(pace.due(0, start), start);
        let mut now = start;
        let mut waits = Vec::new();
        for _ in 0..5 {
            pace.went(0, now);
            waits.push((pace.due(0, now) - now).as_secs());
            now = pace.due(0, now);
        }
        assert_eq!(waits, [1, 2, 4, 8, 8]);
        now += 8 * second;
        pace.went(0, now);
        assert_eq!(pace.due(0, now), now + second);
        assert_eq!(pace.due(1, now), now);
    }
}
