//! Which waiting message may start next. Pure. A lane is what keeps messages one after another; it is held from the
//! moment a message becomes startable until it is released at settlement. Partitions take turns, and where there are
//! both, those with messages that were parked and are due take every other turn, and the first one.

use std::collections::{BTreeMap, HashMap, VecDeque};

use bytes::Bytes;

use super::config::Order;
use crate::model::{Message, Partition};

/// What a message must not run beside.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Lane {
    /// Nothing.
    Free,
    /// Messages of the same key or header value.
    Key(Bytes),
    /// Messages of the same partition.
    Partition(Partition),
}

impl Lane {
    /// The lane of a message under an order.
    pub fn of(message: &Message, order: &Order) -> Self {
        let key = match order {
            Order::None => None,
            Order::Key => message.key.clone(),
            Order::Header(name) => message.headers.get(name).cloned(),
            Order::Partition => return Self::Partition(message.origin.partition.clone()),
        };
        key.map_or(Self::Free, Self::Key)
    }
}

/// Whether messages were here before.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Rank {
    /// They were parked and are due: they go before new ones.
    Due,
    /// They were not.
    New,
}

#[derive(Debug)]
struct Queue<T> {
    rank: Rank,
    /// Each with the lane that it holds.
    ready: VecDeque<(Lane, T)>,
    blocked: usize,
}

impl<T> Queue<T> {
    fn of(rank: Rank) -> Self {
        Self { rank, ready: VecDeque::new(), blocked: 0 }
    }
}

/// Partitions with something ready, each once, in turn.
#[derive(Debug, Default)]
struct Turns {
    due: VecDeque<Partition>,
    new: VecDeque<Partition>,
    /// Whether the last turn was of one that is due.
    due_had_its_turn: bool,
}

impl Turns {
    fn of(&mut self, rank: Rank) -> &mut VecDeque<Partition> {
        match rank {
            Rank::Due => &mut self.due,
            Rank::New => &mut self.new,
        }
    }

    fn next(&mut self) -> Option<Partition> {
        let due = !self.due.is_empty() && (self.new.is_empty() || !self.due_had_its_turn);
        self.due_had_its_turn = due;
        self.of(if due { Rank::Due } else { Rank::New }).pop_front()
    }
}

/// Waiting messages. Bounded by the window that admits into it.
#[derive(Debug)]
pub struct Lanes<T> {
    queues: BTreeMap<Partition, Queue<T>>,
    /// Lanes that are held, each with what waits behind the holder.
    held: HashMap<Lane, VecDeque<(Partition, T)>>,
    turns: Turns,
}

impl<T> Default for Lanes<T> {
    fn default() -> Self {
        Self { queues: BTreeMap::new(), held: HashMap::new(), turns: Turns::default() }
    }
}

impl<T> Lanes<T> {
    /// Puts an item behind the others of its lane; one that is due, before those that are new. All items of a
    /// partition are of one rank.
    pub fn enqueue(&mut self, partition: &Partition, rank: Rank, lane: Lane, item: T) {
        self.queues.entry(partition.clone()).or_insert_with(|| Queue::of(rank));
        if lane == Lane::Free {
            return self.make_ready(partition, lane, item);
        }
        if let Some(waiting) = self.held.get_mut(&lane) {
            let is_new = |(of, _): &(Partition, T)| self.queues.get(of).is_some_and(|queue| queue.rank == Rank::New);
            let first_new = waiting.iter().position(is_new).filter(|_| rank == Rank::Due);
            waiting.insert(first_new.unwrap_or(waiting.len()), (partition.clone(), item));
            if let Some(queue) = self.queues.get_mut(partition) {
                queue.blocked += 1;
            }
            return;
        }
        self.held.insert(lane.clone(), VecDeque::new());
        self.make_ready(partition, lane, item);
    }

    /// The next item that may start; its lane is held until released.
    pub fn start(&mut self) -> Option<T> {
        let partition = self.turns.next()?;
        let queue = self.queues.get_mut(&partition)?;
        let (_, item) = queue.ready.pop_front()?;
        if !queue.ready.is_empty() {
            self.turns.of(queue.rank).push_back(partition);
        }
        Some(item)
    }

    /// The holder of a lane is settled: the next behind it becomes startable.
    pub fn release(&mut self, lane: &Lane) {
        let Some(waiting) = self.held.get_mut(lane) else { return };
        let Some((partition, item)) = waiting.pop_front() else {
            self.held.remove(lane);
            return;
        };
        if let Some(queue) = self.queues.get_mut(&partition) {
            queue.blocked = queue.blocked.saturating_sub(1);
        }
        self.make_ready(&partition, lane.clone(), item);
    }

    /// How many items of a partition wait behind a held lane.
    pub fn blocked(&self, partition: &Partition) -> usize {
        self.queues.get(partition).map_or(0, |queue| queue.blocked)
    }

    /// An item of a partition that may start.
    pub fn find_ready(&self, partition: &Partition, is: impl Fn(&T) -> bool) -> Option<&T> {
        let ready = &self.queues.get(partition)?.ready;
        ready.iter().map(|(_, item)| item).find(|item| is(item))
    }

    /// An item of a partition that waits behind a held lane, with that lane.
    pub fn find_blocked(&self, partition: &Partition, is: impl Fn(&T) -> bool) -> Option<(&T, &Lane)> {
        let found =
            |waiting: &VecDeque<(Partition, T)>| waiting.iter().position(|(of, item)| of == partition && is(item));
        let (lane, waiting, index) =
            self.held.iter().find_map(|(lane, waiting)| Some((lane, waiting, found(waiting)?)))?;
        waiting.get(index).map(|(_, item)| (item, lane))
    }

    /// Removes everything that waits in a partition, and releases the lanes that it held.
    pub fn remove(&mut self, partition: &Partition) -> Vec<T> {
        for rank in [Rank::Due, Rank::New] {
            self.turns.of(rank).retain(|turn| turn != partition);
        }
        let mut removed = Vec::new();
        for waiting in self.held.values_mut() {
            let (gone, kept) =
                std::mem::take(waiting).into_iter().partition::<VecDeque<_>, _>(|(of, _)| of == partition);
            *waiting = kept;
            removed.extend(gone.into_iter().map(|(_, item)| item));
        }
        for (lane, item) in self.queues.remove(partition).into_iter().flat_map(|queue| queue.ready) {
            self.release(&lane);
            removed.push(item);
        }
        removed
    }

    fn make_ready(&mut self, partition: &Partition, lane: Lane, item: T) {
        let Some(queue) = self.queues.get_mut(partition) else { return };
        if queue.ready.is_empty() {
            self.turns.of(queue.rank).push_back(partition.clone());
        }
        queue.ready.push_back((lane, item));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn partition(index: u32) -> Partition {
        Partition::new("t", index)
    }

    fn key(name: &'static str) -> Lane {
        Lane::Key(Bytes::from_static(name.as_bytes()))
    }

    #[test]
    fn one_key_runs_one_after_another_and_others_beside_it() {
        let mut lanes = Lanes::default();
        for (lane, item) in [(key("a"), 1), (key("a"), 2), (key("b"), 3), (Lane::Free, 4)] {
            lanes.enqueue(&partition(0), Rank::New, lane, item);
        }
        assert_eq!([lanes.start(), lanes.start(), lanes.start(), lanes.start()], [Some(1), Some(3), Some(4), None]);
        lanes.release(&key("a"));
        assert_eq!([lanes.start(), lanes.start()], [Some(2), None]);
        lanes.release(&key("a"));
        lanes.enqueue(&partition(0), Rank::New, key("a"), 5);
        assert_eq!(lanes.start(), Some(5));
    }

    #[test]
    fn partitions_take_turns() {
        let mut lanes = Lanes::default();
        for item in 0..3 {
            lanes.enqueue(&partition(0), Rank::New, Lane::Free, item);
        }
        lanes.enqueue(&partition(1), Rank::New, Lane::Free, 10);
        assert_eq!(std::iter::from_fn(|| lanes.start()).collect::<Vec<_>>(), [0, 10, 1, 2]);
    }

    #[test]
    fn what_is_due_takes_the_first_turn_and_then_every_other() {
        let mut lanes = Lanes::default();
        (0..3).for_each(|item| lanes.enqueue(&partition(0), Rank::New, Lane::Free, item));
        (10..14).for_each(|item| lanes.enqueue(&partition(1), Rank::Due, Lane::Free, item));
        assert_eq!(std::iter::from_fn(|| lanes.start()).collect::<Vec<_>>(), [10, 0, 11, 1, 12, 2, 13]);
    }

    #[test]
    fn what_is_due_waits_for_its_lane_before_what_is_new_and_behind_what_was_due_before() {
        let mut lanes = Lanes::default();
        (0..3).for_each(|item| lanes.enqueue(&partition(0), Rank::New, key("a"), item));
        (10..12).for_each(|item| lanes.enqueue(&partition(1), Rank::Due, key("a"), item));
        let started = std::iter::from_fn(|| {
            let item = lanes.start();
            lanes.release(&key("a"));
            item
        });
        assert_eq!(started.collect::<Vec<_>>(), [0, 10, 11, 1, 2]);
    }

    #[test]
    fn what_waits_in_a_partition_goes_with_it() {
        let mut lanes = Lanes::default();
        for (index, item) in [(0, 1), (1, 2), (0, 3)] {
            lanes.enqueue(&partition(index), Rank::New, key("a"), item);
        }
        assert_eq!(lanes.remove(&partition(0)), [3, 1]);
        assert_eq!(lanes.start(), Some(2));
    }

    proptest! {
        /// The slow model: at any time no two running items share a lane, and items of a lane and a rank start in order.
        #[test]
        fn every_order_keeps_its_promise(items in prop::collection::vec((0_u32..3, 0_usize..4), 0..60), finish in prop::collection::vec(any::<prop::sample::Index>(), 0..200)) {
            let names = ["a", "b", "c"];
            let lane = |which: usize| names.get(which).map_or(Lane::Free, |name| key(name));
            let rank = |index| if index == 0 { Rank::Due } else { Rank::New };
            let mut lanes = Lanes::default();
            for (number, (index, which)) in items.iter().enumerate() {
                lanes.enqueue(&partition(*index), rank(*index), lane(*which), (number, *which));
            }
            let mut running: Vec<(usize, usize)> = Vec::new();
            let mut started: Vec<(usize, usize)> = Vec::new();
            let mut finish = finish.into_iter();
            loop {
                while let Some(item) = lanes.start() {
                    prop_assert!(item.1 == 3 || running.iter().all(|other| other.1 != item.1));
                    running.push(item);
                    started.push(item);
                }
                if running.is_empty() { break; }
                let index = finish.next().map_or(0, |index| index.index(running.len()));
                lanes.release(&lane(running.swap_remove(index).1));
            }
            prop_assert_eq!(started.len(), items.len(), "nothing is forgotten");
            for (which, its_rank) in (0..3).flat_map(|which| [(which, Rank::Due), (which, Rank::New)]) {
                let of_lane = started.iter().filter(|item| item.1 == which && rank(items[item.0].0) == its_rank);
                let of_lane: Vec<usize> = of_lane.map(|item| item.0).collect();
                prop_assert!(of_lane.is_sorted(), "{:?}", of_lane);
            }
        }
    }
}
