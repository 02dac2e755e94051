//! How quickly letters are redriven: so many in a time, evenly. What was late is not made up for.

use std::str::FromStr;
use std::time::Duration;

use tokio::time::Instant;

/// So many in a second, a minute or an hour.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Rate {
    interval: Duration,
}

impl FromStr for Rate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bad = || "write a number and a time, such as `50/s` or `600/m`".to_owned();
        let (count, unit) = text.split_once('/').ok_or_else(bad)?;
        let seconds = match unit {
            "s" => 1,
            "m" => 60,
            "h" => 3600,
            _ => return Err(bad()),
        };
        let count = count.parse().ok().filter(|count: &u32| *count > 0).ok_or_else(bad)?;
        Ok(Self { interval: Duration::from_secs(seconds) / count })
    }
}

/// Says when the next letter may go.
pub(super) struct Pace {
    interval: Duration,
    next: Instant,
}

impl Pace {
    pub(super) fn new(rate: Rate, now: Instant) -> Self {
        Self { interval: rate.interval, next: now }
    }

    /// When the next one may go. It counts as gone then.
    pub(super) fn take(&mut self, now: Instant) -> Instant {
        let at = self.next.max(now);
        self.next = at + self.interval;
        at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_a_number_in_a_time() {
        let interval = |text: &str| text.parse::<Rate>().map(|rate| rate.interval.as_millis());
        assert_eq!([interval("50/s"), interval("600/m"), interval("1/h")], [Ok(20), Ok(100), Ok(3_600_000)]);
        for wrong in ["", "50", "0/s", "-1/s", "1.5/s", "5/d", "/s"] {
            assert!(interval(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn letters_go_evenly_and_none_is_made_up_for() {
        let start = Instant::now();
        let mut pace = Pace::new("10/s".parse().unwrap(), start);
        let after = |ms| start + Duration::from_millis(ms);
        assert_eq!([pace.take(start), pace.take(start), pace.take(start)], [start, after(100), after(200)]);
        assert_eq!([pace.take(after(1000)), pace.take(after(1000))], [after(1000), after(1100)]);
    }
}
