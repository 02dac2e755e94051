//! What can go wrong with a system of topics, on demand. For tests.

use super::Memory;
use super::state::{Faults, Order, Topic};

impl Memory {
    /// So often the topic's sources fail before they read again.
    pub fn fail_reads(&self, topic: &str, times: usize) {
        self.set(topic, |faults| faults.reads = times);
    }

    /// Writes are answered with [`super::super::WriteError::Unavailable`] while there is a reason.
    pub fn fail_writes(&self, topic: &str, reason: Option<&str>) {
        self.set(topic, |faults| faults.writes = reason.map(str::to_owned));
    }

    /// Writes are answered with [`super::super::WriteError::Refused`] while there is a reason.
    pub fn refuse_writes(&self, topic: &str, reason: Option<&str>) {
        self.set(topic, |faults| faults.refusal = reason.map(str::to_owned));
    }

    /// Records above so many bytes, everything counted, are answered with
    /// [`super::super::WriteError::Refused`] while there is a limit.
    pub fn refuse_larger(&self, topic: &str, limit: Option<u64>) {
        self.set(topic, |faults| faults.largest = limit);
    }

    /// Commits are answered with [`super::super::CommitError::Unavailable`] while there is a reason.
    pub fn fail_commits(&self, topic: &str, reason: Option<&str>) {
        self.set(topic, |faults| faults.commits = reason.map(str::to_owned));
    }

    /// Asks partitions back from the group's source. They stay away until [`Memory::assign`].
    pub fn revoke(&self, topic: &str, group: &str, partitions: &[u32]) {
        self.order(topic, group, Order::Revoke(partitions.to_vec()));
    }

    /// Takes partitions away from the group's source at once. They stay away until [`Memory::assign`].
    pub fn lose(&self, topic: &str, group: &str, partitions: &[u32]) {
        self.with(topic, |topic| {
            if let Some(group) = topic.groups.get_mut(group) {
                group.release(partitions);
                group.orders.push_back(Order::Lose(partitions.to_vec()));
            }
        });
    }

    /// Gives partitions back that were revoked or lost.
    pub fn assign(&self, topic: &str, group: &str, partitions: &[u32]) {
        self.order(topic, group, Order::Assign(partitions.to_vec()));
    }

    /// Removes a partition's messages before a position, as retention does.
    pub fn forget(&self, topic: &str, partition: u32, before: i64) {
        self.with(topic, |topic| {
            let log = usize::try_from(partition).ok().and_then(|index| topic.logs.get_mut(index));
            if let Some(log) = log {
                log.forget(before);
            }
        });
    }

    fn set(&self, topic: &str, set: impl FnOnce(&mut Faults)) {
        self.with(topic, |topic| set(&mut topic.faults));
    }

    fn order(&self, topic: &str, group: &str, order: Order) {
        self.with(topic, |topic| {
            if let Some(group) = topic.groups.get_mut(group) {
                group.orders.push_back(order);
            }
        });
    }

    fn with(&self, topic: &str, change: impl FnOnce(&mut Topic)) {
        self.0.make(topic);
        self.0.change(|state| change(state.topic(&self.0.physical(topic), None)));
    }
}
