//! Compiled components on disk, so that a component is compiled once a machine. A compiled component is native code:
//! the folder must be one that only the host's user can write, and each file carries its own SHA-256, so that a file
//! that was cut short or altered is compiled again instead of run.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use tempfile::NamedTempFile;
use tracing::{debug, warn};
use wasmtime::Engine;
use wasmtime::component::Component;

use super::LoadError;

/// Bytes of the SHA-256 that a file begins with.
const DIGEST: usize = 32;

/// The folder of compiled components.
#[derive(Debug)]
pub(super) struct Cache {
    folder: PathBuf,
    /// Of everything that decides what compiled code looks like: version, settings, processor.
    engine: String,
}

impl Cache {
    /// Opens the folder, and makes it where it is missing.
    pub(super) fn open(folder: &Path, engine: &Engine) -> Result<Self, LoadError> {
        let unfit = |reason| LoadError::Cache { folder: folder.to_owned(), reason };
        create(folder).map_err(|error| unfit(format!("{error}; choose a folder that the host may write")))?;
        check_writers(folder).map_err(unfit)?;
        let mut hasher = DefaultHasher::new();
        engine.precompile_compatibility_hash().hash(&mut hasher);
        Ok(Self { folder: folder.to_owned(), engine: format!("{:016x}", hasher.finish()) })
    }

    /// The compiled form of the component with this hash, if it is there and whole.
    pub(super) fn read(&self, engine: &Engine, sha256: &str) -> Option<Component> {
        let file = self.file(sha256);
        let bytes = fs::read(&file).ok()?;
        let (digest, code) = bytes.split_at_checked(DIGEST)?;
        if Sha256::digest(code).as_slice() != digest {
            warn!(file = %file.display(), "a compiled component is damaged and is compiled again");
            return None;
        }
        // SAFETY: deserialising runs what the file holds as native code. The folder was checked to be writable by the
        // host's own user alone, the file is as `write` left it by its digest, and `write` only writes what this
        // crate's wasmtime compiled.
        match unsafe { Component::deserialize(engine, code) } {
            Ok(component) => Some(component),
            Err(error) => {
                debug!(file = %file.display(), %error, "a compiled component does not fit and is compiled again");
                None
            }
        }
    }

    /// Keeps a compiled component. A failure costs only a later compilation, so it is told and passed over.
    pub(super) fn write(&self, sha256: &str, component: &Component) {
        let file = self.file(sha256);
        let written = component.serialize().map_err(io::Error::other).and_then(|code| self.put(&file, &code));
        if let Err(error) = written {
            warn!(file = %file.display(), %error, "a compiled component cannot be kept");
        }
    }

    /// Atomic: a reader sees the whole file or none.
    fn put(&self, file: &Path, code: &[u8]) -> io::Result<()> {
        let mut new = NamedTempFile::new_in(&self.folder)?;
        new.write_all(&Sha256::digest(code))?;
        new.write_all(code)?;
        new.persist(file)?;
        Ok(())
    }

    fn file(&self, sha256: &str) -> PathBuf {
        self.folder.join(format!("{sha256}-{}.cwasm", self.engine))
    }
}

#[cfg(unix)]
fn create(folder: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

#[cfg(not(unix))]
fn create(folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder)
}

/// Whether the host's user alone may write the folder; the error says what to do.
#[cfg(unix)]
fn check_writers(folder: &Path) -> Result<(), String> {
    use std::os::unix::fs::MetadataExt;
    let own = NamedTempFile::new_in(folder).and_then(|file| file.as_file().metadata());
    let (own, folder) = match (own, fs::metadata(folder)) {
        (Ok(own), Ok(folder)) => (own, folder),
        (Err(error), _) | (_, Err(error)) => return Err(format!("{error}; choose a folder that the host may write")),
    };
    if folder.uid() != own.uid() {
        return Err("it belongs to another user, who could put native code there; choose a folder of the host's".into());
    }
    if folder.mode() & 0o022 != 0 {
        return Err("others may write it, and could put native code there; `chmod go-w` it".into());
    }
    Ok(())
}

#[cfg(not(unix))]
fn check_writers(_: &Path) -> Result<(), String> {
    Ok(())
}
