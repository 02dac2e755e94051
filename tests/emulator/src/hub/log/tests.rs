use std::num::{NonZeroU64, NonZeroUsize};

use serde_amqp::Value;
use serde_bytes::ByteBuf;

use super::*;
use crate::amqp::message::Sent;
use crate::amqp::{described, frames};

const UNBOUNDED: Retention = Retention { events: NonZeroUsize::MAX, bytes: NonZeroU64::MAX, seconds: None };

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + second).unwrap()
}

fn event(size: usize) -> Event {
    let data = described(0x75, Value::Binary(ByteBuf::from(vec![0; size])));
    Sent::read(Bytes::from(frames::encode(&data)), 0).unwrap().events.remove(0)
}

/// One event a second, of growing size.
fn log(retention: Retention, events: i64) -> Log {
    let mut log = Log::new(retention);
    for second in 0..events {
        log.append(vec![event(10 + second as usize)], None, at(second));
    }
    log
}

fn sequences(log: &mut Log, from: i64) -> Vec<i64> {
    log.read(from, 100, at(0)).iter().map(|event| event.sequence).collect()
}

#[test]
fn events_are_read_in_order_from_anywhere() {
    let mut log = log(UNBOUNDED, 5);
    assert_eq!(sequences(&mut log, 0), [0, 1, 2, 3, 4]);
    assert_eq!(sequences(&mut log, 3), [3, 4]);
    assert_eq!(sequences(&mut log, 5), [0; 0]);
    assert_eq!(log.read(1, 2, at(0)).iter().map(|event| event.sequence).collect::<Vec<_>>(), [1, 2]);
}

#[test]
fn offsets_grow_with_the_bytes_before_them() {
    let mut log = log(UNBOUNDED, 4);
    let offsets: Vec<i64> = log.read(0, 9, at(0)).iter().map(|event| event.offset).collect();
    // Three bytes of descriptor, two of head.
    assert_eq!(offsets, [0, 15, 31, 48]);
}

#[test]
fn a_receiver_begins_where_it_says_with_what_stands_there_or_after_it() {
    let log = log(UNBOUNDED, 4);
    let millisecond = |second| at(second).as_millisecond();
    let table = [
        (Position::Earliest, 0, 0),
        (Position::Latest, 4, 4),
        (Position::Offset(0), 1, 0),
        (Position::Offset(31), 3, 2),
        (Position::Offset(20), 2, 2),
        (Position::Offset(48), 4, 3),
        (Position::Sequence(-1), 0, 0),
        (Position::Sequence(1), 2, 1),
        (Position::Sequence(3), 4, 3),
        (Position::Enqueued(0), 0, 0),
        (Position::Enqueued(millisecond(2)), 3, 2),
        (Position::Enqueued(millisecond(1) + 1), 2, 2),
        (Position::Enqueued(millisecond(99)), 4, 4),
    ];
    for (position, after, with) in table {
        assert_eq!(log.begin(Start { position, inclusive: false }), Ok(after), "{position:?}");
        assert_eq!(log.begin(Start { position, inclusive: true }), Ok(with), "{position:?} inclusive");
    }
}

#[test]
fn a_position_beyond_the_end_is_refused() {
    let log = log(UNBOUNDED, 4);
    for position in [Position::Offset(49), Position::Sequence(4)] {
        let refusal = log.begin(Start { position, inclusive: false }).unwrap_err();
        assert_eq!(refusal.condition, "com.microsoft:argument-error");
        assert!(refusal.description.contains("is invalid. The last"), "{refusal:?}");
    }
}

#[test]
fn retention_takes_the_oldest_by_count_size_and_age() {
    let by = |retention| {
        let mut log = log(retention, 10);
        log.read(0, 100, at(10)).iter().map(|event| event.sequence).collect::<Vec<_>>()
    };
    assert_eq!(by(Retention { events: NonZeroUsize::new(3).unwrap(), ..UNBOUNDED }), [7, 8, 9]);
    assert_eq!(by(Retention { seconds: NonZeroU64::new(2), ..UNBOUNDED }), [8, 9]);
    let two = log(UNBOUNDED, 10).events.iter().rev().take(2).map(|event| event.message.len() as u64).sum::<u64>();
    assert_eq!(by(Retention { bytes: NonZeroU64::new(two).unwrap(), ..UNBOUNDED }), [8, 9]);
    assert_eq!(by(Retention { bytes: NonZeroU64::new(two - 1).unwrap(), ..UNBOUNDED }), [9]);
}

#[test]
fn what_is_gone_is_passed_over_and_stays_counted() {
    let mut log = log(Retention { events: NonZeroUsize::new(2).unwrap(), ..UNBOUNDED }, 10);
    assert_eq!(sequences(&mut log, 0), [8, 9]);
    assert_eq!(log.begin(Start { position: Position::Sequence(3), inclusive: false }), Ok(8));
    let extent = log.extent();
    assert_eq!((extent.first_sequence, extent.last_sequence, extent.is_empty), (8, 9, false));
}

#[test]
fn what_stands_before_a_place_is_forgotten_on_demand() {
    let mut log = log(UNBOUNDED, 6);
    log.forget_before(4);
    assert_eq!(sequences(&mut log, 0), [4, 5]);
    log.forget_before(2);
    assert_eq!((sequences(&mut log, 0), log.bytes > 0), (vec![4, 5], true));
    log.forget_before(100);
    let extent = log.extent();
    assert_eq!((extent.first_sequence, extent.last_sequence, extent.is_empty, log.bytes), (6, 5, true, 0));
}

#[test]
fn a_log_that_retention_emptied_still_knows_its_last() {
    let mut log = log(Retention { seconds: NonZeroU64::new(1), ..UNBOUNDED }, 3);
    assert!(log.read(0, 9, at(60)).is_empty());
    let extent = log.extent();
    assert_eq!((extent.first_sequence, extent.last_sequence, extent.is_empty), (3, 2, true));
    assert_eq!(extent.last_enqueued, at(2).as_millisecond());
}

#[test]
fn what_is_too_old_is_gone_though_nobody_reads() {
    let mut log = log(Retention { seconds: NonZeroU64::new(2), ..UNBOUNDED }, 5);
    log.forget(at(5));
    let extent = log.extent();
    assert_eq!((extent.first_sequence, extent.last_sequence, extent.is_empty), (3, 4, false));
}

#[test]
fn a_clock_that_is_set_back_does_not_undo_the_order() {
    let mut log = log(UNBOUNDED, 3);
    log.append(vec![event(1)], None, at(-50));
    assert_eq!(log.extent().last_enqueued, at(2).as_millisecond());
}
