//! How long things take, as counts in fixed buckets, so that lives of a pipeline add up. Pure: durations come as
//! arguments. Never keeps a single value, so that its size does not grow.

use std::time::Duration;

use crate::model::{Message, Timestamp, header};

/// Upper bounds of the buckets in milliseconds. Up to ten seconds they are those that the OpenTelemetry conventions
/// advise; the rest is for files that take minutes and messages that wait for hours.
pub const BOUNDS_MS: [u64; 21] = [
    5, 10, 25, 50, 75, 100, 250, 500, 750, 1_000, 2_500, 5_000, 7_500, 10_000, 30_000, 60_000, 300_000, 900_000,
    3_600_000, 14_400_000, 86_400_000,
];
/// One bucket a bound, and one for what is above them all.
pub const BUCKETS: usize = BOUNDS_MS.len() + 1;

/// Durations, counted by bucket.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Histogram {
    buckets: [u64; BUCKETS],
    sum: Duration,
}

impl Histogram {
    /// Counts one duration.
    pub fn record(&mut self, duration: Duration) {
        let above = |bound: &u64| duration > Duration::from_millis(*bound);
        if let Some(bucket) = self.buckets.get_mut(BOUNDS_MS.partition_point(above)) {
            *bucket += 1;
        }
        self.sum = self.sum.saturating_add(duration);
    }

    /// Adds what another one counted.
    pub fn add(&mut self, other: &Self) {
        for (bucket, more) in self.buckets.iter_mut().zip(other.buckets) {
            *bucket += more;
        }
        self.sum = self.sum.saturating_add(other.sum);
    }

    /// How many durations fell below each bound and above the one before it; the last is above them all.
    pub fn buckets(&self) -> &[u64; BUCKETS] {
        &self.buckets
    }

    /// How many durations there were.
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }

    /// All durations together.
    pub fn sum(&self) -> Duration {
        self.sum
    }
}

/// The duration below which a share of those in `buckets` lie, told as within its bucket: evenly spread there, and the
/// highest bound for what is above it. None where there are none.
pub fn quantile(buckets: &[u64], share: f64) -> Option<Duration> {
    let count: u64 = buckets.iter().sum();
    let rank = share.clamp(0.0, 1.0) * count as f64;
    let (mut below, mut lower) = (0_u64, 0_u64);
    for (upper, within) in BOUNDS_MS.iter().zip(buckets) {
        if *within > 0 && (below + within) as f64 >= rank {
            let part = (rank - below as f64).max(0.0) / *within as f64;
            return Some(Duration::from_secs_f64((lower as f64 + (upper - lower) as f64 * part) / 1e3));
        }
        below += within;
        lower = *upper;
    }
    (count > 0).then_some(Duration::from_millis(lower))
}

/// What a pipeline measures.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Measures {
    /// Time in the plugin, a call.
    pub in_plugin: Histogram,
    /// From a message's first entry into Lockgate to its settlement, where it was processed.
    pub latency: Histogram,
}

impl Measures {
    /// Adds what another life of the pipeline measured.
    pub fn add(&mut self, other: &Self) {
        self.in_plugin.add(&other.in_plugin);
        self.latency.add(&other.latency);
    }
}

/// How old a message's chain is: since the header says that it entered Lockgate, else since the message was enqueued.
/// Nothing where clocks disagree.
pub fn age(message: &Message, now: Timestamp) -> Duration {
    let told = message.headers.text(header::ORIGIN_MS).and_then(|text| text.parse().ok());
    Duration::from_millis(now.0.saturating_sub(told.unwrap_or(message.origin.enqueued.0)))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::model::{Headers, MessageId, Origin, Partition, Position};

    fn of(durations: &[u64]) -> Histogram {
        let mut histogram = Histogram::default();
        durations.iter().for_each(|ms| histogram.record(Duration::from_millis(*ms)));
        histogram
    }

    #[test]
    fn a_duration_lies_in_the_first_bucket_that_it_does_not_exceed() {
        let histogram = of(&[0, 5, 6, 86_400_000, 86_400_001]);
        assert_eq!(histogram.buckets()[..2], [2, 1]);
        assert_eq!(histogram.buckets()[BUCKETS - 2..], [1, 1]);
        assert_eq!((histogram.count(), histogram.sum()), (5, Duration::from_millis(172_800_012)));
    }

    #[test]
    fn two_lives_add_up() {
        let mut both = of(&[1, 40]);
        both.add(&of(&[40, 90_000]));
        assert_eq!(both, of(&[1, 40, 40, 90_000]));
    }

    #[test]
    fn a_quantile_is_told_as_within_its_bucket() {
        let at = |durations: &[u64], share| quantile(of(durations).buckets(), share);
        assert_eq!(at(&[], 0.5), None);
        assert_eq!(at(&[60, 60, 60, 60], 0.5), Some(Duration::from_micros(62_500)), "between 50 and 75 ms");
        assert_eq!(at(&[1, 1, 1, 9_000], 0.5).map(|value| value < Duration::from_millis(5)), Some(true));
        assert_eq!(at(&[u64::MAX / 1_000_000], 0.95), Some(Duration::from_secs(86_400)), "no more is known");
    }

    #[test]
    fn a_chain_is_as_old_as_its_header_says_and_else_as_its_message() {
        let message = |header: Option<&'static str>| {
            let mut headers = Headers::default();
            header.into_iter().for_each(|value| headers.push(header::ORIGIN_MS, value));
            let partition = Partition::new("t", 0);
            let enqueued = Timestamp(9_000);
            let origin = Origin { transport: "bus".into(), partition, position: Position(0), enqueued };
            Message { id: MessageId::given("m"), origin, key: None, headers, payload: Bytes::new() }
        };
        let ages = [Some("4000"), None, Some("no number"), Some("99000")];
        let ages = ages.map(|header| age(&message(header), Timestamp(10_000)).as_secs());
        assert_eq!(ages, [6, 1, 1, 0]);
    }
}
