//! Which partitions of a topic each member of a group should have. Pure: it is told the members and who has what, and
//! says what one of them should do now; whoever calls it sees to it that a partition never has two owners.
//!
//! With *n* partitions and *m* members everybody gets *n*/*m*, rounded down, and as many as remain one more: those who
//! have more already, then the first in order. So a balance whose shares differ by one stays as it is, and a move is
//! never taken back: a wish counts as if it were granted already.
//!
//! | the partition | counts for | a member that has too few |
//! |---|---|---|
//! | nobody's | nobody | claims it |
//! | nobody's, and wanted | who wants it, who claims it | |
//! | owned | its owner | asks for it, if the owner has too many |
//! | owned, and wanted by another | who wants it | asks for it in that one's place, if that one has too many |

use std::cmp::Reverse;
use std::collections::BTreeMap;

/// Who has a partition, and who has asked for it. Those who are no members count as nobody.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Holding<M> {
    /// The owner.
    pub(super) owner: Option<M>,
    /// Who asks the owner for it, or is to have it next.
    pub(super) wanted_by: Option<M>,
}

/// What a member should do now, by index of the partition.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Step {
    /// Partitions without an owner that it should take.
    pub(super) claim: Vec<u32>,
    /// Partitions that it should want. It may have one of them itself: then another's wish is over.
    pub(super) ask: Vec<u32>,
}

impl Step {
    /// Whether there is nothing to do.
    pub(super) fn is_empty(&self) -> bool {
        self.claim.is_empty() && self.ask.is_empty()
    }
}

/// What `me` should do. `members` are in an order that is the same for all of them; `holdings` are by partition.
pub(super) fn step<M: Ord>(me: &M, members: &[M], holdings: &[Holding<M>]) -> Step {
    let places: BTreeMap<&M, usize> = members.iter().zip(0..).collect();
    let Some(&me) = places.get(me) else { return Step::default() };
    let place = |member: &Option<M>| member.as_ref().and_then(|member| places.get(member).copied());
    let shares = (0..).zip(holdings).map(|(partition, holding)| {
        let (owner, wanted_by) = (place(&holding.owner), place(&holding.wanted_by));
        Share { partition, owner, heir: wanted_by.or(owner) }
    });
    let shares: Vec<Share> = shares.collect();
    let counts: Vec<usize> = (0..members.len()).map(|member| count_of(member, &shares)).collect();
    let targets = targets(&counts, shares.len());
    let mut step = Step::default();
    let mine = shares.iter().filter(|share| share.owner.is_none() && share.heir == Some(me));
    step.claim.extend(mine.map(|share| share.partition));
    // As many as are missing are free or too many, so the same partition falls to the same member whoever computes it.
    let takers = counts.iter().zip(&targets).enumerate();
    let takers = takers.flat_map(|(member, (count, target))| (*count..*target).map(move |_| member));
    for (share, taker) in to_spare(&shares, &counts, &targets).into_iter().zip(takers) {
        match share.heir {
            _ if taker != me => {}
            None => step.claim.push(share.partition),
            Some(_) => step.ask.push(share.partition),
        }
    }
    step
}

/// One partition; members by their place in the order.
#[derive(Clone, Copy, Debug)]
struct Share {
    partition: u32,
    owner: Option<usize>,
    /// Who has it once every wish is granted.
    heir: Option<usize>,
}

fn count_of(member: usize, shares: &[Share]) -> usize {
    shares.iter().filter(|share| share.heir == Some(member)).count()
}

/// How many partitions each member should have.
fn targets(counts: &[usize], partitions: usize) -> Vec<usize> {
    let least = partitions / counts.len().max(1);
    let mut remain = partitions % counts.len().max(1);
    let mut targets = vec![least; counts.len()];
    for wants_more in [true, false] {
        let group = targets.iter_mut().zip(counts).filter(|(_, count)| (**count > least) == wants_more);
        for (target, _) in group.take(remain) {
            *target += 1;
            remain -= 1;
        }
    }
    targets
}

/// The partitions that somebody else should have: those of nobody, then those of members that have too many. What is
/// on its way already goes first, for it disturbs nobody.
fn to_spare(shares: &[Share], counts: &[usize], targets: &[usize]) -> Vec<Share> {
    let mut spare: Vec<Share> = shares.iter().copied().filter(|share| share.heir.is_none()).collect();
    for (member, (count, target)) in counts.iter().zip(targets).enumerate() {
        let mut of: Vec<Share> = shares.iter().copied().filter(|share| share.heir == Some(member)).collect();
        of.sort_by_key(|share| (share.owner == Some(member), Reverse(share.partition)));
        spare.extend(of.into_iter().take(count.saturating_sub(*target)));
    }
    spare
}

#[cfg(test)]
#[path = "balance_tests.rs"]
mod tests;
