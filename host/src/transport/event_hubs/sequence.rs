//! Whether the events of a link come as they stand in the partition, by their sequence numbers. Pure.
//!
//! | what comes | becomes of it |
//! |---|---|
//! | the next sequence number | it is read |
//! | one that was read already | it is dropped |
//! | one further on | the partition is asked for its oldest event |
//! | … and retention took what is between | the link ends, and whoever has the partition decides |
//! | … and that is kept | the link is opened again; where the same gap is there again, the hub has holes, for it is compacted |
//! | one further on in a hub that has holes | it is read; the partition is asked only where the link was just opened, for retention overtakes nobody who reads |

/// How far a partition was read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Sequence {
    next: i64,
    hole: Hole,
    /// Whether nothing was read since the link was opened.
    is_fresh: bool,
    /// An event that may come though something is missing before it.
    accepted: Option<i64>,
}

/// Gaps that retention did not make.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Hole {
    /// There was none.
    None,
    /// One that ends there was seen once.
    Seen(i64),
    /// The hub has them.
    Known,
}

/// What an event is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Place {
    Next,
    Repeated,
    /// Something is missing before it.
    BehindGap,
}

/// What a gap is, once the partition was asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Gap {
    /// Nothing that may be passed, or not yet.
    Odd,
    /// The first hole of this hub.
    Hole,
    /// One more.
    KnownHole,
}

impl Sequence {
    /// Begins with this position.
    pub(super) fn new(next: i64) -> Self {
        Self { next, hole: Hole::None, is_fresh: true, accepted: None }
    }

    /// The next position to be read.
    pub(super) fn next(&self) -> i64 {
        self.next
    }

    /// The link was opened anew.
    pub(super) fn opened(&mut self) {
        self.is_fresh = true;
    }

    /// Where an event stands. The next one counts as read then.
    pub(super) fn place(&mut self, position: i64) -> Place {
        let is_known = self.hole == Hole::Known && !self.is_fresh;
        if position < self.next {
            Place::Repeated
        } else if position == self.next || is_known || self.accepted == Some(position) {
            (self.next, self.is_fresh) = (position.saturating_add(1), false);
            Place::Next
        } else {
            Place::BehindGap
        }
    }

    /// The oldest event of the partition is at `first`: what the gap before a position is.
    pub(super) fn examine(&mut self, position: i64, first: i64) -> Gap {
        let (hole, is_gone) = (self.hole, first > self.next);
        match hole {
            _ if is_gone => Gap::Odd,
            Hole::Known => {
                self.accepted = Some(position);
                Gap::KnownHole
            }
            Hole::Seen(before) if before == position => {
                (self.hole, self.accepted) = (Hole::Known, Some(position));
                Gap::Hole
            }
            Hole::Seen(_) | Hole::None => {
                self.hole = Hole::Seen(position);
                Gap::Odd
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_read_is_not_read_again() {
        let mut sequence = Sequence::new(4);
        let places = [3, 4, 4, 5].map(|position| sequence.place(position));
        assert_eq!(places, [Place::Repeated, Place::Next, Place::Repeated, Place::Next]);
        assert_eq!(sequence.next(), 6);
    }

    #[test]
    fn what_retention_took_is_never_passed_here() {
        let mut sequence = Sequence::new(4);
        for _ in 0..3 {
            sequence.opened();
            assert_eq!(sequence.place(9), Place::BehindGap);
            assert_eq!((sequence.examine(9, 9), sequence.next()), (Gap::Odd, 4));
        }
    }

    #[test]
    fn a_gap_is_a_hole_once_it_was_seen_twice() {
        let mut sequence = Sequence::new(4);
        assert_eq!((sequence.place(9), sequence.examine(9, 0)), (Place::BehindGap, Gap::Odd));
        sequence.opened();
        // Another gap: what was missing has come now.
        assert_eq!((sequence.place(7), sequence.examine(7, 0)), (Place::BehindGap, Gap::Odd));
        sequence.opened();
        assert_eq!((sequence.place(7), sequence.examine(7, 0)), (Place::BehindGap, Gap::Hole));
        assert_eq!((sequence.place(7), sequence.place(12), sequence.next()), (Place::Next, Place::Next, 13));
    }

    #[test]
    fn in_a_hub_with_holes_a_gap_is_looked_at_where_the_link_was_closed_before_it() {
        let mut sequence = Sequence { hole: Hole::Known, ..Sequence::new(4) };
        assert_eq!((sequence.place(9), sequence.examine(9, 8)), (Place::BehindGap, Gap::Odd));
        assert_eq!((sequence.examine(9, 4), sequence.place(9)), (Gap::KnownHole, Place::Next));
        assert_eq!(sequence.place(20), Place::Next);
    }
}
