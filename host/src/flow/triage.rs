//! From what a call gave to what follows from it. Pure.
//!
//! | the call gave | what follows |
//! |---|---|
//! | `done` | emissions, then settled |
//! | `skip` | settled, counted |
//! | `retry`, a stall, a missed deadline | again in place; after a round parked; after the last round a dead letter, class `exhausted` |
//! | a trap, too much memory or CPU, a broken contract | again on a fresh slot; after the round a dead letter, class `guest-fault` |
//! | `reject` | emissions, then a dead letter, class `rejected` |
//! | `hold`, or no instance can be made | the pipeline waits; no attempt is used |
//!
//! | before a call, what was spilled of the message | what follows |
//! |---|---|
//! | cannot be read now | the pipeline waits; no attempt is used |
//! | is gone, or is not what was spilled | a dead letter, class `refused` |

use std::time::Duration;

use super::retry::{Failure, Next, Parking, Policy, Step, Tries};
use super::spill::RestoreError;
use crate::model::{Emission, Outcome, Timestamp, Verdict, without_queries};
use crate::plugin::{CallError, Fault};

/// Longest text of a reason that is kept, in characters.
const REASON_LIMIT: usize = 500;
/// Longest code that a message is counted under, in characters.
const CODE_LIMIT: usize = 64;

/// What follows from a call.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Effect {
    /// Publish, then settle.
    Done {
        /// What to publish.
        emit: Vec<Emission>,
    },
    /// Settle.
    Skip {
        /// Counted by this.
        reason: String,
    },
    /// Try again in place.
    Again {
        /// Not before this has passed.
        wait: Duration,
    },
    /// Park, then settle.
    Park {
        /// For how long.
        step: Step,
    },
    /// Publish, dead-letter, then settle.
    DeadLetter {
        /// What to publish first.
        emit: Vec<Emission>,
        /// Why.
        cause: Cause,
    },
    /// Start nothing until this message passes.
    Hold {
        /// How long to wait before the next trial.
        after: Option<Duration>,
        /// For the operator.
        reason: String,
    },
}

/// Why a message becomes a dead letter.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Cause {
    /// The kind of reason.
    pub class: Class,
    /// A short stable word to count by.
    pub code: String,
    /// For the operator.
    pub reason: String,
}

/// The kinds of reasons to dead-letter.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Class {
    /// The plugin said that it will never succeed.
    Rejected,
    /// It failed too often.
    Exhausted,
    /// The plugin itself failed on it.
    GuestFault,
    /// A topic refuses what the plugin made of it, or what was spilled of it is gone.
    Refused,
}

impl Class {
    /// The word in the dead letter's header.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rejected => "rejected",
            Self::Exhausted => "exhausted",
            Self::GuestFault => "guest-fault",
            Self::Refused => "refused",
        }
    }
}

/// Says what follows from a call, and counts the try.
pub fn triage(called: Result<Outcome, CallError>, tries: &mut Tries, policy: &Policy, now: Timestamp) -> Effect {
    let Outcome { verdict, emit } = match called {
        Ok(outcome) => outcome,
        Err(error) => return failed_call(&error, tries, policy, now),
    };
    match verdict {
        Verdict::Done => Effect::Done { emit },
        Verdict::Skip { reason } => Effect::Skip { reason: cut(&reason) },
        Verdict::Hold { after, reason } => Effect::Hold { after, reason: cut(&reason) },
        Verdict::Reject { code, reason } => {
            let cause = Cause { class: Class::Rejected, code: cut_to(CODE_LIMIT, &code), reason: cut(&reason) };
            Effect::DeadLetter { emit, cause }
        }
        Verdict::Retry { after, reason } => {
            let failure = Failure { at: now, code: "retry".into(), text: cut(&reason) };
            again(failure, after, Class::Exhausted, tries, policy)
        }
    }
}

/// Says what follows when what was spilled of a message was not read back, so that the plugin was not called.
pub fn unread(error: &RestoreError) -> Effect {
    let reason = cut(&error.to_string());
    match error {
        RestoreError::Unavailable(_) => Effect::Hold { after: None, reason },
        RestoreError::Gone(_) => {
            let cause = Cause { class: Class::Refused, code: "spilled-body-gone".into(), reason };
            Effect::DeadLetter { emit: Vec::new(), cause }
        }
    }
}

fn failed_call(error: &CallError, tries: &mut Tries, policy: &Policy, now: Timestamp) -> Effect {
    let text = cut(&error.to_string());
    let class = match error.fault() {
        Fault::Host => return Effect::Hold { after: None, reason: text },
        Fault::Guest => Class::GuestFault,
        Fault::World => Class::Exhausted,
    };
    again(Failure { at: now, code: error.code().into(), text }, None, class, tries, policy)
}

fn again(failure: Failure, after: Option<Duration>, class: Class, tries: &mut Tries, policy: &Policy) -> Effect {
    let (code, text) = (failure.code.clone(), failure.text.clone());
    let parking = if class == Class::GuestFault { Parking::Never } else { Parking::Allowed };
    match tries.fail(failure, after, parking, policy) {
        Next::Again { wait } => Effect::Again { wait },
        Next::Park { step } => Effect::Park { step },
        Next::Exhausted => {
            let reason = cut(&format!("{text} (after {} attempts)", tries.failed()));
            Effect::DeadLetter { emit: Vec::new(), cause: Cause { class, code, reason } }
        }
    }
}

/// A plugin's text as the operator may see it: no query of a URL, and not longer than that.
fn cut(text: &str) -> String {
    cut_to(REASON_LIMIT, text)
}

/// A failure that was read back, its words no longer than those of our own.
pub(super) fn cut_failure(failure: Failure) -> Failure {
    Failure { at: failure.at, code: cut_to(CODE_LIMIT, &failure.code), text: cut(&failure.text) }
}

/// At most so many characters, with an ellipsis where it was longer.
fn cut_to(limit: usize, text: &str) -> String {
    let text = without_queries(text);
    match text.char_indices().nth(limit) {
        None => text.into_owned(),
        Some(_) => {
            let kept: String = text.chars().take(limit - 1).collect();
            // Where something was cut out at the very end, that is said already.
            format!("{}…", kept.trim_end_matches('…'))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(called: Result<Outcome, CallError>) -> Vec<Effect> {
        check_under(&Policy::default(), &called)
    }

    /// The effects of one round.
    fn check_under(policy: &Policy, called: &Result<Outcome, CallError>) -> Vec<Effect> {
        let mut tries = Tries::default();
        let attempts = policy.in_place.attempts.get();
        (0..attempts).map(|_| triage(called.clone(), &mut tries, policy, Timestamp(0))).collect()
    }

    fn retry() -> Verdict {
        Verdict::Retry { after: None, reason: "down".into() }
    }

    #[test]
    fn a_retry_becomes_a_dead_letter_after_the_last_attempt() {
        let effects = check(Ok(Outcome::of(retry())));
        assert!(matches!(effects[..2], [Effect::Again { .. }, Effect::Again { .. }]));
        let Effect::DeadLetter { cause, .. } = &effects[2] else { panic!("{effects:?}") };
        assert_eq!((cause.class, cause.reason.as_str()), (Class::Exhausted, "down (after 3 attempts)"));
    }

    #[test]
    fn a_code_that_is_no_word_is_cut() {
        let code = "x".repeat(1 << 20);
        let effect = check(Ok(Outcome::of(Verdict::Reject { code, reason: "no".into() }))).remove(0);
        let Effect::DeadLetter { cause, .. } = effect else { panic!("{effect:?}") };
        assert_eq!(cause.code.chars().count(), CODE_LIMIT);
    }

    #[test]
    fn a_presigned_url_in_a_reason_loses_its_query() {
        let reason = "403 from https://h/f.pdf?X-Amz-Signature=SENTINEL".to_owned();
        for verdict in [
            Verdict::Skip { reason: reason.clone() },
            Verdict::Hold { after: None, reason: reason.clone() },
            Verdict::Reject { code: "gone".into(), reason: reason.clone() },
            Verdict::Retry { after: None, reason },
        ] {
            let told = format!("{:?}", check(Ok(Outcome::of(verdict))));
            assert!(told.contains("f.pdf") || told.contains("Again"), "{told}");
            assert!(!told.contains("SENTINEL"), "{told}");
        }
    }

    #[test]
    fn a_trap_is_tried_again_and_then_the_guests_fault() {
        let effects = check(Err(CallError::Trap { plugin: "p".into(), reason: "boom".into() }));
        let Effect::DeadLetter { cause, .. } = &effects[2] else { panic!("{effects:?}") };
        assert_eq!((cause.class, cause.code.as_str()), (Class::GuestFault, "trap"));
    }

    #[test]
    fn what_may_pass_by_itself_is_parked_and_the_guests_own_fault_never() {
        let policy = Policy { delays: vec![Duration::from_secs(300)], ..Policy::default() };
        let last = |called| check_under(&policy, &called).pop();
        let stall = CallError::Stalled { plugin: "p".into(), limit: Duration::from_secs(120) };
        for called in [Ok(Outcome::of(retry())), Err(stall)] {
            assert!(matches!(last(called), Some(Effect::Park { step }) if step.delay.as_secs() == 300));
        }
        let trap = CallError::Trap { plugin: "p".into(), reason: "boom".into() };
        assert!(matches!(last(Err(trap)), Some(Effect::DeadLetter { cause, .. }) if cause.class == Class::GuestFault));
    }

    #[test]
    fn a_hold_and_a_failed_start_use_no_attempt() {
        let hold = Verdict::Hold { after: None, reason: "401".into() };
        for called in [Ok(Outcome::of(hold)), Err(CallError::Start { plugin: "p".into(), reason: "no memory".into() })]
        {
            let (mut tries, policy) = (Tries::default(), Policy::default());
            for _ in 0..10 {
                let effect = triage(called.clone(), &mut tries, &policy, Timestamp(0));
                assert!(matches!(effect, Effect::Hold { .. }), "{effect:?}");
            }
            assert_eq!(tries, Tries::default());
        }
    }

    #[test]
    fn emissions_of_a_retry_are_dropped_and_those_of_a_reject_kept() {
        let emission =
            Emission { output: "o".into(), key: None, headers: Default::default(), payload: Default::default() };
        let with = |verdict| Outcome { verdict, emit: vec![emission.clone()] };
        assert!(matches!(check(Ok(with(retry()))).last(), Some(Effect::DeadLetter { emit, .. }) if emit.is_empty()));
        let reject = Verdict::Reject { code: "c".into(), reason: "r".into() };
        assert!(matches!(check(Ok(with(reject))).first(), Some(Effect::DeadLetter { emit, .. }) if emit.len() == 1));
    }

    #[test]
    fn long_reasons_are_cut() {
        assert_eq!(cut(&"ü".repeat(600)).chars().count(), 500);
        assert_eq!(cut("short"), "short");
    }

    #[test]
    fn a_reason_that_is_cut_behind_a_query_is_read_again_as_it_stands() {
        let reason = cut(&format!("{}https://h/?sig=SENTINEL and more", "x".repeat(REASON_LIMIT - 13)));
        assert!(reason.ends_with("xhttps://h/?…"), "{reason}");
        assert_eq!(without_queries(&reason), reason);
    }
}
