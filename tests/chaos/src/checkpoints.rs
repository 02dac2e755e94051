//! What hosts store as settled: looked at again and again, so that a checkpoint that goes back is seen, whoever wrote it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use lockgate::model::{Checkpoint, Position};

use crate::bus::{Bus, Stored};
use crate::setting::{RETRY, Setting};

/// How often it is looked.
const EVERY: Duration = Duration::from_millis(50);

/// The stored checkpoints of every group in every topic that it reads: by topic and group.
pub type All = BTreeMap<(String, String), Stored>;

/// The lowest position that was settled once and is not any more.
///
/// | before | after | |
/// |---|---|---|
/// | settled | settled | as it has to be |
/// | unsettled | either | as it has to be |
/// | settled | unsettled | went back: it will run again though nobody was killed |
pub fn went_back(before: &Checkpoint, after: &Checkpoint) -> Option<Position> {
    let above = after.base().0.saturating_add(1);
    // Whatever is unsettled after is above its base.
    (above..=before.highest().0.max(before.base().0))
        .map(Position)
        .find(|position| before.is_settled(*position) && !after.is_settled(*position))
}

/// Reads all of them.
pub async fn read(bus: &Bus, setting: &Setting) -> anyhow::Result<All> {
    let mut all = All::new();
    for shape in &setting.pipelines {
        for topic in [shape.topic(), RETRY.to_owned()] {
            let stored = bus.stored(&topic, &shape.name()).await?;
            all.insert((topic, shape.name()), stored);
        }
    }
    Ok(all)
}

/// Whether everything that stands in the topics is settled.
pub async fn cover_all(bus: &Bus, setting: &Setting) -> anyhow::Result<bool> {
    let all = read(bus, setting).await?;
    let topics = bus.topics().await?;
    let is_covered = |((topic, _), stored): (&(String, String), &Stored)| {
        let info = topics.iter().find(|info| info.name == *topic);
        info.into_iter().flat_map(|info| (0..).zip(&info.partitions)).all(|(index, bounds)| {
            let last = Position(bounds.end - 1);
            bounds.end == bounds.first || stored.get(&index).is_some_and(|checkpoint| checkpoint.base() >= last)
        })
    };
    Ok(all.iter().all(is_covered))
}

/// Looks for as long as it is not dropped, and tells of everything that went back. A look that fails is left out: what
/// went back still has when the next one is taken.
pub async fn watch(bus: Arc<Bus>, setting: Setting, mut blame: impl FnMut(String)) {
    let mut before = All::new();
    loop {
        if let Ok(after) = read(&bus, &setting).await {
            for ((topic, group), stored) in &after {
                let earlier = before.get(&(topic.clone(), group.clone()));
                for (partition, checkpoint) in earlier.into_iter().flatten() {
                    let back = stored.get(partition).map_or(Some(checkpoint.base()), |now| went_back(checkpoint, now));
                    if let Some(position) = back {
                        blame(format!(
                            "the checkpoint of {group} in {topic}/{partition} went back over {position}: from {checkpoint:?} to {:?}",
                            stored.get(partition)
                        ));
                    }
                }
            }
            before = after;
        }
        tokio::time::sleep(EVERY).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checkpoint(base: i64, highest: i64, unsettled: &[i64]) -> Checkpoint {
        Checkpoint::new(Position(base), Position(highest), unsettled.iter().copied().map(Position).collect())
    }

    #[test]
    fn a_checkpoint_that_only_grows_did_not_go_back() {
        let before = checkpoint(5, 10, &[6, 8]);
        for after in
            [checkpoint(5, 10, &[6, 8]), checkpoint(5, 10, &[8]), checkpoint(7, 12, &[8, 11]), checkpoint(20, 20, &[])]
        {
            assert_eq!(went_back(&before, &after), None, "{after:?}");
        }
    }

    #[test]
    fn whatever_is_settled_no_more_went_back() {
        let before = checkpoint(5, 10, &[6, 8]);
        for (after, position) in [
            (checkpoint(4, 10, &[5, 6, 8]), 5),
            (checkpoint(5, 10, &[6, 7, 8]), 7),
            (checkpoint(5, 9, &[6, 8]), 10),
            (checkpoint(-1, -1, &[]), 0),
        ] {
            assert_eq!(went_back(&before, &after), Some(Position(position)), "{after:?}");
        }
    }
}
