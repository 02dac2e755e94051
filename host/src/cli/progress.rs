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
            let text = text(tracked);
            if log {
                info!(pipeline, "{text}");
            }
            line.set_message(text);
            line.tick();
        }
    }

    /// Takes the display away.
    pub(super) fn end(self) {
        self.lines.iter().for_each(ProgressBar::finish_and_clear);
    }
}

fn text(tracked: &Tracked) -> String {
    if let Some(failure) = &tracked.failure {
        return format!("failed: {failure}");
    }
    let Some(last) = &tracked.last else { return "starting".into() };
    let counts = &last.counts;
    let (skipped, dead): (u64, u64) = (counts.skipped.values().sum(), counts.dead.values().sum());
    let unsettled: usize = last.partitions.iter().map(|partition| partition.unsettled).sum();
    let lag: u64 = last.partitions.iter().filter_map(|partition| partition.lag).sum();
    let mut text = format!(
        "{} in · {} done · {skipped} skipped · {} retried · {} parked · {dead} dead · {} running · {unsettled} in flight · {lag} behind",
        counts.admitted, counts.done, counts.retried, counts.parked, last.running
    );
    if counts.bytes > 0 {
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
