//! The Kafka broker: one for all scenarios, and another one for each that does something to its own.

use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context;
use tokio::task::spawn_blocking;
use xtask::kafka::{Broker, Installed, install};

/// What brokers are started from, and the one that scenarios share. Dropped, it ends.
pub struct Brokers {
    installed: Arc<Installed>,
    shared: Broker,
}

impl Brokers {
    /// Installs Kafka where it is missing, and starts the broker that scenarios share.
    pub async fn start() -> anyhow::Result<Self> {
        spawn_blocking(|| {
            let installed = install()?;
            let shared = Broker::start(&installed)?;
            Ok(Self { installed: Arc::new(installed), shared })
        })
        .await?
    }

    /// Where the shared one answers.
    pub fn shared(&self) -> &str {
        self.shared.bootstrap()
    }

    /// Starts another one.
    pub async fn another(&self) -> anyhow::Result<OwnBroker> {
        let installed = self.installed.clone();
        let broker = spawn_blocking(move || Broker::start(&installed)).await??;
        Ok(OwnBroker { bootstrap: broker.bootstrap().to_owned(), broker: Arc::new(Mutex::new(broker)) })
    }
}

/// A broker that one scenario has for itself; the last one dropped ends it.
#[derive(Clone)]
pub struct OwnBroker {
    bootstrap: String,
    broker: Arc<Mutex<Broker>>,
}

impl OwnBroker {
    /// Where it answers.
    pub fn bootstrap(&self) -> &str {
        &self.bootstrap
    }

    /// Kills it, as `kill -9` does.
    pub async fn kill(&self) -> anyhow::Result<()> {
        self.on_a_thread(|broker| {
            broker.kill();
            Ok(())
        })
        .await
    }

    /// Starts it again on what it has stored, and waits until it answers.
    pub async fn restart(&self) -> anyhow::Result<()> {
        self.on_a_thread(Broker::restart).await.context("the broker does not come back")
    }

    async fn on_a_thread(
        &self,
        act: impl FnOnce(&mut Broker) -> anyhow::Result<()> + Send + 'static,
    ) -> anyhow::Result<()> {
        let broker = self.broker.clone();
        spawn_blocking(move || act(&mut broker.lock().unwrap_or_else(PoisonError::into_inner))).await?
    }
}
