//! `lockgate status`: how the running host is, or, where none answers, what is stored.

use std::collections::BTreeMap;

use clap::Args;
use serde::Serialize;

use super::host::{Host, Where};
use super::place::{SpecFiles, look};
use super::table::Table;
use super::{Ended, Failure, answer, tell};
use crate::admin::status as live;
use crate::assemble;
use crate::model::Checkpoint;
use crate::spec::Plan;
use crate::spec::plan::{From, Pipeline};
use crate::transport::{PartitionInfo, Transport};

/// Show what is settled, what is not, and what the oldest message waits for.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  lockgate status
  lockgate status --only claimx-download --json
  lockgate status --admin 127.0.0.1:9600

Asks the running host at the spec's `admin.listen`. Where none answers, it shows what is stored, and says so.
With --json, `source` is `host` or `stored`; only a host knows states, unsettled messages and the oldest one.")]
pub(super) struct Status {
    #[command(flatten)]
    spec: SpecFiles,
    #[command(flatten)]
    host: Where,
    /// Only these pipelines.
    #[arg(long, value_name = "PIPELINE", value_delimiter = ',')]
    only: Vec<String>,
    /// One JSON object a partition; a pipeline without partitions has one too.
    #[arg(long)]
    json: bool,
}

/// One partition as stored.
#[derive(Serialize)]
struct Row<'a> {
    source: &'static str,
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

/// One partition as the host tells it. What stands in [`Row`] too is called and means the same.
#[derive(Serialize)]
struct LiveRow<'a> {
    source: &'static str,
    pipeline: &'a str,
    state: live::State,
    reason: Option<&'a str>,
    topic: &'a str,
    partition: Option<u32>,
    base: Option<i64>,
    settled_above: u64,
    unsettled: usize,
    lag: Option<u64>,
    oldest: Option<&'a live::Oldest>,
}

impl Status {
    pub(super) async fn obey(self) -> Ended {
        if let Some(address) = self.host.admin {
            let host = Host::at(address)?;
            if let Some(status) = host.status().await? {
                return self.show(&status);
            }
            tell(format_args!("no host answers on {}; this is what is stored\n", host.address()));
            return self.stored(&self.spec.plan()?).await;
        }
        let plan = self.spec.plan()?;
        assemble::check_names(&plan, &self.only).map_err(Failure::Usage)?;
        match Host::of(&plan) {
            Ok(Some(host)) => match host.status().await? {
                Some(status) => return self.show(&status),
                None => tell(format_args!("no host answers on {}; this is what is stored\n", host.address())),
            },
            Ok(None) => tell("the spec has no `admin.listen`, so no host is asked; this is what is stored\n"),
            Err(Failure::Usage(reason)) => tell(format_args!("{reason}; this is what is stored\n")),
            Err(failure) => return Err(failure),
        }
        self.stored(&plan).await
    }

    /// Shows what a host told.
    fn show(&self, status: &live::Status) -> Ended {
        let names = || status.pipelines.iter().map(|pipeline| pipeline.name.as_str());
        if let Some(unknown) = self.only.iter().find(|only| !names().any(|name| name == *only)) {
            let names = names().collect::<Vec<_>>().join(", ");
            return Err(Failure::Usage(format!("the host runs no pipeline `{unknown}`; it runs {names}")));
        }
        let chosen = |pipeline: &&live::Pipeline| self.only.is_empty() || self.only.contains(&pipeline.name);
        let mut rows = status.pipelines.iter().filter(chosen).flat_map(live_rows);
        if self.json {
            return rows.try_for_each(|row| answer(serde_json::to_string(&row)?));
        }
        answer(table(rows))
    }

    /// Shows what is stored, without asking a host.
    async fn stored(&self, plan: &Plan) -> Ended {
        assemble::check_names(plan, &self.only).map_err(Failure::Usage)?;
        let mut table = Table::new(["PIPELINE", "TOPIC", "PARTITION", "BASE", "SETTLED ABOVE", "LAG"]);
        let chosen: Vec<&Pipeline> =
            plan.pipelines.values().filter(|pipeline| assemble::is_chosen(pipeline, &self.only)).collect();
        let reads: Vec<(&Pipeline, From)> = chosen
            .into_iter()
            .flat_map(|pipeline| pipeline.reads().into_iter().map(move |from| (pipeline, from)))
            .collect();
        let transports = look(plan, reads.iter().map(|(_, from)| from.transport.as_str()))?;
        for (pipeline, from) in &reads {
            let Some(transport) = transports.get(from.transport.as_str()) else { continue };
            for row in rows(transport.as_ref(), pipeline, from).await? {
                if self.json {
                    answer(serde_json::to_string(&row)?)?;
                    continue;
                }
                let numbers = [row.partition.to_string(), known(row.base), row.settled_above.to_string()];
                let [partition, base, above] = numbers;
                table.row([row.pipeline.to_owned(), row.topic.to_owned(), partition, base, above, row.lag.to_string()]);
            }
        }
        if self.json { Ok(()) } else { answer(table) }
    }
}

/// The rows of a pipeline: one a partition, and one where it has none.
fn live_rows(pipeline: &live::Pipeline) -> Vec<LiveRow<'_>> {
    let none = LiveRow {
        source: "host",
        pipeline: &pipeline.name,
        state: pipeline.state,
        reason: pipeline.reason.as_deref(),
        topic: &pipeline.topic,
        partition: None,
        base: None,
        settled_above: 0,
        unsettled: 0,
        lag: None,
        oldest: None,
    };
    if pipeline.partitions.is_empty() {
        return vec![none];
    }
    let rows = pipeline.partitions.iter().map(|partition| LiveRow {
        topic: &partition.topic,
        partition: Some(partition.partition),
        base: partition.base,
        settled_above: partition.settled_above,
        unsettled: partition.unsettled,
        lag: partition.lag,
        oldest: partition.oldest.as_ref(),
        ..none
    });
    rows.collect()
}

/// A table of rows, with why a pipeline does not run below it.
fn table<'a>(rows: impl Iterator<Item = LiveRow<'a>>) -> String {
    let mut table =
        Table::new(["PIPELINE", "STATE", "TOPIC", "PARTITION", "BASE", "SETTLED ABOVE", "UNSETTLED", "LAG", "OLDEST"]);
    let mut reasons = Vec::new();
    for row in rows {
        table.row([
            row.pipeline.to_owned(),
            row.state.as_str().to_owned(),
            row.topic.to_owned(),
            known(row.partition),
            known(row.base),
            row.settled_above.to_string(),
            row.unsettled.to_string(),
            known(row.lag),
            row.oldest.map_or_else(String::new, |oldest| oldest.text.clone()),
        ]);
        let reason = row.reason.map(|reason| format!("\n{} {}: {reason}", row.pipeline, row.state.as_str()));
        reasons.extend(reason.filter(|reason| !reasons.contains(reason)));
    }
    format!("{table}{}", reasons.concat())
}

fn known(value: Option<impl ToString>) -> String {
    value.map_or("-".into(), |value| value.to_string())
}

async fn rows<'a>(transport: &dyn Transport, pipeline: &'a Pipeline, from: &'a From) -> Result<Vec<Row<'a>>, Failure> {
    let topics = transport.topics().await?;
    let partitions = topics.into_iter().find(|topic| topic.name == *from.topic).map(|topic| topic.partitions);
    let Some(partitions) = partitions else { return Ok(Vec::new()) };
    let stored = transport.checkpoints(&from.topic, &from.group).await?;
    let stored: BTreeMap<u32, Checkpoint> = stored.into_iter().collect();
    let row = |(partition, info): (u32, PartitionInfo)| {
        let stored = stored.get(&partition);
        Row {
            source: "stored",
            pipeline: &pipeline.name,
            topic: &from.topic,
            partition,
            base: stored.map(|checkpoint| checkpoint.base().0),
            settled_above: stored.map_or(0, Checkpoint::settled_above),
            lag: info.lag(stored, from.start),
        }
    };
    Ok((0..).zip(partitions).map(row).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host() -> live::Status {
        let durations = serde_json::json!({ "count": 0, "sum_seconds": 0.0, "p50_seconds": null, "p95_seconds": null, "buckets": [] });
        let oldest = serde_json::json!({
            "offset": 812, "key": "K", "message_id": "m", "attempt": 4, "admitted_ms": 5, "waits_for": "again",
            "wait_seconds": 40.0, "text": "held at 812 by key K, attempt 4, next try in 40 s",
        });
        let partition = serde_json::json!({
            "topic": "t", "partition": 3, "base": 811, "settled_above": 7, "unsettled": 2, "lag": 42, "oldest": oldest,
        });
        let pipeline = |name: &str, state: &str, reason: Option<&str>, partitions: serde_json::Value| {
            serde_json::json!({
                "name": name, "system": "s", "topic": "t", "group": "g", "state": state, "reason": reason,
                "counts": { "in": 0, "done": 0, "skipped": {}, "retried": 0, "parked": 0, "dead": {}, "bytes": 0 },
                "running": 0, "unsettled": 2, "lag": 42, "in_plugin": durations, "latency": durations,
                "partitions": partitions,
            })
        };
        let held = pipeline("p", "held", Some("401"), serde_json::json!([partition]));
        let failed = pipeline("q", "failed", Some("page 7"), serde_json::json!([]));
        let status = serde_json::json!({ "lockgate": "0.1.0", "now_ms": 0, "pipelines": [held, failed] });
        serde_json::from_value(status).unwrap()
    }

    #[test]
    fn a_live_table_tells_the_oldest_message_and_why_a_pipeline_does_not_run() {
        let table = table(host().pipelines.iter().flat_map(live_rows));
        let lines: Vec<&str> = table.lines().collect();
        assert_eq!(lines.len(), 5, "{table}");
        assert!(lines[1].starts_with("p ") && lines[1].ends_with("held at 812 by key K, attempt 4, next try in 40 s"));
        assert!(
            lines[2].starts_with("q ") && lines[2].contains("failed"),
            "it has no partition, and is told all the same"
        );
        assert_eq!(lines[3..], ["p held: 401", "q failed: page 7"]);
    }

    #[test]
    fn a_live_row_has_all_that_a_stored_one_has() {
        let status = host();
        let live = serde_json::to_value(&live_rows(&status.pipelines[0])[0]).unwrap();
        let stored =
            Row { source: "stored", pipeline: "p", topic: "t", partition: 3, base: None, settled_above: 0, lag: 0 };
        let stored = serde_json::to_value(stored).unwrap();
        let missing: Vec<&String> = stored.as_object().unwrap().keys().filter(|key| live.get(key).is_none()).collect();
        assert!(missing.is_empty(), "{missing:?}");
        assert_eq!((&live["source"], &live["oldest"]["waits_for"]), (&"host".into(), &"again".into()));
    }
}
