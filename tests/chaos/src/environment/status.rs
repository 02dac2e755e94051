//! What a running host says of itself, as an operator reads it: `lockgate status`.

use std::time::Duration;

use anyhow::{Context, bail};
use e2e::support::lockgate::{Lockgate, lines};
use serde_json::Value;
use tokio::time::Instant;

/// What lets a host be asked, as YAML of a spec.
pub const LISTENS: &str = "admin: { listen: \"127.0.0.1:0\" }\n";
/// How often it is asked.
const LOOK: Duration = Duration::from_millis(100);

/// One partition in the status of a pipeline: how it is, and what holds it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Line {
    /// What the pipeline does.
    pub state: String,
    /// Why it does nothing else, where it says so.
    pub reason: String,
    /// What its oldest message waits for.
    pub oldest: String,
}

/// Where a host can be asked, by its log so far.
pub fn address(log: &str) -> Option<String> {
    let line = log.lines().find(|line| line.contains("admin listens"))?;
    Some(serde_json::from_str::<Value>(line).ok()?.get("address")?.as_str()?.to_owned())
}

/// The lines of one pipeline.
pub async fn lines_of(lockgate: &Lockgate, address: &str, pipeline: &str) -> anyhow::Result<Vec<Line>> {
    let output = lockgate.output(&["status", "--json", "--admin", address]).await?;
    let rows: Vec<Value> = lines(&output)?;
    let text = |value: Option<&Value>| value.and_then(Value::as_str).unwrap_or_default().to_owned();
    let rows = rows.into_iter().filter(|row| text(row.get("pipeline")) == pipeline);
    let line = |row: Value| {
        let (state, reason) = (text(row.get("state")), text(row.get("reason")));
        Line { state, reason, oldest: text(row.pointer("/oldest/text")) }
    };
    Ok(rows.map(line).collect())
}

/// Waits until a pipeline says that it waits, in one of these states and with a reason that contains this text.
pub async fn until_waiting(
    lockgate: &Lockgate,
    address: &str,
    pipeline: &str,
    states: &[&str],
    reason: &str,
    patience: Duration,
) -> anyhow::Result<Line> {
    let until = Instant::now() + patience;
    loop {
        let lines = lines_of(lockgate, address, pipeline).await.context("the host cannot be asked")?;
        let mut waiting = lines.iter().filter(|line| states.contains(&&*line.state) && line.reason.contains(reason));
        if let Some(line) = waiting.next() {
            return Ok(line.clone());
        }
        if Instant::now() > until {
            bail!(
                "pipeline {pipeline} does not say within {patience:?} that it waits because of `{reason}`: {lines:?}"
            );
        }
        tokio::time::sleep(LOOK).await;
    }
}
