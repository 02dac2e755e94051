//! What only a folder of this machine can get wrong.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::{StreamExt, stream};
use tempfile::TempDir;

use super::Directory;
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
    let store = storage::open("cache", &config, &Secrets::default()).unwrap();
    storage::contract::run(&store).await;
    assert!(files(&folder.path().join("store/.lockgate")).is_empty(), "something is left in the hidden folder");
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
    for at in ["out/secret", "out/new", "out/sub/new", "up/x", "file", "hidden/lock", "hidden/x"] {
        for replace in [Replace::Refuse, Replace::Overwrite] {
            if at != "file" || replace == Replace::Refuse {
                assert!(matches!(put(&store, at, replace).await, Err(StoreError::Other(_))), "put {at}");
            }
        }
        assert!(matches!(store.stat(&path(at), &Progress::new()).await, Err(StoreError::Other(_))), "stat {at}");
        assert!(matches!(store.open(&path(at)).await, Err(StoreError::Other(_))), "open {at}");
        assert!(matches!(store.delete(&path(at)).await, Err(StoreError::Other(_))), "delete {at}");
    }
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
async fn a_path_too_long_for_the_file_system_is_said_to_be() {
    let folder = tempfile::tempdir().unwrap();
    let mut root = folder.path().to_owned();
    // Up to the longest path that Linux takes, less than the longest path of a blob.
    while root.as_os_str().len() < 4096 - 1000 {
        root.push("d".repeat(200));
    }
    let store = Directory::open(&root).unwrap();
    let deep = ["e".repeat(200), "f".repeat(200), "g".repeat(200), "h".repeat(200), "i".repeat(200)].join("/");
    let refused = put(&store, &deep, Replace::Refuse).await.unwrap_err();
    assert!(matches!(&refused, StoreError::Other(text) if text.contains("too long")), "{refused}");
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

#[tokio::test]
async fn leftovers_of_a_killed_process_are_cleared_and_those_of_a_living_one_stay() {
    let (folder, living) = opened();
    let root = folder.path().join("a/store");
    let hidden = root.join(".lockgate");
    for killed in ["writer-killed", "writer-killed-while-starting"] {
        fs::create_dir(hidden.join(killed)).unwrap();
        fs::write(hidden.join(killed).join("put-half"), "half").unwrap();
    }
    fs::write(hidden.join("writer-killed/lock"), "").unwrap();
    let (sender, source) = tokio::sync::mpsc::channel::<Result<Bytes, String>>(1);
    let source = stream::unfold(source, |mut source| async { Some((source.recv().await?, source)) }).boxed();
    let living = Arc::new(living);
    let put = tokio::spawn({
        let living = Arc::clone(&living);
        async move { living.put(&path("x"), source, &PutOptions::default(), &Progress::new()).await }
    });
    for _ in 0..3 {
        sender.send(Ok(Bytes::from_static(b"abc"))).await.unwrap();
    }
    assert_eq!(files(&hidden).len(), 3, "two halves and what is being put");

    let other = Directory::open(&root).unwrap();
    assert_eq!(files(&hidden).len(), 1, "only what is being put");
    drop(sender);
    assert_eq!(put.await.unwrap().unwrap().size, 9);
    assert_eq!(other.stat(&path("x"), &Progress::new()).await.unwrap().size, 9);
    drop((other, living));
    assert_eq!(fs::read_dir(&hidden).unwrap().count(), 1, "only the lock of the folder itself");
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
