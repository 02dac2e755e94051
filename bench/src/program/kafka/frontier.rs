//! How far a partition is settled: all before is, whatever the order in which messages end. Pure.

use std::collections::VecDeque;

/// What began and what ended of one partition.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Frontier {
    /// The first offset that is not settled; none while nothing has begun.
    next: Option<i64>,
    /// Whether the message there is settled, and those behind it.
    settled: VecDeque<bool>,
}

impl Frontier {
    /// The message there begins. Offsets grow; those left out hold no message.
    pub(super) fn begin(&mut self, offset: i64) {
        let ahead = offset - *self.next.get_or_insert(offset);
        self.settled.resize(usize::try_from(ahead).unwrap_or_default().max(self.settled.len()), true);
        self.settled.push_back(false);
    }

    /// The message there ended.
    pub(super) fn settle(&mut self, offset: i64) {
        let Some(next) = &mut self.next else { return };
        let place = usize::try_from(offset - *next).ok().and_then(|index| self.settled.get_mut(index));
        if let Some(settled) = place {
            *settled = true;
        }
        while self.settled.front() == Some(&true) {
            self.settled.pop_front();
            *next += 1;
        }
    }

    /// The offset to commit: the first that is not settled.
    pub(super) fn next(&self) -> Option<i64> {
        self.next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_stands_at_the_first_that_is_not_settled() {
        let mut frontier = Frontier::default();
        assert_eq!(frontier.next(), None);
        (10..14).for_each(|offset| frontier.begin(offset));
        let mut ended = |offset| {
            frontier.settle(offset);
            frontier.next()
        };
        assert_eq!([12, 10, 11, 13].map(&mut ended), [10, 11, 13, 14].map(Some));
    }

    #[test]
    fn offsets_without_messages_do_not_hold_it_up() {
        let mut frontier = Frontier::default();
        [3, 4, 8].into_iter().for_each(|offset| frontier.begin(offset));
        [3, 4].into_iter().for_each(|offset| frontier.settle(offset));
        assert_eq!(frontier.next(), Some(8));
        frontier.settle(8);
        assert_eq!(frontier.next(), Some(9));
    }
}
