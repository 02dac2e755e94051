//! `lockgate checkpoint`: stored checkpoints whole, for who wants to know why a message ran again or did not. Looks
//! only: it never moves one.

use std::collections::BTreeMap;

use clap::{Args, Subcommand};
use serde::Serialize;

use super::place::{SpecFiles, look};
use super::table::Table;
use super::{Ended, Failure, answer};
use crate::assemble;
use crate::model::{self, Position};
use crate::spec::plan::{From, Pipeline};
use crate::transport::{PartitionInfo, Transport};

/// Runs of unsettled positions that a line shows.
const SHOWN: usize = 5;

/// Look at stored checkpoints.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  lockgate checkpoint show")]
pub(super) struct Checkpoint {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand, Debug)]
enum Action {
    /// Show the checkpoints of every topic that pipelines read, as stored; a running host is not asked.
    Show(Show),
}

#[derive(Args, Debug)]
#[command(after_help = "Examples:
  lockgate checkpoint show
  lockgate checkpoint show --only claimx-download --json

Everything up to BASE is settled, and above it everything up to HIGHEST but what stands under UNSETTLED. BYTES is what
the checkpoint takes where it is stored.")]
struct Show {
    #[command(flatten)]
    spec: SpecFiles,
    /// Only these pipelines.
    #[arg(long, value_name = "PIPELINE", value_delimiter = ',')]
    only: Vec<String>,
    /// One JSON object a partition, with every unsettled position.
    #[arg(long)]
    json: bool,
}

/// The checkpoint of one partition.
#[derive(Serialize)]
struct Row {
    pipeline: String,
    topic: String,
    group: String,
    partition: u32,
    /// The last offset such that it and all before it are settled; nothing where none is stored.
    base: Option<i64>,
    /// The highest settled offset.
    highest: Option<i64>,
    /// Offsets between the two that are not settled.
    unsettled: Vec<i64>,
    /// What the checkpoint takes where it is stored.
    bytes: Option<usize>,
    /// Messages not settled yet.
    lag: u64,
}

impl Checkpoint {
    pub(super) async fn obey(self) -> Ended {
        let Action::Show(show) = self.action;
        show.obey().await
    }
}

impl Show {
    async fn obey(self) -> Ended {
        let rows = self.rows().await?;
        if self.json {
            return rows.iter().try_for_each(|row| answer(serde_json::to_string(row)?));
        }
        let head = ["PIPELINE", "TOPIC", "PARTITION", "BASE", "HIGHEST", "BYTES", "LAG", "UNSETTLED"];
        let mut table = Table::new(head);
        for row in rows {
            let number = |number: Option<i64>| number.map_or("-".to_owned(), |number| number.to_string());
            table.row([
                row.pipeline,
                row.topic,
                row.partition.to_string(),
                number(row.base),
                number(row.highest),
                row.bytes.map_or("-".to_owned(), |bytes| bytes.to_string()),
                row.lag.to_string(),
                shortened(&row.unsettled),
            ]);
        }
        answer(table)
    }

    async fn rows(&self) -> Result<Vec<Row>, Failure> {
        let plan = self.spec.plan()?;
        assemble::check_names(&plan, &self.only).map_err(Failure::Usage)?;
        let chosen = plan.pipelines.values().filter(|pipeline| assemble::is_chosen(pipeline, &self.only));
        let reads: Vec<(&Pipeline, From)> =
            chosen.flat_map(|pipeline| pipeline.reads().into_iter().map(move |from| (pipeline, from))).collect();
        let transports = look(&plan, reads.iter().map(|(_, from)| from.transport.as_str()))?;
        let mut rows = Vec::new();
        for (pipeline, from) in &reads {
            if let Some(transport) = transports.get(from.transport.as_str()) {
                rows.extend(rows_of(transport.as_ref(), pipeline, from).await?);
            }
        }
        Ok(rows)
    }
}

/// A row a partition; none where the topic is not made yet.
async fn rows_of(transport: &dyn Transport, pipeline: &Pipeline, from: &From) -> Result<Vec<Row>, Failure> {
    let topics = transport.topics().await?;
    let Some(topic) = topics.into_iter().find(|topic| *topic.name == *from.topic) else { return Ok(Vec::new()) };
    let stored = transport.checkpoints(&from.topic, &from.group).await?;
    let stored: BTreeMap<u32, model::Checkpoint> = stored.into_iter().collect();
    let row = |(partition, info)| row(pipeline, from, partition, &info, stored.get(&partition));
    Ok((0..).zip(topic.partitions).map(row).collect())
}

fn row(
    pipeline: &Pipeline,
    from: &From,
    partition: u32,
    info: &PartitionInfo,
    stored: Option<&model::Checkpoint>,
) -> Row {
    let unsettled = stored.map(model::Checkpoint::unsettled).unwrap_or_default();
    Row {
        pipeline: pipeline.name.to_string(),
        topic: from.topic.to_string(),
        group: from.group.to_string(),
        partition,
        base: stored.map(|checkpoint| checkpoint.base().0),
        highest: stored.map(|checkpoint| checkpoint.highest().0),
        unsettled: unsettled.iter().map(|Position(offset)| *offset).collect(),
        bytes: stored.map(|checkpoint| checkpoint.encode().len()),
        lag: info.lag(stored, from.start),
    }
}

/// Offsets as `[43, 47-50]`; where there are many runs, the first of them and how many offsets there are in all.
fn shortened(offsets: &[i64]) -> String {
    let runs: Vec<&[i64]> = offsets.chunk_by(|one, next| one.checked_add(1) == Some(*next)).collect();
    let run = |run: &&[i64]| match run {
        [first, .., last] => format!("{first}-{last}"),
        one => one.iter().map(i64::to_string).collect(),
    };
    let shown: Vec<String> = runs.iter().take(SHOWN).map(run).collect();
    match runs.len() {
        0 => "none".to_owned(),
        count if count <= SHOWN => format!("[{}]", shown.join(", ")),
        _ => format!("[{}, …] {} in all", shown.join(", "), offsets.len()),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::model::Record;
    use crate::transport::{Commit, OnLostPosition, Rooms, SourceEvent, Start, Subscription};

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        show: Show,
    }

    /// A spec on a log in a folder: one pipeline that parks.
    fn show(folder: &std::path::Path) -> Show {
        let spec = folder.join("pipelines.yaml");
        let text = format!(
            "lockgate: 1\ntransports: {{ bus: {{ log: {{ path: '{}/bus' }}, topics: {{ claims: {{ create: {{ partitions: 1 }} }} }} }} }}\nplugins: {{ p: {{ component: p.wasm }} }}\npipelines:\n  a: {{ from: {{ topic: claims, group: g }}, plugin: p, retry: {{ later: {{ topic: parked, delays: [5m] }} }}, dead_letter: {{ topic: dlq }} }}\n",
            folder.display()
        );
        std::fs::write(&spec, text).unwrap();
        Line::parse_from(["show", "-f", &spec.display().to_string()]).show
    }

    async fn rows(show: &Show) -> Vec<Row> {
        show.rows().await.unwrap_or_else(|_| panic!("the spec cannot be looked at"))
    }

    #[tokio::test]
    async fn every_topic_that_a_pipeline_reads_is_shown_with_all_that_is_not_settled() {
        let folder = tempfile::tempdir().unwrap();
        let show = show(folder.path());
        let plan = show.spec.plan().unwrap_or_else(|_| panic!("the spec is wrong"));
        assert_eq!(rows(&show).await.len(), 0, "nothing is there yet");
        let transport = assemble::transport(&plan, "bus", None).unwrap();
        for topic in ["claims", "parked"] {
            let records = (0..9).map(|_| Record { partition: Some(0), ..Record::default() }).collect();
            let written = transport.sink(topic).await.unwrap().write(records).await;
            assert!(written.iter().all(Result::is_ok), "{written:?}");
        }
        let subscription = Subscription {
            topic: "claims".into(),
            group: "g".into(),
            start: Start::Earliest,
            on_lost_position: OnLostPosition::Fail,
        };
        let mut source = transport.source(&subscription).await.unwrap();
        let assigned = loop {
            if let SourceEvent::Assigned(mut assigned) = source.next(&Rooms::default()).await {
                break assigned.remove(0);
            }
        };
        let checkpoint = model::Checkpoint::new(Position(1), Position(6), vec![Position(2), Position(4), Position(5)]);
        let commit = Commit { partition: assigned.partition, epoch: assigned.epoch, checkpoint: checkpoint.clone() };
        source.commit(vec![commit]).await.unwrap();
        let rows = rows(&show).await;
        let told: Vec<_> = rows.iter().map(|row| (row.topic.as_str(), row.base, row.highest, row.lag)).collect();
        assert_eq!(told[..2], [("claims", Some(1), Some(6), 5), ("parked", None, None, 9)]);
        assert_eq!(rows[0].unsettled, [2, 4, 5]);
        assert_eq!((rows[0].bytes, rows[0].group.as_str()), (Some(checkpoint.encode().len()), "g"));
        assert_eq!(rows.len(), 1 + 4, "as many as the two topics have partitions");
    }

    #[test]
    fn unsettled_offsets_are_shortened_for_people() {
        assert_eq!(shortened(&[]), "none");
        assert_eq!(shortened(&[43, 47, 48, 49]), "[43, 47-49]");
        let many: Vec<i64> = (0..40).step_by(2).collect();
        assert_eq!(shortened(&many), "[0, 2, 4, 6, 8, …] 20 in all");
    }
}
