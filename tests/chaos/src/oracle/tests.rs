//! Each kind of failure is seen, and nothing else is taken for one.

use lockgate::model::Position;

use super::*;
use crate::setting::Shape;

const KEYED: Shape = Shape { order: Order::Key, partitions: 4 };
const PLACE: Place = Place { partition: 0, position: Position(0) };
const FREE: Shape = Shape { order: Order::Free, partitions: 4 };

/// An oracle that was told of messages with these ends, all of one key.
fn told(shape: Shape, ends: &[End]) -> Oracle {
    let setting = Setting { pipelines: vec![shape], ..Setting::default() };
    let mut oracle = Oracle::new(&setting);
    for end in ends {
        let name = oracle.sending(&shape.name(), Sent { key: "k".into(), end: *end }).unwrap();
        oracle.written(&name, PLACE);
    }
    oracle
}

fn name(shape: Shape, number: usize) -> Name {
    Name { pipeline: shape.name(), number }
}

fn made(shape: Shape, number: usize) -> Found {
    emitted(shape, number, 0)
}

fn emitted(shape: Shape, number: usize, ordinal: u32) -> Found {
    let name = name(shape, number);
    Found::Made { source: name.to_string(), id: name.emission(ordinal).to_string() }
}

fn dead(shape: Shape, number: usize, class: &str) -> Found {
    Found::Dead { source: name(shape, number).to_string(), class: class.into() }
}

/// Lost, repeated, misordered, stuck, wrong.
fn counts(oracle: &Oracle, standing: Standing) -> [u64; 5] {
    let verdict = oracle.verdict(|_, _| standing);
    [verdict.lost.count, verdict.repeated, verdict.misordered.count, verdict.stuck.count, verdict.wrong.count]
}

fn check(shape: Shape, ends: &[End], found: &[Found], expected: [u64; 5]) -> Oracle {
    let mut oracle = told(shape, ends);
    found.iter().for_each(|found| oracle.found(found));
    assert_eq!(counts(&oracle, Standing::Settled), expected, "{found:?}");
    oracle
}

#[test]
fn messages_that_end_as_they_have_to_are_no_failure() {
    let ends = [End::Made, End::Parked, End::Rejected, End::Exhausted, End::Trapped, End::Made];
    let found = [
        made(KEYED, 0),
        dead(KEYED, 2, "rejected"),
        dead(KEYED, 4, "guest-fault"),
        made(KEYED, 5),
        made(KEYED, 1),
        dead(KEYED, 3, "exhausted"),
    ];
    let oracle = check(KEYED, &ends, &found, [0; 5]);
    assert_eq!((oracle.sent(), oracle.ended(), oracle.open(&KEYED.name())), (6, 6, 0));
    assert!(oracle.is_drained());
    assert_eq!(oracle.verdict(|_, _| Standing::Settled).failures(), [""; 0]);
}

#[test]
fn a_settled_message_that_is_nowhere_is_lost_and_an_unsettled_one_stuck() {
    let oracle = check(FREE, &[End::Made, End::Made], &[made(FREE, 1)], [1, 0, 0, 0, 0]);
    assert_eq!(counts(&oracle, Standing::Unsettled), [0, 0, 0, 1, 0]);
    let failures = oracle.verdict(|_, _| Standing::Settled).failures();
    assert_eq!(failures, ["1 lost: free-4#0, …"]);
}

#[test]
fn one_that_was_never_written_for_sure_cannot_be_lost() {
    let mut oracle = told(FREE, &[]);
    oracle.sending(&FREE.name(), Sent { key: "k".into(), end: End::Made }).unwrap();
    assert_eq!(counts(&oracle, Standing::Settled), [0; 5]);
    oracle.found(&made(FREE, 0));
    assert_eq!(counts(&oracle, Standing::Settled), [0; 5]);
}

#[test]
fn a_message_that_is_found_twice_is_repeated() {
    let oracle = check(FREE, &[End::Made], &[made(FREE, 0), made(FREE, 0), made(FREE, 0)], [0, 2, 0, 0, 0]);
    assert_eq!((oracle.ended(), oracle.open(&FREE.name())), (1, 0));
    let letter = || dead(FREE, 0, "rejected");
    check(FREE, &[End::Rejected], &[letter(), letter()], [0, 1, 0, 0, 0]);
}

#[test]
fn a_message_of_many_parts_is_lost_while_one_is_missing_and_repeats_once_with_all_of_them() {
    let both = End::RejectedWith(2);
    let parts = || [emitted(KEYED, 0, 0), emitted(KEYED, 0, 1), dead(KEYED, 0, "rejected")];
    let oracle = check(KEYED, &[both], &parts()[..2], [1, 0, 0, 0, 0]);
    assert_eq!((oracle.ended(), oracle.open(&KEYED.name())), (0, 1));
    let oracle = check(KEYED, &[both], &parts(), [0; 5]);
    assert_eq!((oracle.ended(), oracle.open(&KEYED.name())), (1, 0));
    // Killed between its parts, it runs again from the first one.
    let [first, second, letter] = parts();
    let again = [vec![first.clone()], parts().to_vec(), vec![first, second], vec![letter.clone(), letter]];
    check(KEYED, &[both], &again.concat(), [0, 2, 0, 0, 0]);
}

#[test]
fn repeats_are_a_failure_when_the_faults_so_far_do_not_allow_them_and_else_not() {
    let failures = |allow_first: bool| {
        let mut oracle = told(FREE, &[End::Made]);
        if allow_first {
            oracle.allow(&FREE.name(), 1);
        }
        [made(FREE, 0), made(FREE, 0)].iter().for_each(|found| oracle.found(found));
        oracle.allow(&FREE.name(), 1);
        oracle.verdict(|_, _| Standing::Settled).failures()
    };
    assert_eq!(failures(true), [""; 0]);
    assert_eq!(failures(false), ["repeated too often: free-4#0 came again, as repeat 1 of 0"]);
}

#[test]
fn a_swap_within_a_key_is_misordered_where_there_is_an_order_and_a_repeat_is_not() {
    let ends = [End::Made; 3];
    let swapped = |shape| [made(shape, 0), made(shape, 2), made(shape, 1)];
    check(KEYED, &ends, &swapped(KEYED), [0, 0, 1, 0, 0]);
    check(FREE, &ends, &swapped(FREE), [0; 5]);
    let within = [emitted(KEYED, 0, 0), made(KEYED, 1), emitted(KEYED, 0, 1)];
    check(KEYED, &[End::Several(2), End::Made], &within, [0, 0, 1, 0, 0]);
    let again = [0, 1, 0, 1, 2].map(|number| made(KEYED, number));
    check(KEYED, &ends, &again, [0, 2, 0, 0, 0]);
}

#[test]
fn other_keys_and_parked_messages_may_be_passed() {
    let mut oracle = told(KEYED, &[End::Parked, End::Made]);
    let other = oracle.sending(&KEYED.name(), Sent { key: "other".into(), end: End::Made }).unwrap();
    oracle.written(&other, PLACE);
    [2, 1, 0].iter().for_each(|number| oracle.found(&made(KEYED, *number)));
    assert_eq!(counts(&oracle, Standing::Settled), [0; 5]);
}

#[test]
fn a_wrong_end_is_seen_and_the_message_is_lost_all_the_same() {
    for (end, found) in [
        (End::Made, dead(FREE, 0, "rejected")),
        (End::Parked, dead(FREE, 0, "exhausted")),
        (End::Made, emitted(FREE, 0, 1)),
        (End::Waited(1), dead(FREE, 0, "exhausted")),
        (End::Rejected, made(FREE, 0)),
        (End::Trapped, dead(FREE, 0, "exhausted")),
        (End::Made, Found::Made { source: "free-4#0".into(), id: "another".into() }),
    ] {
        check(FREE, &[end], &[found], [1, 0, 0, 0, 1]);
    }
}

#[test]
fn what_was_never_sent_is_wrong() {
    for found in [
        made(FREE, 7),
        made(KEYED, 0),
        Found::Dead { source: "no name".into(), class: "rejected".into() },
        Found::Strange("a message that the plugin does not make".into()),
    ] {
        check(FREE, &[], &[found], [0, 0, 0, 0, 1]);
    }
}

#[test]
fn an_oracle_begun_afresh_keeps_messages_and_bounds_and_forgets_what_was_found() {
    let mut oracle = told(KEYED, &[End::Made, End::Made]);
    oracle.allow(&KEYED.name(), 1);
    [1, 0, 0].iter().for_each(|number| oracle.found(&made(KEYED, *number)));
    assert_eq!(counts(&oracle, Standing::Settled), [0, 1, 1, 0, 0]);
    let mut afresh = oracle.afresh();
    assert_eq!(counts(&afresh, Standing::Settled), [2, 0, 0, 0, 0]);
    [0, 1, 1].iter().for_each(|number| afresh.found(&made(KEYED, *number)));
    assert_eq!(counts(&afresh, Standing::Settled), [0, 1, 0, 0, 0]);
    assert_eq!(afresh.verdict(|_, _| Standing::Settled).failures(), [""; 0]);
}
