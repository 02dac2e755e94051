//! The benchmark: a table of what Lockgate costs, each figure beside that of the plain code that does the same, in the
//! same run, in turn. `cargo xtask bench` builds what it needs and runs it.
//!
//! | module | is for |
//! |---|---|
//! | `rows` | what is measured, by name |
//! | `rounds` | runs that take turns; medians |
//! | `subject` | messages, plugins, pipelines |
//! | `program` | the real program, and what it is held against: hosts, topics, a Kafka broker, the origin of files, the plain loops |
//! | `cost`, `process` | time, CPU and memory, of this process and of others |
//! | `figure`, `table` | numbers with units; how they stand to their bars |
//! | `machine` | what it ran on |

mod cost;
mod figure;
mod machine;
mod process;
mod program;
mod rounds;
mod rows;
mod subject;
mod table;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use indicatif::{MultiProgress, ProgressDrawTarget};
use lockgate::telemetry::{self, LogFormat};

use rows::Row;

/// Measures what Lockgate costs, beside the plain code that does the same.
#[derive(Parser)]
#[command(name = "bench")]
struct Cli {
    /// The rows to measure; all where none is named.
    rows: Vec<String>,
    /// How often each is run, in turn with what it is compared with; the median counts.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..))]
    runs: u16,
    /// Name the rows, and measure nothing.
    #[arg(long)]
    list: bool,
    /// Write the table in Markdown.
    #[arg(long)]
    markdown: bool,
    /// The component of `bench/guest`.
    #[arg(long, value_name = "FILE")]
    enrich: PathBuf,
    /// The program `lockgate`, built for release.
    #[arg(long, value_name = "FILE")]
    lockgate: PathBuf,
    /// The component of the plugin `download`.
    #[arg(long, value_name = "FILE")]
    download: PathBuf,
    /// The component of the plugin `upload`.
    #[arg(long, value_name = "FILE")]
    upload: PathBuf,
    /// The component of `bench/events`.
    #[arg(long, value_name = "FILE")]
    events: PathBuf,
    /// The program of the Event Hubs emulator, for rows on it.
    #[arg(long, value_name = "FILE")]
    event_hubs_emulator: Option<PathBuf>,
    /// The program of `bench/event-hubs-peer`, for the same rows.
    #[arg(long, value_name = "FILE")]
    event_hubs_peer: Option<PathBuf>,
}

/// What rows measure with.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    /// How often each subject is run.
    pub(crate) runs: usize,
    /// The component of `bench/guest`.
    pub(crate) enrich: PathBuf,
    /// The program `lockgate`.
    pub(crate) lockgate: PathBuf,
    /// The component of the plugin `download`.
    pub(crate) download: PathBuf,
    /// The component of the plugin `upload`.
    pub(crate) upload: PathBuf,
    /// The component of `bench/events`.
    pub(crate) events: PathBuf,
    /// The Event Hubs emulator, for rows on it.
    pub(crate) event_hubs_emulator: Option<PathBuf>,
    /// The official client of Event Hubs, for the same rows.
    pub(crate) event_hubs_peer: Option<PathBuf>,
}

fn main() -> ExitCode {
    match program::part().unwrap_or_else(|| Cli::parse().run()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

impl Cli {
    fn run(self) -> anyhow::Result<()> {
        if self.list {
            rows::ROWS.iter().for_each(|row| println!("{:<13} {}", row.name, row.about));
            return Ok(());
        }
        let rows = rows::chosen(&self.rows)?;
        // As the host does it, for log lines and what stands on them take their time too.
        telemetry::init(LogFormat::Text, &MultiProgress::with_draw_target(ProgressDrawTarget::hidden()))?;
        let Self { runs, markdown, enrich, lockgate, download, upload, events, .. } = self;
        let (event_hubs_emulator, event_hubs_peer) = (self.event_hubs_emulator, self.event_hubs_peer);
        let runs_each = runs.into();
        let setup =
            Setup { runs: runs_each, enrich, lockgate, download, upload, events, event_hubs_emulator, event_hubs_peer };
        let machine = machine::told()?;
        let mut lines = Vec::new();
        for Row { name, run, .. } in rows {
            eprintln!("measuring {name} …");
            lines.extend(run(&setup).with_context(|| format!("row `{name}`"))?);
        }
        let table = if markdown { table::markdown(&lines) } else { table::plain(&lines) };
        println!("{machine}; the median of {runs} runs\n\n{table}");
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
