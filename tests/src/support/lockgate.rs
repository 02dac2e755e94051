//! Commands of the host, and what they answer. Always the real program, in a process of its own.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;

/// How long a command may take before a test gives up, and says what it waited for. No test passes by waiting it out.
const LONGEST: Duration = Duration::from_secs(300);

/// The program, with a spec.
#[derive(Clone, Debug)]
pub struct Lockgate {
    /// The program.
    pub program: PathBuf,
    /// Where it works: what is relative in the spec is below it.
    pub folder: PathBuf,
    /// The files of the spec.
    pub specs: Vec<PathBuf>,
    /// Single values of the spec, as `path=value`.
    pub sets: Vec<String>,
    /// Variables that it sees besides ours.
    pub environment: BTreeMap<String, String>,
}

/// What a command answered.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Answer {
    /// The exit code; `None` where a signal ended it.
    pub code: Option<i32>,
    /// Standard output.
    pub output: String,
    /// Standard error: logs, and what went wrong.
    pub errors: String,
}

/// A message to send.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Outgoing {
    /// The key.
    pub key: String,
    /// Headers by name.
    pub headers: BTreeMap<String, String>,
    /// The body.
    pub payload: Value,
}

/// A message of a topic, as `tail --json` shows it.
#[derive(Clone, PartialEq, Debug, Deserialize)]
pub struct Seen {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: u32,
    /// The offset.
    pub offset: i64,
    /// The message's id.
    pub id: String,
    /// The key, if there is one and it is text.
    pub key: Option<String>,
    /// Headers by name.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// The body, where it is JSON or at least text.
    #[serde(default, alias = "payload_text")]
    pub payload: Value,
}

/// What became of messages, as `run --until-idle=parked --format json` says at its end.
#[derive(Clone, PartialEq, Debug, Deserialize, Serialize)]
pub struct Summary {
    /// One a pipeline.
    pub pipelines: Vec<Pipeline>,
}

/// What became of one pipeline's messages.
#[derive(Clone, PartialEq, Debug, Deserialize, Serialize)]
pub struct Pipeline {
    /// Its name.
    pub name: String,
    /// Why it ended, if it failed.
    #[serde(default)]
    pub failure: Option<String>,
    /// Admitted.
    #[serde(rename = "in")]
    pub admitted: u64,
    /// Processed.
    pub done: u64,
    /// Dropped on purpose, by reason.
    pub skipped: BTreeMap<String, u64>,
    /// Tries that were repeated.
    pub retried: u64,
    /// Messages put away for a later round.
    #[serde(default)]
    pub parked: u64,
    /// Dead letters, by code.
    pub dead: BTreeMap<String, u64>,
    /// Bytes moved between origins and stores.
    pub bytes: u64,
    /// How long it worked.
    pub seconds: f64,
    /// Its partitions.
    pub partitions: Vec<Partition>,
}

/// Where a pipeline stands in one partition.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize, Serialize)]
pub struct Partition {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: u32,
    /// The last offset such that it and all before it are settled.
    pub base: Option<i64>,
    /// Messages above the base that are not settled.
    #[serde(default)]
    pub unsettled_above: u64,
    /// Messages not read yet.
    pub lag: Option<u64>,
}

impl Pipeline {
    /// Dropped on purpose, in all.
    pub fn skipped(&self) -> u64 {
        self.skipped.values().sum()
    }

    /// Dead letters, in all.
    pub fn dead(&self) -> u64 {
        self.dead.values().sum()
    }

    /// Bytes moved a second, in 10^6.
    pub fn megabytes_per_second(&self) -> f64 {
        self.bytes as f64 / 1e6 / self.seconds.max(0.001)
    }
}

impl Lockgate {
    /// The program with one spec, working in a folder.
    pub fn new(program: PathBuf, folder: &Path, specs: &[PathBuf]) -> Self {
        let (folder, specs) = (folder.to_owned(), specs.to_vec());
        Self { program, folder, specs, sets: Vec::new(), environment: BTreeMap::new() }
    }

    /// The command with these arguments, on the spec.
    pub fn command<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Command {
        let mut command = Command::new(&self.program);
        command.args(arguments).args(self.on_spec());
        command.current_dir(&self.folder).envs(&self.environment).stdin(Stdio::null());
        command
    }

    /// The arguments that name the spec.
    pub fn on_spec(&self) -> Vec<String> {
        let files = self.specs.iter().map(|file| ("-f", file.display().to_string()));
        let sets = self.sets.iter().map(|set| ("--set", set.clone()));
        files.chain(sets).flat_map(|(flag, value)| [flag.to_owned(), value]).collect()
    }

    /// Runs a command to its end. One that does not end is killed, and what it said until then is the error.
    pub async fn answer(&self, arguments: &[&str]) -> anyhow::Result<Answer> {
        let mut command = self.command(arguments);
        let command = command.stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().with_context(|| format!("cannot start {}", self.program.display()))?;
        let mut stdout = child.stdout.take().context("no standard output")?;
        let mut stderr = child.stderr.take().context("no standard error")?;
        let (mut output, mut errors) = (Vec::new(), Vec::new());
        let ended = tokio::time::timeout(LONGEST, async {
            tokio::try_join!(stdout.read_to_end(&mut output), stderr.read_to_end(&mut errors))?;
            child.wait().await
        });
        let ended = ended.await;
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        let (output, errors) = (text(output), text(errors));
        let Ok(status) = ended else {
            bail!("`lockgate {}` does not end:\n{errors}{output}", arguments.join(" "));
        };
        Ok(Answer { code: status?.code(), output, errors })
    }

    /// Runs a command that has to succeed, and gives its output.
    pub async fn output(&self, arguments: &[&str]) -> anyhow::Result<String> {
        let Answer { code, output, errors } = self.answer(arguments).await?;
        if code != Some(0) {
            bail!("`lockgate {}` ended with {code:?}:\n{errors}{output}", arguments.join(" "));
        }
        Ok(output)
    }

    /// Writes messages to a topic.
    pub async fn send(&self, topic: &str, messages: &[Outgoing]) -> anyhow::Result<()> {
        self.send_records(topic, messages).await
    }

    /// Writes records to a topic, each in any form that the program reads.
    pub async fn send_records<T: Serialize>(&self, topic: &str, records: &[T]) -> anyhow::Result<()> {
        let mut command = self.command(["send", topic, "--records"]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        let mut input = child.stdin.take().context("no standard input")?;
        let mut lines = Vec::new();
        for record in records {
            serde_json::to_writer(&mut lines, record)?;
            lines.push(b'\n');
        }
        // Where it stops reading, its exit code says more than our broken pipe.
        let _ = input.write_all(&lines).await;
        drop(input);
        let output = child.wait_with_output().await?;
        let errors = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "cannot send to {topic}: {}\n{errors}", output.status);
        Ok(())
    }

    /// All messages of a topic.
    pub async fn tail(&self, topic: &str) -> anyhow::Result<Vec<Seen>> {
        lines(&self.output(&["tail", topic, "--from", "earliest", "--json"]).await?)
    }

    /// The first `count` messages of a topic; waits until they are there.
    pub async fn first(&self, topic: &str, count: usize) -> anyhow::Result<Vec<Seen>> {
        let count = count.to_string();
        lines(&self.output(&["tail", topic, "--from", "earliest", "--json", "--follow", "-n", &count]).await?)
    }

    /// Runs the pipelines until nothing is left to do, now or later.
    pub async fn run_until_idle(&self) -> anyhow::Result<Summary> {
        let output = self.output(&["run", "--until-idle=parked", "--format", "json", "--log", "json"]).await?;
        summary(&output)
    }
}

/// Reads what a run says at its end.
pub fn summary(output: &str) -> anyhow::Result<Summary> {
    serde_json::from_str(output).with_context(|| format!("no summary of a run: {output:?}"))
}

/// Reads JSON values, one a line.
pub fn lines<T: DeserializeOwned>(output: &str) -> anyhow::Result<Vec<T>> {
    let line = |line: &str| serde_json::from_str(line).with_context(|| format!("not what was asked for: {line}"));
    output.lines().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_is_read_as_the_host_writes_it() {
        let output = r#"{"pipelines":[{"name":"p","in":3,"done":1,"skipped":{"old":1},"retried":2,"dead":{"retry":1},
            "bytes":4000000,"seconds":2.0,"megabytes_per_second":2.0,"partitions":[
            {"topic":"t","partition":0,"base":null,"settled_above":0,"unsettled_above":0,"lag":null}]}]}"#;
        let summary = summary(output).unwrap();
        let pipeline = &summary.pipelines[0];
        assert_eq!((pipeline.admitted, pipeline.skipped(), pipeline.dead()), (3, 1, 1));
        assert_eq!(pipeline.megabytes_per_second(), 2.0);
        assert_eq!(pipeline.partitions[0].base, None);
    }

    #[test]
    fn a_message_is_read_as_tail_shows_it() {
        let output = r#"{"topic":"t","partition":1,"offset":7,"timestamp":"2026-03-02T14:05:11Z","id":"m","key":"k",
            "headers":{"lockgate-code":"gone"},"payload":{"a":1}}"#;
        let seen: Vec<Seen> = lines(&output.replace('\n', "")).unwrap();
        assert_eq!((seen[0].offset, seen[0].key.as_deref()), (7, Some("k")));
        assert_eq!((&seen[0].payload["a"], seen[0].headers["lockgate-code"].as_str()), (&Value::from(1), "gone"));
    }

    #[test]
    fn the_spec_follows_the_command() {
        let mut lockgate = Lockgate::new("lockgate".into(), Path::new("/"), &["a.yaml".into(), "b.yaml".into()]);
        lockgate.sets.push("x.y=1".into());
        assert_eq!(lockgate.on_spec(), ["-f", "a.yaml", "-f", "b.yaml", "--set", "x.y=1"]);
    }
}
