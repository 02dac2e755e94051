//! Logs: text for people, JSON for machines, on standard error, so that standard output stays the command's answer.

use std::io::{self, IsTerminal, Write};

use indicatif::MultiProgress;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format::JsonFields;

mod flat;
pub mod metrics;

use flat::Flat;

/// The variable that says what is logged, such as `lockgate=debug` or `warn,lockgate::flow=trace`.
pub const FILTER_VARIABLE: &str = "LOCKGATE_LOG";
/// What is logged where the variable is not set.
const DEFAULT_FILTER: &str = "warn,lockgate=info";
/// Below these levels HTTP libraries log what they send, credentials and presigned queries with it.
const NEVER_BELOW: [&str; 5] = ["h2=debug", "hyper=debug", "hyper_util=debug", "reqwest=debug", "rustls=debug"];

/// How log lines look.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, clap::ValueEnum)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// Why logs cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The variable cannot be read.
    #[error("{FILTER_VARIABLE} is no log filter: {0}; write for instance `info` or `warn,lockgate=debug`")]
    Filter(String),
    /// Somebody set logs up already.
    #[error("logs are set up already")]
    Twice,
}

/// Sets up logs for this process. Lines are written above `progress` while it is shown, so that a live display stays
/// whole.
pub fn init(format: LogFormat, progress: &MultiProgress) -> Result<(), SetupError> {
    let filter = std::env::var(FILTER_VARIABLE).unwrap_or_else(|_| DEFAULT_FILTER.to_owned());
    let filter = safe_filter(&filter)?;
    let logs = tracing_subscriber::fmt().with_env_filter(filter).with_writer(Above(progress.clone()));
    // It would tell of lines that cannot be written on standard error, and panic when that cannot be written either.
    let logs = logs.log_internal_errors(false);
    let set = match format {
        LogFormat::Text => logs.with_ansi(io::stderr().is_terminal()).compact().try_init(),
        LogFormat::Json => logs.fmt_fields(JsonFields::new()).event_format(Flat).try_init(),
    };
    set.map_err(|_| SetupError::Twice)
}

/// What was asked for, but for what would show secrets.
fn safe_filter(asked: &str) -> Result<EnvFilter, SetupError> {
    let refused = |error: tracing_subscriber::filter::ParseError| SetupError::Filter(error.to_string());
    let asked = EnvFilter::try_new(asked).map_err(refused)?;
    let verbose = asked.max_level_hint().is_none_or(|level| level > LevelFilter::DEBUG);
    let floors = NEVER_BELOW.iter().filter(|_| verbose);
    floors.map(|floor| floor.parse().map_err(refused)).try_fold(asked, |filter, floor| Ok(filter.add_directive(floor?)))
}

/// Writes whole lines to standard error, above a live display. A log that nobody reads any more stops no work: what
/// cannot be written is lost.
#[derive(Clone)]
struct Above(MultiProgress);

impl Write for Above {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let _ = if self.0.is_hidden() {
            io::stderr().write_all(line)
        } else {
            // Not `suspend`: that panics when the terminal is gone.
            self.0.println(String::from_utf8_lossy(line))
        };
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Above {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use indicatif::{ProgressBar, ProgressDrawTarget, TermLike};

    use super::*;

    /// A terminal that is gone.
    #[derive(Debug)]
    struct Gone;

    fn gone<T>() -> io::Result<T> {
        Err(io::ErrorKind::BrokenPipe.into())
    }

    impl TermLike for Gone {
        fn width(&self) -> u16 {
            80
        }

        fn move_cursor_up(&self, _: usize) -> io::Result<()> {
            gone()
        }

        fn move_cursor_down(&self, _: usize) -> io::Result<()> {
            gone()
        }

        fn move_cursor_right(&self, _: usize) -> io::Result<()> {
            gone()
        }

        fn move_cursor_left(&self, _: usize) -> io::Result<()> {
            gone()
        }

        fn write_line(&self, _: &str) -> io::Result<()> {
            gone()
        }

        fn write_str(&self, _: &str) -> io::Result<()> {
            gone()
        }

        fn clear_line(&self) -> io::Result<()> {
            gone()
        }

        fn flush(&self) -> io::Result<()> {
            gone()
        }
    }

    #[test]
    fn a_display_on_a_terminal_that_is_gone_stops_no_work() {
        let progress = MultiProgress::with_draw_target(ProgressDrawTarget::term_like(Box::new(Gone)));
        let line = progress.add(ProgressBar::new_spinner());
        line.tick();
        assert_eq!(Above(progress).write(b"a line\n").unwrap(), 7);
        line.finish_and_clear();
    }

    /// What the child of [`a_log_that_nobody_reads_stops_no_work`] does.
    #[test]
    #[ignore = "run by a_log_that_nobody_reads_stops_no_work"]
    fn logs_to_standard_error() {
        init(LogFormat::Text, &MultiProgress::new()).unwrap();
        tracing::error!("a line");
    }

    #[test]
    fn a_log_that_nobody_reads_stops_no_work() {
        let (reader, writer) = io::pipe().unwrap();
        drop(reader);
        let child = ["--exact", "telemetry::tests::logs_to_standard_error", "--ignored", "--nocapture"];
        let child = Command::new(std::env::current_exe().unwrap())
            .args(child)
            .stderr(writer)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success() && String::from_utf8_lossy(&output.stdout).contains("1 passed"), "{output:?}");
    }

    #[test]
    fn no_filter_lets_http_libraries_log_what_they_send() {
        for asked in ["trace", "info,h2=trace", "hyper=trace"] {
            let filter = safe_filter(asked).unwrap().to_string();
            assert!(NEVER_BELOW.iter().all(|floor| filter.contains(floor)), "{asked}: {filter}");
        }
        assert!(!safe_filter("warn,lockgate=debug").unwrap().to_string().contains("h2"), "nothing is raised");
        assert!(matches!(safe_filter("=,="), Err(SetupError::Filter(_))));
    }
}
