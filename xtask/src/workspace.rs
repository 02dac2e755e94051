//! Where things are: the clone, and the cache outside of it.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use anyhow::Context;

/// The folder that holds the workspace's `Cargo.toml`. Cargo says at run time where the package lies that it runs, which
/// may be another clone than the one that this was built in: clones may share a target folder.
pub fn root() -> &'static Path {
    static ROOT: LazyLock<PathBuf> = LazyLock::new(|| root_of(std::env::var_os("CARGO_MANIFEST_DIR")));
    &ROOT
}

/// The folder above the package that runs; where nobody says which one does, above this one as it was built.
fn root_of(running: Option<OsString>) -> PathBuf {
    let package = PathBuf::from(running.unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into()));
    package.parent().map_or_else(|| package.clone(), Path::to_owned)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_root_is_that_of_the_clone_that_runs_and_not_of_the_one_that_was_built_in() {
        assert_eq!(root_of(Some("/another/clone/xtask".into())), Path::new("/another/clone"));
        let running = std::env::var_os("CARGO_MANIFEST_DIR").expect("cargo says which package it runs");
        assert_eq!(root().join("xtask"), PathBuf::from(running));
        assert!(root().join("pipelines.yaml").is_file(), "{}", root().display());
    }

    #[test]
    fn without_cargo_the_root_is_where_this_was_built() {
        assert_eq!(root_of(None).join("xtask"), Path::new(env!("CARGO_MANIFEST_DIR")));
    }
}
