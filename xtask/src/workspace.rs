//! Where things are: the clone, and the cache outside of it.

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use anyhow::Context;

/// The folder that holds the workspace's `Cargo.toml`. Cargo says at run time where the package lies that it runs, which
/// may be another clone than the one that this was built in: clones may share a target folder.
pub fn root() -> &'static Path {
    static ROOT: LazyLock<PathBuf> = LazyLock::new(|| {
        let package = std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
        let package = PathBuf::from(package);
        package.parent().map_or_else(|| package.clone(), Path::to_owned)
    });
    &ROOT
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
