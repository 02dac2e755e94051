//! What the demo says at its end.

use std::fmt::Write;
use std::path::Path;

use xtask::workspace::shown;

use super::fate::Fate;
use super::task::Task;
use crate::support::lockgate::{Lockgate, Partition, Pipeline, Summary};

/// One line a pipeline, and below it its dead letters by reason and its checkpoints.
pub fn table(summary: &Summary) -> String {
    let mut text = String::new();
    let width = summary.pipelines.iter().map(|pipeline| pipeline.name.len()).max().unwrap_or(0);
    line(
        &mut text,
        width,
        ["PIPELINE", "IN", "DONE", "SKIPPED", "RETRIED", "PARKED", "DEAD", "MB/S"].map(str::to_owned),
    );
    for pipeline in &summary.pipelines {
        let Pipeline { admitted, done, retried, parked, .. } = *pipeline;
        let numbers = [admitted, done, pipeline.skipped(), retried, parked, pipeline.dead()];
        let [admitted, done, skipped, retried, parked, dead] = numbers.map(|number| number.to_string());
        let speed = format!("{:.1}", pipeline.megabytes_per_second());
        line(&mut text, width, [pipeline.name.clone(), admitted, done, skipped, retried, parked, dead, speed]);
        below(&mut text, pipeline);
    }
    text
}

fn line(text: &mut String, width: usize, [name, numbers @ ..]: [String; 8]) {
    let numbers: String = numbers.iter().map(|number| format!("{number:>9}")).collect();
    push(text, &format!("{name:<width$}{numbers}"));
}

fn below(text: &mut String, pipeline: &Pipeline) {
    let counts = |counts: &std::collections::BTreeMap<String, u64>| {
        counts.iter().map(|(word, count)| format!("{count} {word}")).collect::<Vec<_>>().join(", ")
    };
    for (what, counts) in [("skipped", counts(&pipeline.skipped)), ("dead", counts(&pipeline.dead))] {
        if !counts.is_empty() {
            push(text, &format!("  {what}: {counts}"));
        }
    }
    let checkpoints: Vec<String> = pipeline.partitions.iter().map(checkpoint).collect();
    push(text, &format!("  checkpoints: {}", checkpoints.join(", ")));
    if let Some(failure) = &pipeline.failure {
        push(text, &format!("  failed: {failure}"));
    }
}

/// `topic/partition` and the last offset up to which everything is settled.
fn checkpoint(partition: &Partition) -> String {
    let base = partition.base.map_or("nothing yet".into(), |base| base.to_string());
    let above = match partition.unsettled_above {
        0 => String::new(),
        count => format!(" and {count} unsettled above"),
    };
    format!("{}/{} at {base}{above}", partition.topic, partition.partition)
}

/// How many tasks ended how they had to.
pub fn totals(tasks: &[Task]) -> String {
    let stored = tasks.iter().filter(|task| task.fate == Fate::Stored);
    let bytes: u64 = stored.clone().filter_map(|task| task.file.as_ref()).map(|file| file.size()).sum();
    let stored = stored.count();
    format!(
        "{} tasks: {stored} files ({:.0} MB) are stored as the origin has them, {} dead letters are as they had to be",
        tasks.len(),
        bytes as f64 / 1e6,
        tasks.len() - stored
    )
}

/// Where files lie, and three commands to go on with.
pub fn next(lockgate: &Lockgate, folder: &Path) -> String {
    let (program, spec) = (shown(&lockgate.program), lockgate.on_spec().join(" "));
    let mut text = format!("The files lie in {}. To try next:\n", shown(&folder.join("lake")));
    for command in ["status", "tail claimx-dlq -n 5", "topics"] {
        push(&mut text, &format!("  {program} {command} {spec}"));
    }
    text
}

fn push(text: &mut String, line: &str) {
    // Writing into a text cannot fail.
    let _ = writeln!(text, "{}", line.trim_end());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_says_what_became_of_every_message() {
        let partition = |partition, base| Partition {
            topic: "pending".into(),
            partition,
            base,
            unsettled_above: u64::from(partition),
            lag: Some(0),
        };
        let pipeline = Pipeline {
            name: "claimx-download".into(),
            failure: None,
            admitted: 150,
            done: 120,
            skipped: [].into(),
            retried: 41,
            parked: 12,
            dead: [("http-404".into(), 5), ("url-denied".into(), 25)].into(),
            bytes: 64_000_000,
            seconds: 10.0,
            partitions: vec![partition(0, Some(36)), partition(1, None)],
        };
        let expected = "\
PIPELINE              IN     DONE  SKIPPED  RETRIED   PARKED     DEAD     MB/S
claimx-download      150      120        0       41       12       30      6.4
  dead: 5 http-404, 25 url-denied
  checkpoints: pending/0 at 36, pending/1 at nothing yet and 1 unsettled above
";
        assert_eq!(table(&Summary { pipelines: vec![pipeline] }), expected);
    }
}
