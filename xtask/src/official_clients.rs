//! The official Event Hubs clients for Python and Node: into the cache, in environments of their own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::Context;

use crate::{cache, cargo};

/// What is installed for Python; for WebSockets its client needs one more package.
const PYTHON: [&str; 3] =
    ["azure-eventhub==5.15.1", "azure-eventhub-checkpointstoreblob==1.2.0", "websocket-client==1.9.2"];
/// What is installed for Node, likewise.
const NODE: [&str; 2] = ["@azure/event-hubs@6.0.4", "ws@8.23.0"];
/// In what is installed, the last that is made.
const DONE: &str = "installed";

/// Installs the client for Python where it is missing, and gives the interpreter that has it.
pub fn python() -> anyhow::Result<PathBuf> {
    let folder = cache::install("eventhubs-python-5.15.1", DONE, |folder| {
        let environment = folder.join("venv");
        // Named without its place, so that the environment can be moved.
        run(Command::new("python3").args(["-m", "venv"]).arg(&environment))?;
        let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
        run(Command::new(environment.join("bin/python")).args(pip).args(PYTHON))?;
        done(folder)
    })
    .context(
        "cannot install the Event Hubs client for Python; `cargo xtask test --without official_client` goes without",
    )?;
    Ok(folder.join("venv/bin/python"))
}

/// Installs the client for Node where it is missing, and gives the folder of its modules, for `NODE_PATH`.
pub fn node() -> anyhow::Result<PathBuf> {
    let folder = cache::install("eventhubs-node-6.0.4", DONE, |folder| {
        let quiet = ["--no-audit", "--no-fund", "--no-save", "--loglevel=error"];
        run(Command::new("npm").arg("install").arg("--prefix").arg(folder).args(quiet).args(NODE))?;
        done(folder)
    })
    .context(
        "cannot install the Event Hubs client for Node; `cargo xtask test --without official_client` goes without",
    )?;
    Ok(folder.join("node_modules"))
}

fn run(command: &mut Command) -> anyhow::Result<()> {
    cargo::run(command.stdin(Stdio::null()).stdout(Stdio::null()))
}

fn done(folder: &Path) -> anyhow::Result<()> {
    fs::write(folder.join(DONE), "").with_context(|| format!("cannot write to {}", folder.display()))
}
