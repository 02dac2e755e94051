//! When something is tried again that many messages wait for. Pure.

use std::time::Duration;

use tokio::time::Instant;

/// Waits that double with each time that failed, however many messages meet it: all that fail before the next time are
/// tried again then. Else a moment's trouble that a hundred messages met would cost the longest wait.
#[derive(Clone, Copy, Debug)]
pub(super) struct Backoff {
    first: Duration,
    longest: Duration,
    wait: Duration,
    due: Option<Instant>,
}

impl Backoff {
    /// Waits from the first to the longest.
    pub(super) fn new(first: Duration, longest: Duration) -> Self {
        Self { first, longest, wait: first, due: None }
    }

    /// It failed now; when it is tried again.
    pub(super) fn failed(&mut self, now: Instant) -> Instant {
        if let Some(due) = self.due.filter(|due| *due > now) {
            return due;
        }
        let due = now + self.wait;
        self.due = Some(due);
        self.wait = (self.wait * 2).min(self.longest);
        due
    }

    /// It works.
    pub(super) fn passed(&mut self) {
        (self.wait, self.due) = (self.first, None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    #[test]
    fn the_wait_doubles_with_the_times_that_failed_and_not_with_those_that_met_them() {
        let (mut backoff, start) = (Backoff::new(ms(100), ms(500)), Instant::now());
        let due = |backoff: &mut Backoff, at| backoff.failed(start + ms(at)).saturating_duration_since(start);
        for _ in 0..100 {
            assert_eq!(due(&mut backoff, 0), ms(100));
        }
        assert_eq!(due(&mut backoff, 99), ms(100), "a late one goes along");
        for (at, expected) in [(100, 300), (101, 300), (305, 705), (705, 1205), (1205, 1705)] {
            assert_eq!(due(&mut backoff, at), ms(expected), "{at}");
        }
        backoff.passed();
        assert_eq!(due(&mut backoff, 1300), ms(1400));
    }
}
