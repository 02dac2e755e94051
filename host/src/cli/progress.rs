//! The live display of a run: one line a pipeline on a terminal, a log line now and then elsewhere.

use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use tokio::time::Instant;
use tracing::info;

use super::summary::Tracked;
use crate::flow::snapshot::{Snapshot, State};

/// How often progress is logged where there is no terminal.
const LOG_EVERY: Duration = Duration::from_secs(10);

/// Shows how pipelines get on.
pub(super) struct Display {
    lines: Vec<ProgressBar>,
    live: bool,
    logged: Instant,
}

impl Display {
    /// A display of these pipelines, which start now.
    pub(super) fn new<'a>(progress: &MultiProgress, names: impl Iterator<Item = &'a str>, now: Instant) -> Self {
        let style = ProgressStyle::with_template("{spinner} {prefix} {msg}")
            .unwrap_or_else(|_| ProgressStyle::default_spinner());
        let names: Vec<&str> = names.collect();
        let width = names.iter().map(|name| name.len()).max().unwrap_or(0);
        let line = |name: &&str| {
            let line = ProgressBar::new_spinner().with_style(style.clone()).with_prefix(format!("{name:<width$}"));
            let line = progress.add(line);
            // Log lines go above what is drawn.
            line.tick();
            line
        };
        Self { lines: names.iter().map(line).collect(), live: !progress.is_hidden(), logged: now }
    }

    /// Shows how they get on now.
    pub(super) fn show<'a>(&mut self, pipelines: impl Iterator<Item = (&'a str, &'a Tracked)>, now: Instant) {
        let log = !self.live && now - self.logged >= LOG_EVERY;
        if log {
            self.logged = now;
        }
        for (line, (pipeline, tracked)) in self.lines.iter().zip(pipelines) {
            if log {
                record(pipeline, tracked);
            }
            line.set_message(text(tracked));
            line.tick();
        }
    }

    /// Takes the display away.
    pub(super) fn end(self) {
        self.lines.iter().for_each(ProgressBar::finish_and_clear);
    }
}

/// How a pipeline gets on, for machines: one field a number.
fn record(pipeline: &str, tracked: &Tracked) {
    let last = tracked.last.as_ref();
    let Numbers { admitted, done, skipped, retried, parked, dead, running, unsettled, lag } =
        last.map(Numbers::of).unwrap_or_default();
    let (state, reason) = match (&tracked.failure, last) {
        (Some(failure), _) => ("failed", Some(failure.as_str())),
        (None, Some(last)) => state(&last.state),
        (None, None) => ("starting", None),
    };
    let bytes_per_second = (tracked.megabytes_per_second() * 1e6).round() as u64;
    info!(
        pipeline,
        state,
        reason,
        admitted,
        done,
        skipped,
        retried,
        parked,
        dead,
        running,
        unsettled,
        lag,
        bytes_per_second,
        "progress"
    );
}

/// What is told of a pipeline in numbers.
#[derive(Default)]
struct Numbers {
    admitted: u64,
    done: u64,
    skipped: u64,
    retried: u64,
    parked: u64,
    dead: u64,
    running: usize,
    unsettled: usize,
    lag: u64,
}

impl Numbers {
    fn of(last: &Snapshot) -> Self {
        let counts = &last.counts;
        Self {
            admitted: counts.admitted,
            done: counts.done,
            skipped: counts.skipped.values().sum(),
            retried: counts.retried,
            parked: counts.parked,
            dead: counts.dead.values().sum(),
            running: last.running,
            unsettled: last.partitions.iter().map(|partition| partition.unsettled).sum(),
            lag: last.partitions.iter().filter_map(|partition| partition.lag).sum(),
        }
    }
}

/// How a pipeline gets on, for people.
fn text(tracked: &Tracked) -> String {
    if let Some(failure) = &tracked.failure {
        return format!("failed: {failure}");
    }
    let Some(last) = &tracked.last else { return "starting".into() };
    let Numbers { admitted, done, skipped, retried, parked, dead, running, unsettled, lag } = Numbers::of(last);
    let mut text = format!(
        "{admitted} in · {done} done · {skipped} skipped · {retried} retried · {parked} parked · {dead} dead · \
         {running} running · {unsettled} in flight · {lag} behind"
    );
    if last.counts.bytes > 0 {
        text.push_str(&format!(" · {:.1} MB/s", tracked.megabytes_per_second()));
    }
    if let Some(trouble) = trouble(last) {
        text.push_str(&format!(" · {trouble}"));
    }
    text
}

fn trouble(snapshot: &Snapshot) -> Option<String> {
    match &snapshot.state {
        State::Starting => Some("waits for its partitions".into()),
        State::Running => None,
        State::Held { reason } => Some(format!("held: {reason}")),
        State::Blocked { reason } => Some(format!("waits: {reason}")),
        State::Paused => Some("paused".into()),
        State::Draining => Some("drains".into()),
    }
}

/// What a pipeline is doing, in a word, and why it does not get on.
fn state(state: &State) -> (&'static str, Option<&str>) {
    match state {
        State::Starting => ("starting", None),
        State::Running => ("running", None),
        State::Held { reason } => ("held", Some(reason)),
        State::Blocked { reason } => ("blocked", Some(reason)),
        State::Paused => ("paused", None),
        State::Draining => ("draining", None),
    }
}

#[cfg(test)]
#[path = "progress_tests.rs"]
mod tests;
