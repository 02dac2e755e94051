use std::num::NonZeroUsize;
use std::time::Duration;

use bytes::Bytes;

use super::*;
use crate::model::{Headers, MessageId, Origin, Size, header};

const ENQUEUED: Timestamp = Timestamp(1_000_000);

fn own() -> Partition {
    Partition::new("work", 0)
}

fn retry(index: u32) -> Partition {
    Partition::new("retry", index)
}

/// One partition of its own and two of the retry topic, in a window of eight messages.
fn in_flight() -> InFlight {
    let limits = Limits { messages: NonZeroUsize::new(8).unwrap(), bytes: Size(1000) };
    let reader = Reader { pipeline: "p".into(), retry_topic: Some("retry".into()) };
    let mut in_flight = InFlight::new(limits, Order::Key, reader);
    let assignment = |partition| Assignment { partition, epoch: Epoch(1), checkpoint: None, checkpoint_limit: None };
    in_flight.assign([own(), retry(0), retry(1)].into_iter().map(assignment).collect());
    in_flight
}

/// A record that is due so many seconds after it was enqueued.
fn message(partition: &Partition, position: i64, pipeline: &str, due: u64) -> Message {
    let mut headers = Headers::default();
    if partition.topic.as_ref() == "retry" {
        headers.push(header::FOR, pipeline.to_owned());
        headers.push(header::DELAY_MS, (due * 1000).to_string());
    }
    let origin = Origin {
        transport: "bus".into(),
        partition: partition.clone(),
        position: Position(position),
        enqueued: ENQUEUED,
    };
    Message { id: MessageId::given("m"), origin, key: None, headers, payload: Bytes::from_static(&[0; 50]) }
}

/// Admits one message at the moment at which it was enqueued.
fn admit(in_flight: &mut InFlight, message: Message, lag: u64, now: Instant) -> usize {
    let (partition, passed) = (message.origin.partition.clone(), message.origin.position);
    in_flight.admit(Batch { partition, messages: vec![message], lag, passed }, ENQUEUED, now)
}

fn room(in_flight: &mut InFlight, partition: &Partition) -> usize {
    in_flight.demand().0.get(partition).map_or(0, |room| room.messages)
}

#[test]
fn only_the_head_of_a_retry_partition_is_held_until_it_is_due_and_nobody_waits_for_it() {
    let (mut in_flight, now) = (in_flight(), Instant::now());
    let before = in_flight.demand().0.get(&own()).copied();
    assert_eq!((room(&mut in_flight, &retry(0)), room(&mut in_flight, &retry(1))), (1, 1));
    assert_eq!(admit(&mut in_flight, message(&retry(0), 0, "p", 300), 7, now), 0);
    assert_eq!(
        (room(&mut in_flight, &retry(0)), room(&mut in_flight, &retry(1))),
        (0, 1),
        "the other class is read on"
    );
    assert_eq!(in_flight.demand().0.get(&own()).copied(), before, "it takes nothing of the window and the bytes");
    assert!(in_flight.start().is_none());
    let due = now + Duration::from_secs(300);
    assert_eq!((in_flight.next_due(), in_flight.fall_due(due - Duration::from_millis(1))), (Some(due), 0));
    assert_eq!((in_flight.fall_due(due), in_flight.next_due()), (1, None));
    assert!(in_flight.start().is_some() && room(&mut in_flight, &retry(0)) == 1);
}

#[test]
fn when_the_clock_was_set_back_what_is_parked_comes_as_far_apart_as_it_was_parked() {
    let (mut in_flight, now) = (in_flight(), Instant::now());
    let hour_before = Timestamp(ENQUEUED.0.saturating_sub(3_600_000));
    let seconds = Duration::from_secs;
    let mut came = |position: i64, lag: u64, parked: u64, at: Instant| {
        let mut message = message(&retry(0), position, "p", 300);
        message.origin.enqueued = ENQUEUED.after(seconds(parked));
        let (partition, passed) = (message.origin.partition.clone(), message.origin.position);
        in_flight.admit(Batch { partition, messages: vec![message], lag, passed }, hour_before, at);
        let due = in_flight.next_due().unwrap();
        in_flight.fall_due(due);
        due - now
    };
    assert_eq!(came(0, 0, 0, now), seconds(300), "the first has to wait for as long as it was to");
    assert_eq!(came(1, 0, 2, now + seconds(300)), seconds(302));
    assert_eq!(came(2, 7, 2, now + seconds(302)), seconds(302));
    assert_eq!(came(3, 6, 1, now + seconds(302)), seconds(602), "the parking clock was set back: who knows how far");
    assert_eq!(came(9, 0, 0, now + seconds(602)), seconds(602), "it was known to stand there 300 seconds ago");
    assert_eq!(came(10, 0, 900, now + seconds(602)), seconds(902), "never longer than its delay");
}

#[test]
fn heads_fall_due_in_the_order_of_their_time_and_start_before_what_is_new() {
    let (mut in_flight, now) = (in_flight(), Instant::now());
    admit(&mut in_flight, message(&retry(1), 0, "p", 2400), 0, now);
    admit(&mut in_flight, message(&retry(0), 0, "p", 300), 0, now);
    admit(&mut in_flight, message(&own(), 0, "p", 0), 0, now);
    assert_eq!(in_flight.fall_due(now + Duration::from_secs(300)), 1);
    let started: Vec<Partition> =
        std::iter::from_fn(|| in_flight.start()).map(|work| work.partition().clone()).collect();
    assert_eq!(started, [retry(0), own()]);
    assert_eq!(in_flight.next_due(), Some(now + Duration::from_secs(2400)));
}

#[test]
fn what_is_due_uses_at_most_half_of_the_window_and_new_messages_leave_it_that() {
    let (mut in_flight, now) = (in_flight(), Instant::now());
    assert_eq!(room(&mut in_flight, &own()), 8);
    assert_eq!(admit(&mut in_flight, message(&retry(0), 0, "p", 0), 99, now), 1);
    assert_eq!(room(&mut in_flight, &own()), 4, "more is waiting");
    for position in 1..4 {
        assert_eq!(room(&mut in_flight, &retry(0)), 1);
        admit(&mut in_flight, message(&retry(0), position, "p", 0), 99, now);
    }
    assert_eq!((room(&mut in_flight, &retry(0)), room(&mut in_flight, &retry(1))), (0, 1), "each may always hold one");
    for position in 0..4 {
        assert!(room(&mut in_flight, &own()) > 0);
        admit(&mut in_flight, message(&own(), position, "p", 0), 99, now);
    }
    assert_eq!(room(&mut in_flight, &own()), 0);
}

#[test]
fn records_for_other_pipelines_are_passed_over_and_the_base_moves() {
    let (mut in_flight, now) = (in_flight(), Instant::now());
    for position in 0..3 {
        assert_eq!(room(&mut in_flight, &retry(0)), 1);
        assert_eq!(admit(&mut in_flight, message(&retry(0), position, "another", 300), 0, now), 0);
    }
    assert!(in_flight.start().is_none() && in_flight.next_due().is_none());
    let commits = in_flight.commits(&"retry".into());
    assert_eq!((commits.len(), &commits[0].checkpoint), (1, &Checkpoint::plain(Position(2))));
}

#[test]
fn a_head_that_is_not_due_is_unsettled_in_the_checkpoint() {
    let (mut in_flight, now) = (in_flight(), Instant::now());
    admit(&mut in_flight, message(&retry(0), 0, "another", 300), 1, now);
    admit(&mut in_flight, message(&retry(0), 1, "p", 300), 0, now);
    assert_eq!(in_flight.commits(&"retry".into())[0].checkpoint, Checkpoint::plain(Position(0)));
    let state = in_flight.states(|_, _| None).into_iter().find(|state| state.partition == retry(0)).unwrap();
    assert_eq!((state.unsettled, state.due), (1, Some(Timestamp(1_300_000))));
}

#[test]
fn what_is_parked_does_not_count_as_work_that_is_left_until_it_is_due() {
    let (mut in_flight, now) = (in_flight(), Instant::now());
    let nothing = |partition| Batch { partition, messages: Vec::new(), lag: 0, passed: Position(-1) };
    for partition in [own(), retry(1)] {
        in_flight.admit(nothing(partition), ENQUEUED, now);
    }
    assert_eq!(in_flight.idle(), Idle::No, "nothing is known of the third partition");
    admit(&mut in_flight, message(&retry(0), 0, "p", 300), 12, now);
    assert_eq!(in_flight.idle(), Idle::ButParked);
    in_flight.fall_due(now + Duration::from_secs(300));
    assert_eq!(in_flight.idle(), Idle::No);
    let work = in_flight.start().unwrap();
    in_flight.admit(nothing(retry(0)), ENQUEUED, now);
    in_flight.settle(work);
    assert_eq!(in_flight.idle(), Idle::Yes);
}

#[test]
fn heads_of_a_partition_that_closes_are_given_up_at_once() {
    let (mut in_flight, now) = (in_flight(), Instant::now());
    admit(&mut in_flight, message(&retry(0), 0, "p", 300), 0, now);
    in_flight.close(&[retry(0)]);
    assert_eq!((in_flight.next_due(), in_flight.fall_due(now + Duration::from_secs(999))), (None, 0));
    assert_eq!(in_flight.commits(&"retry".into())[0].checkpoint, Checkpoint::plain(Position(-1)), "it comes again");
}

#[test]
fn a_head_beyond_the_demand_waits_too() {
    let (mut in_flight, now) = (in_flight(), Instant::now());
    for (position, due) in [(0, 300), (1, 200)] {
        admit(&mut in_flight, message(&retry(0), position, "p", due), 0, now);
    }
    assert_eq!(in_flight.fall_due(now + Duration::from_secs(200)), 1);
    assert_eq!(in_flight.fall_due(now + Duration::from_secs(300)), 1);
}

mod any_interleaving {
    //! Reading as demanded, falling due, starting and settling in any order: the bounds hold, and nobody is kept out.

    use proptest::prelude::*;

    use super::*;

    const WINDOW: usize = 8;

    #[derive(Clone, Debug)]
    enum Step {
        /// Into which partition, for whom, and due after how many seconds.
        Read(usize, bool, u64),
        Wait(u64),
        Start,
        Settle(usize),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            6 => (0_usize..3, prop::bool::weighted(0.8), 0_u64..3).prop_map(|(which, ours, due)| Step::Read(which, ours, due * 100)),
            1 => (1_u64..200).prop_map(Step::Wait),
            4 => Just(Step::Start),
            3 => any::<usize>().prop_map(Step::Settle),
        ]
    }

    fn check(in_flight: &mut InFlight, running: usize) {
        let states = in_flight.states(|_, _| None);
        let startable = |topic: &str| {
            let of_topic = states.iter().filter(|state| *state.partition.topic == *topic);
            of_topic.map(|state| state.unsettled - usize::from(state.due.is_some())).sum::<usize>()
        };
        let (new, due) = (startable("work"), startable("retry"));
        assert!(new <= WINDOW && due <= WINDOW / 2 + 2 && new + due <= WINDOW + 2, "{new} new, {due} due");
        for state in states.iter().filter(|state| state.unsettled == 0) {
            assert!(room(in_flight, &state.partition) > 0, "{:?} is kept out by {running} that run", state.partition);
        }
    }

    proptest! {
        #[test]
        fn the_bounds_hold_and_everything_that_is_ours_settles(steps in prop::collection::vec(step(), 0..150)) {
            let (mut in_flight, start) = (in_flight(), Instant::now());
            let partitions = [own(), retry(0), retry(1)];
            let (mut now, mut next, mut ours, mut settled) = (start, [0; 3], 0, 0);
            let mut running = Vec::new();
            for step in steps {
                match step {
                    Step::Read(which, is_ours, due) => {
                        let partition = &partitions[which];
                        if room(&mut in_flight, partition) > 0 {
                            let for_whom = if is_ours || which == 0 { "p" } else { "another" };
                            ours += usize::from(for_whom == "p");
                            admit(&mut in_flight, message(partition, next[which], for_whom, due), 5, now);
                            next[which] += 1;
                        }
                    }
                    Step::Wait(seconds) => {
                        now += Duration::from_secs(seconds);
                        in_flight.fall_due(now);
                    }
                    Step::Start => running.extend(in_flight.start()),
                    Step::Settle(_) if running.is_empty() => {}
                    Step::Settle(which) => {
                        let work: Work = running.swap_remove(which % running.len());
                        settled += usize::from(in_flight.settle(work));
                    }
                }
                for topic in ["work", "retry"].map(Arc::from) {
                    let commits = in_flight.commits(&topic);
                    in_flight.stored(&topic, commits);
                }
                check(&mut in_flight, running.len());
            }
            in_flight.fall_due(now + Duration::from_secs(9999));
            running.extend(std::iter::from_fn(|| in_flight.start()));
            settled += running.into_iter().filter_map(|work| in_flight.settle(work).then_some(())).count();
            prop_assert_eq!(settled, ours);
        }
    }
}
