//! What a guest answers, as text: a line with the verdict (`done`, `skip REASON`, `retry MS REASON`, `hold MS REASON`,
//! `reject CODE REASON`), then its emissions: `> OUTPUT`, lines of `name: value` of which `key` is the key, an empty
//! line, the payload.
//!
//! - The host's outcome says what the guest's does, field by field; its texts are one line each, cut to a bound, and
//!   those that need no mending are as they were.
//! - It is refused exactly where an emission goes to no output of the plugin or sets a header of the host's.
//! - Tried again and again, the message is settled, held, or ends as a dead letter within its rounds, and what was
//!   emitted goes out only with `done` and `reject`.
//! - What a reason or code says to people has a bound and no query of a URL.
//! - The dead letter and the parked record hold the message as it was, and at most 16 KiB of the host's; the letter is
//!   read as what was written, and what was parked comes back as it was parked.

use std::time::Duration;

use bytes::Bytes;
use lockgate::flow::dead_letter::{Maker, dead_letter};
use lockgate::flow::letters::Entry;
use lockgate::flow::parking::{park, unpark};
use lockgate::flow::retry::{Failure, Policy, Tries};
use lockgate::flow::triage::{Cause, Effect, triage};
use lockgate::model::{self, Header, Message, Outcome, Record, Timestamp, without_queries};
use lockgate::plugin::answer::{self, types};

use crate::{Verdict, text};

const OUTPUTS: [&str; 2] = ["cached", "x"];
const NOW: Timestamp = Timestamp(1_772_460_312_000);
/// Calls that a message gets at most: three a round, a round more than there are delays.
const MOST_CALLS: usize = 9;
/// Texts that people read, in characters.
const LONGEST_REASON: usize = 500;
const LONGEST_CODE: usize = 64;
/// Reasons and codes as the host takes them from a guest, in bytes.
const LONGEST_TEXT: usize = 4 << 10;
const LONGEST_WORD: usize = 256;
/// What the host adds to a record, in bytes.
const MOST_HOST_HEADERS: usize = 16 << 10;

pub(crate) fn run(data: &[u8]) -> Verdict {
    let given = answer_of(data);
    let accepted = answer::accept(given.clone(), &OUTPUTS.map(str::to_owned));
    assert_eq!(accepted.is_err(), breaks_the_contract(&given), "{given:?}");
    if let Ok(outcome) = &accepted {
        says_the_same(&given, outcome);
        follow(outcome);
    }
    Verdict::of(&accepted)
}

fn answer_of(data: &[u8]) -> types::Outcome {
    let (verdict, emissions) = text::split_once(data, b"\n> ");
    let mut emit = Vec::new();
    let mut rest = emissions;
    while !rest.is_empty() {
        let (emission, behind) = text::split_once(rest, b"\n> ");
        emit.push(emission_of(emission));
        rest = behind;
    }
    types::Outcome { verdict: verdict_of(&String::from_utf8_lossy(verdict)), emit, attributes: Vec::new() }
}

fn verdict_of(text: &str) -> types::Verdict {
    let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
    let (first, reason) = rest.split_once(' ').unwrap_or((rest, ""));
    let delay = || types::Delay { after_ms: first.parse().ok(), reason: reason.to_owned() };
    match word {
        "skip" => types::Verdict::Skip(rest.to_owned()),
        "retry" => types::Verdict::Retry(delay()),
        "hold" => types::Verdict::Hold(delay()),
        "reject" => types::Verdict::Reject(types::Rejection { code: first.to_owned(), reason: reason.to_owned() }),
        _ => types::Verdict::Done,
    }
}

fn emission_of(data: &[u8]) -> types::Emission {
    let (head, payload) = text::split_once(data, b"\n\n");
    let (output, lines) = text::split_once(head, b"\n");
    let headers = text::headers(lines);
    let (keys, headers): (Vec<Header>, Vec<Header>) = headers.iter().cloned().partition(|header| header.name == "key");
    let header = |header: Header| types::Header { name: header.name.into(), value: header.value.to_vec() };
    types::Emission {
        output: String::from_utf8_lossy(output).into_owned(),
        key: keys.into_iter().next().map(|key| key.value.to_vec()),
        headers: headers.into_iter().map(header).collect(),
        payload: payload.to_vec(),
    }
}

fn breaks_the_contract(answer: &types::Outcome) -> bool {
    let is_host = |header: &types::Header| header.name.to_lowercase().starts_with("lockgate-");
    answer
        .emit
        .iter()
        .any(|emission| !OUTPUTS.contains(&emission.output.as_str()) || emission.headers.iter().any(is_host))
}

fn says_the_same(given: &types::Outcome, outcome: &Outcome) {
    let none = String::new;
    let (kind, after, texts) = match outcome.verdict.clone() {
        model::Verdict::Done => ("done", None, [none(), none()]),
        model::Verdict::Skip { reason } => ("skip", None, [reason, none()]),
        model::Verdict::Retry { after, reason } => ("retry", after, [reason, none()]),
        model::Verdict::Hold { after, reason } => ("hold", after, [reason, none()]),
        model::Verdict::Reject { code, reason } => ("reject", None, [reason, code]),
    };
    let (meant, wait, words) = match given.verdict.clone() {
        types::Verdict::Done => ("done", None, [none(), none()]),
        types::Verdict::Skip(reason) => ("skip", None, [reason, none()]),
        types::Verdict::Retry(delay) => ("retry", delay.after_ms, [delay.reason, none()]),
        types::Verdict::Hold(delay) => ("hold", delay.after_ms, [delay.reason, none()]),
        types::Verdict::Reject(rejection) => ("reject", None, [rejection.reason, rejection.code]),
    };
    assert_eq!((kind, after), (meant, wait.map(Duration::from_millis)));
    for ((told, meant), limit) in texts.iter().zip(&words).zip([LONGEST_TEXT, LONGEST_WORD]) {
        says(told, meant, limit);
    }
    assert_eq!(given.emit.len(), outcome.emit.len());
    for (given, emission) in given.emit.iter().zip(&outcome.emit) {
        assert_eq!((&given.output, &given.payload[..]), (&emission.output, &emission.payload[..]));
        assert_eq!(given.key.as_deref(), emission.key.as_deref());
        let headers = emission.headers.iter().map(|header| (header.name.as_str(), header.value.to_vec()));
        assert!(given.headers.iter().map(|header| (header.name.as_str(), header.value.clone())).eq(headers));
    }
}

/// Holds what a text of a guest became against what it was.
fn says(told: &str, meant: &str, limit: usize) {
    let is_plain = !meant.contains(is_unseen) && without_queries(meant) == meant;
    if is_plain && meant.len() <= limit {
        return assert_eq!(told, meant);
    }
    assert!(!told.contains(is_unseen) && told.len() <= limit + " … (cut)".len(), "{meant:?} becomes {told:?}");
}

/// What no line shows.
fn is_unseen(c: char) -> bool {
    c.is_control() && c != '\t'
}

/// Runs a message whose every call gives this outcome, until nothing more is to be done with it.
fn follow(outcome: &Outcome) {
    let policy = Policy { delays: vec![Duration::from_secs(300), Duration::from_secs(600)], ..Policy::default() };
    let (mut message, mut tries) = (message(), Tries::default());
    for _ in 0..MOST_CALLS {
        match triage(Ok(outcome.clone()), &mut tries, &policy, NOW) {
            Effect::Again { wait } => assert!(wait <= policy.in_place.max.0),
            Effect::Park { step } => {
                let record = park(&message, &tries, step, &maker(), 4, NOW);
                is_bounded(&record, &message);
                let back = unpark(text::received(record));
                assert_eq!((back.delay, back.tries.rounds()), (step.delay, tries.rounds()));
                assert_eq!(back.tries.failed(), tries.failed());
                remembers(back.tries.failures(), tries.failures());
                (message, tries) = (back.message, back.tries);
            }
            Effect::Done { emit } => return assert_eq!(emit, outcome.emit),
            Effect::Skip { reason } | Effect::Hold { reason, .. } => return for_people(&reason, LONGEST_REASON),
            Effect::DeadLetter { emit, cause } => {
                let rejected = matches!(outcome.verdict, model::Verdict::Reject { .. });
                assert_eq!(emit.len(), if rejected { outcome.emit.len() } else { 0 });
                return ends(&message, &cause, &tries);
            }
        }
    }
    unreachable!("nothing became of it: {tries:?}");
}

/// The same failures, their texts cut where they were too much.
fn remembers(back: &[Failure], failures: &[Failure]) {
    assert_eq!(back.len(), failures.len());
    for (back, failure) in back.iter().zip(failures) {
        assert_eq!((back.at, &back.code), (failure.at, &failure.code));
        assert!(failure.text.starts_with(&back.text), "{back:?} of {failure:?}");
    }
}

fn ends(message: &Message, cause: &Cause, tries: &Tries) {
    for_people(&cause.reason, LONGEST_REASON);
    for_people(&cause.code, LONGEST_CODE);
    let record = dead_letter(message, cause, tries, &maker(), NOW);
    is_bounded(&record, message);
    let entry = Entry::read(&text::received(record));
    let Entry::Letter(letter) = &entry else { unreachable!("the letter is read as {entry:?}") };
    assert_eq!((&letter.code, &letter.reason), (&cause.code, &cause.reason));
    assert_eq!((letter.class.as_str(), letter.attempts), (cause.class.as_str(), tries.failed()));
    assert_eq!((letter.id.as_str(), letter.pipeline.as_str()), (message.id.as_str(), "p"));
}

fn for_people(text: &str, longest: usize) {
    assert!(text.chars().count() <= longest, "{} characters", text.chars().count());
    assert_eq!(without_queries(text), text);
}

fn is_bounded(record: &Record, message: &Message) {
    assert_eq!((&record.key, &record.payload), (&message.key, &message.payload));
    let (hosts, own): (Vec<&Header>, Vec<&Header>) = record.headers.iter().partition(|header| header.is_reserved());
    assert!(own.into_iter().eq(message.headers.iter().filter(|header| !header.is_reserved())));
    let size: usize = hosts.iter().map(|header| header.name.len() + header.value.len()).sum();
    assert!(size <= MOST_HOST_HEADERS, "{size} bytes of host headers");
}

fn message() -> Message {
    let mut message = text::message(b"trace_id: t-1\nlockgate-id: m-1\n\n\xff as it was");
    message.key = Some(Bytes::from_static(b"k"));
    message
}

fn maker() -> Maker {
    Maker { pipeline: "p".into(), plugin: "download".into(), version: "0.1.0".into(), sha256: "ab".repeat(32).into() }
}
