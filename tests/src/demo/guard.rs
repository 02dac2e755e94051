//! Stands between the demo and its host, so that a host never outlives its demo, however that ends: a host without
//! its origin would dead-letter what is fine. The guard ends the host when its own standard input ends, which it does
//! when the demo is gone, killed or not.

use std::ffi::OsString;
use std::io::{copy, sink, stdin};
use std::process::Stdio;

use anyhow::Context;
use tokio::process::Command;
use tokio::signal::unix::{SignalKind, signal};

/// Exit code of a program that a signal ended.
const KILLED: i32 = 1;

/// Runs a program until it ends or until standard input does, and gives its exit code.
pub async fn guard(program: &OsString, arguments: &[OsString]) -> anyhow::Result<i32> {
    // Ctrl-C reaches the program too, which knows what to do; taken here, it does not end us before it.
    let _taken = signal(SignalKind::interrupt())?;
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).kill_on_drop(true);
    let mut child = command.spawn().with_context(|| format!("cannot start {}", program.display()))?;
    tokio::select! {
        status = child.wait() => Ok(status?.code().unwrap_or(KILLED)),
        _ = tokio::task::spawn_blocking(|| copy(&mut stdin(), &mut sink())) => {
            child.kill().await.context("cannot end the host")?;
            Ok(KILLED)
        }
    }
}
