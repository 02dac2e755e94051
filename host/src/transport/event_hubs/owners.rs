//! Who reads which partition of a group, as one member sees it: what stands in the ownerships, and how long each has stood
//! unchanged, by this member's own clock. Pure.
//!
//! An owner lives as long as its ownership changes within a lease: it renews it far more often. No clock of another
//! machine and none of the store decides that. Time in which this member did not look itself counts for little: where
//! the whole machine slept, everybody stands still, and nobody is dead.
//!
//! | a partition's owner | is | so a member that has too few |
//! |---|---|---|
//! | nobody, or one that is dead | gone | takes it |
//! | of our kind | alive | asks for it; it drains, and lets go |
//! | of our kind, and was asked for longer than it may drain | alive | takes it |
//! | of another kind, which cannot be asked | alive | takes it, one partition at a look |

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::time::Instant;

use super::layout::{Kind, OURS};
use crate::storage::conditional::Version;
use crate::transport::balance::{self, Holding};

/// Looks that must pass before an ownership may count as over, however long they take.
const LOOKS: u32 = 3;
/// How long an ownership of another kind holds at least that is not renewed: theirs renew every 10 to 30 seconds.
const FOREIGN_LEASE: Duration = Duration::from_secs(120);
/// Partitions that are taken from living members of another kind at one look: they cannot be asked, and each take
/// disturbs.
const FOREIGN_AT_ONCE: usize = 1;
/// How long an owner may drain before it lets go, beside a lease in which it may notice that it is asked.
const DRAIN: Duration = Duration::from_secs(60);

/// An ownership, or a wish, as it stands in its entry.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Stands {
    pub(super) version: Version,
    /// Nobody, where it was released.
    pub(super) owner: Option<String>,
}

/// Standing of one kind, by partition.
pub(super) type Standing = BTreeMap<u32, Stands>;

/// Everything that stands in a group's folder, and when that was looked up.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Looked {
    pub(super) ownerships: Standing,
    pub(super) wishes: Standing,
    pub(super) begun: Instant,
    pub(super) ended: Instant,
}

/// What a member knows of its group.
#[derive(Debug)]
pub(super) struct Owners {
    me: String,
    lease: Duration,
    ownerships: BTreeMap<u32, Seen>,
    wishes: BTreeMap<u32, Seen>,
    /// For how long this member has asked for partitions, while it looked.
    asking: BTreeMap<u32, Duration>,
    /// When its last look had ended.
    at: Option<Instant>,
}

#[derive(Clone, Debug)]
struct Seen {
    stands: Stands,
    /// For how long it has stood so at least, while this member looked.
    still: Duration,
}

/// A partition to take.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Claim {
    pub(super) partition: u32,
    /// The ownership that is there to be replaced.
    pub(super) version: Option<Version>,
    /// Whose that is.
    pub(super) from: Option<String>,
}

/// What a member should do now.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Step {
    /// Partitions to take.
    pub(super) claim: Vec<Claim>,
    /// Partitions to ask their owners for, with the wish that is there to be replaced.
    pub(super) ask: Vec<(u32, Option<Version>)>,
    /// Own partitions that another member asks for.
    pub(super) asked: Vec<u32>,
    /// Wishes of its own that are granted, to be taken back.
    pub(super) granted: Vec<(u32, Version)>,
}

impl Owners {
    /// Of a member that knows nothing yet. `lease` is how long an ownership holds that is not renewed.
    pub(super) fn new(me: &str, lease: Duration) -> Self {
        let (ownerships, wishes, asking) = Default::default();
        Self { me: me.to_owned(), lease, ownerships, wishes, asking, at: None }
    }

    /// The ownerships and the wishes that are known, which need not be read while their versions stay.
    pub(super) fn known(&self) -> (Standing, Standing) {
        let known = |seen: &BTreeMap<u32, Seen>| -> Standing {
            seen.iter().map(|(partition, seen)| (*partition, seen.stands.clone())).collect()
        };
        (known(&self.ownerships), known(&self.wishes))
    }

    /// The entries are so now. Those that are `touched` this member wrote while it looked, or may have: of them it knows
    /// better.
    pub(super) fn see(&mut self, looked: Looked, touched: &BTreeSet<(Kind, u32)>) {
        let Looked { ownerships, wishes, begun, ended } = looked;
        let since = self.at.map_or(Duration::ZERO, |at| begun.saturating_duration_since(at)).min(self.lease / LOOKS);
        let again = |kind: Kind, before: &BTreeMap<u32, Seen>, stands: Standing| {
            let untouched = stands.into_iter().filter(|(partition, _)| !touched.contains(&(kind, *partition)));
            let seen = untouched.map(|(partition, stands)| {
                let before = before.get(&partition).filter(|before| before.stands == stands);
                (partition, Seen { still: before.map_or(Duration::ZERO, |before| before.still + since), stands })
            });
            let touched = before.iter().filter(|(partition, _)| touched.contains(&(kind, **partition)));
            seen.chain(touched.map(|(partition, seen)| (*partition, seen.clone()))).collect()
        };
        self.ownerships = again(Kind::Ownership, &self.ownerships, ownerships);
        self.wishes = again(Kind::Wish, &self.wishes, wishes);
        let asked = |partition: &u32| self.asking.get(partition).copied().unwrap_or_default();
        self.asking = self.wishing().map(|(partition, _)| (partition, asked(&partition) + since)).collect();
        self.at = Some(ended);
    }

    /// What an ownership is now, as a call has told; none where there is no such entry.
    pub(super) fn owned(&mut self, partition: u32, stands: Option<Stands>) {
        put(&mut self.ownerships, partition, stands);
    }

    /// What a wish is now, as a call has told; none where there is no such entry.
    pub(super) fn wished(&mut self, partition: u32, stands: Option<Stands>) {
        put(&mut self.wishes, partition, stands);
    }

    /// The partitions that are this member's, as far as it has seen.
    pub(super) fn mine(&self) -> impl Iterator<Item = (u32, &Version)> {
        let mine = self.ownerships.iter().filter(|(_, seen)| seen.stands.owner.as_ref() == Some(&self.me));
        mine.map(|(partition, seen)| (*partition, &seen.stands.version))
    }

    /// The version of an ownership that is this member's, as far as it has seen.
    pub(super) fn version_of_mine(&self, partition: u32) -> Option<&Version> {
        let seen = self.ownerships.get(&partition)?;
        (seen.stands.owner.as_ref() == Some(&self.me)).then_some(&seen.stands.version)
    }

    /// Whether a partition is this member's, as far as it has seen.
    pub(super) fn is_mine(&self, partition: u32) -> bool {
        self.version_of_mine(partition).is_some()
    }

    /// Whether another member waits for a partition of this one.
    pub(super) fn is_asked_for(&self, partition: u32) -> bool {
        self.is_mine(partition) && self.wanted_by(partition).is_some_and(|other| other != self.me)
    }

    /// The wishes of this member that are not granted: to be written again, well within a lease.
    pub(super) fn wishing(&self) -> impl Iterator<Item = (u32, &Version)> {
        self.own_wishes().filter(|(partition, _)| !self.is_mine(*partition))
    }

    /// When something is over that another member may not renew, if that is before the next regular look at the latest.
    pub(super) fn due(&self) -> Option<Instant> {
        let others = |seen: &&Seen| seen.stands.owner.as_ref().is_some_and(|owner| *owner != self.me);
        let rests = self.ownerships.values().chain(self.wishes.values()).filter(others).filter_map(|seen| {
            let rest = self.life(seen.stands.owner.as_deref()).checked_sub(seen.still)?;
            Some(rest).filter(|rest| !rest.is_zero() && *rest <= self.lease / LOOKS)
        });
        Some(self.at? + rests.min()?)
    }

    /// What to do with a topic of so many partitions.
    pub(super) fn step(&self, partitions: u32) -> Step {
        let members = self.members();
        let holdings: Vec<Holding<&str>> = (0..partitions)
            .map(|partition| Holding { owner: self.living_owner(partition), wanted_by: self.wanted_by(partition) })
            .collect();
        let balance::Step { claim, ask } = balance::step(&self.me.as_str(), &members, &holdings);
        let is_foreign = |partition: &u32| self.living_owner(*partition).is_some_and(|owner| !owner.starts_with(OURS));
        let waiting: Vec<u32> = self.wishing().map(|(partition, _)| partition).filter(|p| *p < partitions).collect();
        let foreign = ask.iter().chain(&waiting).copied().filter(is_foreign).take(FOREIGN_AT_ONCE);
        let overdue = waiting.iter().copied().filter(|partition| self.is_overdue(*partition));
        let take: BTreeSet<u32> = claim.into_iter().chain(foreign).chain(overdue).collect();
        let ask = ask.into_iter().filter(|partition| !is_foreign(partition));
        let version =
            |seen: &BTreeMap<u32, Seen>, partition| seen.get(&partition).map(|seen| seen.stands.version.clone());
        let granted = self.own_wishes().filter(|(partition, _)| self.is_mine(*partition));
        Step {
            claim: take
                .into_iter()
                .map(|partition| Claim {
                    partition,
                    version: version(&self.ownerships, partition),
                    from: self.owner(partition).cloned(),
                })
                .collect(),
            ask: ask.map(|partition| (partition, version(&self.wishes, partition))).collect(),
            asked: (0..partitions).filter(|partition| self.is_asked_for(*partition)).collect(),
            granted: granted.map(|(partition, version)| (partition, version.clone())).collect(),
        }
    }

    /// Everybody who owns or wants something and lives, and this member, in the order of their ids.
    fn members(&self) -> Vec<&str> {
        let owners = self.ownerships.keys().filter_map(|partition| self.living_owner(*partition));
        let wishing = self.wishes.keys().filter_map(|partition| self.wanted_by(*partition));
        let members: BTreeSet<&str> = owners.chain(wishing).chain([self.me.as_str()]).collect();
        members.into_iter().collect()
    }

    fn owner(&self, partition: u32) -> Option<&String> {
        self.ownerships.get(&partition).and_then(|seen| seen.stands.owner.as_ref())
    }

    fn living_owner(&self, partition: u32) -> Option<&str> {
        self.living(self.ownerships.get(&partition)?)
    }

    /// Whoever wants a partition that is not its own yet, and lives: a wish is renewed like an ownership.
    fn wanted_by(&self, partition: u32) -> Option<&str> {
        let wanted_by = self.living(self.wishes.get(&partition)?)?;
        (self.owner(partition).map(String::as_str) != Some(wanted_by)).then_some(wanted_by)
    }

    fn living<'a>(&self, seen: &'a Seen) -> Option<&'a str> {
        let owner = seen.stands.owner.as_deref()?;
        (owner == self.me || seen.still < self.life(Some(owner))).then_some(owner)
    }

    fn own_wishes(&self) -> impl Iterator<Item = (u32, &Version)> {
        let mine = self.wishes.iter().filter(|(_, seen)| seen.stands.owner.as_ref() == Some(&self.me));
        mine.map(|(partition, seen)| (*partition, &seen.stands.version))
    }

    /// Whether this member has waited for longer than an owner may take to let go.
    fn is_overdue(&self, partition: u32) -> bool {
        let waited = self.asking.get(&partition).copied().unwrap_or_default();
        self.living_owner(partition).is_some() && waited >= self.enough() + DRAIN
    }

    /// How long an owner's entry may stand unchanged while it lives.
    fn life(&self, owner: Option<&str>) -> Duration {
        let is_ours = owner.is_none_or(|owner| owner.starts_with(OURS));
        if is_ours { self.enough() } else { self.enough().max(FOREIGN_LEASE) }
    }

    /// A lease: thirds of one may not add up to it exactly.
    fn enough(&self) -> Duration {
        (self.lease / LOOKS).saturating_mul(LOOKS)
    }
}

fn put(seen: &mut BTreeMap<u32, Seen>, partition: u32, stands: Option<Stands>) {
    match stands {
        // What is known to stand so goes on standing still.
        Some(stands) if seen.get(&partition).is_some_and(|seen| seen.stands == stands) => {}
        Some(stands) => drop(seen.insert(partition, Seen { stands, still: Duration::ZERO })),
        None => drop(seen.remove(&partition)),
    }
}

#[cfg(test)]
#[path = "owners_tests.rs"]
mod tests;
