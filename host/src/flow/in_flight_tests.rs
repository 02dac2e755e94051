use std::num::NonZeroUsize;

use bytes::Bytes;

use super::*;
use crate::model::{Headers, MessageId, Origin, Size};
use crate::transport::Rooms;

fn topic() -> Arc<str> {
    "t".into()
}

fn partition(index: u32) -> Partition {
    Partition::new(topic(), index)
}

/// Two partitions in a window of ten messages and a hundred bytes.
fn in_flight(order: Order) -> InFlight {
    let limits = Limits { messages: NonZeroUsize::new(10).unwrap(), bytes: Size(100) };
    let mut in_flight = InFlight::new(limits, order, reader());
    in_flight.assign((0..2).map(|index| assignment(index, 1)).collect());
    in_flight
}

fn assignment(index: u32, epoch: u64) -> Assignment {
    Assignment { partition: partition(index), epoch: Epoch(epoch), checkpoint: None, checkpoint_limit: None }
}

fn reader() -> Reader {
    Reader { pipeline: "p".into(), retry_topic: Some("retry".into()) }
}

fn admit_batch(in_flight: &mut InFlight, batch: Batch) -> usize {
    in_flight.admit(batch, Timestamp(0), Instant::now())
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
    let passed = Position(positions.end - 1);
    let messages = positions.map(message).collect();
    admit_batch(in_flight, Batch { partition: partition(index), messages, lag: 0, passed })
}

fn room(in_flight: &mut InFlight, index: u32) -> Option<usize> {
    in_flight.demand().0.get(&partition(index)).map(|room| room.messages)
}

#[test]
fn a_stuck_partition_uses_at_most_its_share() {
    let mut in_flight = in_flight(Order::Partition);
    assert_eq!(admit(&mut in_flight, 0, 0..5, 1), 5);
    assert_eq!((room(&mut in_flight, 0), room(&mut in_flight, 1)), (None, Some(5)));
}

#[test]
fn a_partition_whose_messages_may_start_uses_what_others_do_not_need() {
    let mut in_flight = in_flight(Order::None);
    in_flight.remove(&[partition(1)]);
    admit(&mut in_flight, 0, 0..4, 1);
    assert_eq!(room(&mut in_flight, 0), Some(6));
}

#[test]
fn a_partition_whose_checkpoint_could_become_too_long_gets_nothing_until_it_is_shorter() {
    let mut in_flight = in_flight(Order::None);
    let limit = Checkpoint::LONGEST_HEAD + 2 * Checkpoint::LONGEST_POSITION;
    in_flight.assign(vec![Assignment { checkpoint_limit: Some(limit), ..assignment(0, 2) }]);
    assert_eq!((room(&mut in_flight, 0), room(&mut in_flight, 1)), (Some(1), Some(5)), "room for one is kept back");
    admit(&mut in_flight, 0, 0..1, 1);
    assert_eq!(room(&mut in_flight, 0), None);
    let work = in_flight.start().unwrap();
    assert!(in_flight.settle(work));
    assert_eq!(room(&mut in_flight, 0), Some(1));
}

#[test]
fn a_partition_whose_unread_messages_are_gone_is_idle_with_its_checkpoint_at_the_end() {
    let mut in_flight = in_flight(Order::None);
    in_flight.remove(&[partition(1)]);
    admit(&mut in_flight, 0, 0..1, 1);
    let work = in_flight.start().unwrap();
    let gone = |passed| Batch { partition: partition(0), messages: Vec::new(), lag: 0, passed: Position(passed) };
    admit_batch(&mut in_flight, gone(9));
    assert_eq!(in_flight.idle(), Idle::No, "one is in hand");
    assert_eq!(in_flight.states(|_, _| None)[0].checkpoint, Some(Checkpoint::plain(Position(-1))));
    assert!(in_flight.settle(work));
    assert_eq!(in_flight.idle(), Idle::Yes);
    assert_eq!(in_flight.commits(&topic())[0].checkpoint, Checkpoint::plain(Position(9)));
}

#[test]
fn a_message_above_the_byte_bound_comes_alone() {
    let mut in_flight = in_flight(Order::None);
    admit(&mut in_flight, 0, 0..1, 500);
    assert_eq!(in_flight.demand(), Rooms::default());
    let work = in_flight.start().unwrap();
    assert!(in_flight.settle(work));
    assert!(room(&mut in_flight, 0).is_some());
}

#[test]
fn nothing_is_admitted_while_a_window_has_settled_since_the_last_commit() {
    let mut in_flight = in_flight(Order::None);
    admit(&mut in_flight, 0, 0..10, 1);
    while let Some(work) = in_flight.start() {
        in_flight.settle(work);
    }
    assert_eq!(in_flight.demand(), Rooms::default());
    let commits = in_flight.commits(&topic());
    in_flight.not_stored(&topic());
    assert_eq!(in_flight.demand(), Rooms::default(), "a commit that failed frees nothing");
    in_flight.commits(&topic());
    in_flight.stored(&topic(), commits);
    assert!(room(&mut in_flight, 0).is_some() && in_flight.is_stored(&[partition(0)]));
}

#[test]
fn what_belongs_to_an_earlier_assignment_changes_nothing() {
    let mut in_flight = in_flight(Order::None);
    admit(&mut in_flight, 0, 0..1, 1);
    let work = in_flight.start().unwrap();
    in_flight.assign(vec![assignment(0, 2)]);
    assert!(!in_flight.owns(&work));
    assert!(!in_flight.settle(work));
    assert_eq!(in_flight.commits(&topic()), []);
}

#[test]
fn messages_of_a_partition_that_is_not_ours_are_dropped() {
    let mut in_flight = in_flight(Order::None);
    in_flight.close(&[partition(0)]);
    assert_eq!((admit(&mut in_flight, 0, 0..3, 1), admit(&mut in_flight, 7, 0..3, 1)), (0, 0));
}

mod any_interleaving {
    //! Assigning, losing, revoking, reading, settling and committing in any order, against the obvious slow model: a
    //! log of so many messages a partition, and the set of those that settled.

    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    const PARTITIONS: u32 = 3;
    const LOG: i64 = 12;
    const KEYS: i64 = 3;
    const GROUP: &str = "group";

    #[derive(Clone, Copy, Debug)]
    enum Step {
        Assign(u32),
        Lose(u32),
        Revoke(u32),
        Read(u32),
        Start,
        Settle(usize),
        GiveUp(usize),
        Commit { durable: bool },
    }

    fn step() -> impl Strategy<Value = Step> {
        let partition = || 0..PARTITIONS;
        prop_oneof![
            1 => partition().prop_map(Step::Assign),
            1 => partition().prop_map(Step::Lose),
            1 => partition().prop_map(Step::Revoke),
            4 => partition().prop_map(Step::Read),
            6 => Just(Step::Start),
            5 => any::<usize>().prop_map(Step::Settle),
            1 => any::<usize>().prop_map(Step::GiveUp),
            2 => any::<bool>().prop_map(|durable| Step::Commit { durable }),
        ]
    }

    struct Model {
        in_flight: InFlight,
        order: Order,
        epoch: u64,
        /// Where the source reads next, by partition that is ours.
        next: BTreeMap<u32, i64>,
        running: Vec<Work>,
        settled: BTreeSet<(u32, i64)>,
        stored: BTreeMap<u32, Checkpoint>,
    }

    impl Model {
        fn new(order: Order) -> Self {
            let limits = Limits { messages: NonZeroUsize::new(5).unwrap(), bytes: Size(1000) };
            Self {
                in_flight: InFlight::new(limits, order.clone(), reader()),
                order,
                epoch: 0,
                next: BTreeMap::new(),
                running: Vec::new(),
                settled: BTreeSet::new(),
                stored: BTreeMap::new(),
            }
        }

        fn take(&mut self, step: Step) {
            match step {
                Step::Assign(index) => self.assign(index),
                Step::Lose(index) => {
                    self.in_flight.close(&[partition(index)]);
                    self.in_flight.remove(&[partition(index)]);
                    self.next.remove(&index);
                }
                Step::Revoke(index) => self.revoke(index),
                Step::Read(index) => self.read(index),
                Step::Start => self.running.extend(self.in_flight.start()),
                Step::Settle(which) if !self.running.is_empty() => self.settle(which % self.running.len()),
                Step::GiveUp(which) if !self.running.is_empty() => self.give_up(which % self.running.len()),
                Step::Settle(_) | Step::GiveUp(_) => {}
                Step::Commit { durable } => self.commit(durable),
            }
            self.check();
        }

        fn assign(&mut self, index: u32) {
            self.epoch += 1;
            let checkpoint = self.stored.get(&index).cloned();
            self.next.insert(index, checkpoint.as_ref().map_or(0, |checkpoint| checkpoint.base().0 + 1));
            let epoch = Epoch(self.epoch);
            self.in_flight.assign(vec![Assignment {
                partition: partition(index),
                epoch,
                checkpoint,
                checkpoint_limit: None,
            }]);
        }

        /// What runs may end, then the checkpoint is stored, then the partition goes.
        fn revoke(&mut self, index: u32) {
            self.in_flight.close(&[partition(index)]);
            while let Some(which) = self.running.iter().position(|work| *work.partition() == partition(index)) {
                self.settle(which);
            }
            self.commit(true);
            assert!(self.in_flight.is_stored(&[partition(index)]));
            self.in_flight.remove(&[partition(index)]);
            self.next.remove(&index);
        }

        fn read(&mut self, index: u32) {
            let Some(next) = self.next.get_mut(&index) else { return };
            let room = room(&mut self.in_flight, index).unwrap_or(0);
            let end = LOG.min(*next + i64::try_from(room).unwrap());
            let messages = (*next..end).map(|position| message(index, position)).collect();
            *next = end;
            let lag = u64::try_from(LOG - end).unwrap();
            let batch = Batch { partition: partition(index), messages, lag, passed: Position(end - 1) };
            admit_batch(&mut self.in_flight, batch);
        }

        fn settle(&mut self, which: usize) {
            let work = self.running.remove(which);
            let place = (work.partition().index, work.message.origin.position.0);
            if self.in_flight.settle(work) {
                assert!(self.settled.insert(place) || self.repeats_are_due(place), "{place:?} settled twice");
            }
        }

        /// A message may settle again only when its first settling was not stored.
        fn repeats_are_due(&self, (index, position): (u32, i64)) -> bool {
            self.stored.get(&index).is_none_or(|stored| !stored.is_settled(Position(position)))
        }

        /// As on a stop: the message is not started again in this assignment, so the partition is assigned anew.
        fn give_up(&mut self, which: usize) {
            let work = self.running.remove(which);
            let (index, owned) = (work.partition().index, self.in_flight.owns(&work));
            self.in_flight.give_up(work);
            if owned {
                self.in_flight.close(&[partition(index)]);
                self.in_flight.remove(&[partition(index)]);
                self.next.remove(&index);
            }
        }

        fn commit(&mut self, durable: bool) {
            let commits = self.in_flight.commits(&topic());
            if !durable {
                return self.in_flight.not_stored(&topic());
            }
            for commit in &commits {
                let before = self.stored.insert(commit.partition.index, commit.checkpoint.clone());
                let moved_back = before.is_some_and(|before| before.base() > commit.checkpoint.base());
                assert!(!moved_back, "a checkpoint moved back");
            }
            self.in_flight.stored(&topic(), commits);
        }

        fn check(&self) {
            assert!(self.in_flight.unsettled() <= 5 + PARTITIONS as usize, "the window is overrun");
            let states = self.in_flight.states(|_, _| None);
            let now = states.iter().filter_map(|state| Some((state.partition.index, state.checkpoint.as_ref()?)));
            for (index, checkpoint) in now.chain(self.stored.iter().map(|(index, stored)| (*index, stored))) {
                let passed = |position: &i64| checkpoint.is_settled(Position(*position));
                let wrong: Vec<i64> =
                    (0..LOG).filter(passed).filter(|position| !self.settled.contains(&(index, *position))).collect();
                assert!(wrong.is_empty(), "{checkpoint:?} of partition {index} passes {wrong:?}");
            }
            let owned = self.running.iter().filter(|work| self.in_flight.owns(work));
            let mut lanes = BTreeSet::new();
            for work in owned {
                let Some(lane) = self.lane(work.message.origin.position.0) else { continue };
                assert!(lanes.insert((work.partition().index, lane)), "two messages of one lane run at once");
            }
        }

        /// What a message must not run beside; none where it may run beside everything.
        fn lane(&self, position: i64) -> Option<i64> {
            match self.order {
                Order::None => None,
                Order::Key => Some(position % KEYS),
                Order::Header(_) => group(position),
                Order::Partition => Some(0),
            }
        }
    }

    /// The value of the header that groups messages otherwise than their key does. Every fourth has none.
    fn group(position: i64) -> Option<i64> {
        (position % 4 != 3).then_some(position % 2)
    }

    fn message(index: u32, position: i64) -> Message {
        let mut headers = Headers::default();
        if let Some(group) = group(position) {
            headers.push(GROUP, format!("{index}-{group}"));
        }
        Message {
            id: MessageId::given("m"),
            origin: Origin {
                transport: "bus".into(),
                partition: partition(index),
                position: Position(position),
                enqueued: Timestamp(0),
            },
            key: Some(format!("{index}-{}", position % KEYS).into()),
            headers,
            payload: Bytes::from_static(b"x"),
        }
    }

    proptest! {
        #[test]
        fn no_checkpoint_passes_an_unsettled_message_and_everything_settles_in_the_end(
            order in prop_oneof![
                Just(Order::None),
                Just(Order::Key),
                Just(Order::Header(GROUP.to_owned())),
                Just(Order::Partition),
            ],
            steps in proptest::collection::vec(step(), 0..120),
        ) {
            let mut model = Model::new(order);
            steps.into_iter().for_each(|step| model.take(step));
            // Everything still running belongs to somebody: let it end, then take every partition and work it off.
            while !model.running.is_empty() {
                model.take(Step::Settle(0));
            }
            (0..PARTITIONS).for_each(|index| model.take(Step::Assign(index)));
            for round in 0..u32::try_from(LOG).unwrap() * PARTITIONS * 2 {
                model.take(Step::Read(round % PARTITIONS));
                model.take(Step::Start);
                model.take(Step::Settle(0));
                model.take(Step::Commit { durable: true });
            }
            let end = Checkpoint::plain(Position(LOG - 1));
            prop_assert!((0..PARTITIONS).all(|index| model.stored.get(&index) == Some(&end)), "{:?}", model.stored);
        }
    }
}
