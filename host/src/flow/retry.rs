//! How often a message is tried, and when again. Pure: times come as arguments.

use std::num::NonZeroU32;
use std::time::Duration;

use serde::Serialize;

use super::config::InPlace;
use crate::model::Timestamp;
use crate::plugin::Attempt;

/// Failures kept from the beginning of a message's history.
const FIRST: usize = 3;
/// Failures kept from its end.
const LAST: usize = 10;

/// One failed try.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Failure {
    /// When it ended.
    pub at: Timestamp,
    /// What to count it by.
    pub code: String,
    /// What happened, cut to 500 characters.
    pub text: String,
}

/// The tries of one message so far.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Tries {
    failed: u32,
    failures: Vec<Failure>,
    first_failure: Option<Timestamp>,
}

impl Tries {
    /// The try that comes next.
    pub fn attempt(&self, policy: &InPlace) -> Attempt {
        let number = NonZeroU32::MIN.saturating_add(self.failed);
        Attempt { number, left: policy.attempts.get().saturating_sub(number.get()) }
    }

    /// Tries that failed and used up an attempt.
    pub fn failed(&self) -> u32 {
        self.failed
    }

    /// The first three and the last ten failures.
    pub fn failures(&self) -> &[Failure] {
        &self.failures
    }

    /// When the message failed first.
    pub fn first_failure(&self) -> Option<Timestamp> {
        self.first_failure
    }

    /// Counts a failed try, and says what follows.
    pub fn fail(&mut self, failure: Failure, after: Option<Duration>, policy: &InPlace) -> Next {
        self.failed = self.failed.saturating_add(1);
        self.first_failure.get_or_insert(failure.at);
        if self.failures.len() >= FIRST + LAST {
            self.failures.remove(FIRST);
        }
        self.failures.push(failure);
        if self.failed >= policy.attempts.get() {
            return Next::Exhausted;
        }
        Next::Again { wait: wait(self.failed, after, policy) }
    }
}

/// What follows a failed try.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Next {
    /// Another try.
    Again {
        /// Not before this has passed.
        wait: Duration,
    },
    /// No try is left.
    Exhausted,
}

/// The wait after the `failed`th failure: the first wait doubled each time, or what the plugin asked for where that is
/// longer, and never more than the policy's longest.
fn wait(failed: u32, after: Option<Duration>, policy: &InPlace) -> Duration {
    let doubled = policy.first.0.saturating_mul(2_u32.saturating_pow(failed.saturating_sub(1)));
    doubled.max(after.unwrap_or_default()).min(policy.max.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Period;

    fn policy(attempts: u32) -> InPlace {
        InPlace {
            attempts: NonZeroU32::new(attempts).unwrap(),
            first: Period::from_millis(200),
            max: Period::from_secs(1),
        }
    }

    fn failure(at: u64) -> Failure {
        Failure { at: Timestamp(at), code: "c".into(), text: "t".into() }
    }

    #[test]
    fn waits_double_up_to_the_longest() {
        let (policy, mut tries) = (policy(6), Tries::default());
        let waits: Vec<Next> = (0..6).map(|at| tries.fail(failure(at), None, &policy)).collect();
        let again = |ms| Next::Again { wait: Duration::from_millis(ms) };
        assert_eq!(waits, [again(200), again(400), again(800), again(1000), again(1000), Next::Exhausted]);
    }

    #[test]
    fn the_last_attempt_says_that_none_is_left() {
        let (policy, mut tries) = (policy(2), Tries::default());
        assert_eq!(tries.attempt(&policy).left, 1);
        tries.fail(failure(0), None, &policy);
        let attempt = tries.attempt(&policy);
        assert_eq!((attempt.number.get(), attempt.left), (2, 0));
    }

    #[test]
    fn a_longer_wait_that_a_plugin_asks_for_is_kept_up_to_the_longest() {
        let asked = |ms| Tries::default().fail(failure(0), Some(Duration::from_millis(ms)), &policy(3));
        assert_eq!(asked(700), Next::Again { wait: Duration::from_millis(700) });
        assert_eq!(asked(60_000), Next::Again { wait: Duration::from_secs(1) });
    }

    #[test]
    fn the_first_and_the_last_failures_are_kept() {
        let (policy, mut tries) = (policy(100), Tries::default());
        for at in 0..50 {
            tries.fail(failure(at), None, &policy);
        }
        let kept: Vec<u64> = tries.failures().iter().map(|failure| failure.at.0).collect();
        assert_eq!(kept, [0, 1, 2, 40, 41, 42, 43, 44, 45, 46, 47, 48, 49]);
        assert_eq!((tries.failed(), tries.first_failure()), (50, Some(Timestamp(0))));
    }
}
