//! Programs and components, built once a process, by the same code as `cargo xtask`: so a plain `cargo test` needs no
//! set-up before it.

use std::path::PathBuf;
use std::sync::OnceLock;

use anyhow::anyhow;
use xtask::cargo::{self, Programs};
use xtask::guests::{self, Guests};
use xtask::kafka::Installed;

/// The programs.
pub fn programs() -> anyhow::Result<Programs> {
    static BUILT: OnceLock<Result<Programs, String>> = OnceLock::new();
    once(&BUILT, cargo::programs)
}

/// The components.
pub fn guests() -> anyhow::Result<Guests> {
    static BUILT: OnceLock<Result<Guests, String>> = OnceLock::new();
    once(&BUILT, guests::build_all)
}

/// The script of the blob emulator.
pub fn azurite() -> anyhow::Result<PathBuf> {
    static INSTALLED: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    once(&INSTALLED, xtask::azurite::install)
}

/// What Kafka brokers are started from.
pub fn kafka() -> anyhow::Result<Installed> {
    static INSTALLED: OnceLock<Result<Installed, String>> = OnceLock::new();
    once(&INSTALLED, xtask::kafka::install)
}

/// Makes a thing, or says again why it could not be made.
fn once<T: Clone>(cell: &OnceLock<Result<T, String>>, make: fn() -> anyhow::Result<T>) -> anyhow::Result<T> {
    cell.get_or_init(|| make().map_err(|error| format!("{error:#}"))).clone().map_err(|error| anyhow!(error))
}
