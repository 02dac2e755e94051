//! A small disk that can be filled: memory of the kernel, mounted at a folder of its own.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};
use tempfile::TempDir;

use super::namespace;

/// Bytes that are written at once to fill it.
const BLOCK: usize = 1 << 20;
/// What fills it.
const BALLAST: &str = "ballast";

/// A disk; dropped, it is gone.
#[derive(Debug)]
pub struct Disk {
    folder: TempDir,
}

impl Disk {
    /// Makes an empty disk of so many KiB. Only in a [namespace] of one's own: nothing may stay mounted for others.
    pub fn new(kibibytes: u32) -> anyhow::Result<Self> {
        ensure!(
            namespace::is_own(),
            "no disk can be mounted here: `unshare` gives no namespace; allow user namespaces, or run as root"
        );
        let folder = tempfile::tempdir()?;
        let size = format!("size={kibibytes}k,mode=700");
        let mut mount = Command::new("mount");
        let mounted = mount.args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(folder.path()).status()?;
        ensure!(mounted.success(), "cannot mount a disk at {}: {mounted}", folder.path().display());
        Ok(Self { folder })
    }

    /// Its root.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Writes until nothing fits any more, beside whoever else writes.
    pub fn fill(&self) -> anyhow::Result<()> {
        let (mut file, mut size) = (File::options().append(true).create(true).open(self.ballast())?, BLOCK);
        let block = vec![b'x'; BLOCK];
        while size > 0 {
            match file.write(block.get(..size).unwrap_or_default()) {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::StorageFull => size /= 2,
                Err(error) => return Err(error).context("the disk cannot be filled"),
            }
        }
        Ok(())
    }

    /// Takes away what filled it.
    pub fn free(&self) -> anyhow::Result<()> {
        match fs::remove_file(self.ballast()) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error).context("the disk cannot be freed"),
            _ => Ok(()),
        }
    }

    fn ballast(&self) -> PathBuf {
        self.folder().join(BALLAST)
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // At once, whoever still has a file open there; with the namespace it is gone in any case.
        let _ = Command::new("umount").arg("--lazy").arg(self.folder()).status();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs the test of this name in a namespace of its own.
    fn alone(name: &str) {
        let mut test = Command::new("unshare");
        test.args(["--user", "--map-root-user", "--mount", "--"]).arg(std::env::current_exe().unwrap());
        test.args(["--exact", "--ignored", &format!("environment::disk::tests::{name}")]);
        let output = test.env("CHAOS_NAMESPACE", "own").output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(
            output.status.success() && said.contains("1 passed"),
            "{said}{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }

    #[test]
    fn a_disk_takes_nothing_once_it_is_full_and_everything_when_it_is_freed() {
        alone("on_a_disk");
    }

    #[test]
    #[ignore = "mounts a disk: it is run by the test above, in a namespace of its own"]
    fn on_a_disk() {
        let disk = Disk::new(4 << 10).unwrap();
        let write = || fs::write(disk.folder().join("file"), vec![1; 1 << 20]).map_err(|error| error.kind());
        assert_eq!(write(), Ok(()));
        fs::remove_file(disk.folder().join("file")).unwrap();
        disk.fill().unwrap();
        assert_eq!(write(), Err(ErrorKind::StorageFull));
        disk.free().unwrap();
        assert_eq!(write(), Ok(()));
    }
}
