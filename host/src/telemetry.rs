//! Logs: text for people, JSON for machines, on standard error, so that standard output stays the command's answer. So
//! are panics. No filter lets a library tell at `trace`, where some tell what they send, and what any line tells has
//! passed [`without_queries`].
//!
//! [`without_queries`]: crate::model::without_queries

use std::io::{self, IsTerminal, Write};

use indicatif::MultiProgress;
use tracing::{Dispatch, Level, Metadata};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format::JsonFields;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

mod clean;
mod flat;
pub mod metrics;
mod panics;

use clean::Clean;
use flat::Flat;

/// The variable that says what is logged, such as `lockgate=debug` or `warn,lockgate::flow=trace`.
pub const FILTER_VARIABLE: &str = "LOCKGATE_LOG";
/// What is logged where the variable is not set.
const DEFAULT_FILTER: &str = "warn,lockgate=info";
/// Who may tell everything. Others stop short of `trace`: there, HTTP libraries tell what they send, credentials and
/// presigned queries with it.
const OWN: &str = "lockgate";

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

/// Sets up logs and the words of panics for this process. Lines are written above `progress` while it is shown, so that
/// a live display stays whole.
pub fn init(format: LogFormat, progress: &MultiProgress) -> Result<(), SetupError> {
    let filter = std::env::var(FILTER_VARIABLE).unwrap_or_else(|_| DEFAULT_FILTER.to_owned());
    let filter = EnvFilter::try_new(filter).map_err(|error| SetupError::Filter(error.to_string()))?;
    let logs = logs(format, filter, io::stderr().is_terminal(), Above(progress.clone()));
    logs.try_init().map_err(|_| SetupError::Twice)?;
    panics::tell(format);
    Ok(())
}

/// What takes log lines and writes them.
fn logs<W>(format: LogFormat, filter: EnvFilter, ansi: bool, writer: W) -> Dispatch
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    // It would tell of lines that cannot be written on standard error, and panic when that cannot be written either.
    let logs = tracing_subscriber::fmt().with_env_filter(filter).log_internal_errors(false);
    // Not a directive of the filter: a longer one that was asked for would win over it.
    let bound = filter_fn(may_be_told);
    match format {
        LogFormat::Text => logs.with_ansi(ansi).compact().with_writer(Clean(writer)).finish().with(bound).into(),
        LogFormat::Json => {
            logs.fmt_fields(JsonFields::new()).event_format(Flat).with_writer(writer).finish().with(bound).into()
        }
    }
}

fn may_be_told(about: &Metadata<'_>) -> bool {
    let is_own = about.target().strip_prefix(OWN).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"));
    is_own || *about.level() < Level::TRACE
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
    use std::sync::{Arc, Mutex};

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

    /// What is written while somebody logs.
    fn written(format: LogFormat, asked: &str, work: impl FnOnce()) -> String {
        let lines = Lines::default();
        let writer = lines.clone();
        let logs = logs(format, EnvFilter::new(asked), false, move || writer.clone());
        // With only one dispatcher, `tracing` lets any thread decide for all whether an event is wanted.
        let _second = Dispatch::new(tracing::subscriber::NoSubscriber::new());
        tracing::dispatcher::with_default(&logs, work);
        String::from_utf8(lines.0.lock().unwrap().clone()).unwrap()
    }

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn no_filter_lets_a_library_tell_what_it_sends() {
        for asked in ["trace", "hyper::proto::h1::role=trace", "[request]=trace", "hyper=trace,lockgate=trace"] {
            for format in [LogFormat::Text, LogFormat::Json] {
                let written = written(format, asked, || {
                    tracing::trace!(target: "hyper::proto::h1::role", "SENTINEL");
                    let span = tracing::trace_span!(target: "h2", "request", uri = "SENTINEL");
                    span.in_scope(|| tracing::debug!(target: "hyper::proto::h1::role", "a library"));
                    tracing::trace!(target: "lockgatekeeper", "SENTINEL");
                    tracing::trace!("of our own");
                });
                assert!(!written.contains("SENTINEL"), "{asked}: {written}");
                assert_eq!(written.contains("a library"), !asked.starts_with('['), "{asked}: {written}");
                assert_eq!(written.contains("of our own"), asked.contains("lockgate") || asked == "trace", "{asked}");
            }
        }
    }

    #[test]
    fn no_line_tells_a_query_whoever_wrote_it() {
        for format in [LogFormat::Text, LogFormat::Json] {
            let written = written(format, "debug", || {
                let span = tracing::info_span!("call", url = "https://h/a?sig=SENTINEL", debug = ?"Bearer SENTINEL7");
                let asked = "https://me:SENTINEL@h/b?sig=SENTINEL";
                span.in_scope(|| tracing::info!(target: "reqwest", asked, "GET \"{asked}\" token=SENTINEL failed"));
            });
            assert!(!written.contains("SENTINEL"), "{written}");
            assert!(written.contains("https://h/a?…") && written.contains(" failed"), "{written}");
            if format == LogFormat::Json {
                serde_json::from_str::<serde_json::Value>(&written).unwrap();
            }
        }
    }

    #[test]
    fn what_is_no_filter_is_refused() {
        assert!(EnvFilter::try_new("=,=").is_err());
    }
}
