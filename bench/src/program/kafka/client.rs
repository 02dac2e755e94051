//! The process that is the client: the host, or a plain one. It is looked at in the same way whichever it is.

use std::time::Duration;

use tempfile::TempDir;

use super::plain::Plain;
use crate::process::{self, Threads};
use crate::program::host::Host;

/// A running client; dropped, it is killed.
#[derive(Debug)]
pub(crate) enum Client {
    /// The host, and the folder that it runs in, which stays as long.
    Host(Host, #[expect(dead_code, reason = "it is there to be dropped")] TempDir),
    /// A plain client.
    Plain(Plain),
}

impl Client {
    fn process(&self) -> anyhow::Result<u32> {
        match self {
            Self::Host(host, _) => host.process(),
            Self::Plain(plain) => plain.process(),
        }
    }

    /// Fails when it has ended.
    pub(super) fn lives(&mut self) -> anyhow::Result<()> {
        match self {
            Self::Host(host, _) => host.lives(),
            Self::Plain(plain) => plain.lives(),
        }
    }

    /// What it says, where it says something.
    pub(super) fn log(&self) -> String {
        match self {
            Self::Host(host, _) => format!("the host's log:\n{}", host.log()),
            Self::Plain(_) => String::new(),
        }
    }

    /// The CPU time that it took so far, in steps of a clock tick.
    pub(crate) fn cpu(&self) -> anyhow::Result<Duration> {
        process::cpu_of(self.process()?)
    }

    /// The CPU time that its threads took so far.
    pub(crate) fn threads(&self) -> anyhow::Result<Threads> {
        Threads::of(self.process()?)
    }

    /// The memory that it has now, in bytes.
    pub(crate) fn resident(&self) -> anyhow::Result<u64> {
        process::resident(self.process()?)
    }

    /// The most memory that it had so far, in bytes.
    pub(crate) fn peak(&self) -> anyhow::Result<u64> {
        process::most_resident(self.process()?)
    }

    /// Tells it to stop, and waits until it has committed what it did; gives what it said, where it says something.
    pub(crate) async fn stop(self) -> anyhow::Result<String> {
        match self {
            Self::Host(host, _) => host.stop().await.map(|log| format!("the host's log:\n{log}")),
            Self::Plain(plain) => plain.stop().await.map(|()| String::new()),
        }
    }
}
