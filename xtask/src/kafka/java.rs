//! Java, and the broker as a process of it that outlives nobody.

use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context;

/// Starts quickly and stays small, which is all that matters here.
const FLAGS: [&str; 6] = [
    "-Xmx256m",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-XX:+ExitOnOutOfMemoryError",
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=info",
    "-Dorg.slf4j.simpleLogger.showDateTime=true",
];
/// How long a broker may take to stop by itself.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often a process is looked at.
pub(super) const LOOK: Duration = Duration::from_millis(50);
/// Ends the process that it is told of, and removes its folder, when its own input ends: with whoever started both,
/// however that ended. A key that interrupts is for the others.
const GUARD: &str = r#"trap '' INT TERM HUP
read -r _
kill -9 "$1"
rm -rf -- "$2" || { sleep 1; rm -rf -- "$2"; }"#;

/// A class of the jars, to be run.
pub(super) fn command(jars: &Path, class: &str) -> Command {
    let mut command = Command::new("java");
    command.args(FLAGS).arg("-cp").arg(jars.join("*")).arg(class).stdin(Stdio::null());
    command
}

/// A broker's process; dropped, it is killed. When this process ends without that, it is killed too.
pub(super) struct Process {
    broker: Child,
    guard: Child,
    log: PathBuf,
    /// Where its part of the log begins.
    begin: usize,
}

impl Process {
    /// Starts the broker that a folder holds, which is removed when this process ends before it.
    pub(super) fn start(jars: &Path, folder: &Path) -> anyhow::Result<Self> {
        let log = folder.join("server.log");
        let output = OpenOptions::new().create(true).append(true).open(&log)?;
        let begin = usize::try_from(output.metadata()?.len())?;
        let mut broker = command(jars, "kafka.Kafka");
        broker.arg(folder.join("server.properties")).stdout(output.try_clone()?).stderr(output).current_dir(folder);
        let mut broker = broker.spawn().context("cannot start java, which runs Kafka")?;
        match guard(&broker, folder) {
            Ok(guard) => Ok(Self { broker, guard, log, begin }),
            Err(error) => {
                end(&mut broker);
                Err(error)
            }
        }
    }

    /// The number of the process.
    pub(super) fn id(&self) -> u32 {
        self.broker.id()
    }

    /// What it has logged.
    pub(super) fn log(&self) -> anyhow::Result<String> {
        let log = fs::read(&self.log).with_context(|| format!("cannot read {}", self.log.display()))?;
        Ok(String::from_utf8_lossy(log.get(self.begin..).unwrap_or_default()).into_owned())
    }

    /// How it ended, if it has.
    pub(super) fn ended(&mut self) -> anyhow::Result<Option<ExitStatus>> {
        Ok(self.broker.try_wait()?)
    }

    /// Tells it to stop, and waits until it has. One that does not is killed.
    pub(super) fn stop(mut self) {
        let told = Command::new("kill").args(["-TERM", &self.id().to_string()]).status();
        let deadline = Instant::now() + PATIENCE;
        while told.is_ok() && matches!(self.ended(), Ok(None)) && Instant::now() < deadline {
            thread::sleep(LOOK);
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // First, for it is not to kill whoever gets the broker's number.
        end(&mut self.guard);
        end(&mut self.broker);
    }
}

fn guard(broker: &Child, folder: &Path) -> anyhow::Result<Child> {
    let mut guard = Command::new("sh");
    guard.args(["-c", GUARD, "guard", &broker.id().to_string()]).arg(folder);
    guard.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    guard.spawn().context("cannot start sh, which ends Kafka with us")
}

fn end(child: &mut Child) {
    // It may have ended by itself.
    let _ = child.kill();
    let _ = child.wait();
}

/// The end of a log, to be shown.
pub(super) fn last_lines(log: &str) -> String {
    let lines: Vec<&str> = log.lines().collect();
    lines.get(lines.len().saturating_sub(20)..).unwrap_or_default().join("\n")
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;

    use super::*;

    #[test]
    fn the_guard_kills_and_clears_away_when_nobody_holds_its_input_any_more() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("data"), "x").unwrap();
        let mut guarded = Command::new("sleep").arg("86400").spawn().unwrap();
        let mut guard = guard(&guarded, folder.path()).unwrap();
        assert_eq!(guarded.try_wait().unwrap(), None);
        drop(guard.stdin.take());
        assert_eq!(guarded.wait().unwrap().signal(), Some(9));
        assert!(guard.wait().unwrap().success());
        assert!(!folder.path().exists());
    }

    #[test]
    fn the_end_of_a_log_is_shown_and_all_of_a_short_one() {
        let log: String = (0..30).map(|line| format!("{line}\n")).collect();
        assert!(last_lines(&log).starts_with("10\n") && last_lines(&log).ends_with("\n29"));
        assert_eq!(last_lines("a\nb\n"), "a\nb");
    }
}
