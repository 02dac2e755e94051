//! How often a message is tried, when again, and when it is parked. Pure: times come as arguments.

use std::num::NonZeroU32;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::config::InPlace;
use crate::model::Timestamp;
use crate::plugin::Attempt;

/// Failures kept from the beginning of a message's history.
const FIRST: usize = 3;
/// Failures kept from its end.
const LAST: usize = 10;

/// When to try again. A round is at most `in_place.attempts` calls; between two rounds a message is parked, so that
/// so many delays make one round more.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Policy {
    /// Tries that hold the message's place.
    pub in_place: InPlace,
    /// How long a message is parked after its first failed round, its second, and so on; empty where it never is.
    pub delays: Vec<Duration>,
}

impl Policy {
    /// Where a message is parked after its `round`th failed round, counted from 0: for that round's delay, or the first
    /// longer one that covers what the plugin asked for, else for the last.
    fn step(&self, round: usize, after: Option<Duration>) -> Option<Step> {
        let left = self.delays.iter().copied().enumerate().skip(round);
        let covers = |(_, delay): &(usize, Duration)| after.is_none_or(|after| *delay >= after);
        let (index, delay) = left.clone().find(covers).or(left.last())?;
        Some(Step { index, of: self.delays.len(), delay })
    }
}

/// One of the delays of a retry topic.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Step {
    /// Which one, from 0.
    pub index: usize,
    /// How many there are.
    pub of: usize,
    /// How long a message is parked.
    pub delay: Duration,
}

/// One failed try.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Failure {
    /// When it ended.
    pub at: Timestamp,
    /// What to count it by.
    pub code: String,
    /// What happened, cut to 500 characters.
    pub text: String,
}

/// The tries of one message so far, over all rounds.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Tries {
    /// Rounds that failed.
    rounds: u32,
    /// Failed tries of the round that is under way.
    in_round: u32,
    failed: u32,
    failures: Vec<Failure>,
    first_failure: Option<Timestamp>,
}

impl Tries {
    /// The tries of a message that was parked after so many rounds and so many tries in all.
    pub fn parked(rounds: u32, failed: u32, failures: Vec<Failure>, first_failure: Option<Timestamp>) -> Self {
        let mut tries = Self { rounds, in_round: 0, failed, failures: Vec::new(), first_failure };
        failures.into_iter().for_each(|failure| tries.keep(failure));
        tries
    }

    /// The try that comes next, and how many calls are left after it when each ends its round as late as it may.
    pub fn attempt(&self, policy: &Policy) -> Attempt {
        let a_round = policy.in_place.attempts.get();
        let in_round = a_round.saturating_sub(self.in_round.saturating_add(1));
        let rounds = u32::try_from(policy.delays.len()).unwrap_or(u32::MAX).saturating_sub(self.rounds);
        let left = in_round.saturating_add(rounds.saturating_mul(a_round));
        Attempt { number: NonZeroU32::MIN.saturating_add(self.failed), left }
    }

    /// Rounds that failed, and after which the message was parked.
    pub fn rounds(&self) -> u32 {
        self.rounds
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
    ///
    /// | attempts left in the round | a later round is left, and parking is allowed | what follows |
    /// |---|---|---|
    /// | yes | no | again in place, after a wait of at most `in_place.max` |
    /// | yes | yes, and the plugin asks for more than `in_place.max` | parked |
    /// | yes | yes | again in place |
    /// | no | yes | parked |
    /// | no | no | exhausted |
    pub fn fail(&mut self, failure: Failure, after: Option<Duration>, parking: Parking, policy: &Policy) -> Next {
        self.failed = self.failed.saturating_add(1);
        self.in_round = self.in_round.saturating_add(1);
        self.first_failure.get_or_insert(failure.at);
        self.keep(failure);
        let used_up = self.in_round >= policy.in_place.attempts.get();
        let too_long = after.is_some_and(|after| after > policy.in_place.max.0);
        let round = usize::try_from(self.rounds).unwrap_or(usize::MAX);
        let later = policy.step(round, after).filter(|_| parking == Parking::Allowed);
        match later {
            Some(step) if used_up || too_long => {
                self.rounds = self.rounds.saturating_add(1);
                self.in_round = 0;
                Next::Park { step }
            }
            _ if used_up => Next::Exhausted,
            _ => Next::Again { wait: wait(self.in_round, after, &policy.in_place) },
        }
    }

    fn keep(&mut self, failure: Failure) {
        if self.failures.len() >= FIRST + LAST {
            self.failures.remove(FIRST);
        }
        self.failures.push(failure);
    }
}

/// Whether a message may be parked for what failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Parking {
    /// It may pass by itself.
    Allowed,
    /// The plugin itself failed: later is no better.
    Never,
}

/// What follows a failed try.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Next {
    /// Another try.
    Again {
        /// Not before this has passed.
        wait: Duration,
    },
    /// The round is over: another one later.
    Park {
        /// How much later.
        step: Step,
    },
    /// No try is left.
    Exhausted,
}

/// The wait after the `failed`th failure of a round: the first wait doubled each time, or what the plugin asked for
/// where that is longer, and never more than the policy's longest.
fn wait(failed: u32, after: Option<Duration>, policy: &InPlace) -> Duration {
    let doubled = policy.first.0.saturating_mul(2_u32.saturating_pow(failed.saturating_sub(1)));
    doubled.max(after.unwrap_or_default()).min(policy.max.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Period;

    fn policy(attempts: u32, delays: &[u64]) -> Policy {
        let in_place = InPlace {
            attempts: NonZeroU32::new(attempts).unwrap(),
            first: Period::from_millis(200),
            max: Period::from_secs(1),
        };
        Policy { in_place, delays: delays.iter().copied().map(minutes).collect() }
    }

    fn minutes(minutes: u64) -> Duration {
        Duration::from_secs(minutes * 60)
    }

    fn failure(at: u64) -> Failure {
        Failure { at: Timestamp(at), code: "c".into(), text: "t".into() }
    }

    fn again(ms: u64) -> Next {
        Next::Again { wait: Duration::from_millis(ms) }
    }

    /// In short: the wait in milliseconds, the minutes parked, or nothing.
    fn story(tries: &mut Tries, policy: &Policy, asked: &[Option<Duration>]) -> Vec<String> {
        let told = |next| match next {
            Next::Again { wait } => format!("{} ms", wait.as_millis()),
            Next::Park { step } => format!("{} min, step {} of {}", step.delay.as_secs() / 60, step.index, step.of),
            Next::Exhausted => "exhausted".to_owned(),
        };
        asked.iter().map(|after| told(tries.fail(failure(0), *after, Parking::Allowed, policy))).collect()
    }

    #[test]
    fn waits_double_up_to_the_longest() {
        let (policy, mut tries) = (policy(6, &[]), Tries::default());
        let waits: Vec<Next> = (0..6).map(|at| tries.fail(failure(at), None, Parking::Allowed, &policy)).collect();
        assert_eq!(waits, [again(200), again(400), again(800), again(1000), again(1000), Next::Exhausted]);
    }

    #[test]
    fn the_last_attempt_says_that_none_is_left() {
        let (policy, mut tries) = (policy(2, &[]), Tries::default());
        assert_eq!(tries.attempt(&policy).left, 1);
        tries.fail(failure(0), None, Parking::Allowed, &policy);
        let attempt = tries.attempt(&policy);
        assert_eq!((attempt.number.get(), attempt.left), (2, 0));
    }

    #[test]
    fn a_longer_wait_that_a_plugin_asks_for_is_kept_up_to_the_longest() {
        let asked = |ms| {
            let after = Some(Duration::from_millis(ms));
            Tries::default().fail(failure(0), after, Parking::Allowed, &policy(3, &[]))
        };
        assert_eq!(asked(700), again(700));
        assert_eq!(asked(60_000), again(1000));
    }

    #[test]
    fn each_failed_round_is_parked_for_its_own_delay_and_then_no_try_is_left() {
        let told = story(&mut Tries::default(), &policy(2, &[5, 10]), &[None; 6]);
        assert_eq!(told, ["200 ms", "5 min, step 0 of 2", "200 ms", "10 min, step 1 of 2", "200 ms", "exhausted"]);
    }

    #[test]
    fn attempts_are_numbered_over_all_rounds_and_the_calls_that_remain_are_counted_over_all_rounds() {
        let (policy, mut tries) = (policy(3, &[5, 10]), Tries::default());
        let mut told = Vec::new();
        for _ in 0..9 {
            let attempt = tries.attempt(&policy);
            told.push((attempt.number.get(), attempt.left));
            let next = tries.fail(failure(0), None, Parking::Allowed, &policy);
            if let Next::Park { .. } = next {
                let Tries { rounds, failed, failures, first_failure, .. } = tries;
                tries = Tries::parked(rounds, failed, failures, first_failure);
            }
        }
        assert_eq!(told, [(1, 8), (2, 7), (3, 6), (4, 5), (5, 4), (6, 3), (7, 2), (8, 1), (9, 0)]);
    }

    #[test]
    fn a_wait_above_the_longest_ends_the_round_and_is_rounded_up_to_a_delay() {
        let asked = |after| story(&mut Tries::default(), &policy(3, &[5, 10, 20, 40]), &[Some(after)]).remove(0);
        assert_eq!(asked(Duration::from_secs(1)), "1000 ms", "the longest wait is still in place");
        assert_eq!(asked(Duration::from_secs(2)), "5 min, step 0 of 4");
        assert_eq!(asked(minutes(10)), "10 min, step 1 of 4");
        assert_eq!(asked(minutes(11)), "20 min, step 2 of 4");
        assert_eq!(asked(minutes(999)), "40 min, step 3 of 4", "there is no longer one");
    }

    #[test]
    fn a_round_that_was_parked_for_longer_still_counts_as_one() {
        let asked = [Some(minutes(40)), Some(minutes(1)), None, None];
        let told = story(&mut Tries::default(), &policy(1, &[5, 10, 40]), &asked);
        assert_eq!(told, ["40 min, step 2 of 3", "10 min, step 1 of 3", "40 min, step 2 of 3", "exhausted"]);
    }

    #[test]
    fn a_wait_that_is_too_long_is_cut_in_the_last_round() {
        let mut tries = Tries::parked(1, 3, Vec::new(), None);
        let told = story(&mut tries, &policy(2, &[5]), &[Some(minutes(5)), Some(minutes(5))]);
        assert_eq!(told, ["1000 ms", "exhausted"]);
    }

    #[test]
    fn what_is_the_plugins_own_fault_is_never_parked() {
        let (policy, mut tries) = (policy(2, &[5, 10]), Tries::default());
        let nexts = [None, Some(minutes(5))].map(|after| tries.fail(failure(0), after, Parking::Never, &policy));
        assert_eq!(nexts, [again(200), Next::Exhausted]);
    }

    #[test]
    fn a_message_parked_under_longer_delays_has_one_more_round() {
        let mut tries = Tries::parked(7, 21, Vec::new(), None);
        assert_eq!(story(&mut tries, &policy(2, &[5]), &[None, None]), ["200 ms", "exhausted"]);
    }

    #[test]
    fn the_first_and_the_last_failures_are_kept() {
        let (policy, mut tries) = (policy(100, &[]), Tries::default());
        for at in 0..50 {
            tries.fail(failure(at), None, Parking::Allowed, &policy);
        }
        let kept: Vec<u64> = tries.failures().iter().map(|failure| failure.at.0).collect();
        assert_eq!(kept, [0, 1, 2, 40, 41, 42, 43, 44, 45, 46, 47, 48, 49]);
        assert_eq!((tries.failed(), tries.first_failure()), (50, Some(Timestamp(0))));
    }
}
