//! `lockgate status`: what is stored, told without asking a running host.

use std::collections::BTreeMap;

use clap::Args;
use serde::Serialize;

use super::place::SpecFiles;
use super::table::Table;
use super::{Ended, Failure, answer};
use crate::assemble;
use crate::model::Checkpoint;
use crate::spec::Plan;
use crate::spec::plan::Pipeline;
use crate::transport::PartitionInfo;

/// Show what is settled and what is not read yet, as stored; a running host is not asked.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  lockgate status\n  lockgate status --only claimx-download --json")]
pub(super) struct Status {
    #[command(flatten)]
    spec: SpecFiles,
    /// Only these pipelines.
    #[arg(long, value_name = "PIPELINE")]
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
        let chosen = plan.pipelines.values().filter(|pipeline| assemble::is_chosen(pipeline, &self.only));
        for pipeline in chosen {
            for row in rows(&plan, pipeline).await? {
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

async fn rows<'a>(plan: &Plan, pipeline: &'a Pipeline) -> Result<Vec<Row<'a>>, Failure> {
    let transport = assemble::transport(plan, &pipeline.from.transport)?;
    let topics = transport.topics().await?;
    let partitions = topics.into_iter().find(|topic| topic.name == *pipeline.from.topic).map(|topic| topic.partitions);
    let Some(partitions) = partitions else { return Ok(Vec::new()) };
    let stored = transport.checkpoints(&pipeline.from.topic, &pipeline.from.group).await?;
    let stored: BTreeMap<u32, Checkpoint> = stored.into_iter().collect();
    let row = |(index, info)| row(pipeline, index, &info, stored.get(&index));
    Ok((0..).zip(partitions).map(row).collect())
}

fn row<'a>(pipeline: &'a Pipeline, partition: u32, info: &PartitionInfo, stored: Option<&Checkpoint>) -> Row<'a> {
    let base = stored.map(|checkpoint| checkpoint.base().0);
    let settled_above = stored.map_or(0, settled_above);
    let next = base.map_or(info.first, |base| (base + 1).max(info.first));
    let behind = u64::try_from(info.end - next).unwrap_or(0);
    Row {
        pipeline: &pipeline.name,
        topic: &pipeline.from.topic,
        partition,
        base,
        settled_above,
        lag: behind.saturating_sub(settled_above),
    }
}

/// Messages settled above the base.
pub(super) fn settled_above(checkpoint: &Checkpoint) -> u64 {
    let span = checkpoint.highest().0.abs_diff(checkpoint.base().0);
    span.saturating_sub(checkpoint.unsettled().len() as u64)
}
