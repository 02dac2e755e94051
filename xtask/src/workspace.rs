//! Where things are: the clone, and the cache outside of it.

use std::path::{Path, PathBuf};

use anyhow::Context;

/// The folder that holds the workspace's `Cargo.toml`.
pub fn root() -> &'static Path {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.parent().unwrap_or(package)
}

/// What is fetched once and kept over clones: `$HOME/.cache/lockgate`.
pub fn cache() -> anyhow::Result<PathBuf> {
    let home = std::env::home_dir().context("cannot tell the home folder: set HOME")?;
    Ok(home.join(".cache").join("lockgate"))
}

/// A path as it is shown to people: below the working directory without it.
pub fn shown(path: &Path) -> String {
    let folder = std::env::current_dir().unwrap_or_default();
    path.strip_prefix(&folder).unwrap_or(path).display().to_string()
}
