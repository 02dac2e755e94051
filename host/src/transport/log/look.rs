//! A member's look at its group, in one transaction: it joins where it is missing, removes who is dead, takes what
//! falls to it, and asks for what others have too much of.
//!
//! | another member | a look |
//! |---|---|
//! | stops, or its process dies | removes it at once: its lock file is free |
//! | lives, and its process beats | leaves it |
//! | lives, and its process has not beaten for as long as a lease lasts, by the looker's own clock | removes it |

use std::path::PathBuf;
use std::sync::Arc;

use rusqlite::Connection;

use super::grant::{self, Granted};
use super::lease::{self, Lease, Leases};
use super::member::{self, Member, Place, Process};
use super::topics::Topic;
use super::{checkpoints, holder};
use crate::storage::sqlite::Error;
use crate::transport::balance::{self, Holding};
use crate::transport::{OnLostPosition, Start};

/// Who looks, and what it knows.
#[derive(Clone, Debug)]
pub(super) struct Look {
    /// The topic.
    pub(super) topic: Arc<Topic>,
    /// The group's name.
    pub(super) group: Arc<str>,
    /// Where the group begins when it is new.
    pub(super) start: Start,
    /// Whether what is gone is passed.
    pub(super) on_lost_position: OnLostPosition,
    /// The folder of lock files.
    pub(super) folder: PathBuf,
    /// The member's lock file.
    pub(super) holder: String,
    /// The member's process.
    pub(super) process: Process,
    /// What the member believes to own: partitions and epochs. What it owns besides is given to it anew.
    pub(super) owned: Vec<(u32, i64)>,
    /// Members that have not beaten for too long.
    pub(super) stale: Vec<Sign>,
}

/// A sign of life of a member: it lives as long as the sign changes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Sign {
    pub(super) member: i64,
    pub(super) beat: i64,
}

/// What a member saw, and what it got.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Looked {
    /// The group's number.
    pub(super) group: i64,
    /// The member's own number.
    pub(super) member: i64,
    /// The signs of life of the others.
    pub(super) signs: Vec<Sign>,
    /// Members that were found dead, for people.
    pub(super) dead: Vec<String>,
    /// Partitions that the member has from now on.
    pub(super) granted: Vec<Granted>,
}

/// Looks, and acts.
pub(super) fn look(connection: &Connection, look: &Look) -> Result<Looked, Error> {
    let group = checkpoints::group_or_new(connection, &look.group)?;
    let place = (look.topic.id, group);
    let member = match member::find(connection, &look.holder)? {
        Some((_, member)) => member,
        None => member::add(connection, place, &look.holder, &look.process)?,
    };
    let others = member::all(connection, place)?.into_iter().filter(|other| other.id != member);
    let (dead, living): (Vec<Member>, Vec<Member>) = others.partition(|other| is_dead(look, other));
    for dead in &dead {
        member::remove(connection, place, dead.id)?;
    }
    let mut members: Vec<i64> = living.iter().map(|other| other.id).chain([member]).collect();
    members.sort_unstable();
    let claimed = share(connection, look, place, member, &members)?;
    Ok(Looked {
        group,
        member,
        signs: living.iter().map(|other| Sign { member: other.id, beat: other.beat }).collect(),
        dead: dead.into_iter().map(|dead| dead.owner).collect(),
        granted: grant::restore(connection, look, group, claimed)?,
    })
}

fn is_dead(look: &Look, other: &Member) -> bool {
    let sign = Sign { member: other.id, beat: other.beat };
    look.stale.contains(&sign) || !holder::is_alive(&look.folder, &other.holder)
}

/// Claims and asks; answers what was claimed.
fn share(
    connection: &Connection,
    look: &Look,
    place: Place,
    member: i64,
    members: &[i64],
) -> Result<Vec<(u32, i64)>, Error> {
    let mut leases = lease::all(connection, place)?;
    for (partition, lease) in &mut leases {
        if lease.owner == Some(member) && !look.owned.contains(&(*partition, lease.epoch)) {
            *lease = Lease { owner: None, wanted_by: Some(member), ..*lease };
        }
    }
    let step = balance::step(&member, members, &holdings(&leases, look.topic.partitions()));
    for partition in step.ask {
        lease::ask(connection, place, partition, member)?;
    }
    let claims = step.claim.into_iter();
    claims.map(|partition| Ok((partition, lease::claim(connection, place, partition, member)?))).collect()
}

/// Who has what, for the balance.
pub(super) fn holdings(leases: &Leases, partitions: u32) -> Vec<Holding<i64>> {
    let lease = |partition| leases.get(&partition).copied().unwrap_or_default();
    let holding = |Lease { owner, wanted_by, .. }| Holding { owner, wanted_by };
    (0..partitions).map(lease).map(holding).collect()
}

/// A member stops: what it has is free at once.
pub(super) fn leave(connection: &Connection, topic: i64, holder: &str) -> Result<(), Error> {
    match member::find(connection, holder)? {
        Some((group, member)) => member::remove(connection, (topic, group), member),
        None => Ok(()),
    }
}
