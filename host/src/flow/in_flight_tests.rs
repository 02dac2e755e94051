use std::num::NonZeroUsize;

use bytes::Bytes;

use super::*;
use crate::model::{Headers, MessageId, Origin, Size, Timestamp};
use crate::transport::Epoch;

fn partition(index: u32) -> Partition {
    Partition::new("t", index)
}

/// Two partitions in a window of ten messages and a hundred bytes.
fn in_flight(order: Order) -> InFlight {
    let limits = Limits { messages: NonZeroUsize::new(10).unwrap(), bytes: Size(100) };
    let mut in_flight = InFlight::new(limits, order);
    in_flight.assign((0..2).map(|index| assignment(index, 1)).collect());
    in_flight
}

fn assignment(index: u32, epoch: u64) -> Assignment {
    Assignment { partition: partition(index), epoch: Epoch(epoch), checkpoint: None }
}

fn admit(in_flight: &mut InFlight, index: u32, positions: std::ops::Range<i64>, bytes: usize) -> usize {
    let message = |position| Message {
        id: MessageId::given("m"),
        origin: Origin {
            transport: "bus".into(),
            partition: partition(index),
            position: Position(position),
            enqueued: Timestamp(0),
        },
        key: None,
        headers: Headers::default(),
        payload: Bytes::from(vec![0; bytes]),
    };
    in_flight.admit(Batch { partition: partition(index), messages: positions.map(message).collect(), lag: 0 })
}

fn room(in_flight: &InFlight, index: u32) -> Option<usize> {
    in_flight.demand().0.get(&partition(index)).map(|room| room.messages)
}

#[test]
fn a_stuck_partition_uses_at_most_its_share() {
    let mut in_flight = in_flight(Order::Partition);
    assert_eq!(admit(&mut in_flight, 0, 0..5, 1), 5);
    assert_eq!((room(&in_flight, 0), room(&in_flight, 1)), (None, Some(5)));
}

#[test]
fn a_partition_whose_messages_may_start_uses_what_others_do_not_need() {
    let mut in_flight = in_flight(Order::None);
    in_flight.remove(&[partition(1)]);
    admit(&mut in_flight, 0, 0..4, 1);
    assert_eq!(room(&in_flight, 0), Some(6));
}

#[test]
fn a_message_above_the_byte_bound_comes_alone() {
    let mut in_flight = in_flight(Order::None);
    admit(&mut in_flight, 0, 0..1, 500);
    assert_eq!(in_flight.demand(), Demand::default());
    let work = in_flight.start().unwrap();
    assert!(in_flight.settle(work));
    assert!(room(&in_flight, 0).is_some());
}

#[test]
fn nothing_is_admitted_while_a_window_has_settled_since_the_last_commit() {
    let mut in_flight = in_flight(Order::None);
    admit(&mut in_flight, 0, 0..10, 1);
    while let Some(work) = in_flight.start() {
        in_flight.settle(work);
    }
    assert_eq!(in_flight.demand(), Demand::default());
    let commits = in_flight.commits();
    in_flight.not_stored();
    assert_eq!(in_flight.demand(), Demand::default(), "a commit that failed frees nothing");
    in_flight.commits();
    in_flight.stored(commits);
    assert!(room(&in_flight, 0).is_some() && in_flight.is_stored(&[partition(0)]));
}

#[test]
fn what_belongs_to_an_earlier_assignment_changes_nothing() {
    let mut in_flight = in_flight(Order::None);
    admit(&mut in_flight, 0, 0..1, 1);
    let work = in_flight.start().unwrap();
    in_flight.assign(vec![assignment(0, 2)]);
    assert!(!in_flight.owns(&work));
    assert!(!in_flight.settle(work));
    assert_eq!(in_flight.commits(), []);
}

#[test]
fn messages_of_a_partition_that_is_not_ours_are_dropped() {
    let mut in_flight = in_flight(Order::None);
    in_flight.close(&[partition(0)]);
    assert_eq!((admit(&mut in_flight, 0, 0..3, 1), admit(&mut in_flight, 7, 0..3, 1)), (0, 0));
}
