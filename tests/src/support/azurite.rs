//! The blob emulator, for one test.

use std::sync::Arc;

use tokio::sync::Mutex;
use tokio::task::spawn_blocking;

use super::{built, signal};
pub use xtask::azurite::{ACCOUNT, Data, KEY};

/// A running emulator; dropped, it is killed.
pub struct Azurite {
    /// Where the account answers.
    pub endpoint: String,
    running: Arc<Mutex<xtask::azurite::Azurite>>,
}

impl Azurite {
    /// Starts it with its data in memory; installs it before, where it is missing.
    pub async fn start() -> anyhow::Result<Self> {
        Self::start_with(Data::InMemory).await
    }

    /// Starts it; installs it before, where it is missing.
    pub async fn start_with(data: Data) -> anyhow::Result<Self> {
        let start = move || xtask::azurite::Azurite::start(&built::azurite()?, data);
        let running = spawn_blocking(start).await??;
        Ok(Self { endpoint: running.endpoint.clone(), running: Arc::new(Mutex::new(running)) })
    }

    /// Lets it stand still: it answers nothing.
    pub async fn pause(&self) -> anyhow::Result<()> {
        signal(self.running.lock().await.process(), "-STOP").await
    }

    /// Lets it go on.
    pub async fn resume(&self) -> anyhow::Result<()> {
        signal(self.running.lock().await.process(), "-CONT").await
    }

    /// Ends it: nothing listens any more.
    pub async fn end(&self) -> anyhow::Result<()> {
        let mut running = self.running.clone().lock_owned().await;
        spawn_blocking(move || running.end()).await?
    }

    /// Starts it again after [`Azurite::end`], where it was; its data is there again if it was on disk.
    pub async fn begin(&self) -> anyhow::Result<()> {
        let mut running = self.running.clone().lock_owned().await;
        spawn_blocking(move || running.begin()).await?
    }
}
