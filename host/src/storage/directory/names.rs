//! Whether a file system tells names apart that differ, which the usual ones of Linux do and the usual ones of macOS
//! and Windows do not: there `a` and `A`, or an accent composed and decomposed, are one file. Where it does not, a
//! blob is found by exactly its own name only, and a name that would be another blob's file is refused. Never changes
//! a name.

use std::fs::{self, File, Metadata};
use std::io::{self, ErrorKind};
use std::path::Path;

/// Names that some file systems take for one.
const TWINS: [(&str, &str); 4] = [
    ("name-a", "name-A"),
    ("name-\u{e9}", "name-e\u{301}"),
    ("name-\u{df}", "name-SS"),
    // Passed over where names are compared, on an old one of macOS.
    ("name-ab", "name-a\u{200c}b"),
];

/// What lies at a place, as the system finds it.
type Find = fn(&Path) -> io::Result<Metadata>;

/// How names are told apart.
#[derive(Clone, Copy)]
pub(super) enum Names {
    /// The system does it.
    Exact(Find),
    /// The system finds a file by other names, too, so that it has to be looked up in its folder.
    Folded(Find),
}

/// What lies under a name.
pub(super) enum Entry {
    /// Something of exactly this name: of the thing itself, not of what a link leads to.
    There(Metadata),
    /// Nothing, but the system takes the name for that of something else.
    Twin,
    /// Nothing.
    Nothing,
}

impl Names {
    /// Tries it in a folder of the caller's own.
    pub(super) fn of(folder: &Path) -> io::Result<Self> {
        for (name, twin) in TWINS {
            let file = folder.join(name);
            File::create(&file)?;
            let found = fs::symlink_metadata(folder.join(twin)).is_ok();
            fs::remove_file(&file)?;
            if found {
                return Ok(Self::Folded(|place| fs::symlink_metadata(place)));
            }
        }
        Ok(Self::Exact(|place| fs::symlink_metadata(place)))
    }

    /// Looks a place up. A file on the way means that nothing lies there.
    pub(super) fn entry(self, place: &Path) -> io::Result<Entry> {
        let (Self::Exact(find) | Self::Folded(find)) = self;
        match find(place) {
            Ok(metadata) if matches!(self, Self::Exact(_)) || is_so_named(place)? => Ok(Entry::There(metadata)),
            Ok(_) => Ok(Entry::Twin),
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(Entry::Nothing),
            Err(error) => Err(error),
        }
    }
}

/// Whether a folder lists exactly this name.
fn is_so_named(place: &Path) -> io::Result<bool> {
    let (Some(folder), Some(name)) = (place.parent(), place.file_name()) else { return Ok(false) };
    for entry in fs::read_dir(folder)? {
        if entry?.file_name() == name {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Finds as a file system does that takes upper and lower case for one.
#[cfg(test)]
pub(super) fn caseless(place: &Path) -> io::Result<Metadata> {
    let mut found = std::path::PathBuf::from("/");
    for segment in place.components().skip(1) {
        let is_it = |name: &std::ffi::OsStr| {
            name.to_string_lossy().to_lowercase() == segment.as_os_str().to_string_lossy().to_lowercase()
        };
        let entry = fs::read_dir(&found)?.map(Result::unwrap).find(|entry| is_it(&entry.file_name()));
        found.push(entry.ok_or(ErrorKind::NotFound)?.file_name());
    }
    fs::symlink_metadata(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_system_that_takes_two_names_for_one_is_noticed() {
        for (_, twin) in TWINS {
            let folder = tempfile::tempdir().unwrap();
            let is_exact = || matches!(Names::of(folder.path()).unwrap(), Names::Exact(_));
            assert!(is_exact());
            assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "the trial leaves nothing");
            fs::write(folder.path().join(twin), "").unwrap();
            assert!(!is_exact(), "{twin:?}");
        }
    }
}
