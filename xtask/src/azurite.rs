//! The blob emulator, from npm, into the cache. It is installed in one step: what stands at its place is whole.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, ensure};

use crate::{cargo, workspace};

/// The newest version that runs on Node 20; from 3.36 on it wants a newer one.
const VERSION: &str = "3.35.0";

/// Installs it where it is missing, and gives the script of its blob service, for `node`.
pub fn install() -> anyhow::Result<PathBuf> {
    let folder = workspace::cache()?.join(format!("azurite-{VERSION}"));
    if !script(&folder).exists() {
        eprintln!("installing Azurite {VERSION} into {}", folder.display());
        install_into(&folder).context("cannot install Azurite; `cargo xtask test --without azurite` goes without")?;
    }
    Ok(script(&folder))
}

fn script(folder: &Path) -> PathBuf {
    folder.join("node_modules/azurite/dist/src/blob/main.js")
}

fn install_into(folder: &Path) -> anyhow::Result<()> {
    let mut beside = OsString::from(folder);
    beside.push(format!(".{}.tmp", std::process::id()));
    let beside = PathBuf::from(beside);
    fs::create_dir_all(&beside)?;
    let installed = npm(&beside).and_then(|()| match fs::rename(&beside, folder) {
        // Somebody else was quicker, which is as good.
        Err(_) if script(folder).exists() => Ok(()),
        renamed => Ok(renamed?),
    });
    // After a rename nothing is there any more.
    let _ = fs::remove_dir_all(&beside);
    installed
}

fn npm(folder: &Path) -> anyhow::Result<()> {
    let mut npm = Command::new("npm");
    npm.arg("install").arg("--prefix").arg(folder).args(["--no-audit", "--no-fund", "--no-save", "--loglevel=error"]);
    // What it prints is not the answer of whoever asked for the emulator.
    npm.arg(format!("azurite@{VERSION}")).stdin(Stdio::null()).stdout(Stdio::null());
    cargo::run(&mut npm)?;
    ensure!(script(folder).exists(), "npm left no blob service in {}", folder.display());
    Ok(())
}
