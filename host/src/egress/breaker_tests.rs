//! The breaker by a table of stories, and against a model that keeps the whole history and counts it again each time.

use std::num::NonZeroU32;

use proptest::prelude::*;

use super::*;
use crate::model::Period;

fn config(failures: u32, successes: u32, trials: u32) -> config::Breaker {
    let n = |value| NonZeroU32::new(value).unwrap();
    config::Breaker {
        failures: n(failures),
        successes: n(successes),
        open_for: Period::from_secs(60),
        trials: n(trials),
    }
}

/// Runs requests through one after another: `a` answered and completed, `f` failed, `x` abandoned, `s` answered and
/// then stalled, `.` a minute passes. Gives what each was met with: `+` admitted, `-` refused.
fn story(config: config::Breaker, requests: &str) -> String {
    let mut breaker = Breaker::new(config);
    let mut now = Instant::now();
    let mut met = String::new();
    for request in requests.chars() {
        if request == '.' {
            now += Duration::from_secs(60);
            met.push('.');
            continue;
        }
        let Ok(pass) = breaker.admit(now) else {
            met.push('-');
            continue;
        };
        met.push('+');
        let events: &[Event] = match request {
            'a' => &[Event::Answered, Event::Completed],
            'f' => &[Event::Failed],
            's' => &[Event::Answered, Event::Failed],
            'x' => &[Event::Abandoned],
            other => panic!("no request {other}"),
        };
        for event in events {
            breaker.observe(pass, *event, now);
        }
    }
    met
}

#[test]
fn only_failures_in_a_row_open_it() {
    for (requests, met) in
        [("fff a", "+++-"), ("ffaffa", "++++++"), ("ffxf a", "++++-"), ("sss a", "+++-"), ("saasas", "++++++")]
    {
        assert_eq!(story(config(3, 2, 3), &requests.replace(' ', "")), met, "{requests}");
    }
}

#[test]
fn it_closes_after_enough_answers_to_trials_and_opens_at_the_first_failure() {
    for (requests, met) in [
        ("fff.aafffa", "+++.+++++-"),
        ("fff.afa.aa", "+++.++-.++"),
        ("fff.xxxxaaa", "+++.+++++++"),
        ("fff.saa", "+++.+--"),
    ] {
        assert_eq!(story(config(3, 2, 3), requests), met, "{requests}");
    }
}

#[test]
fn an_open_breaker_says_when_to_come_again() {
    let mut breaker = Breaker::new(config(1, 1, 1));
    let start = Instant::now();
    let pass = breaker.admit(start).unwrap();
    assert_eq!(breaker.observe(pass, Event::Failed, start), Some(Change::Opened));
    assert_eq!(breaker.admit(start + Duration::from_secs(20)), Err(Duration::from_secs(40)));
    let trial = breaker.admit(start + Duration::from_secs(60)).unwrap();
    assert_eq!(breaker.admit(start + Duration::from_secs(60)), Err(TRIALS_BUSY));
    assert_eq!(breaker.observe(trial, Event::Answered, start + Duration::from_secs(61)), Some(Change::Closed));
    assert!(breaker.admit(start + Duration::from_secs(61)).is_ok());
}

#[test]
fn what_was_admitted_in_an_earlier_state_no_longer_counts() {
    let mut breaker = Breaker::new(config(2, 1, 1));
    let mut now = Instant::now();
    let early: Vec<_> = (0..4).map(|_| breaker.admit(now).unwrap()).collect();
    breaker.observe(early[0], Event::Failed, now);
    breaker.observe(early[1], Event::Failed, now);
    now += Duration::from_secs(60);
    let trial = breaker.admit(now).unwrap();
    breaker.observe(early[2], Event::Failed, now);
    assert_eq!(breaker.observe(trial, Event::Answered, now), Some(Change::Closed));
    breaker.observe(early[2], Event::Failed, now);
    breaker.observe(early[3], Event::Failed, now);
    assert!(breaker.admit(now).is_ok());
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Admit,
    /// Something becomes of the request with this number, modulo how many there are.
    Observe(usize, Event),
    /// Seconds pass.
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let event = prop_oneof![Just(Event::Answered), Just(Event::Completed), Just(Event::Failed), Just(Event::Abandoned)];
    prop_oneof![
        3 => Just(Step::Admit),
        4 => (0_usize..8, event).prop_map(|(which, event)| Step::Observe(which, event)),
        1 => (0_u64..50).prop_map(Step::Wait),
    ]
}

/// Keeps everything that happened since the last change of state.
struct Model {
    config: config::Breaker,
    /// `None` when closed, else since when it was open.
    opened: Option<Instant>,
    half_open: bool,
    era: usize,
    admitted: usize,
    events: Vec<Event>,
}

impl Model {
    fn count(&self, which: &[Event]) -> usize {
        self.events.iter().filter(|event| which.contains(event)).count()
    }

    fn turn(&mut self, opened: Option<Instant>, half_open: bool) {
        (self.opened, self.half_open) = (opened, half_open);
        self.era += 1;
        self.admitted = 0;
        self.events.clear();
    }

    fn admit(&mut self, now: Instant) -> Option<usize> {
        match self.opened {
            Some(since) if !self.half_open => {
                if now < since + self.config.open_for.0 {
                    return None;
                }
                self.turn(Some(since), true);
            }
            Some(_) => {
                let over = self.count(&[Event::Answered, Event::Abandoned]);
                if self.admitted - over >= self.config.trials.get() as usize {
                    return None;
                }
            }
            None => {}
        }
        self.admitted += 1;
        Some(self.era)
    }

    fn observe(&mut self, era: usize, event: Event, now: Instant) {
        if era != self.era {
            return;
        }
        self.events.push(event);
        if self.half_open {
            if event == Event::Failed {
                self.turn(Some(now), false);
            } else if self.count(&[Event::Answered]) >= self.config.successes.get() as usize {
                self.turn(None, false);
            }
        } else if self.opened.is_none() {
            let row = self
                .events
                .iter()
                .rev()
                .filter(|event| matches!(event, Event::Failed | Event::Completed))
                .take_while(|event| **event == Event::Failed)
                .count();
            if row >= self.config.failures.get() as usize {
                self.turn(Some(now), false);
            }
        }
    }
}

/// One request: what the breaker gave, what the model gave, and whether its head has come to an end.
struct Request {
    pass: Pass,
    era: usize,
    head: Option<Event>,
    over: bool,
}

impl Request {
    /// Whether this event may come now, after which it has come.
    fn take(&mut self, event: Event) -> bool {
        let fits = match self.head {
            None => event != Event::Completed,
            Some(Event::Answered) => !self.over && matches!(event, Event::Completed | Event::Failed),
            Some(_) => false,
        };
        if fits {
            self.over = self.head.is_some();
            self.head = self.head.or(Some(event));
        }
        fits
    }
}

proptest! {
    #[test]
    fn it_agrees_with_a_model_that_counts_the_whole_history(
        failures in 1_u32..4, successes in 1_u32..4, trials in 1_u32..4, steps in prop::collection::vec(step(), 0..200)
    ) {
        let config = config(failures, successes, trials);
        let mut breaker = Breaker::new(config);
        let mut model =
            Model { config, opened: None, half_open: false, era: 0, admitted: 0, events: Vec::new() };
        let mut now = Instant::now();
        let mut requests: Vec<Request> = Vec::new();
        for step in steps {
            match step {
                Step::Wait(seconds) => now += Duration::from_secs(seconds),
                Step::Admit => {
                    let refusal = breaker.refusal(now);
                    let (got, expected) = (breaker.admit(now), model.admit(now));
                    prop_assert_eq!(got.is_ok(), expected.is_some());
                    prop_assert_eq!(refusal, got.err());
                    if let (Ok(pass), Some(era)) = (got, expected) {
                        requests.push(Request { pass, era, head: None, over: false });
                    }
                }
                Step::Observe(which, event) => {
                    let at = requests.len().saturating_sub(1 + which);
                    let Some(request) = requests.get_mut(at) else { continue };
                    if request.take(event) {
                        breaker.observe(request.pass, event, now);
                        model.observe(request.era, event, now);
                    }
                }
            }
        }
    }
}
