//! What a hub takes in a second: events and bytes each fill a bucket that leaks, one second deep.

use jiff::Timestamp;

use crate::config::Throughput;

/// How full a hub's buckets are.
#[derive(Debug)]
pub(crate) struct Throttle {
    limit: Throughput,
    events: f64,
    bytes: f64,
    at: Timestamp,
}

impl Throttle {
    /// One that is empty.
    pub(crate) fn new(limit: Throughput, now: Timestamp) -> Self {
        Self { limit, events: 0.0, bytes: 0.0, at: now }
    }

    /// Whether so much more may come now. One delivery always may when nothing came before it.
    pub(crate) fn admits(&mut self, events: usize, bytes: usize, now: Timestamp) -> bool {
        let seconds = now.duration_since(self.at).as_secs_f64().max(0.0);
        self.at = now;
        let (events, bytes) = (events as f64, bytes as f64);
        let events_in = fill(&mut self.events, self.limit.events_per_second.map(|limit| limit.get()), seconds);
        let bytes_in = fill(&mut self.bytes, self.limit.bytes_per_second.map(|limit| limit.get()), seconds);
        let admits = events_in(events) && bytes_in(bytes);
        if admits {
            self.events += events;
            self.bytes += bytes;
        }
        admits
    }
}

/// Lets leak what has leaked by now, and says how to tell whether so much more may come.
fn fill(level: &mut f64, limit: Option<u64>, seconds: f64) -> impl Fn(f64) -> bool + use<> {
    let limit = limit.map_or(f64::INFINITY, |limit| limit as f64);
    *level = if limit.is_finite() { (*level - limit * seconds).max(0.0) } else { 0.0 };
    let level = *level;
    move |more| level == 0.0 || level + more <= limit
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU64;

    use super::*;

    fn at(milliseconds: i64) -> Timestamp {
        Timestamp::from_millisecond(1_700_000_000_000 + milliseconds).unwrap()
    }

    fn throttle(events: Option<u64>, bytes: Option<u64>) -> Throttle {
        let limit = |limit: Option<u64>| limit.and_then(NonZeroU64::new);
        Throttle::new(Throughput { events_per_second: limit(events), bytes_per_second: limit(bytes) }, at(0))
    }

    #[test]
    fn more_events_than_a_second_takes_are_refused_until_it_is_over() {
        let mut throttle = throttle(Some(10), None);
        assert!(throttle.admits(10, 1 << 30, at(0)));
        assert!(!throttle.admits(1, 1, at(50)));
        assert!(throttle.admits(1, 1, at(100)));
        assert!(!throttle.admits(2, 1, at(100)));
        assert!(throttle.admits(10, 1, at(5000)));
    }

    #[test]
    fn bytes_count_as_well() {
        let mut throttle = throttle(Some(1000), Some(100));
        assert!(throttle.admits(1, 100, at(0)));
        assert!(!throttle.admits(1, 20, at(100)));
        assert!(throttle.admits(1, 20, at(200)));
    }

    #[test]
    fn a_batch_above_the_limit_comes_when_nothing_came_before() {
        let mut throttle = throttle(Some(10), None);
        assert!(throttle.admits(50, 1, at(0)));
        assert!(!throttle.admits(1, 1, at(3900)));
        assert!(throttle.admits(1, 1, at(4100)));
    }
}
