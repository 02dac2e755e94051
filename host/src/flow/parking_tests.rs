use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::flow::retry::{Failure, Parking, Policy};

const ENQUEUED: Timestamp = Timestamp(1_772_460_311_000);

fn minutes(minutes: u64) -> Duration {
    Duration::from_secs(60 * minutes)
}

fn message() -> Message {
    let mut headers = Headers::default();
    headers.push("trace_id", "t-1");
    headers.push("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
    headers.push("lockgate-origin-ms", "17");
    headers.push("lockgate-redriven", "2");
    let origin = Origin {
        transport: "bus".into(),
        partition: Partition::new("pending", 3),
        position: Position(812),
        enqueued: Timestamp(1_772_460_000_042),
    };
    let payload = Bytes::from_static(b"\xff\x00 as it was");
    Message { id: MessageId::given("m-1"), origin, key: Some(Bytes::from_static(b"k")), headers, payload }
}

fn maker() -> Maker {
    Maker { pipeline: "p".into(), plugin: "download".into(), version: "0.1.0".into(), sha256: "ab".into() }
}

fn step(index: usize, of: usize) -> Step {
    Step { index, of, delay: minutes(5) }
}

/// Tries that failed so often, each round of three but the last parked.
fn tries(failed: u32) -> Tries {
    let policy = Policy { delays: vec![minutes(5); 100], ..Policy::default() };
    let mut tries = Tries::default();
    for at in 0..failed {
        let failure = Failure { at: Timestamp(u64::from(at) * 1000), code: "retry".into(), text: "down".into() };
        tries.fail(failure, None, Parking::Allowed, &policy);
    }
    tries
}

/// The record as the retry topic hands it out.
fn handed_out(record: Record) -> Message {
    let id = MessageId::given(record.headers.text("lockgate-id").unwrap());
    let partition = Partition::new("retry", record.partition.unwrap());
    let origin = Origin { transport: "bus".into(), partition, position: Position(4), enqueued: ENQUEUED };
    Message { id, origin, key: record.key, headers: record.headers, payload: record.payload }
}

fn parked(tries: &Tries) -> Message {
    handed_out(park(&message(), tries, step(0, 4), &maker(), 8, Timestamp(3000)))
}

fn reader() -> Reader {
    Reader { pipeline: "p".into(), retry_topic: Some("retry".into()) }
}

#[test]
fn a_message_comes_back_as_it_was_with_its_id_and_its_tries() {
    let unparked = unpark(parked(&tries(3)));
    assert_eq!((unparked.tries, unparked.delay), (tries(3), minutes(5)));
    let mut expected = message();
    expected.headers.push("lockgate-id", "m-1");
    let sorted = |mut message: Message| {
        let mut headers: Vec<_> = message.headers.iter().cloned().collect();
        headers.sort_by(|one, other| one.name.cmp(&other.name));
        message.headers = headers.into_iter().collect();
        message
    };
    assert_eq!(sorted(unparked.message), sorted(expected));
}

#[test]
fn a_message_that_is_parked_again_and_again_keeps_its_origin_and_its_first_failure() {
    let again =
        unpark(handed_out(park(&unpark(parked(&tries(3))).message, &tries(6), step(1, 4), &maker(), 8, ENQUEUED)));
    assert_eq!((again.message.origin, again.tries), (message().origin, tries(6)));
    assert_eq!(again.message.headers.text("lockgate-origin-ms"), Some("17"));
    assert_eq!(again.message.headers.text("lockgate-redriven"), Some("2"));
}

#[test]
fn a_step_has_the_partitions_whose_index_modulo_the_steps_is_its_own_and_uses_all_of_them() {
    for (index, partitions, class) in [(0, 8, vec![0, 4]), (3, 8, vec![3, 7]), (1, 6, vec![1, 5]), (2, 6, vec![2])] {
        let of = |number: u32| partition_of(&MessageId::given(&format!("m-{number}")), step(index, 4), partitions);
        let mut used: Vec<u32> = (0..50).map(of).collect();
        used.sort_unstable();
        used.dedup();
        assert_eq!(used, class, "step {index} of 4 in {partitions} partitions");
    }
}

#[test]
fn the_partition_of_a_message_never_changes() {
    // The hashes begin with ca978112ca1bbdca and 3e23e8160039594a.
    let of = |id| partition_of(&MessageId::given(id), step(1, 2), 14);
    assert_eq!([of("a"), of("b")], [9, 1]);
}

#[test]
fn a_record_is_due_its_delay_after_it_was_enqueued_and_at_once_when_that_is_over() {
    let wait = |now| match reader().receive(parked(&tries(3)), now) {
        Received::Later { wait, .. } => wait,
        Received::Now { .. } => Duration::ZERO,
        Received::NotOurs => panic!("it is ours"),
    };
    assert_eq!(wait(ENQUEUED), minutes(5));
    assert_eq!(wait(ENQUEUED.after(minutes(2))), minutes(3));
    assert_eq!(wait(ENQUEUED.after(minutes(5))), Duration::ZERO);
    assert_eq!(wait(ENQUEUED.after(minutes(500))), Duration::ZERO);
}

#[test]
fn a_clock_that_was_set_back_makes_no_record_wait_longer_than_its_delay() {
    let received = reader().receive(parked(&tries(3)), Timestamp(0));
    assert!(matches!(received, Received::Later { wait, .. } if wait == minutes(5)), "{received:?}");
}

#[test]
fn records_for_other_pipelines_are_not_ours_in_either_topic() {
    let mut elsewhere = parked(&tries(3));
    elsewhere.headers.set("lockgate-for", "another");
    assert_eq!(reader().receive(elsewhere.clone(), ENQUEUED), Received::NotOurs);
    elsewhere.origin.partition = Partition::new("pending", 0);
    assert_eq!(reader().receive(elsewhere, ENQUEUED), Received::NotOurs);
}

#[test]
fn a_record_redriven_into_the_pipelines_own_topic_starts_at_once_with_its_origin() {
    let mut redriven = parked(&tries(3));
    redriven.origin.partition = Partition::new("pending", 0);
    let received = reader().receive(redriven, ENQUEUED);
    assert!(matches!(received, Received::Now { message: unparked, .. } if unparked.origin == message().origin));
}

#[test]
fn a_record_in_the_retry_topic_that_says_nothing_starts_at_once_with_fresh_tries() {
    let mut record = parked(&tries(3));
    record.headers = Headers::default();
    let received = reader().receive(record.clone(), ENQUEUED);
    assert_eq!(received, Received::Now { message: record, tries: Tries::default() });
}

#[test]
fn malformed_headers_of_the_host_cost_no_message() {
    for value in [&b"no number"[..], b"", b"-1", b"\xff\xfe", b"99999999999999999999999", b"{\"a\":", b"[1]"] {
        let mut record = parked(&tries(3));
        let names: Vec<String> = record.headers.iter().map(|header| header.name.to_string()).collect();
        for name in names.iter().filter(|name| name.starts_with("lockgate-") && *name != "lockgate-for") {
            record.headers.set(name, Bytes::from_static(value));
        }
        let Received::Now { message, tries: fresh } = reader().receive(record.clone(), ENQUEUED) else {
            panic!("{value:?} is due at once")
        };
        assert_eq!((fresh, message.origin, message.payload), (Tries::default(), record.origin, record.payload));
    }
}

#[test]
fn a_delay_that_no_pipeline_gives_is_due_at_once() {
    for delay in [LONGEST_DELAY.as_millis() + 1, u64::MAX.into()] {
        let mut record = parked(&tries(3));
        record.headers.set("lockgate-delay-ms", delay.to_string());
        assert!(matches!(reader().receive(record, ENQUEUED), Received::Now { .. }));
    }
}

#[test]
fn the_hosts_headers_of_a_parked_record_stay_within_16_kib_however_often_it_failed() {
    let policy = Policy { delays: vec![minutes(5); 100], ..Policy::default() };
    let mut tries = Tries::default();
    for at in 0..200 {
        let failure = Failure { at: Timestamp(at), code: "x".repeat(64), text: "\u{1F512}\"".repeat(250) };
        tries.fail(failure, None, Parking::Allowed, &policy);
    }
    let record = parked(&tries);
    assert!(record.headers.size() < 16 * 1024, "{}", record.headers.size());
    assert_eq!(unpark(record).tries.failures().len(), 13);
}

proptest! {
    #[test]
    fn whatever_stands_in_the_headers_payload_and_key_come_back(
        headers in prop::collection::vec((prop::sample::select(vec![
            header::DELAY_MS, header::ROUNDS, header::ATTEMPTS, header::FAILURES, header::FIRST_FAILURE,
            header::ORIGIN_TOPIC, header::ORIGIN_TRANSPORT, header::ORIGIN_PARTITION, header::ORIGIN_OFFSET,
            header::ORIGIN_ENQUEUED, header::ORIGIN_MS, header::REDRIVEN, header::ID,
        ]), ".{0,30}"), 0..20),
        now in any::<u64>(),
    ) {
        let mut record = parked(&tries(4));
        headers.into_iter().for_each(|(name, value)| record.headers.set(name, value));
        match reader().receive(record.clone(), Timestamp(now)) {
            Received::Now { message, .. } | Received::Later { message, .. } => {
                prop_assert_eq!((message.payload, message.key), (record.payload, record.key));
            }
            Received::NotOurs => prop_assert!(false, "it is for this pipeline"),
        }
    }
}
