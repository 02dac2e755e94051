//! What a group has settled, and which of its sources has which partition.

use crate::model::{Checkpoint, Partition};
use crate::transport::balance::{self, Holding, Step};
use crate::transport::{Commit, Epoch};

pub(super) struct Group {
    /// Counts what changed of members and leases.
    version: u64,
    /// By partition.
    pub(super) checkpoints: Vec<Checkpoint>,
    /// The sources that read, by number, in the order in which they joined.
    members: Vec<u64>,
    /// By partition.
    leases: Vec<Lease>,
}

/// Who has a partition.
#[derive(Clone, Debug, Default)]
struct Lease {
    /// Counts the assignments.
    epoch: u64,
    owner: Option<u64>,
    wanted_by: Option<u64>,
    /// Nobody is to have it.
    away: bool,
}

impl Group {
    /// A group that nobody reads for.
    pub(super) fn new(checkpoints: Vec<Checkpoint>) -> Self {
        Self { version: 0, members: Vec::new(), leases: vec![Lease::default(); checkpoints.len()], checkpoints }
    }

    /// A source reads for the group from now on.
    pub(super) fn join(&mut self, member: u64) {
        if !self.members.contains(&member) {
            self.version += 1;
            self.members.push(member);
        }
    }

    /// A source is gone, and lets go all it has.
    pub(super) fn leave(&mut self, member: u64) {
        self.version += 1;
        self.members.retain(|other| *other != member);
        for lease in &mut self.leases {
            lease.owner = lease.owner.filter(|owner| *owner != member);
            lease.away &= !self.members.is_empty();
        }
    }

    /// What a source should do now. Asks at once; what it says is to be claimed.
    pub(super) fn balance(&mut self, member: u64) -> Step {
        let present = || (0_u32..).zip(&self.leases).filter(|(_, lease)| !lease.away);
        let holdings: Vec<Holding<u64>> =
            present().map(|(_, lease)| Holding { owner: lease.owner, wanted_by: lease.wanted_by }).collect();
        let indices: Vec<u32> = present().map(|(index, _)| index).collect();
        let Step { claim, ask } = balance::step(&member, &self.members, &holdings);
        let index = |place: &u32| usize::try_from(*place).ok().and_then(|place| indices.get(place).copied());
        let step =
            Step { claim: claim.iter().filter_map(index).collect(), ask: ask.iter().filter_map(index).collect() };
        for lease in self.of(&step.ask) {
            lease.wanted_by = Some(member);
        }
        step
    }

    /// Begins a new assignment of a partition.
    pub(super) fn assign(&mut self, partition: u32, member: u64) -> Option<(Epoch, Checkpoint)> {
        let index = usize::try_from(partition).ok()?;
        let lease = self.leases.get_mut(index)?;
        self.version += 1;
        *lease = Lease { epoch: lease.epoch + 1, owner: Some(member), wanted_by: None, away: lease.away };
        Some((Epoch(lease.epoch), self.checkpoints.get(index)?.clone()))
    }

    /// Whether an assignment is the last one, and holds.
    pub(super) fn is_current(&self, partition: u32, epoch: Epoch) -> bool {
        let lease = usize::try_from(partition).ok().and_then(|index| self.leases.get(index));
        lease.is_some_and(|lease| lease.epoch == epoch.0 && lease.owner.is_some())
    }

    /// Whether the owner of a partition is to let it go.
    pub(super) fn is_asked_back(&self, partition: u32) -> bool {
        let lease = usize::try_from(partition).ok().and_then(|index| self.leases.get(index));
        let by_another = |lease: &Lease| {
            let asker = lease.wanted_by.filter(|asker| self.members.contains(asker));
            asker.is_some() && asker != lease.owner
        };
        lease.is_some_and(|lease| lease.away || by_another(lease))
    }

    /// Ends assignments, as far as they hold.
    pub(super) fn end(&mut self, assignments: Vec<(u32, Epoch)>) {
        for (partition, epoch) in assignments {
            if self.is_current(partition, epoch) {
                self.free(&[partition]);
            }
        }
    }

    /// Takes partitions away from whoever has them.
    pub(super) fn free(&mut self, partitions: &[u32]) {
        self.of(partitions).for_each(|lease| lease.owner = None);
    }

    /// Nobody is to have these.
    pub(super) fn keep_away(&mut self, partitions: &[u32]) {
        self.of(partitions).for_each(|lease| lease.away = true);
    }

    /// Ends what [`Group::keep_away`] began.
    pub(super) fn give_back(&mut self, partitions: &[u32]) {
        self.of(partitions).for_each(|lease| lease.away = false);
    }

    /// Changes whenever members or leases do.
    pub(super) fn version(&self) -> u64 {
        self.version
    }

    /// These leases, to be changed.
    fn of(&mut self, partitions: &[u32]) -> impl Iterator<Item = &mut Lease> {
        self.version += u64::from(!partitions.is_empty());
        let all = (0_u32..).zip(&mut self.leases);
        all.filter(|(index, _)| partitions.contains(index)).map(|(_, lease)| lease)
    }

    /// Stores checkpoints; answers the partitions whose assignment is over.
    pub(super) fn commit(&mut self, commits: Vec<Commit>) -> Vec<Partition> {
        let mut refused = Vec::new();
        for Commit { partition, epoch, checkpoint } in commits {
            if self.is_current(partition.index, epoch) {
                self.store(partition.index, &checkpoint);
            } else {
                refused.push(partition);
            }
        }
        refused
    }

    /// Stores a checkpoint. One that is behind the stored one changes nothing.
    pub(super) fn store(&mut self, partition: u32, checkpoint: &Checkpoint) {
        let stored = usize::try_from(partition).ok().and_then(|index| self.checkpoints.get_mut(index));
        if let Some(stored) = stored.filter(|stored| checkpoint.base() >= stored.base()) {
            *stored = checkpoint.clone();
        }
    }
}
