//! The command line: one file a command. Answers go to standard output, logs and progress to standard error.
//!
//! | exit code | means |
//! |---|---|
//! | 0 | done |
//! | 1 | something failed while running: a pipeline, a topic, a file, a connection |
//! | 2 | the command line or the spec is wrong; nothing was started |
//! | 130 | ended by a second signal |

// These panic once nobody reads; `answer` and `tell` do not.
#![deny(clippy::print_stderr, clippy::print_stdout)]

use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand, ValueEnum};
use indicatif::{MultiProgress, ProgressDrawTarget};

use crate::assemble::Surroundings;
use crate::spec::{Colour, Diagnostics};
use crate::telemetry::{self, LogFormat};
use crate::transport::{self, TransportError};

mod check;
mod checkpoint;
mod dead;
mod explain;
mod host;
#[cfg(feature = "testing")]
pub mod lines;
mod pause;
mod place;
mod plugin;
mod progress;
mod reading;
mod record;
mod run;
mod schema;
mod send;
mod signals;
mod status;
mod summary;
mod table;
mod tail;
mod top;
mod topics;

/// A host for event pipelines that are declared in YAML and whose worker logic ships as WASM components.
#[derive(Parser, Debug)]
#[command(name = "lockgate", version, max_term_width = 120, after_help = AFTER_HELP)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    /// How log lines on standard error look. What is logged is said by LOCKGATE_LOG, such as `info,lockgate=debug`.
    #[arg(long, global = true, value_enum, default_value_t, value_name = "FORMAT")]
    log: LogFormat,
}

/// How long groups may take to hear that this host leaves them.
const LEAVE: Duration = Duration::from_secs(5);

const AFTER_HELP: &str = "Example:\n  lockgate check && lockgate run\n\nExit codes:\n  0    done\n  1    something failed while running\n  2    the command line or the spec is wrong; nothing was started\n  130  ended by a second signal";

#[derive(Subcommand, Debug)]
enum Command {
    /// Run the pipelines of a spec.
    Run(run::Run),
    /// Check a spec and say everything that is wrong with it; opens no connection.
    Check(check::Check),
    /// Explain a code that `check`, `dead list`, `status` or the log names.
    Explain(explain::Explain),
    /// Print the JSON Schema of the spec, for editors.
    Schema(schema::Schema),
    /// Write messages to a topic.
    Send(send::Send),
    /// Show messages of a topic.
    Tail(tail::Tail),
    /// List topics and their partitions.
    Topics(topics::Topics),
    /// Show, per pipeline and partition, what is settled, what is not, and what it waits for.
    Status(status::Status),
    /// Watch the pipelines of the running host.
    Top(top::Top),
    /// Let a pipeline of the running host start nothing more.
    Pause(pause::Pause),
    /// Let a paused pipeline go on.
    Resume(pause::Resume),
    /// Look at stored checkpoints.
    Checkpoint(checkpoint::Checkpoint),
    /// Look at dead letters, and redrive them.
    Dead(dead::Dead),
    /// Look at plugins.
    Plugin(plugin::Plugin),
}

/// How a command prints its answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, ValueEnum)]
enum Format {
    /// For people.
    #[default]
    Text,
    /// For machines.
    Json,
}

/// Why a command failed; decides the exit code.
enum Failure {
    /// The spec is wrong.
    Spec(Diagnostics),
    /// The command line is wrong.
    Usage(String),
    /// Something failed while running.
    Runtime(anyhow::Error),
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::Runtime(error)
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::Runtime(error.into())
    }
}

impl From<TransportError> for Failure {
    fn from(error: TransportError) -> Self {
        Self::Runtime(error.into())
    }
}

impl From<serde_json::Error> for Failure {
    fn from(error: serde_json::Error) -> Self {
        Self::Runtime(error.into())
    }
}

impl From<Diagnostics> for Failure {
    fn from(diagnostics: Diagnostics) -> Self {
        Self::Spec(diagnostics)
    }
}

/// What a command ends with.
type Ended = Result<(), Failure>;

/// Reads the command line, does what it says, and gives the exit code.
pub fn main() -> ExitCode {
    enter(Surroundings::default())
}

/// The same, where pipelines run in these surroundings instead of the machine's.
#[cfg(feature = "testing")]
pub fn main_within(surroundings: Surroundings) -> ExitCode {
    enter(surroundings)
}

fn enter(surroundings: Surroundings) -> ExitCode {
    let cli = Cli::parse();
    // Shown while pipelines run; until then log lines go straight to standard error.
    let progress = MultiProgress::with_draw_target(ProgressDrawTarget::hidden());
    let ended = telemetry::init(cli.log, &progress)
        .map_err(|error| Failure::Usage(error.to_string()))
        .and_then(|()| run_to_end(obey(cli.command, &progress, surroundings)));
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => report(&failure),
    }
}

fn run_to_end(command: impl Future<Output = Ended>) -> Ended {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let ended = runtime.block_on(async {
        let ended = command.await;
        // Or others would wait for a whole session for what this host had.
        let _ = tokio::time::timeout(LEAVE, transport::left()).await;
        ended
    });
    // A thread may wait for a line of standard input that never comes: nobody waits for it.
    runtime.shutdown_background();
    ended
}

async fn obey(command: Command, progress: &MultiProgress, surroundings: Surroundings) -> Ended {
    match command {
        Command::Run(run) => run.obey(progress, surroundings).await,
        Command::Check(check) => check.obey().await,
        Command::Explain(explain) => explain.obey(),
        Command::Schema(schema) => schema.obey(),
        Command::Send(send) => send.obey().await,
        Command::Tail(tail) => tail.obey().await,
        Command::Topics(topics) => topics.obey().await,
        Command::Status(status) => status.obey().await,
        Command::Top(top) => top.obey().await,
        Command::Pause(pause) => pause.obey().await,
        Command::Resume(resume) => resume.obey().await,
        Command::Checkpoint(checkpoint) => checkpoint.obey().await,
        Command::Dead(dead) => dead.obey().await,
        Command::Plugin(plugin) => plugin.obey().await,
    }
}

fn report(failure: &Failure) -> ExitCode {
    match failure {
        Failure::Spec(diagnostics) => {
            tell(format_args!("{}{}", diagnostics.render(colour()), explain::hint(diagnostics)));
            ExitCode::from(2)
        }
        Failure::Usage(reason) => {
            tell(format_args!("error: {reason}\n"));
            ExitCode::from(2)
        }
        // Who reads our output went away, as `head` does: not worth a word.
        Failure::Runtime(error) if is_broken_pipe(error) => ExitCode::SUCCESS,
        Failure::Runtime(error) => {
            tell(format_args!("error: {error:#}\n"));
            ExitCode::from(1)
        }
    }
}

fn colour() -> Colour {
    if std::io::stderr().is_terminal() { Colour::Always } else { Colour::Never }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<std::io::Error>().is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
}

/// Prints a line of the answer.
fn answer(line: impl std::fmt::Display) -> Ended {
    Ok(writeln!(std::io::stdout().lock(), "{line}")?)
}

/// Says something beside the answer, on standard error; when nobody reads it, it is lost.
fn tell(text: impl std::fmt::Display) {
    let _ = write!(std::io::stderr().lock(), "{text}");
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_help_has_an_example() {
        fn visit(command: &clap::Command, path: &str) {
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(help.contains(path), "`{path} --help` shows no example");
            for sub in command.get_subcommands().filter(|sub| sub.get_name() != "help") {
                visit(sub, &format!("{path} {}", sub.get_name()));
            }
        }
        visit(&Cli::command(), "lockgate");
    }
}
