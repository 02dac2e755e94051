//! Builds, and what came out of them. Cargo itself says where, so that no target folder is ever guessed.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, ensure};
use serde::Deserialize;

use crate::workspace;

/// What [`programs`] builds: the selection that `cargo test --workspace` resolves to the same features, so that
/// neither rebuilds what the other has built. `probe` has no program: it shares with the engine what their macros are
/// built on.
const PROGRAMS: [&str; 11] = [
    "--package",
    "lockgate",
    "--package",
    "e2e",
    "--package",
    "chaos",
    "--package",
    "lockgate-eventhubs-emulator",
    "--package",
    "probe",
    "--bins",
];

/// What [`measured`] builds.
const MEASURED: [&str; 8] =
    ["--release", "--package", "lockgate", "--package", "bench", "--package", "lockgate-eventhubs-emulator", "--bins"];
/// What the official client of Event Hubs is built from: a workspace of its own.
const EVENT_HUBS_PEER: &str = "bench/event-hubs-peer";

/// The programs of the workspace.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Programs {
    /// The host.
    pub lockgate: PathBuf,
    /// The driver of the demo.
    pub demo: PathBuf,
    /// The driver of the faults.
    pub chaos: PathBuf,
    /// The host in surroundings that misbehave.
    pub faulty_host: PathBuf,
    /// The Event Hubs emulator.
    pub eventhubs_emulator: PathBuf,
}

/// What is measured, built for release.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Measured {
    /// The host.
    pub lockgate: PathBuf,
    /// What measures.
    pub bench: PathBuf,
    /// The Event Hubs emulator.
    pub eventhubs_emulator: PathBuf,
}

/// One thing that a build made, or found as it was.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Artifact {
    /// The target's name, with `-` as Cargo writes it.
    pub name: String,
    /// Its files.
    pub files: Vec<PathBuf>,
    /// The program, if it is one.
    pub executable: Option<PathBuf>,
}

/// Cargo in the workspace's folder; the same one that runs us, if one does.
pub fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(workspace::root());
    command
}

/// Builds the programs.
pub fn programs() -> anyhow::Result<Programs> {
    let artifacts = build(&PROGRAMS)?;
    Ok(Programs {
        lockgate: program(&artifacts, "lockgate")?,
        demo: program(&artifacts, "demo")?,
        chaos: program(&artifacts, "chaos")?,
        faulty_host: program(&artifacts, "faulty-host")?,
        eventhubs_emulator: program(&artifacts, "eventhubs-emulator")?,
    })
}

/// Builds the host and what measures it, for release.
pub fn measured() -> anyhow::Result<Measured> {
    let artifacts = build(&MEASURED)?;
    Ok(Measured {
        lockgate: program(&artifacts, "lockgate")?,
        bench: program(&artifacts, "bench")?,
        eventhubs_emulator: program(&artifacts, "eventhubs-emulator")?,
    })
}

/// Builds the official client of Event Hubs, for release, beside everything else that is built.
pub fn event_hubs_peer() -> anyhow::Result<PathBuf> {
    let root = workspace::root();
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    let mut cargo = cargo();
    cargo.env("CARGO_TARGET_DIR", target.join("event-hubs-peer")).current_dir(root.join(EVENT_HUBS_PEER));
    program(&build_by(cargo, &["--release", "--locked"])?, "event-hubs-peer")
}

fn program(artifacts: &[Artifact], name: &str) -> anyhow::Result<PathBuf> {
    let found = artifacts.iter().find(|artifact| artifact.name == name && artifact.executable.is_some());
    found.and_then(|artifact| artifact.executable.clone()).with_context(|| format!("the build made no `{name}`"))
}

/// Runs `cargo build` and gives what it made; what it says goes to standard error.
pub fn build(arguments: &[&str]) -> anyhow::Result<Vec<Artifact>> {
    build_by(cargo(), arguments)
}

/// The same by a Cargo that was told more.
pub fn build_by(mut command: Command, arguments: &[&str]) -> anyhow::Result<Vec<Artifact>> {
    command.arg("build").arg("--message-format=json-render-diagnostics").args(arguments);
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().context("cannot start cargo")?;
    let output = child.stdout.take().context("cargo has no output")?;
    let mut artifacts = Vec::new();
    for line in BufReader::new(output).lines() {
        artifacts.extend(artifact(&line?));
    }
    let status = child.wait()?;
    ensure!(status.success(), "`cargo build {}` failed: {status}", arguments.join(" "));
    Ok(artifacts)
}

/// Runs a command whose failure ends everything.
pub fn run(command: &mut Command) -> anyhow::Result<()> {
    let name = Path::new(command.get_program()).file_name().unwrap_or_default().to_string_lossy().into_owned();
    let first = command.get_args().next().unwrap_or_default().to_string_lossy().into_owned();
    let status = command.status().with_context(|| format!("cannot start {name}"))?;
    ensure!(status.success(), "`{name} {first} …` failed: {status}");
    Ok(())
}

/// What one line of Cargo's answer tells, if it tells of an artifact.
fn artifact(line: &str) -> Option<Artifact> {
    #[derive(Deserialize)]
    struct Line {
        reason: String,
        target: Target,
        filenames: Vec<PathBuf>,
        executable: Option<PathBuf>,
    }
    #[derive(Deserialize)]
    struct Target {
        name: String,
    }
    let line: Line = serde_json::from_str(line).ok()?;
    (line.reason == "compiler-artifact").then_some(Artifact {
        name: line.target.name,
        files: line.filenames,
        executable: line.executable,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_artifact_is_read_from_cargos_answer() {
        let line = r#"{"reason":"compiler-artifact","package_id":"x","target":{"kind":["cdylib"],"name":"download"},
            "filenames":["/t/download.wasm"],"executable":null,"fresh":true}"#;
        let read = artifact(line).unwrap();
        assert_eq!((read.name.as_str(), read.files), ("download", vec![PathBuf::from("/t/download.wasm")]));
    }

    #[test]
    fn other_lines_are_passed_over() {
        for line in [r#"{"reason":"build-finished","success":true}"#, "Compiling x", ""] {
            assert_eq!(artifact(line), None, "{line}");
        }
    }
}
