//! What is fetched once and kept over clones. Each thing is installed in one step, by a rename: what stands at its place
//! is whole.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::workspace;

/// The folder of that name in the cache, made where `last` is missing in it: what `make` leaves there, too.
pub(crate) fn install(
    name: &str,
    last: &str,
    make: impl FnOnce(&Path) -> anyhow::Result<()>,
) -> anyhow::Result<PathBuf> {
    let folder = workspace::cache()?.join(name);
    if !folder.join(last).exists() {
        eprintln!("installing {}", folder.display());
        install_into(&folder, last, make)?;
    }
    Ok(folder)
}

fn install_into(folder: &Path, last: &str, make: impl FnOnce(&Path) -> anyhow::Result<()>) -> anyhow::Result<()> {
    let (parent, name) = (folder.parent().unwrap_or(folder), folder.file_name().unwrap_or_default());
    fs::create_dir_all(parent).with_context(|| format!("cannot make {}", parent.display()))?;
    // Removed again where it stays.
    let beside = tempfile::Builder::new().prefix(name).suffix(".tmp").tempdir_in(parent)?;
    make(beside.path())?;
    match fs::rename(beside.path(), folder) {
        // Somebody else was quicker, which is as good.
        Err(_) if folder.join(last).exists() => Ok(()),
        renamed => renamed.with_context(|| format!("cannot move what was installed to {}", folder.display())),
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use anyhow::bail;

    use super::*;

    fn write(folder: &Path, text: &str) -> anyhow::Result<()> {
        Ok(fs::write(folder.join("last"), text)?)
    }

    fn names(folder: &Path) -> Vec<OsString> {
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name()).collect()
    }

    #[test]
    fn what_fails_halfway_leaves_nothing() {
        let cache = tempfile::tempdir().unwrap();
        let failed = install_into(&cache.path().join("thing"), "last", |folder| {
            write(folder, "half")?;
            bail!("no network")
        });
        assert_eq!(failed.unwrap_err().to_string(), "no network");
        assert_eq!(names(cache.path()), [""; 0]);
    }

    #[test]
    fn whoever_comes_second_takes_what_the_first_has_made() {
        let cache = tempfile::tempdir().unwrap();
        let folder = cache.path().join("thing");
        install_into(&folder, "last", |beside| {
            install_into(&folder, "last", |beside| write(beside, "first")).unwrap();
            write(beside, "second")
        })
        .unwrap();
        assert_eq!(fs::read_to_string(folder.join("last")).unwrap(), "first");
        assert_eq!(names(cache.path()), ["thing"]);
    }
}
