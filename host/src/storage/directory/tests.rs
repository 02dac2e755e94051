//! What only a folder of this machine can get wrong.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::{StreamExt, stream};
use tempfile::TempDir;

use super::Directory;
use super::disk::Disk;
use super::names::{Names, caseless};
use super::place::Root;
use crate::model::{Progress, Secrets};
use crate::storage::config::Config;
use crate::storage::{self, BlobPath, BlobStore, PutOptions, Replace, StoreError, Stored};

fn opened() -> (TempDir, Directory) {
    let folder = tempfile::tempdir().unwrap();
    let store = Directory::open(&folder.path().join("a/store")).unwrap();
    (folder, store)
}

fn path(text: &str) -> BlobPath {
    BlobPath::parse(text).unwrap()
}

async fn put(store: &Directory, at: &str, replace: Replace) -> Result<Stored, StoreError> {
    let source = stream::iter([Ok(Bytes::from_static(b"content"))]).boxed();
    store.put(&path(at), source, &PutOptions { replace, ..PutOptions::default() }, &Progress::new()).await
}

/// The files below a folder, besides locks.
fn files(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        match entry.file_type().unwrap().is_dir() {
            true => found.extend(files(&entry.path())),
            false => found.push(entry.file_name().into_string().unwrap()),
        }
    }
    found.retain(|name| name != "lock");
    found
}

#[tokio::test]
async fn it_keeps_the_contract() {
    let folder = tempfile::tempdir().unwrap();
    let config = Config::Directory { path: folder.path().join("store") };
    let open = || storage::open("cache", &config, &Secrets::default()).unwrap();
    storage::contract::run_on_two(&open(), &open()).await;
    assert!(files(&folder.path().join("store/.lockgate")).is_empty(), "something is left in the hidden folder");
}

#[tokio::test]
async fn a_name_of_a_message_is_the_files_name_and_nothing_is_outside() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("a/b/store");
    let store: Arc<dyn BlobStore> = Arc::new(Directory::open(&root).unwrap());
    let put = storage::contract::names::put_all(&store).await;
    drop(store);
    let mut lie = paths(folder.path(), "");
    assert!(lie.remove("a/b/store/.lockgate/lock"));
    assert_eq!(put.iter().map(|path| format!("a/b/store/{path}")).collect::<BTreeSet<_>>(), lie);
}

/// The files below a folder by their paths from it.
fn paths(folder: &Path, below: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for entry in fs::read_dir(folder.join(below)).unwrap().map(Result::unwrap) {
        let path = format!("{below}{}", entry.file_name().into_string().unwrap());
        match entry.file_type().unwrap().is_dir() {
            true => found.extend(paths(folder, &format!("{path}/"))),
            false => drop(found.insert(path)),
        }
    }
    found
}

#[tokio::test]
async fn where_the_file_system_takes_two_names_for_one_the_second_blob_is_refused() {
    let (folder, Directory { scratch, root: exact }) = opened();
    let root = folder.path().canonicalize().unwrap().join("a/store");
    drop(exact);
    let folded = Root::new(root.clone(), Names::Folded(caseless), Disk::default());
    let store = Directory { scratch, root: Arc::new(folded) };
    put(&store, "Case/A.pdf", Replace::Refuse).await.unwrap();
    for (at, differs) in [("Case/a.pdf", "a.pdf"), ("case/A.pdf", "case"), ("case/b", "case"), ("CASE", "CASE")] {
        for replace in [Replace::Refuse, Replace::Overwrite] {
            let refused = put(&store, at, replace).await.unwrap_err();
            let reason = format!(
                "the store failed: the file system does not tell {at} from a blob that stands already: at {differs:?} the \
                 two differ in case or accents only"
            );
            assert_eq!(refused.to_string(), reason);
        }
        assert_eq!(store.stat(&path(at), &Progress::new()).await, Err(StoreError::NotFound(path(at))));
        assert_eq!(store.open(&path(at)).await.err(), Some(StoreError::NotFound(path(at))));
        store.delete(&path(at)).await.unwrap();
    }
    put(&store, "Case/B.pdf", Replace::Refuse).await.unwrap();
    put(&store, "Case/A.pdf", Replace::Overwrite).await.unwrap();
    let left = paths(&root, "").into_iter().filter(|path| !path.starts_with(".lockgate")).collect::<Vec<_>>();
    assert_eq!(left, ["Case/A.pdf", "Case/B.pdf"]);
}

#[tokio::test]
async fn a_store_of_another_process_sees_the_same_blobs() {
    let (folder, store) = opened();
    let other = Directory::open(&folder.path().join("a/store")).unwrap();
    put(&store, "a/b", Replace::Refuse).await.unwrap();
    assert_eq!(other.stat(&path("a/b"), &Progress::new()).await, store.stat(&path("a/b"), &Progress::new()).await);
    assert_eq!(fs::read(folder.path().join("a/store/a/b")).unwrap(), b"content");
}

#[tokio::test]
async fn links_that_lead_out_are_not_followed() {
    let (folder, store) = opened();
    let (root, outside) = (folder.path().join("a/store"), folder.path().join("outside"));
    fs::create_dir_all(outside.join("sub")).unwrap();
    fs::write(outside.join("secret"), "secret").unwrap();
    symlink(&outside, root.join("out")).unwrap();
    symlink("..", root.join("up")).unwrap();
    symlink(outside.join("secret"), root.join("file")).unwrap();
    symlink(".lockgate", root.join("hidden")).unwrap();
    fs::create_dir_all(root.join("inner/.lockgate")).unwrap();
    symlink("inner/.lockgate", root.join("other")).unwrap();
    symlink("out/sub", root.join("chain")).unwrap();
    symlink("/proc/self/root", root.join("magic")).unwrap();
    symlink("nowhere", root.join("dangling")).unwrap();
    for at in [
        "out/secret",
        "out/new",
        "out/sub/new",
        "up/x",
        "file",
        "hidden/lock",
        "hidden/x",
        "other/lock",
        "chain/x",
        "magic/etc/passwd",
        "dangling/x",
    ] {
        for replace in [Replace::Refuse, Replace::Overwrite] {
            if at != "file" || replace == Replace::Refuse {
                assert!(matches!(put(&store, at, replace).await, Err(StoreError::Other(_))), "put {at}");
            }
        }
        assert!(matches!(store.stat(&path(at), &Progress::new()).await, Err(StoreError::Other(_))), "stat {at}");
        assert!(matches!(store.open(&path(at)).await, Err(StoreError::Other(_))), "open {at}");
        assert!(matches!(store.delete(&path(at)).await, Err(StoreError::Other(_))), "delete {at}");
    }
    assert!(!root.join("nowhere").exists());
    put(&store, "file", Replace::Overwrite).await.unwrap();
    assert!(fs::symlink_metadata(root.join("file")).unwrap().is_file(), "the link itself is replaced");
    assert_eq!(fs::read_to_string(outside.join("secret")).unwrap(), "secret");
    let mut left = files(&outside);
    left.sort();
    assert_eq!(left, ["secret"]);
}

#[tokio::test]
async fn links_within_the_store_are_followed() {
    let (folder, store) = opened();
    let root = folder.path().join("a/store");
    put(&store, "real/x", Replace::Refuse).await.unwrap();
    symlink(root.join("real"), root.join("alias")).unwrap();
    assert_eq!(store.stat(&path("alias/x"), &Progress::new()).await.unwrap().size, 7);
    put(&store, "alias/sub/y", Replace::Refuse).await.unwrap();
    assert_eq!(store.stat(&path("real/sub/y"), &Progress::new()).await.unwrap().size, 7);
}

#[tokio::test]
async fn links_in_a_circle_are_the_paths_own_fault() {
    let (folder, store) = opened();
    let root = folder.path().join("a/store");
    symlink("two", root.join("one")).unwrap();
    symlink("one", root.join("two")).unwrap();
    assert!(matches!(put(&store, "one/x", Replace::Refuse).await, Err(StoreError::Other(_))));
    assert!(matches!(store.stat(&path("one/x"), &Progress::new()).await, Err(StoreError::Other(_))));
}

#[tokio::test(start_paused = true)]
async fn hashing_what_stands_is_progress() {
    let (_folder, store) = opened();
    put(&store, "a", Replace::Refuse).await.unwrap();
    let progress = Progress::new();
    tokio::time::advance(Duration::from_secs(60)).await;
    store.stat(&path("a"), &progress).await.unwrap();
    assert_eq!(progress.idle(), Duration::ZERO);
}

#[tokio::test]
async fn a_delete_takes_the_folders_along_that_it_leaves_empty() {
    let (folder, store) = opened();
    let root = folder.path().join("a/store");
    put(&store, "x/y/z/one", Replace::Refuse).await.unwrap();
    put(&store, "x/two", Replace::Refuse).await.unwrap();
    store.delete(&path("x/y/z/one")).await.unwrap();
    assert!(!root.join("x/y").exists() && root.join("x/two").exists());
    store.delete(&path("x/two")).await.unwrap();
    assert!(!root.join("x").exists() && root.exists());
    put(&store, "x/y/z/one", Replace::Refuse).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_put_is_not_hurt_by_a_delete_that_takes_its_folder() {
    let (_folder, store) = opened();
    let store = Arc::new(store);
    let busy = (0..4).map(|nth| {
        let store = Arc::clone(&store);
        tokio::spawn(async move {
            let at = format!("x/y/{nth}");
            for _ in 0..50 {
                put(&store, &at, Replace::Overwrite).await.unwrap();
                assert_eq!(store.stat(&path(&at), &Progress::new()).await.unwrap().size, 7);
                store.delete(&path(&at)).await.unwrap();
            }
        })
    });
    for busy in busy.collect::<Vec<_>>() {
        busy.await.unwrap();
    }
}

#[tokio::test]
async fn a_blob_and_a_folder_cannot_share_a_name() {
    let (_folder, store) = opened();
    put(&store, "a/b", Replace::Refuse).await.unwrap();
    for replace in [Replace::Refuse, Replace::Overwrite] {
        assert!(matches!(put(&store, "a", replace).await, Err(StoreError::Other(_))));
        assert!(matches!(put(&store, "a/b/c", replace).await, Err(StoreError::Other(_))));
    }
    store.delete(&path("a")).await.unwrap();
    assert_eq!(store.stat(&path("a/b"), &Progress::new()).await.unwrap().size, 7, "a folder is not deleted");
}

#[tokio::test]
async fn the_longest_path_fits_below_the_longest_folder_and_a_longer_folder_is_refused_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let mut root = folder.path().to_owned();
    let longest = 4095 - 1 - 896;
    while longest - root.as_os_str().len() > 201 {
        root.push("d".repeat(150));
    }
    root.push("d".repeat(longest - root.as_os_str().len() - 1));
    let store = Directory::open(&root).unwrap();
    let path =
        [["e".repeat(199), "f".repeat(199), "g".repeat(199)].join("/"), "h".repeat(199), "i".repeat(96)].join("/");
    assert_eq!((root.as_os_str().len(), path.len()), (longest, 896));
    put(&store, &path, Replace::Refuse).await.unwrap();
    drop(store);

    let longer = Directory::open(&root.join("x")).err().unwrap();
    assert_eq!(longer.to_string(), "its whole path is longer than 3198 bytes, too long to have blobs below it");
}

#[tokio::test]
async fn files_and_folders_are_closed_to_others() {
    let (folder, store) = opened();
    put(&store, "a/b", Replace::Refuse).await.unwrap();
    let mode = |at: &str| fs::metadata(folder.path().join("a/store").join(at)).unwrap().permissions().mode();
    assert_eq!(mode("a/b") & 0o7777 & !0o640, 0, "no more than 0640");
    for at in ["", "a", ".lockgate"] {
        assert_eq!(mode(at) & 0o7777 & !0o750, 0, "no more than 0750: {at:?}");
    }
}

#[test]
fn a_folder_that_cannot_be_used_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    let Err(error) = storage::open("cache", &Config::Directory { path: file.join("store") }, &Secrets::default())
    else {
        panic!("a file was opened as a folder");
    };
    assert!(error.to_string().starts_with("store cache: folder "), "{error}");
    assert!(error.help().contains("file/store"), "{}", error.help());
}
