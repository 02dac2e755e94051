//! Whether anything is left to do in the topics that pipelines read: of their own partitions they know it themselves, of
//! those that are another host's, or nobody's yet, the group's stored checkpoints tell.

use std::collections::{BTreeMap, BTreeSet};

use tracing::debug;

use super::Host;
use crate::flow::in_flight::PartitionState;
use crate::flow::snapshot::Snapshot;
use crate::model::Checkpoint;
use crate::spec::plan::From;
use crate::transport::{PartitionInfo, TopicInfo, TransportError};

/// All topics, by transport.
type Topics<'a> = BTreeMap<&'a str, Vec<TopicInfo>>;
/// What groups have stored, by transport, topic and group.
type Stored<'a> = BTreeMap<(&'a str, &'a str, &'a str), BTreeMap<u32, Checkpoint>>;

impl Host {
    /// Whether everything is settled that the topics of these pipelines hold now, by this host or by others of the
    /// groups. When a topic cannot be asked, no.
    pub async fn has_read_everything(&self, snapshots: &[&Snapshot]) -> bool {
        match self.is_anything_left(snapshots).await {
            Ok(left) => !left,
            Err(error) => {
                debug!(%error, "cannot tell yet whether everything is read");
                false
            }
        }
    }

    async fn is_anything_left(&self, snapshots: &[&Snapshot]) -> Result<bool, TransportError> {
        let reads: Vec<(&Snapshot, &From)> = snapshots
            .iter()
            .flat_map(|snapshot| self.reads.get(&snapshot.pipeline).into_iter().flatten().map(|from| (*snapshot, from)))
            .collect();
        let mut topics = self.topics().await?;
        let of_others: BTreeSet<(&str, &str, &str)> = reads
            .iter()
            .filter(|(snapshot, from)| !has_all_of(snapshot, from, &topics))
            .map(|(_, from)| (from.transport.as_str(), &*from.topic, &*from.group))
            .collect();
        let stored = self.stored(&of_others).await?;
        if !stored.is_empty() {
            // Asked once more: what others had settled by then, they had written the messages of.
            topics = self.topics().await?;
        }
        Ok(!reads.iter().all(|(snapshot, from)| has_read(snapshot, from, &topics, &stored)))
    }

    async fn topics(&self) -> Result<Topics<'_>, TransportError> {
        let mut topics = BTreeMap::new();
        for name in self.transports.names() {
            topics.insert(name, self.transports.get(name).await?.topics().await?);
        }
        Ok(topics)
    }

    async fn stored<'a>(&self, of: &BTreeSet<(&'a str, &'a str, &'a str)>) -> Result<Stored<'a>, TransportError> {
        let mut stored = BTreeMap::new();
        for (transport, topic, group) in of {
            let checkpoints = self.transports.get(transport).await?.checkpoints(topic, group).await?;
            stored.insert((*transport, *topic, *group), checkpoints.into_iter().collect());
        }
        Ok(stored)
    }
}

/// The partitions of what is read, and what the pipeline knows of those that are its own.
fn partitions<'s>(
    snapshot: &'s Snapshot,
    from: &From,
    topics: &Topics<'_>,
) -> Option<Vec<(u32, PartitionInfo, Option<&'s PartitionState>)>> {
    let topic = topics.get(from.transport.as_str())?.iter().find(|topic| topic.name == *from.topic)?;
    let of_index = |index| {
        let is = |state: &&PartitionState| state.partition.topic == from.topic && state.partition.index == index;
        snapshot.partitions.iter().find(is)
    };
    Some((0..).zip(&topic.partitions).map(|(index, info)| (index, *info, of_index(index))).collect())
}

/// Whether all partitions of what is read are the pipeline's own.
fn has_all_of(snapshot: &Snapshot, from: &From, topics: &Topics<'_>) -> bool {
    partitions(snapshot, from, topics).is_some_and(|all| all.iter().all(|(_, _, state)| state.is_some()))
}

/// Whether everything is settled in a topic that a pipeline reads, but what is parked in a partition of its own and not
/// due: where a head is held back, so is everything behind it. A partition has a checkpoint once it is ours.
fn has_read(snapshot: &Snapshot, from: &From, topics: &Topics<'_>, stored: &Stored<'_>) -> bool {
    let stored = stored.get(&(from.transport.as_str(), &*from.topic, &*from.group));
    let is_settled = |(index, info, state): &(u32, PartitionInfo, Option<&PartitionState>)| match state {
        Some(state) => {
            let base = state.checkpoint.as_ref().map(|checkpoint| checkpoint.base().0);
            state.due.is_some() || base.is_some_and(|base| base >= info.end - 1)
        }
        None => stored.is_some_and(|stored| info.lag(stored.get(index), from.start) == 0),
    };
    partitions(snapshot, from, topics).is_some_and(|all| all.iter().all(is_settled))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::snapshot::State;
    use crate::model::{Partition, Position, Timestamp};
    use crate::transport::{OnLostPosition, Start};

    const HERE: (&str, &str, &str) = ("bus", "claims", "g");

    fn from() -> From {
        From {
            transport: HERE.0.into(),
            topic: HERE.1.into(),
            group: HERE.2.into(),
            start: Start::Earliest,
            on_lost_position: OnLostPosition::Fail,
        }
    }

    /// A topic whose partitions end here.
    fn topics(ends: &[i64]) -> Topics<'static> {
        let partitions = ends.iter().map(|end| PartitionInfo { first: 0, end: *end }).collect();
        BTreeMap::from([(HERE.0, vec![TopicInfo { name: HERE.1.into(), partitions }])])
    }

    fn base(base: i64) -> Option<Checkpoint> {
        Some(Checkpoint::plain(Position(base)))
    }

    /// A pipeline that owns these partitions.
    fn owning(states: impl IntoIterator<Item = (u32, Option<Checkpoint>, Option<Timestamp>)>) -> Snapshot {
        let state = |(index, checkpoint, due)| {
            let partition = Partition::new(HERE.1, index);
            PartitionState { partition, checkpoint, unsettled: 0, oldest: None, lag: Some(0), due }
        };
        let partitions = states.into_iter().map(state).collect();
        Snapshot { partitions, ..Snapshot::empty("p".into(), State::Running) }
    }

    #[test]
    fn a_partition_of_ones_own_is_read_when_its_base_is_the_last_message() {
        let read_but =
            |checkpoint, end, due| has_read(&owning([(0, checkpoint, due)]), &from(), &topics(&[end]), &Stored::new());
        let read = |checkpoint, end| read_but(checkpoint, end, None);
        assert!(read(base(6), 7) && read(base(-1), 0));
        assert!(!read(base(5), 7) && !read(None, 7) && !read(None, 0));
        assert!(read_but(base(5), 7, Some(Timestamp(60_000))), "the rest is parked");
    }

    #[test]
    fn a_partition_of_another_is_read_when_the_group_has_stored_so() {
        let one = owning([(0, base(6), None)]);
        assert!(!has_all_of(&one, &from(), &topics(&[7, 3])) && has_all_of(&one, &from(), &topics(&[7])));
        let read = |checkpoint: Option<Checkpoint>, end| {
            let stored = checkpoint.map(|checkpoint| (1, checkpoint)).into_iter().collect();
            has_read(&one, &from(), &topics(&[7, end]), &Stored::from([(HERE, stored)]))
        };
        assert!(read(base(2), 3) && read(None, 0), "nothing to do");
        assert!(!read(base(1), 3) && !read(None, 3));
        assert!(!has_read(&one, &from(), &topics(&[7, 0]), &Stored::new()), "nothing was asked");
    }

    #[test]
    fn a_pipeline_that_has_nothing_yet_is_done_only_where_its_topics_are() {
        let none = owning([]);
        let stored = Stored::from([(HERE, BTreeMap::new())]);
        assert!(has_read(&none, &from(), &topics(&[0, 0]), &stored));
        assert!(!has_read(&none, &from(), &topics(&[0, 1]), &stored));
        assert!(!has_read(&none, &from(), &Topics::new(), &stored), "of a topic that is not there nothing is known");
    }
}
