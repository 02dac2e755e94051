use bytes::Bytes;
use proptest::prelude::*;

use super::super::dead_letter::{Maker, dead_letter};
use super::super::retry::Tries;
use super::super::triage::{Cause, Class};
use super::*;
use crate::model::{MessageId, Origin};

fn message(topic: &str, offset: i64, record: Record) -> Message {
    let partition = Partition::new(topic, record.partition.unwrap_or(0));
    let origin = Origin { transport: "bus".into(), partition, position: Position(offset), enqueued: Timestamp(2000) };
    let id = MessageId::given(record.headers.text("lockgate-id").unwrap_or("none"));
    Message { id, origin, key: record.key, headers: record.headers, payload: record.payload }
}

/// What a pipeline writes, read back from the dead-letter topic.
fn dead(reason: &str) -> Message {
    let lived = message("claims", 812, Record { payload: Bytes::from_static(b"{}"), ..Record::default() });
    let maker = Maker { pipeline: "p".into(), plugin: "g".into(), version: "0.1.0".into(), sha256: "ab".into() };
    let cause = Cause { class: Class::Rejected, code: "gone".into(), reason: reason.into() };
    message("dlq", 7, dead_letter(&lived, &cause, &Tries::default(), &maker, Timestamp(1000)))
}

fn letter(message: &Message) -> Letter {
    match Entry::read(message) {
        Entry::Letter(letter) => *letter,
        other => panic!("no letter: {other:?}"),
    }
}

fn at(text: &str) -> Address {
    text.parse().unwrap()
}

#[test]
fn a_letter_tells_what_its_pipeline_wrote() {
    let read = letter(&dead("404"));
    assert_eq!((read.at, read.origin, read.time), (at("dlq/0@7"), Some(at("claims/0@812")), Timestamp(2000)));
    let words = [read.pipeline, read.class, read.code, read.reason, read.id];
    assert_eq!(words, ["p", "rejected", "gone", "404", "none"]);
    assert_eq!((read.attempts, read.redriven_before, read.spilled), (0, 0, None));
}

#[test]
fn marks_are_folded_onto_the_letters_that_they_name() {
    let mut marks = Marks::default();
    for (offset, of) in [(8, at("dlq/3@7")), (9, at("dlq/3@7")), (10, at("dlq/1@7"))] {
        let record = mark(&of);
        assert_eq!(record.partition, Some(of.partition.index), "it goes beside the letter");
        match Entry::read(&message("dlq", offset, record)) {
            Entry::Mark { of } => marks.fold(of),
            other => panic!("no mark: {other:?}"),
        }
    }
    assert_eq!(["dlq/3@7", "dlq/1@7", "dlq/3@8", "other/3@7"].map(|letter| marks.times(&at(letter))), [2, 1, 0, 0]);
}

#[test]
fn what_is_neither_a_letter_nor_a_mark_is_foreign_and_named() {
    let mut half = mark(&at("dlq/0@1"));
    half.headers.set("lockgate-mark-offset", "none");
    let mut classless = dead("404");
    classless.headers.retain(|header| header.name != "lockgate-class");
    let mut binary = dead("404");
    binary.headers.set("lockgate-class", Bytes::from_static(b"\xff"));
    for message in [message("dlq", 7, Record::default()), message("dlq", 7, half), classless, binary] {
        assert_eq!(Entry::read(&message), Entry::Foreign { at: at("dlq/0@7") });
    }
}

#[test]
fn queries_of_urls_are_in_no_word_of_a_letter() {
    let mut message = dead("403 from https://h/a.pdf?X-Amz-Signature=SENTINEL");
    let failure = r#"[{"at":"2026-03-02T14:05:11.000Z","code":"retry","text":"https://h/a.pdf?sig=SENTINEL"}]"#;
    message.headers.set("lockgate-failures", failure);
    let told = format!("{:?} {:?}", letter(&message), failures(&message.headers));
    assert!(told.contains("a.pdf") && !told.contains("SENTINEL"), "{told}");
}

#[test]
fn failures_that_cannot_be_read_are_none() {
    let mut message = dead("404");
    for value in [&b"\xff"[..], b"", b"{", b"[1]", b"{\"at\":1}"] {
        message.headers.set("lockgate-failures", Bytes::from_static(value));
        assert_eq!(failures(&message.headers), Vec::new());
    }
}

#[test]
fn a_filter_takes_by_pipeline_by_code_or_class_and_by_time() {
    let letter = letter(&dead("404"));
    let filter = |pipeline: Option<&str>, reason: Option<&str>, since: Option<u64>| Filter {
        pipeline: pipeline.map(str::to_owned),
        reason: reason.map(str::to_owned),
        since: since.map(Timestamp),
    };
    for (filter, taken) in [
        (filter(None, None, None), true),
        (filter(Some("p"), Some("gone"), Some(2000)), true),
        (filter(None, Some("rejected"), None), true),
        (filter(Some("q"), None, None), false),
        (filter(None, Some("404"), None), false),
        (filter(None, None, Some(2001)), false),
    ] {
        assert_eq!(filter.takes(&letter), taken, "{filter:?}");
    }
}

proptest! {
    #[test]
    fn an_address_comes_back_as_it_was_whatever_the_topic_is_called(
        topic in ".{1,20}", index in any::<u32>(), offset in any::<i64>(),
    ) {
        let address = Address { partition: Partition::new(topic, index), position: Position(offset) };
        prop_assert_eq!(address.to_string().parse::<Address>(), Ok(address));
    }

    #[test]
    fn no_text_breaks_an_address(text in ".{0,30}") {
        if let Ok(address) = text.parse::<Address>() {
            prop_assert_eq!(address.to_string().parse::<Address>(), Ok(address));
        }
    }

    #[test]
    fn no_header_breaks_a_reading(
        headers in prop::collection::vec((prop::sample::select(vec![
            header::MARK, header::MARK_PARTITION, header::MARK_OFFSET, header::PIPELINE, header::CLASS, header::CODE,
            header::ATTEMPTS, header::FAILURES, header::ORIGIN_TOPIC, header::ORIGIN_PARTITION, header::REDRIVEN,
        ]), prop::collection::vec(any::<u8>(), 0..20)), 0..12),
    ) {
        let mut message = dead("404");
        headers.into_iter().for_each(|(name, value)| message.headers.set(name, value));
        let is_mark = message.headers.get(header::MARK).is_some();
        match Entry::read(&message) {
            Entry::Letter(letter) => prop_assert!(!is_mark && letter.at == at("dlq/0@7")),
            Entry::Mark { of } => prop_assert!(is_mark && &*of.partition.topic == "dlq"),
            Entry::Foreign { at: place } => prop_assert_eq!(place, at("dlq/0@7")),
        }
        failures(&message.headers);
    }
}
