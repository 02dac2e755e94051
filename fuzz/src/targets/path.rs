//! The path of a blob, as a message names it.
//!
//! - A path that is taken is read again as itself, has no segment that is empty, a dot or two, and none that is longer
//!   than file systems take; nothing of it is a control character, a backslash or a colon.
//! - Joined to a folder it stays below it, of names only, and it is the same below the URL of a container.
//! - A directory and a store in memory say the same of it.

use std::path::{Component, Path};
use std::sync::{Arc, LazyLock};

use lockgate::model::{Progress, Secrets};
use lockgate::storage::config::Config;
use lockgate::storage::{BlobPath, BlobStore, StoreError, open};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use url::Url;

use crate::Verdict;

pub(crate) fn run(data: &[u8]) -> Verdict {
    let text = String::from_utf8_lossy(data);
    let parsed = BlobPath::parse(&text);
    if let Ok(path) = &parsed {
        assert_eq!(BlobPath::parse(path.as_str()).as_ref(), Ok(path));
        is_plain(path.as_str());
        is_below_a_folder(path.as_str());
        is_below_a_container(path.as_str());
        means_the_same_everywhere(path);
    }
    Verdict::of(&parsed)
}

fn is_plain(path: &str) {
    assert!(!path.is_empty() && path.len() <= 1024 && !path.contains(['\\', ':']), "{path:?}");
    assert!(!path.contains(char::is_control), "{path:?}");
    for segment in path.split('/') {
        assert!(!matches!(segment, "" | "." | "..") && segment.len() <= 255, "{path:?}");
        assert!(!segment.ends_with(['.', ' ']), "{path:?}");
    }
}

fn is_below_a_folder(path: &str) {
    let root = Path::new("/store");
    let joined = root.join(path);
    let below = joined.strip_prefix(root);
    assert!(below.is_ok_and(|below| below.components().all(|part| matches!(part, Component::Normal(_)))), "{path:?}");
}

fn is_below_a_container(path: &str) {
    let Ok(mut url) = Url::parse("https://account.example/container") else { return };
    if let Ok(mut segments) = url.path_segments_mut() {
        segments.extend(path.split('/'));
    }
    let below = url.path().strip_prefix("/container/").map(|below| below.split('/').count());
    assert_eq!(below, Some(path.split('/').count()), "{url}");
    assert_eq!(Url::parse(url.as_str()).as_ref(), Ok(&url));
}

/// Two stores that are empty, and stay so.
struct Stores {
    runtime: Runtime,
    stores: [Arc<dyn BlobStore>; 2],
    _folder: TempDir,
}

impl Stores {
    fn open() -> Option<Self> {
        let folder = tempfile::tempdir().ok()?;
        let open = |config| open("s", &config, &Secrets::default()).ok();
        let stores = [open(Config::Memory {})?, open(Config::Directory { path: folder.path().join("s") })?];
        Some(Self { runtime: tokio::runtime::Builder::new_current_thread().build().ok()?, stores, _folder: folder })
    }
}

fn means_the_same_everywhere(path: &BlobPath) {
    static STORES: LazyLock<Option<Stores>> = LazyLock::new(Stores::open);
    assert!(STORES.is_some(), "the stores cannot be opened");
    let Some(Stores { runtime, stores: [memory, directory], .. }) = &*STORES else { return };
    let progress = Progress::new();
    let (memory, directory) =
        runtime.block_on(async { (memory.stat(path, &progress).await, directory.stat(path, &progress).await) });
    assert_eq!(memory, directory);
    assert!(matches!(memory, Err(StoreError::NotFound(_) | StoreError::Other(_))), "{memory:?}");
}
