//! The plain loop that the host is held against: what a good engineer writes in an afternoon to fetch files, with no
//! topic, no sandbox, no retry and no checkpoint. A client, a task a file, so many at once; the body is hashed as it
//! comes and written to a temporary file, which is made durable and then gets its name. A process of its own.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tokio::fs::{self, File};
use tokio::io::{AsyncWriteExt, BufWriter};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::{BARE, own};

/// Bytes gathered before they are written.
const BUFFER: usize = 1 << 20;

/// What the loop is to do; its program reads it as JSON from standard input.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize, Serialize)]
pub(crate) struct Order {
    /// The files.
    pub(crate) urls: Vec<String>,
    /// So many at once.
    pub(crate) concurrency: usize,
    /// Where they go.
    pub(crate) folder: PathBuf,
}

/// What it did; its program prints it as JSON.
#[derive(Clone, PartialEq, Debug, Deserialize, Serialize)]
pub(crate) struct Fetched {
    /// From the first request until the last file had its name, in seconds.
    pub(crate) seconds: f64,
    /// SHA-256 of every file that came, once each, in lower-case hex.
    pub(crate) sha256: Vec<String>,
}

/// Runs the program of the loop.
pub(crate) async fn run(order: &Order) -> anyhow::Result<Fetched> {
    let mut program = own(BARE)?;
    let mut child =
        program.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().context("cannot start the plain loop")?;
    let mut input = child.stdin.take().context("the plain loop has no input")?;
    input.write_all(&serde_json::to_vec(order)?).await.context("the plain loop does not read its order")?;
    drop(input);
    let output = child.wait_with_output().await?;
    ensure!(output.status.success(), "the plain loop failed: {}", output.status);
    serde_json::from_slice(&output.stdout).context("the plain loop did not say what it fetched")
}

/// What the program does.
pub(crate) async fn obey() -> anyhow::Result<()> {
    let order: Order = serde_json::from_reader(std::io::stdin().lock()).context("cannot read the order")?;
    let fetched = fetch(order).await?;
    Ok(serde_json::to_writer(std::io::stdout().lock(), &fetched)?)
}

async fn fetch(order: Order) -> anyhow::Result<Fetched> {
    let client = reqwest::Client::builder().no_proxy().tls_certs_only([]).build()?;
    let places = Arc::new(Semaphore::new(order.concurrency));
    fs::create_dir_all(&order.folder).await?;
    let began = Instant::now();
    let mut fetches = JoinSet::new();
    for (number, url) in order.urls.into_iter().enumerate() {
        let place = places.clone().acquire_owned().await?;
        let (client, target) = (client.clone(), order.folder.join(format!("{number}.pdf")));
        fetches.spawn(async move {
            let fetched = one(&client, &url, &target).await.with_context(|| format!("cannot fetch {url}"));
            drop(place);
            fetched
        });
    }
    let mut sha256 = BTreeSet::new();
    while let Some(fetched) = fetches.join_next().await {
        sha256.insert(fetched??);
    }
    let took: Duration = began.elapsed();
    Ok(Fetched { seconds: took.as_secs_f64(), sha256: sha256.into_iter().collect() })
}

async fn one(client: &reqwest::Client, url: &str, target: &Path) -> anyhow::Result<String> {
    let temporary = target.with_extension("part");
    let mut response = client.get(url).send().await?.error_for_status()?;
    let mut file = BufWriter::with_capacity(BUFFER, File::create(&temporary).await?);
    let mut hash = Sha256::new();
    while let Some(chunk) = response.chunk().await? {
        hash.update(&chunk);
        file.write_all(&chunk).await?;
    }
    file.flush().await?;
    file.get_ref().sync_all().await?;
    fs::rename(&temporary, target).await?;
    Ok(format!("{:x}", hash.finalize()))
}
