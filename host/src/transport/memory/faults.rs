//! What can go wrong with a system of topics, on demand. For tests.

use super::Memory;
use super::group::Group;
use super::state::{Faults, Topic};

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

    /// What is assigned from now on has checkpoints of at most so many bytes, as in systems that bound them.
    pub fn limit_checkpoints(&self, topic: &str, bytes: Option<usize>) {
        self.set(topic, |faults| faults.checkpoint_limit = bytes);
    }

    /// Asks partitions back from the group's sources. They stay away until [`Memory::assign`], or until the group has
    /// no source any more.
    pub fn revoke(&self, topic: &str, group: &str, partitions: &[u32]) {
        self.with_group(topic, group, |group| group.keep_away(partitions));
    }

    /// Takes partitions away from the group's sources at once. They stay away until [`Memory::assign`], or until the
    /// group has no source any more.
    pub fn lose(&self, topic: &str, group: &str, partitions: &[u32]) {
        self.with_group(topic, group, |group| {
            group.keep_away(partitions);
            group.free(partitions);
        });
    }

    /// Gives partitions back that were revoked or lost.
    pub fn assign(&self, topic: &str, group: &str, partitions: &[u32]) {
        self.with_group(topic, group, |group| group.give_back(partitions));
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

    fn with_group(&self, topic: &str, group: &str, change: impl FnOnce(&mut Group)) {
        self.with(topic, |topic| {
            if let Some(group) = topic.groups.get_mut(group) {
                change(group);
            }
        });
    }

    fn with(&self, topic: &str, change: impl FnOnce(&mut Topic)) {
        self.0.make(topic);
        self.0.change(|state| change(state.topic(&self.0.physical(topic), None)));
    }
}
