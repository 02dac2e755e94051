//! What the plugin is to say about one message, and how that message may leave. A script depends on the attempt only,
//! counted over all rounds, save for holds, so that every life of a pipeline comes to the same end.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rand::Rng;
use rand::rngs::StdRng;

use crate::model::{Emission, Message, Outcome, Verdict};
use crate::plugin::CallError;

/// The outputs of the plugin that lead to a topic of the same name, and one that is discarded.
pub(super) const OUTPUTS: [&str; 2] = ["left", "right"];
pub(super) const DISCARDED: &str = "void";
/// Says of a message that was parked which record it was read from, by the number that the oracle gave it. Not a header
/// of the host, so that it travels with everything that is made of the message.
pub(super) const PLACE: &str = "place";
/// The longest wait in place.
pub(super) const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// How often a message is tried, and how long it is parked between two rounds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Rounds {
    pub(super) attempts: u32,
    pub(super) delays: Vec<Duration>,
}

impl Rounds {
    /// The first delay left that is as long as was asked for, or else the longest.
    fn step(&self, round: usize, after: Option<Duration>) -> Option<usize> {
        let left = round..self.delays.len();
        left.clone().find(|step| after.is_none_or(|after| after <= self.delays[*step])).or(left.last())
    }
}

/// One failed attempt.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Failing {
    Retry { after: Option<Duration> },
    Trap,
    Stall,
}

/// The verdict once nothing fails any more.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Last {
    Done,
    Skip,
    Reject,
}

/// One emission.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Made {
    pub(super) output: &'static str,
    /// Its topic will never take it.
    pub(super) refused: bool,
}

/// The ways in which a message may leave.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Ending {
    Emitted,
    Skipped,
    Dead {
        class: &'static str,
        code: &'static str,
    },
    /// For this round only.
    Parked {
        step: usize,
    },
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Script {
    /// So many calls, over all lives, end in a hold; each longer than that is said to be.
    pub(super) holds: u32,
    pub(super) hold_after: Option<Duration>,
    /// What the first attempts of a life give.
    pub(super) failing: Vec<Failing>,
    pub(super) last: Last,
    pub(super) emissions: Vec<Made>,
    /// A call takes at least so long.
    pub(super) takes: Duration,
}

impl Script {
    /// One emission, and done.
    pub(super) fn done() -> Self {
        let emissions = vec![Made { output: OUTPUTS[0], refused: false }];
        let failing = Vec::new();
        Self { holds: 0, hold_after: None, failing, last: Last::Done, emissions, takes: Duration::ZERO }
    }

    /// Fails so often, then is done.
    pub(super) fn failing(times: usize) -> Self {
        Self { failing: vec![Failing::Retry { after: None }; times], ..Self::done() }
    }

    /// One that fails at most so often.
    pub(super) fn random(rng: &mut StdRng, most: u32) -> Self {
        let fails = if rng.random_bool(0.35) { rng.random_range(1..=most) } else { 0 };
        let made = |rng: &mut StdRng| Made {
            output: [OUTPUTS[0], OUTPUTS[0], OUTPUTS[1], DISCARDED][rng.random_range(0..4)],
            refused: rng.random_bool(0.06),
        };
        let millis = |rng: &mut StdRng, most| Duration::from_millis(rng.random_range(0..most));
        Self {
            holds: if rng.random_bool(0.06) { rng.random_range(1..4) } else { 0 },
            hold_after: rng.random_bool(0.5).then(|| millis(rng, 3_000)),
            failing: (0..fails)
                .map(|_| match rng.random_range(0..6) {
                    0 => Failing::Trap,
                    1 => Failing::Stall,
                    2 => Failing::Retry { after: Some(millis(rng, 2_000)) },
                    _ => Failing::Retry { after: None },
                })
                .collect(),
            last: match rng.random_range(0..10) {
                0 => Last::Skip,
                1 => Last::Reject,
                _ => Last::Done,
            },
            emissions: (0..rng.random_range(0..4)).map(|_| made(rng)).collect(),
            takes: Duration::ZERO,
        }
    }

    /// What the plugin says; `held` is how many holds it has said before.
    pub(super) fn answer(&self, message: &Message, held: u32, attempt: u32) -> Result<Outcome, CallError> {
        let (plugin, reason): (Arc<str>, String) = ("g".into(), "told to".into());
        if held < self.holds {
            if held % 2 == 1 {
                return Err(CallError::Start { plugin, reason });
            }
            return Ok(Outcome::of(Verdict::Hold { after: self.hold_after, reason }));
        }
        let verdict = match (self.failing.get(attempt as usize - 1), self.last) {
            (Some(Failing::Trap), _) => return Err(CallError::Trap { plugin, reason }),
            (Some(Failing::Stall), _) => return Err(CallError::Stalled { plugin, limit: Duration::from_secs(1) }),
            (Some(Failing::Retry { after }), _) => Verdict::Retry { after: *after, reason },
            (None, Last::Done) => Verdict::Done,
            (None, Last::Skip) => Verdict::Skip { reason },
            (None, Last::Reject) => Verdict::Reject { code: "own".into(), reason },
        };
        let emit = self.emissions.iter().enumerate().map(|(index, made)| emission(message, index, *made)).collect();
        Ok(Outcome { verdict, emit })
    }

    /// The last attempt of a round, and how the message leaves with it, after so many rounds and so many attempts.
    pub(super) fn round(&self, rounds: u32, before: u32, policy: &Rounds) -> (u32, Ending) {
        for attempt in before + 1.. {
            let Some(failing) = self.failing.get(attempt as usize - 1) else { return (attempt, self.end()) };
            let used_up = attempt - before >= policy.attempts;
            let (class, code, after) = match failing {
                Failing::Trap if used_up => return (attempt, Ending::Dead { class: "guest-fault", code: "trap" }),
                Failing::Trap => continue,
                Failing::Stall => ("exhausted", "stalled", None),
                Failing::Retry { after } => ("exhausted", "retry", *after),
            };
            match policy.step(rounds as usize, after) {
                Some(step) if used_up || after.is_some_and(|after| after > LONGEST_WAIT) => {
                    return (attempt, Ending::Parked { step });
                }
                _ if used_up => return (attempt, Ending::Dead { class, code }),
                _ => {}
            }
        }
        unreachable!("a script ends")
    }

    /// How the message leaves once nothing fails any more.
    fn end(&self) -> Ending {
        match self.last {
            Last::Skip => Ending::Skipped,
            Last::Reject => Ending::Dead { class: "rejected", code: "own" },
            Last::Done if self.to_topics().any(|(_, _, made)| made.refused) => {
                Ending::Dead { class: "refused", code: "refused" }
            }
            Last::Done => Ending::Emitted,
        }
    }

    /// The emissions that are not discarded: the place in the list, the number among those of the output.
    pub(super) fn to_topics(&self) -> impl Iterator<Item = (usize, u32, Made)> {
        let numbered = self.emissions.iter().enumerate().map(|(place, made)| {
            let before = self.emissions.iter().take(place).filter(|other| other.output == made.output).count();
            (place, before as u32, *made)
        });
        numbered.filter(|(_, _, made)| made.output != DISCARDED)
    }
}

/// Whether a record is one that its topic will never take.
pub(super) fn is_refused(payload: &[u8]) -> bool {
    payload.ends_with(b"!")
}

/// What the plugin makes at this place of its list.
pub(super) fn emission(message: &Message, index: usize, made: Made) -> Emission {
    let mark = if made.refused { "!" } else { "" };
    let payload = Bytes::from(format!("{index} of {}{mark}", message.origin.position));
    let headers = message.headers.iter().filter(|header| header.name == PLACE).cloned().collect();
    Emission { output: made.output.into(), key: message.key.clone(), headers, payload }
}
