//! A component's file: read within bounds, held against its pin, and told from what is no component in plainer words
//! than a compiler has. It never says what is inside.

use std::io;
use std::path::Path;

use sha2::{Digest, Sha256};
use tokio::fs::{self, File};
use tokio::io::AsyncReadExt;

use super::config::Config;
use super::error::LoadError;
use crate::model::Size;

/// The largest file that is read. Those of interpreted languages, which carry their interpreter, have some 20 MiB.
const LARGEST: Size = Size(128 << 20);

/// What every WebAssembly file begins with.
const MAGIC: &[u8] = b"\0asm";
/// What follows in a core module.
const CORE_MODULE: &[u8] = &[1, 0, 0, 0];

/// A component's file.
pub(super) struct Artifact {
    /// What stands in it.
    pub(super) bytes: Vec<u8>,
    /// The hash of that, in lower-case hex.
    pub(super) sha256: String,
}

impl Artifact {
    /// Reads the file, if it is one that may be a component and is the one that was pinned.
    pub(super) async fn read(config: &Config) -> Result<Self, LoadError> {
        let component = || config.component.clone();
        let bytes = bounded(&config.component).await?;
        let sha256 = format!("{:x}", Sha256::digest(&bytes));
        match &config.sha256 {
            Some(pinned) if !pinned.eq_ignore_ascii_case(&sha256) => {
                Err(LoadError::WrongHash { component: component(), pinned: pinned.clone(), found: sha256 })
            }
            _ => match bytes.strip_prefix(MAGIC) {
                None => Err(LoadError::NotWasm { component: component() }),
                Some(rest) if rest.starts_with(CORE_MODULE) => Err(LoadError::CoreModule { component: component() }),
                Some(_) => Ok(Self { bytes, sha256 }),
            },
        }
    }
}

/// What stands in a file, which is looked at before it is read: a pipe would be waited for, a device never ends, and
/// what is too large is not read at all.
async fn bounded(component: &Path) -> Result<Vec<u8>, LoadError> {
    let unread = |reason: String| LoadError::Read { component: component.to_owned(), reason };
    let failed = |error: io::Error| unread(error.to_string());
    let metadata = fs::metadata(component).await.map_err(failed)?;
    if !metadata.is_file() {
        return Err(unread("it is no file".into()));
    }
    let too_large = |size| LoadError::TooLarge { component: component.to_owned(), size, limit: LARGEST };
    if metadata.len() > LARGEST.0 {
        return Err(too_large(Size(metadata.len())));
    }
    let mut bytes = Vec::new();
    let file = File::open(component).await.map_err(failed)?;
    // It may have grown since it was looked at.
    file.take(LARGEST.0 + 1).read_to_end(&mut bytes).await.map_err(failed)?;
    if bytes.len() as u64 > LARGEST.0 { Err(too_large(Size(bytes.len() as u64))) } else { Ok(bytes) }
}
