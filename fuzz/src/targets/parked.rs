//! A message that stands in a retry topic or a dead-letter topic, into which anybody may write: lines of `name: value`,
//! an empty line, the payload.
//!
//! - Whatever stands in its headers, it is another pipeline's, due now, or due within the longest delay.
//! - Key, payload, id and the message's own headers come back as they are; of the host's none does that tells of the past.
//! - What is told of the past has a bound; parked once more it comes back the same.
//! - Read as a dead letter it is a letter, a mark or foreign; what a letter and its failures say to people has no query
//!   of a URL. Redriven, it is this pipeline's, due now, with fresh tries.

use std::time::Duration;

use lockgate::flow::config::LONGEST_DELAY;
use lockgate::flow::dead_letter::Maker;
use lockgate::flow::letters::{Entry, failures};
use lockgate::flow::parking::{Reader, Received, park, unpark};
use lockgate::flow::redrive::{Way, redriven};
use lockgate::flow::retry::{Step, Tries};
use lockgate::model::{Header, Message, Timestamp, header, without_queries};

use crate::{Verdict, text};

const NOW: Timestamp = Timestamp(1_772_460_312_000);
/// Failures that are kept of a message's past.
const MOST_FAILURES: usize = 13;
/// Headers that tell of the past, or whom a record is for.
const PAST: [&str; 9] = [
    header::FOR,
    header::DELAY_MS,
    header::ROUNDS,
    header::ATTEMPTS,
    header::FAILURES,
    header::FIRST_FAILURE,
    header::PIPELINE,
    header::CLASS,
    header::MARK,
];

pub(crate) fn run(data: &[u8]) -> Verdict {
    let message = text::message(data);
    as_a_letter(&message);
    let reader = Reader { pipeline: "p".into(), retry_topic: Some("retry".into()) };
    match reader.receive(message.clone(), NOW) {
        Received::NotOurs => {
            assert!(message.headers.text(header::FOR).is_some_and(|pipeline| pipeline != "p"));
            return Verdict::Refused;
        }
        Received::Now { message: read, tries } => comes_back(&message, &read, &tries),
        Received::Later { message: read, tries, wait } => {
            assert!(!wait.is_zero() && wait <= LONGEST_DELAY, "{wait:?}");
            comes_back(&message, &read, &tries);
        }
    }
    Verdict::Taken
}

fn comes_back(message: &Message, read: &Message, tries: &Tries) {
    assert_eq!((&read.id, &read.key, &read.payload), (&message.id, &message.key, &message.payload));
    assert!(own(message).eq(own(read)));
    assert!(PAST.iter().all(|name| read.headers.get(name).is_none()), "{read:?}");
    assert!(tries.failures().len() <= MOST_FAILURES);
    for failure in tries.failures() {
        assert!(failure.text.chars().count() <= 500 && failure.code.chars().count() <= 64, "{failure:?}");
        for_people(&failure.text);
    }
    let step = Step { index: 1, of: 2, delay: Duration::from_secs(600) };
    let again = unpark(text::received(park(read, tries, step, &maker(), 4, NOW)));
    assert_eq!((&again.message.origin, &again.message.id), (&read.origin, &read.id));
    assert!(own(&again.message).eq(own(read)));
    assert_eq!((again.tries.rounds(), again.tries.failed()), (tries.rounds(), tries.failed()));
    assert_eq!((again.tries.failures().len(), again.delay), (tries.failures().len(), step.delay));
}

fn as_a_letter(message: &Message) {
    if let Entry::Letter(letter) = Entry::read(message) {
        for_people(&letter.reason);
        for_people(&letter.code);
    }
    for failed in failures(&message.headers) {
        for_people(&failed.text);
    }
    let record = redriven(message, "p", Way::Retry { steps: 2 }, 4);
    let again = unpark(text::received(record));
    assert_eq!((&again.message.id, &again.message.payload), (&message.id, &message.payload));
    assert!(own(&again.message).eq(own(message)));
    assert_eq!((again.tries, again.delay), (Tries::default(), Duration::ZERO));
}

fn own(message: &Message) -> impl Iterator<Item = &Header> {
    message.headers.iter().filter(|header| !header.is_reserved())
}

fn for_people(text: &str) {
    assert_eq!(without_queries(text), text);
}

fn maker() -> Maker {
    Maker { pipeline: "p".into(), plugin: "download".into(), version: "0.1.0".into(), sha256: "ab".repeat(32).into() }
}
