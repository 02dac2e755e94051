//! The blob emulator, on a free port of the loopback, with its data in memory.

use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, bail};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

use super::built;

/// How long it may take to start.
const PATIENCE: Duration = Duration::from_secs(60);
/// What it says when it is ready, before its URL.
const READY: &str = "successfully listens on ";
/// The account that it always has.
pub const ACCOUNT: &str = "devstoreaccount1";
/// That account's key, which the emulator publishes.
pub const KEY: &str = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

/// A running emulator; dropped, it is killed.
pub struct Azurite {
    /// Where the account answers.
    pub endpoint: String,
    _child: Child,
    _folder: TempDir,
}

impl Azurite {
    /// Starts it; installs it before, where it is missing.
    pub async fn start() -> anyhow::Result<Self> {
        let script = tokio::task::spawn_blocking(built::azurite).await??;
        let folder = tempfile::tempdir()?;
        let mut command = Command::new("node");
        command.arg(script).args(["--blobHost", "127.0.0.1", "--blobPort", "0"]);
        command.args(["--inMemoryPersistence", "--skipApiVersionCheck", "--disableTelemetry"]);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true).current_dir(folder.path());
        let mut child = command.spawn().context("cannot start node, which runs Azurite")?;
        let mut output = BufReader::new(child.stdout.take().context("no standard output")?).lines();
        let ready = tokio::time::timeout(PATIENCE, url(&mut output)).await.context("Azurite does not start")??;
        // What it prints is read to its end: it would stand still on a full pipe.
        tokio::spawn(async move { while let Ok(Some(_)) = output.next_line().await {} });
        Ok(Self { endpoint: format!("{ready}/{ACCOUNT}"), _child: child, _folder: folder })
    }
}

async fn url(output: &mut Lines<BufReader<ChildStdout>>) -> anyhow::Result<String> {
    while let Some(line) = output.next_line().await? {
        if let Some((_, url)) = line.split_once(READY) {
            return Ok(url.trim().to_owned());
        }
    }
    bail!("Azurite ended before it was ready")
}
