//! The plain clients that the host is held against, as a process: what a good engineer writes with `rdkafka`, at least
//! once, and with nothing else around it. It goes on until its input ends.

use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin};
use tokio::sync::watch;

use super::super::{PLAIN, own};
use super::{idle, pass, wait};

/// How long it may take to end.
const PATIENCE: Duration = Duration::from_secs(60);

/// Where a client reads and writes.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize, Serialize)]
pub(crate) struct Link {
    /// The brokers, as librdkafka reads them.
    pub(crate) brokers: String,
    /// The consumer group.
    pub(crate) group: String,
    /// The topic that is read.
    pub(crate) from: String,
    /// The topic that is written.
    pub(crate) to: String,
}

/// What becomes of a payload on its way.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize, Serialize)]
pub(crate) enum Change {
    /// It is parsed, gets a field more and is written anew.
    Enrich,
    /// It stays as it came.
    Nothing,
}

/// Which messages run beside each other.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize, Serialize)]
pub(crate) enum Lanes {
    /// All, so many at once.
    Together(usize),
    /// Those of one key run one after another.
    ByKey,
    /// None.
    One,
}

/// Topics each of which has a member of a group and a client that reads it; what comes is handed on.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize, Serialize)]
pub(crate) struct Idlers {
    /// The brokers, as librdkafka reads them.
    pub(crate) brokers: String,
    /// The topics that are read.
    pub(crate) topics: Vec<String>,
    /// The topic that is written.
    pub(crate) to: String,
}

/// What the process does; it reads it as a line of JSON.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize, Serialize)]
pub(crate) enum Task {
    /// Hands every message on.
    Pass(Link, Change),
    /// Waits for as long as each message says.
    Wait(Link, Lanes),
    /// Has nothing to do, but for a message now and then.
    Idle(Idlers),
}

/// A running process; dropped, it is killed.
#[derive(Debug)]
pub(crate) struct Plain {
    child: Child,
    input: ChildStdin,
}

impl Plain {
    /// Starts it.
    pub(crate) async fn start(task: &Task) -> anyhow::Result<Self> {
        let mut child = own(PLAIN)?.stdin(Stdio::piped()).spawn().context("cannot start the plain client")?;
        let mut input = child.stdin.take().context("the plain client has no input")?;
        let mut line = serde_json::to_vec(task)?;
        line.push(b'\n');
        input.write_all(&line).await.context("the plain client does not read what to do")?;
        Ok(Self { child, input })
    }

    /// The number of its process.
    pub(super) fn process(&self) -> anyhow::Result<u32> {
        self.child.id().context("the plain client has ended already")
    }

    /// Fails when it has ended.
    pub(super) fn lives(&mut self) -> anyhow::Result<()> {
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => bail!("the plain client ended with {status}"),
        }
    }

    /// Ends its input, and waits until it has committed what it did.
    pub(super) async fn stop(self) -> anyhow::Result<()> {
        let Self { mut child, input } = self;
        drop(input);
        let ended = tokio::time::timeout(PATIENCE, child.wait()).await.context("the plain client does not end")??;
        ensure!(ended.success(), "the plain client ended with {ended}");
        Ok(())
    }
}

/// What the process does.
pub(crate) async fn obey() -> anyhow::Result<()> {
    let mut input = BufReader::new(tokio::io::stdin());
    let mut line = String::new();
    input.read_line(&mut line).await.context("cannot read what to do")?;
    let task: Task = serde_json::from_str(&line).context("cannot read what to do")?;
    let (end, ended) = watch::channel(false);
    tokio::spawn(async move {
        // Whether it ends well or not, nobody is there any more.
        let _ = input.read_to_end(&mut Vec::new()).await;
        end.send_replace(true);
    });
    match task {
        Task::Pass(link, change) => tokio::task::spawn_blocking(move || pass::run(&link, change, &ended)).await?,
        Task::Wait(link, lanes) => wait::run(&link, lanes, ended).await,
        Task::Idle(idlers) => idle::run(&idlers, ended).await,
    }
}
