//! A secret that stands in a file. It is read again when the file is another one than the last time, by what the file
//! system says of it; so whoever uses it needs no restart and no signal. A file that cannot be read, or is empty, as it
//! is while somebody writes it, changes nothing: the last good value stays, and a warning says so once.

use std::fs::{self, Metadata};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use tracing::{info, warn};

/// A file, and what it held when it could be read last.
pub(super) struct SecretFile {
    /// What the spec calls the secret.
    name: String,
    path: PathBuf,
    last: Mutex<Last>,
}

struct Last {
    value: Arc<str>,
    stamp: Stamp,
    /// Whether it was said that a newer value cannot be had.
    warned: bool,
}

impl SecretFile {
    /// Reads it for the first time.
    pub(super) fn read(name: &str, path: &Path) -> io::Result<Self> {
        let (value, stamp) = read(path)?;
        let last = Mutex::new(Last { value, stamp, warned: false });
        Ok(Self { name: name.to_owned(), path: path.to_owned(), last })
    }

    /// What it holds now, else what it held last.
    pub(super) fn value(&self) -> Arc<str> {
        // Whoever panicked while it was locked left it whole.
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if !fs::metadata(&self.path).is_ok_and(|now| Stamp::of(&now) == last.stamp) {
            self.renew(&mut last);
        }
        last.value.clone()
    }

    fn renew(&self, last: &mut Last) {
        match read(&self.path) {
            Ok((value, stamp)) => {
                if value != last.value {
                    info!(secret_name = self.name, "a secret has changed");
                }
                *last = Last { value, stamp, warned: false };
            }
            Err(error) if !last.warned => {
                let path = self.path.display();
                warn!(secret_name = self.name, %path, %error, "a secret cannot be read again; its last value is used on");
                last.warned = true;
            }
            Err(_) => {}
        }
    }
}

/// What a file holds, and by what it is known. Looked at before it is read: a file that changes meanwhile is read again.
fn read(path: &Path) -> io::Result<(Arc<str>, Stamp)> {
    let stamp = Stamp::of(&fs::metadata(path)?);
    let text = fs::read_to_string(path)?;
    // A line break at the end does not belong to the secret.
    match text.trim_end_matches(['\r', '\n']) {
        "" => Err(io::Error::new(io::ErrorKind::InvalidData, "it is empty")),
        value => Ok((value.into(), stamp)),
    }
}

/// By what a file is known to be unchanged. A path that leads elsewhere, as orchestrators swap a mounted secret, leads
/// to another file.
#[derive(PartialEq, Eq)]
struct Stamp {
    length: u64,
    modified: Option<SystemTime>,
    identity: Identity,
}

impl Stamp {
    fn of(file: &Metadata) -> Self {
        Self { length: file.len(), modified: file.modified().ok(), identity: identity(file) }
    }
}

/// Device and number of the file, and when anything about it changed.
#[cfg(unix)]
type Identity = (u64, u64, i64, i64);

#[cfg(unix)]
fn identity(file: &Metadata) -> Identity {
    use std::os::unix::fs::MetadataExt;
    (file.dev(), file.ino(), file.ctime(), file.ctime_nsec())
}

#[cfg(not(unix))]
type Identity = ();

#[cfg(not(unix))]
fn identity(_: &Metadata) -> Identity {}

#[cfg(test)]
#[path = "file_tests.rs"]
mod tests;
