//! What is settled in one assigned partition. Pure: positions in, tickets out, a checkpoint at any time.

use std::collections::BTreeSet;
use std::fmt;

use crate::model::{Checkpoint, Partition, Position};
use crate::transport::Epoch;

/// The right and the duty to settle one message. Handing it back to [`Window::settle`] is the only acknowledgement;
/// it cannot be copied, and one that is lost leaves its message unsettled.
#[derive(PartialEq, Eq)]
#[must_use = "a message whose ticket is dropped is never settled"]
pub struct Ticket {
    partition: Partition,
    epoch: Epoch,
    position: Position,
}

impl Ticket {
    /// The message's partition.
    pub fn partition(&self) -> &Partition {
        &self.partition
    }

    /// The assignment that the ticket belongs to.
    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// The message's position.
    pub fn position(&self) -> Position {
        self.position
    }
}

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.partition, self.position)
    }
}

/// What becomes of a message that a source handed out.
#[derive(PartialEq, Eq, Debug)]
pub enum Admission {
    /// It is to run.
    Run(Ticket),
    /// The restored checkpoint says that it is settled.
    Settled,
    /// It was handed out before in this assignment.
    Repeated,
}

/// One assignment of one partition.
///
/// Holds the unsettled positions only, so that it is bounded by what is in flight and not by how far the rest has run
/// ahead of a stuck message.
#[derive(Debug)]
pub struct Window {
    partition: Partition,
    epoch: Epoch,
    restored: Option<Checkpoint>,
    /// Positions that the restored checkpoint calls unsettled and that have not come yet.
    awaited: BTreeSet<Position>,
    /// Positions with a ticket out.
    unsettled: BTreeSet<Position>,
    /// The last position that came, or the restored base.
    last: Option<Position>,
    /// The highest settled position.
    highest: Option<Position>,
}

impl Window {
    /// The window of an assignment, as its checkpoint left it.
    pub fn new(partition: Partition, epoch: Epoch, restored: Option<Checkpoint>) -> Self {
        Self {
            partition,
            epoch,
            awaited: restored.iter().flat_map(|checkpoint| checkpoint.unsettled().iter().copied()).collect(),
            unsettled: BTreeSet::new(),
            last: restored.as_ref().map(Checkpoint::base),
            highest: restored.as_ref().map(Checkpoint::highest),
            restored,
        }
    }

    /// The assignment's number.
    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// Takes a message in. Positions that were awaited and passed over are gone from the log, and count as settled.
    pub fn admit(&mut self, position: Position) -> Admission {
        if self.last.is_some_and(|last| position <= last) {
            return Admission::Repeated;
        }
        self.last = Some(position);
        self.awaited = self.awaited.split_off(&Position(position.0.saturating_add(1)));
        if self.restored.as_ref().is_some_and(|restored| restored.is_settled(position)) {
            return Admission::Settled;
        }
        self.unsettled.insert(position);
        Admission::Run(Ticket { partition: self.partition.clone(), epoch: self.epoch, position })
    }

    /// Nothing up to `position` is still to come: what did not come is gone, and counts as settled.
    pub fn pass(&mut self, position: Position) {
        if self.last.is_none_or(|last| last < position) {
            self.last = Some(position);
            self.awaited = self.awaited.split_off(&Position(position.0.saturating_add(1)));
        }
    }

    /// Settles a message. A ticket of another assignment changes nothing.
    pub fn settle(&mut self, ticket: Ticket) {
        if ticket.epoch == self.epoch && self.unsettled.remove(&ticket.position) {
            self.highest = self.highest.max(Some(ticket.position));
        }
    }

    /// What to store: `None` before anything came or was restored.
    pub fn checkpoint(&self) -> Option<Checkpoint> {
        let last = self.last?;
        let before = |position: &Position| Position(position.0.saturating_sub(1));
        let stuck = self.unsettled.first().into_iter().chain(self.awaited.first()).min().map(before);
        let base = stuck.unwrap_or_else(|| last.max(self.highest.unwrap_or(last)));
        let highest = self.highest.unwrap_or(base);
        Some(Checkpoint::new(base, highest, self.unsettled.iter().chain(&self.awaited).copied().collect()))
    }

    /// How many more messages may come such that every checkpoint from then on fits into `limit` bytes, whatever their
    /// positions are and in whatever order they settle. Settling only makes a checkpoint shorter.
    ///
    /// | where | may come | because |
    /// |---|---|---|
    /// | there is room for their positions | as many as that | each adds at most [`Checkpoint::LONGEST_POSITION`] |
    /// | nothing is unsettled | one | alone it is the base, and needs no room |
    /// | some of the restored unsettled ones have not come | one | either it is one of them, or they are gone: room for one is kept back for that |
    pub fn room_within(&self, limit: usize) -> usize {
        let unsettled = self.unsettled.len() + self.awaited.len();
        let first = self.unsettled.first().into_iter().chain(self.awaited.first()).min();
        let last = self.unsettled.last().into_iter().chain(self.awaited.last()).max();
        let span = first.zip(last).map_or(0, |(first, last)| last.0.abs_diff(first.0).saturating_add(1));
        let taken = Checkpoint::longest(unsettled, span) + Checkpoint::LONGEST_POSITION;
        let room = limit.saturating_sub(taken) / Checkpoint::LONGEST_POSITION;
        if unsettled == 0 || !self.awaited.is_empty() { room.max(1) } else { room }
    }

    /// How many messages have their ticket out.
    pub fn unsettled(&self) -> usize {
        self.unsettled.len()
    }

    /// The oldest message with its ticket out.
    pub fn oldest(&self) -> Option<Position> {
        self.unsettled.first().copied()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn window(restored: Option<Checkpoint>) -> Window {
        Window::new(Partition::new("t", 0), Epoch(1), restored)
    }

    fn ticket(window: &mut Window, position: i64) -> Ticket {
        match window.admit(Position(position)) {
            Admission::Run(ticket) => ticket,
            other => panic!("{position}: {other:?}"),
        }
    }

    fn checkpoint(window: &Window) -> String {
        format!("{:?}", window.checkpoint().unwrap())
    }

    #[test]
    fn a_checkpoint_waits_for_the_oldest_unsettled_message() {
        let mut window = window(None);
        assert_eq!(window.checkpoint(), None);
        let (zero, one, two) = (ticket(&mut window, 0), ticket(&mut window, 1), ticket(&mut window, 2));
        assert_eq!(checkpoint(&window), "base -1");
        window.settle(two);
        assert_eq!(checkpoint(&window), "base -1, settled above to 2 but [0, 1]");
        window.settle(zero);
        assert_eq!(checkpoint(&window), "base 0, settled above to 2 but [1]");
        window.settle(one);
        assert_eq!(checkpoint(&window), "base 2");
    }

    #[test]
    fn a_lost_ticket_loses_no_message() {
        let mut window = window(None);
        drop(ticket(&mut window, 0));
        let one = ticket(&mut window, 1);
        window.settle(one);
        assert_eq!(checkpoint(&window), "base -1, settled above to 1 but [0]");
    }

    #[test]
    fn a_restored_checkpoint_is_exact_before_anything_came() {
        let stored = Checkpoint::new(Position(42), Position(50), vec![Position(43), Position(47)]);
        let mut window = window(Some(stored.clone()));
        assert_eq!(window.checkpoint(), Some(stored.clone()));
        assert_eq!(window.admit(Position(42)), Admission::Repeated);
        let ticket = ticket(&mut window, 43);
        assert_eq!(window.admit(Position(44)), Admission::Settled);
        assert_eq!(window.checkpoint(), Some(stored));
        window.settle(ticket);
        assert_eq!(checkpoint(&window), "base 46, settled above to 50 but [47]");
    }

    #[test]
    fn awaited_messages_that_the_log_no_longer_has_are_passed() {
        let mut window = window(Some(Checkpoint::new(Position(1), Position(9), vec![Position(3), Position(5)])));
        let ticket = ticket(&mut window, 12);
        assert_eq!(checkpoint(&window), "base 11");
        window.settle(ticket);
        assert_eq!(checkpoint(&window), "base 12");
    }

    #[test]
    fn what_is_passed_needs_no_message_behind_it_and_no_ticket_is_passed() {
        let mut window = window(Some(Checkpoint::new(Position(1), Position(9), vec![Position(3), Position(5)])));
        let ticket = ticket(&mut window, 3);
        window.pass(Position(19));
        assert_eq!(checkpoint(&window), "base 2, settled above to 9 but [3]");
        window.settle(ticket);
        assert_eq!(checkpoint(&window), "base 19");
        window.pass(Position(7));
        assert_eq!(checkpoint(&window), "base 19");
        assert_eq!(window.admit(Position(19)), Admission::Repeated);
    }

    #[test]
    fn a_ticket_of_an_earlier_assignment_settles_nothing() {
        let mut window = Window::new(Partition::new("t", 0), Epoch(2), None);
        let _current = ticket(&mut window, 7);
        window.settle(Ticket { partition: Partition::new("t", 0), epoch: Epoch(1), position: Position(7) });
        assert_eq!(checkpoint(&window), "base 6");
    }

    #[derive(Clone, Debug)]
    enum Step {
        Admit { gap: i64 },
        Settle(prop::sample::Index),
        Restart,
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        prop::collection::vec(
            prop_oneof![
                4 => (1_i64..4).prop_map(|gap| Step::Admit { gap }),
                4 => any::<prop::sample::Index>().prop_map(Step::Settle),
                1 => Just(Step::Restart),
            ],
            0..120,
        )
    }

    #[derive(Clone, Debug)]
    enum Bounded {
        Admit { gaps: Vec<i64> },
        Settle(prop::sample::Index),
        Restart { gone: Option<prop::sample::Index> },
    }

    fn bounded() -> impl Strategy<Value = Bounded> {
        let gap = prop_oneof![6 => 1_i64..3, 2 => 100_i64..300, 1 => 1_i64..(1 << 50)];
        prop_oneof![
            5 => prop::collection::vec(gap, 1..12).prop_map(|gaps| Bounded::Admit { gaps }),
            5 => any::<prop::sample::Index>().prop_map(Bounded::Settle),
            1 => prop::option::of(any::<prop::sample::Index>()).prop_map(|gone| Bounded::Restart { gone }),
        ]
    }

    proptest! {
        /// As many as may come do come, wherever they stand; messages that are read again may be gone by then.
        #[test]
        fn what_may_come_within_a_limit_keeps_every_checkpoint_within_it(
            limit in Checkpoint::LONGEST_HEAD..120,
            steps in prop::collection::vec(bounded(), 0..120),
        ) {
            let (mut log, mut read) = (Vec::<i64>::new(), 0);
            let mut window = window(None);
            let mut out: Vec<Ticket> = Vec::new();
            for step in steps {
                match step {
                    Bounded::Admit { gaps } => for gap in gaps.into_iter().take(window.room_within(limit)) {
                        if read == log.len() {
                            log.push(log.last().map_or(0, |last| last + gap));
                        }
                        if let Admission::Run(ticket) = window.admit(Position(log[read])) {
                            out.push(ticket);
                        }
                        read += 1;
                    }
                    Bounded::Settle(index) if !out.is_empty() => window.settle(out.swap_remove(index.index(out.len()))),
                    Bounded::Settle(_) => {}
                    Bounded::Restart { gone } => {
                        let stored = window.checkpoint();
                        out.clear();
                        if let Some(gone) = gone.filter(|_| !log.is_empty()) {
                            log.remove(gone.index(log.len()));
                        }
                        read = stored.as_ref().map_or(0, |stored| log.iter().filter(|at| **at <= stored.base().0).count());
                        window = super::tests::window(stored);
                    }
                }
                let length = window.checkpoint().map_or(0, |checkpoint| checkpoint.encode().len());
                prop_assert!(length <= limit, "{} of {}: {:?}", length, limit, window.checkpoint());
                prop_assert!(!out.is_empty() || window.room_within(limit) > 0, "nothing is in hand, and nothing may come");
            }
        }

        /// The slow model: the whole log, and the set of settled positions in it.
        #[test]
        fn a_checkpoint_is_what_the_slow_model_says(steps in steps()) {
            let mut log: Vec<i64> = Vec::new();
            let mut settled: BTreeSet<i64> = BTreeSet::new();
            let mut window = window(None);
            let mut out: Vec<Ticket> = Vec::new();
            let mut read = 0;
            for step in steps {
                match step {
                    Step::Admit { gap } => {
                        if read == log.len() {
                            log.push(log.last().map_or(0, |last| last + gap));
                        }
                        let position = log[read];
                        read += 1;
                        match window.admit(Position(position)) {
                            Admission::Run(ticket) => { prop_assert!(!settled.contains(&position)); out.push(ticket); }
                            Admission::Settled => prop_assert!(settled.contains(&position)),
                            Admission::Repeated => prop_assert!(false, "{position} came once"),
                        }
                    }
                    Step::Settle(index) if !out.is_empty() => {
                        let ticket = out.swap_remove(index.index(out.len()));
                        settled.insert(ticket.position().0);
                        window.settle(ticket);
                    }
                    Step::Settle(_) => {}
                    Step::Restart => {
                        let stored = window.checkpoint().map(|checkpoint| Checkpoint::decode(&checkpoint.encode()).unwrap());
                        out.clear();
                        read = stored.as_ref().map_or(0, |stored| log.iter().filter(|at| **at <= stored.base().0).count());
                        window = super::tests::window(stored);
                    }
                }
                if let Some(checkpoint) = window.checkpoint() {
                    for position in &log {
                        prop_assert_eq!(checkpoint.is_settled(Position(*position)), settled.contains(position), "{} in {:?}", position, checkpoint);
                    }
                }
            }
        }
    }
}
