//! What the demo and the tests share: the host as a program, the components, real servers.
//!
//! | module | is for |
//! |---|---|
//! | [`lockgate`] | commands of the host, and what they answer |
//! | [`host`] | a host that runs, is signalled and is killed |
//! | [`built`] | programs and components, built once a process |
//! | [`azurite`] | the blob emulator |
//! | [`event_hubs`] | a namespace of Event Hubs, with its checkpoints |
//! | [`kafka`] | a Kafka broker |
//! | [`files`] | folders of files, hashed |

use anyhow::{Context, ensure};

pub mod azurite;
pub mod built;
pub mod event_hubs;
pub mod files;
pub mod host;
pub mod kafka;
pub mod lockgate;

/// Sends a process a signal, as `kill` names it.
async fn signal(process: u32, flag: &str) -> anyhow::Result<()> {
    let process = process.to_string();
    let sent = tokio::process::Command::new("kill").args([flag, &process]).status().await.context("cannot run kill")?;
    ensure!(sent.success(), "kill {flag} {process}: {sent}");
    Ok(())
}
