//! The blob emulator, for one test.

use super::{built, signal};
pub use xtask::azurite::{ACCOUNT, KEY};

/// A running emulator; dropped, it is killed.
pub struct Azurite {
    /// Where the account answers.
    pub endpoint: String,
    running: xtask::azurite::Azurite,
}

impl Azurite {
    /// Starts it; installs it before, where it is missing.
    pub async fn start() -> anyhow::Result<Self> {
        let start = || xtask::azurite::Azurite::start(&built::azurite()?);
        let running = tokio::task::spawn_blocking(start).await??;
        Ok(Self { endpoint: running.endpoint.clone(), running })
    }

    /// Lets it stand still: it answers nothing.
    pub async fn pause(&self) -> anyhow::Result<()> {
        signal(self.running.process(), "-STOP").await
    }

    /// Lets it go on.
    pub async fn resume(&self) -> anyhow::Result<()> {
        signal(self.running.process(), "-CONT").await
    }
}
