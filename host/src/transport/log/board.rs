//! What a process knows of the topics that its sources read: how far each partition goes, and who has it in which group.
//! Only the writer thread changes it, after its own transactions and when another process has written; sources wait
//! for it to change instead of asking the tables.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rusqlite::Connection;
use tokio::sync::watch;

use super::lease::Leases;
use super::{lease, member, topics};
use crate::storage::sqlite::Error;
use crate::transport::Written;

/// What is known of one topic.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct View {
    /// By partition: the position that the next message will get.
    pub(super) ends: Vec<i64>,
    /// By number.
    pub(super) groups: BTreeMap<i64, Group>,
}

/// What is known of one group in a topic.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Group {
    /// Who reads, in the order in which they joined.
    pub(super) members: Vec<i64>,
    /// Who has what.
    pub(super) leases: Leases,
}

impl View {
    /// As it stands in the tables.
    pub(super) fn read(connection: &Connection, topic: i64) -> Result<Self, Error> {
        let ends = topics::bounds(connection, topic)?.iter().map(|bounds| bounds.end).collect();
        let mut groups: BTreeMap<i64, Group> = BTreeMap::new();
        for (group, member) in member::of_topic(connection, topic)? {
            groups.entry(group).or_default().members.push(member);
        }
        for (group, partition, lease) in lease::of_topic(connection, topic)? {
            groups.entry(group).or_default().leases.insert(partition, lease);
        }
        Ok(Self { ends, groups })
    }
}

/// The views, by topic. There are no more than topics.
#[derive(Debug, Default)]
pub(super) struct Board(Mutex<HashMap<i64, watch::Sender<View>>>);

impl Board {
    /// Follows a topic.
    pub(super) fn watch(&self, topic: i64) -> watch::Receiver<View> {
        self.views().entry(topic).or_default().subscribe()
    }

    /// Messages were written.
    pub(super) fn written(&self, topic: i64, written: &[Written]) {
        let views = self.views();
        let Some(view) = views.get(&topic) else { return };
        view.send_if_modified(|view| {
            let mut modified = false;
            for Written { partition, position } in written {
                let end = usize::try_from(*partition).ok().and_then(|index| view.ends.get_mut(index));
                if let Some(end) = end.filter(|end| **end <= position.0) {
                    *end = position.0 + 1;
                    modified = true;
                }
            }
            modified
        });
    }

    /// Everything may have changed.
    pub(super) fn set(&self, topic: i64, now: View) {
        if let Some(view) = self.views().get(&topic) {
            view.send_if_modified(|view| {
                let modified = *view != now;
                *view = now;
                modified
            });
        }
    }

    /// Reads the views that somebody follows.
    pub(super) fn refresh_all(&self, connection: &Connection) -> Result<(), Error> {
        let followed = |(topic, view): (&i64, &watch::Sender<View>)| (view.receiver_count() > 0).then_some(*topic);
        let topics: Vec<i64> = self.views().iter().filter_map(followed).collect();
        for topic in topics {
            self.set(topic, View::read(connection, topic)?);
        }
        Ok(())
    }

    fn views(&self) -> MutexGuard<'_, HashMap<i64, watch::Sender<View>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
