//! Folders of files, hashed: what stands where, whatever wrote it.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

use anyhow::Context;
use sha2::{Digest, Sha256};

use crate::simulators::content::hex;

/// Names that begin so are a store's own: temporary files, notes about others.
const OWN: char = '.';

/// SHA-256 of every file below a folder, by its path there with `/` between segments. No folder, no files.
pub fn hashes(folder: &Path) -> anyhow::Result<BTreeMap<String, String>> {
    let mut hashes = BTreeMap::new();
    if folder.exists() {
        collect(folder, "", &mut hashes).with_context(|| format!("cannot read {}", folder.display()))?;
    }
    Ok(hashes)
}

fn collect(folder: &Path, prefix: &str, hashes: &mut BTreeMap<String, String>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with(OWN) {
            continue;
        }
        let path = format!("{prefix}{name}");
        if entry.file_type()?.is_dir() {
            collect(&entry.path(), &format!("{path}/"), hashes)?;
        } else {
            hashes.insert(path, hash(&entry.path())?);
        }
    }
    Ok(())
}

fn hash(file: &Path) -> io::Result<String> {
    let (mut file, mut hash, mut buffer) = (File::open(file)?, Sha256::new(), vec![0; 1 << 20]);
    loop {
        let count = file.read(&mut buffer)?;
        if count == 0 {
            return Ok(hex(&hash.finalize()));
        }
        hash.update(buffer.get(..count).unwrap_or_default());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_is_found_by_its_path_and_a_stores_own_are_not() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("a/b")).unwrap();
        fs::write(folder.path().join("a/b/empty"), "").unwrap();
        fs::write(folder.path().join(".own"), "x").unwrap();
        let hash = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(hashes(folder.path()).unwrap(), BTreeMap::from([("a/b/empty".into(), hash.into())]));
        assert!(hashes(&folder.path().join("none")).unwrap().is_empty());
    }
}
