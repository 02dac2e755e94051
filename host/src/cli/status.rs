//! `lockgate status`: what is stored, told without asking a running host.

use std::collections::BTreeMap;

use clap::Args;
use serde::Serialize;

use super::place::{SpecFiles, look};
use super::table::Table;
use super::{Ended, Failure, answer};
use crate::assemble;
use crate::model::Checkpoint;
use crate::spec::plan::Pipeline;
use crate::transport::{PartitionInfo, Start, Transport};

/// Show what is settled and what is not read yet, as stored; a running host is not asked.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  lockgate status\n  lockgate status --only claimx-download --json")]
pub(super) struct Status {
    #[command(flatten)]
    spec: SpecFiles,
    /// Only these pipelines.
    #[arg(long, value_name = "PIPELINE", value_delimiter = ',')]
    only: Vec<String>,
    /// One JSON object a partition.
    #[arg(long)]
    json: bool,
}

/// One partition as stored.
#[derive(Serialize)]
struct Row<'a> {
    pipeline: &'a str,
    topic: &'a str,
    partition: u32,
    /// The last offset such that it and all before it are settled.
    base: Option<i64>,
    /// Messages settled above the base.
    settled_above: u64,
    /// Messages not settled yet.
    lag: u64,
}

impl Status {
    pub(super) async fn obey(self) -> Ended {
        let plan = self.spec.plan()?;
        assemble::check_names(&plan, &self.only).map_err(Failure::Usage)?;
        let mut table = Table::new(["PIPELINE", "TOPIC", "PARTITION", "BASE", "SETTLED ABOVE", "LAG"]);
        let chosen: Vec<&Pipeline> =
            plan.pipelines.values().filter(|pipeline| assemble::is_chosen(pipeline, &self.only)).collect();
        let transports = look(&plan, chosen.iter().map(|pipeline| pipeline.from.transport.as_str()))?;
        for pipeline in chosen {
            let Some(transport) = transports.get(pipeline.from.transport.as_str()) else { continue };
            for row in rows(transport.as_ref(), pipeline).await? {
                if self.json {
                    answer(serde_json::to_string(&row)?)?;
                    continue;
                }
                let base = row.base.map_or("-".into(), |base| base.to_string());
                let numbers = [row.partition.to_string(), base, row.settled_above.to_string(), row.lag.to_string()];
                let [partition, base, above, lag] = numbers;
                table.row([row.pipeline.to_owned(), row.topic.to_owned(), partition, base, above, lag]);
            }
        }
        if self.json { Ok(()) } else { answer(table) }
    }
}

async fn rows<'a>(transport: &dyn Transport, pipeline: &'a Pipeline) -> Result<Vec<Row<'a>>, Failure> {
    let topics = transport.topics().await?;
    let partitions = topics.into_iter().find(|topic| topic.name == *pipeline.from.topic).map(|topic| topic.partitions);
    let Some(partitions) = partitions else { return Ok(Vec::new()) };
    let stored = transport.checkpoints(&pipeline.from.topic, &pipeline.from.group).await?;
    let stored: BTreeMap<u32, Checkpoint> = stored.into_iter().collect();
    let row = |(partition, info): (u32, PartitionInfo)| {
        let stored = stored.get(&partition);
        Row {
            pipeline: &pipeline.name,
            topic: &pipeline.from.topic,
            partition,
            base: stored.map(|checkpoint| checkpoint.base().0),
            settled_above: stored.map_or(0, Checkpoint::settled_above),
            lag: lag(&info, stored, pipeline.from.start),
        }
    };
    Ok((0..).zip(partitions).map(row).collect())
}

/// Messages that are kept and not settled.
///
/// | checkpoint | lag |
/// |---|---|
/// | stored | from behind its base, or from the oldest kept one if that is later, to the end, less what is settled there |
/// | none, `start: earliest` | all that are kept |
/// | none, `start: latest` | none: the group begins with what is written once it runs |
pub(super) fn lag(info: &PartitionInfo, stored: Option<&Checkpoint>, start: Start) -> u64 {
    let Some(checkpoint) = stored else {
        return if start == Start::Latest { 0 } else { length(info.first, info.end) };
    };
    let next = info.first.max(checkpoint.base().0.saturating_add(1));
    // What is settled there ends with the highest; of it, the unsettled are named.
    let settled_to = info.end.min(checkpoint.highest().0.saturating_add(1));
    let unsettled = checkpoint.unsettled().iter().filter(|position| (next..settled_to).contains(&position.0)).count();
    length(next.max(settled_to), info.end) + unsettled as u64
}

fn length(from: i64, to: i64) -> u64 {
    u64::try_from(to.saturating_sub(from)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::Position;

    #[test]
    fn what_retention_removed_is_no_lag_and_hides_none() {
        let stored = Checkpoint::new(Position(0), Position(10), vec![Position(1)]);
        let lag = |first, end| lag(&PartitionInfo { first, end }, Some(&stored), Start::Earliest);
        assert_eq!(lag(9, 12), 1, "11");
        assert_eq!(lag(0, 12), 2, "1 and 11");
        assert_eq!((lag(11, 11), lag(12, 12), lag(0, 0)), (0, 0, 0));
    }

    #[test]
    fn a_group_without_a_checkpoint_lags_as_it_would_start() {
        let info = PartitionInfo { first: 3, end: 10 };
        assert_eq!((lag(&info, None, Start::Earliest), lag(&info, None, Start::Latest)), (7, 0));
    }

    proptest! {
        #[test]
        fn lag_is_what_one_by_one_is_not_settled(
            base in -1_i64..20, span in 0_i64..20, unsettled in prop::collection::vec(0_i64..40, 0..9),
            first in 0_i64..30, kept in 0_i64..20,
        ) {
            let unsettled = unsettled.into_iter().map(Position).collect();
            let stored = Checkpoint::new(Position(base), Position(base + span), unsettled);
            let info = PartitionInfo { first, end: first + kept };
            let slow = (first..info.end).filter(|position| !stored.is_settled(Position(*position))).count();
            prop_assert_eq!(lag(&info, Some(&stored), Start::Earliest), slow as u64);
        }
    }
}
