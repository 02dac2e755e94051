//! A host that runs, is signalled and is killed. What it logs is kept, to be waited for and to be read.

use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, bail};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, BufReader};
use tokio::process::{Child, ChildStdout};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::lockgate::{Answer, Lockgate};

/// How long anything may take before a test gives up. No test passes by waiting it out.
const PATIENCE: Duration = Duration::from_secs(120);

/// A running host; dropped, it is killed.
pub struct Host {
    child: Child,
    output: ChildStdout,
    log: watch::Receiver<String>,
    reader: JoinHandle<()>,
}

/// What a process can be told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Signal {
    /// As service managers stop a service.
    Terminate,
    /// As Ctrl-C does.
    Interrupt,
    /// Lets it stand still, as SIGSTOP does.
    Pause,
    /// Lets it go on that stands still.
    Resume,
}

impl Host {
    /// Starts `lockgate run` with more arguments.
    pub fn start(lockgate: &Lockgate, arguments: &[&str]) -> anyhow::Result<Self> {
        let arguments = ["run", "--format", "json", "--log", "json"].iter().chain(arguments);
        let mut command = lockgate.command(arguments);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().context("cannot start the host")?;
        let output = child.stdout.take().context("no standard output")?;
        let (reader, log) = keep(child.stderr.take().context("no standard error")?);
        Ok(Self { child, output, log, reader })
    }

    /// Waits until the log contains a text, and fails when the host ends without it.
    pub async fn until_logged(&mut self, text: &str) -> anyhow::Result<()> {
        let logged = tokio::time::timeout(PATIENCE, self.log.wait_for(|log| log.contains(text)));
        if !matches!(logged.await, Ok(Ok(_))) {
            bail!("the host did not log {text:?}, but:\n{}", self.log());
        }
        Ok(())
    }

    /// Waits for what the host brings about, and fails when it ends before or takes too long.
    pub async fn until<T>(&mut self, done: impl Future<Output = T>) -> anyhow::Result<T> {
        let ended = tokio::select! {
            biased;
            done = done => return Ok(done),
            ended = self.child.wait() => ended.context("cannot tell whether the host runs")?.to_string(),
            () = tokio::time::sleep(PATIENCE) => "it still runs".to_owned(),
        };
        bail!("what was waited for did not happen; of the host: {ended}\n{}", self.log())
    }

    /// What it has logged so far.
    pub fn log(&self) -> String {
        self.log.borrow().clone()
    }

    /// The number of its process, until it has ended.
    pub fn process(&self) -> Option<u32> {
        self.child.id()
    }

    /// How it ended, once it has: its exit code, or none where a signal ended it.
    pub fn code(&mut self) -> anyhow::Result<Option<Option<i32>>> {
        let status = self.child.try_wait().context("cannot tell whether the host runs")?;
        Ok(status.map(|status| status.code()))
    }

    /// Sends it a signal.
    pub async fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        let flag = match signal {
            Signal::Terminate => "-TERM",
            Signal::Interrupt => "-INT",
            Signal::Pause => "-STOP",
            Signal::Resume => "-CONT",
        };
        super::signal(self.child.id().context("the host has ended already")?, flag).await
    }

    /// Kills it, as `kill -9` does, and waits until it is gone.
    pub async fn kill(mut self) -> anyhow::Result<Answer> {
        self.child.start_kill().context("cannot kill the host")?;
        self.end().await
    }

    /// Waits for its end.
    pub async fn end(mut self) -> anyhow::Result<Answer> {
        let ended = tokio::time::timeout(PATIENCE, async {
            let mut output = String::new();
            self.output.read_to_string(&mut output).await?;
            anyhow::Ok((self.child.wait().await?, output))
        });
        let Ok(ended) = ended.await else { bail!("the host does not end:\n{}", self.log()) };
        let (status, output) = ended?;
        self.reader.await.context("the host's log was not read")?;
        Ok(Answer { code: status.code(), output, errors: self.log.borrow().clone() })
    }
}

/// Reads a log to its end, and shows what came so far.
fn keep(log: impl AsyncRead + Unpin + Send + 'static) -> (JoinHandle<()>, watch::Receiver<String>) {
    let (sender, receiver) = watch::channel(String::new());
    let reader = tokio::spawn(async move {
        let mut lines = BufReader::new(log).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            sender.send_modify(|log| {
                log.push_str(&line);
                log.push('\n');
            });
        }
    });
    (reader, receiver)
}
