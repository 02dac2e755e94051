//! A process that ends at every step of a put, of a replacement and of a delete: this test program again, told by its
//! environment to be the host that ends. What it leaves is opened by this one, which must find either what stood
//! before or what was to stand, whole.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures::{StreamExt, stream};
use tempfile::TempDir;

use super::Directory;
use super::disk::Disk;
use super::draft::Draft;
use crate::model::Progress;
use crate::storage::{BlobPath, BlobStore, PutOptions, Replace, StoreError};

/// Tells the other process its folder, what to do, and at which step to end.
const ENDS: &str = "LOCKGATE_TEST_BLOB_CRASH";

/// The steps that a store has done, and the one at which the process ends.
#[derive(Clone, Default)]
pub(super) struct Steps {
    done: Arc<Mutex<Vec<&'static str>>>,
    end_at: Option<usize>,
}

impl Steps {
    /// A step is about to be done.
    pub(super) fn reach(&self, step: &'static str) {
        let mut done = self.done.lock().unwrap();
        if self.end_at == Some(done.len()) {
            // Nothing is dropped and nothing unwinds, as when it is killed.
            std::process::abort();
        }
        done.push(step);
    }

    fn done(&self) -> Vec<&'static str> {
        self.done.lock().unwrap().clone()
    }
}

/// What the process does that ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Deed {
    /// Puts where nothing stands, in a new folder of a new folder.
    Put,
    /// Puts what stands there.
    Repeat,
    /// Replaces what stands there.
    Replace,
    /// Puts, by a name that folders without blobs in them have.
    Claim,
    /// Deletes the last blob of two folders.
    Delete,
}

const DEEDS: [Deed; 5] = [Deed::Put, Deed::Repeat, Deed::Replace, Deed::Claim, Deed::Delete];

/// Three writes, the last a short one.
fn new() -> Bytes {
    vec![b'n'; (3 << 20) + 17].into()
}

fn old() -> Bytes {
    vec![b'o'; (1 << 20) + 3].into()
}

fn path(text: &str) -> BlobPath {
    BlobPath::parse(text).unwrap()
}

async fn put(store: &Directory, at: &str, body: Bytes, replace: Replace) -> Result<(), StoreError> {
    let chunks: Vec<_> = body.chunks(300_000).map(|chunk| Ok(Bytes::copy_from_slice(chunk))).collect();
    let options = PutOptions { replace, ..PutOptions::default() };
    store.put(&path(at), stream::iter(chunks).boxed(), &options, &Progress::new()).await.map(|_| ())
}

impl Deed {
    fn at(self) -> &'static str {
        if self == Self::Claim { "claimed" } else { "new/folder/blob" }
    }

    /// What stands before, besides a blob beside it.
    async fn prepare(self, root: &Path) {
        let store = Directory::open(root).unwrap();
        put(&store, "beside", old(), Replace::Refuse).await.unwrap();
        match self {
            Self::Put => {}
            Self::Repeat => put(&store, self.at(), new(), Replace::Refuse).await.unwrap(),
            Self::Replace | Self::Delete => put(&store, self.at(), old(), Replace::Refuse).await.unwrap(),
            Self::Claim => fs::create_dir_all(root.join("claimed/by/nobody")).unwrap(),
        }
    }

    async fn run(self, store: &Directory) {
        match self {
            Self::Put | Self::Repeat | Self::Claim => put(store, self.at(), new(), Replace::Refuse).await.unwrap(),
            Self::Replace => put(store, self.at(), new(), Replace::Overwrite).await.unwrap(),
            Self::Delete => store.delete(&path(self.at())).await.unwrap(),
        }
    }

    /// What may stand afterwards.
    fn may_leave(self) -> Vec<Option<Bytes>> {
        match self {
            Self::Put | Self::Claim => vec![None, Some(new())],
            Self::Repeat => vec![Some(new())],
            Self::Replace => vec![Some(old()), Some(new())],
            Self::Delete => vec![None, Some(old())],
        }
    }
}

/// The host that ends.
#[test]
#[ignore = "the other process of `a_process_that_ends_at_any_step_leaves_whole_blobs_only`"]
fn ending_host() {
    let Ok(told) = std::env::var(ENDS) else { return };
    let (step, rest) = told.split_once(' ').unwrap();
    let (deed, folder) = rest.split_once(' ').unwrap();
    let deed = DEEDS[deed.parse::<usize>().unwrap()];
    let steps = Steps { end_at: Some(step.parse().unwrap()), ..Steps::default() };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let store = Directory::open_on(Disk::watched(steps), Path::new(folder)).unwrap();
        deed.run(&store).await;
    });
    panic!("it did all its steps");
}

fn end_at(step: usize, deed: usize, root: &Path) {
    let status = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "--nocapture", "storage::directory::crash_tests::ending_host"])
        .env(ENDS, format!("{step} {deed} {}", root.display()))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .unwrap();
    assert_eq!(status.code(), None, "it was to be ended by a signal, not by itself: {status}");
}

/// The files of a store by their paths.
fn files(root: &Path, below: &str) -> BTreeMap<String, Bytes> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(root.join(below)).unwrap().map(Result::unwrap) {
        let path = format!("{below}{}", entry.file_name().into_string().unwrap());
        match entry.file_type().unwrap().is_dir() {
            true => found.extend(files(root, &format!("{path}/"))),
            false => drop(found.insert(path, fs::read(entry.path()).unwrap().into())),
        }
    }
    found
}

async fn steps_of(deed: Deed) -> Vec<&'static str> {
    let folder = tempfile::tempdir().unwrap();
    deed.prepare(folder.path()).await;
    let steps = Steps::default();
    deed.run(&Directory::open_on(Disk::watched(steps.clone()), folder.path()).unwrap()).await;
    steps.done()
}

#[tokio::test]
async fn a_process_that_ends_at_any_step_leaves_whole_blobs_only() {
    for (nth, deed) in DEEDS.into_iter().enumerate() {
        let steps = steps_of(deed).await;
        for step in 0..steps.len() {
            let folder = tempfile::tempdir().unwrap();
            deed.prepare(folder.path()).await;
            end_at(step, nth, folder.path());
            check_what_is_left(deed, &folder, &format!("{deed:?} ended at {step} of {steps:?}")).await;
        }
    }
}

async fn check_what_is_left(deed: Deed, folder: &TempDir, what: &str) {
    let store = Directory::open(folder.path()).unwrap();
    let mut left = files(folder.path(), "");
    let locks = left.extract_if(.., |path, _| path.starts_with(".lockgate/") && path.ends_with("/lock")).count();
    assert_eq!(locks, 2, "{what}: the lock of the hidden folder and the living store's");
    assert_eq!(left.remove("beside"), Some(old()), "{what}: another blob is not touched");
    let stands = left.remove(deed.at());
    assert!(deed.may_leave().contains(&stands), "{what}: {:?} bytes stand there", stands.map(|body| body.len()));
    assert_eq!(left.keys().collect::<Vec<_>>(), [""; 0], "{what}: nothing else is left");

    put(&store, deed.at(), new(), Replace::Overwrite).await.unwrap();
    assert_eq!(files(folder.path(), "").remove(deed.at()), Some(new()), "{what}: it goes on");
    store.delete(&path(deed.at())).await.unwrap();
    put(&store, "new", old(), Replace::Refuse)
        .await
        .unwrap_or_else(|error| panic!("{what}: a folder is left: {error}"));
}

/// What a killed process cannot show, for the system keeps what it has written: after a power cut only what was made
/// durable is there.
#[tokio::test]
async fn each_step_is_durable_before_one_that_needs_it() {
    let expected: [(Deed, &[&str]); 4] = [
        (
            Deed::Put,
            &[
                "begin draft",
                "write",
                "write",
                "write",
                "sync file", // the content, before it has a name
                "make folder",
                "make folder",
                "name",
                "sync folder",
                "sync folder",
                "sync folder", // the name and both folders, before it is answered
            ],
        ),
        (Deed::Replace, &["begin draft", "write", "write", "write", "sync file", "name", "sync folder"]),
        // Another process may have named it, and not made that durable.
        (Deed::Repeat, &["begin draft", "write", "write", "write", "sync file", "name", "sync file", "sync folder"]),
        // An empty folder may come back.
        (Deed::Delete, &["remove", "sync folder", "remove folder", "remove folder"]),
    ];
    for (deed, steps) in expected {
        assert_eq!(steps_of(deed).await, steps, "{deed:?}");
    }
}

#[tokio::test]
async fn a_put_makes_the_folders_durable_that_another_one_made_and_has_not_made_durable_yet() {
    let folder = tempfile::tempdir().unwrap();
    let steps = Steps::default();
    let store = Directory::open_on(Disk::watched(steps.clone()), folder.path()).unwrap();
    // Ends where it has its name.
    let draft = Draft::new(&store.scratch, path("new/folder/one")).unwrap();
    draft.name(&store.root, Replace::Refuse, &Progress::new()).unwrap();
    let mut synced = Vec::new();
    for at in ["new/folder/two", "new/folder/three", "new/four", "new/other/five"] {
        let before = steps.done().len();
        put(&store, at, old(), Replace::Refuse).await.unwrap();
        synced.push(steps.done().iter().skip(before).filter(|step| **step == "sync folder").count());
    }
    assert_eq!(synced, [3, 1, 1, 2]);
}

/// A file that never stops coming must not fill the system's memory, nor leave all of the waiting to the end.
#[tokio::test]
async fn a_large_body_is_made_durable_as_it_comes() {
    let folder = tempfile::tempdir().unwrap();
    let steps = Steps::default();
    let store = Directory::open_on(Disk::watched(steps.clone()), folder.path()).unwrap();
    put(&store, "large", vec![b'l'; 97 << 20].into(), Replace::Refuse).await.unwrap();
    let synced: Vec<usize> =
        (0..).zip(steps.done()).filter(|(_, step)| *step == "sync data").map(|(at, _)| at).collect();
    assert!(synced.len() >= 2, "97 MiB are three steps, of which two may have become one: {synced:?}");
    assert_eq!(files(folder.path(), "").remove("large").map(|body| body.len()), Some(97 << 20));
}

#[tokio::test]
async fn a_folder_in_which_nothing_lies_stands_in_no_blobs_way() {
    let folder = tempfile::tempdir().unwrap();
    let store = Directory::open(folder.path()).unwrap();
    for replace in [Replace::Refuse, Replace::Overwrite] {
        fs::create_dir_all(folder.path().join("x/y/z")).unwrap();
        fs::create_dir_all(folder.path().join("x/v")).unwrap();
        put(&store, "x", new(), replace).await.unwrap();
        store.delete(&path("x")).await.unwrap();
        put(&store, "x/y/z/blob", old(), replace).await.unwrap();
        fs::create_dir_all(folder.path().join("x/v")).unwrap();
        let refused = put(&store, "x", new(), replace).await.unwrap_err();
        assert_eq!(refused.to_string(), "the store failed: a folder stands at x: there are blobs below it");
        assert!(folder.path().join("x/v").exists(), "nothing is removed in vain");
        store.delete(&path("x/y/z/blob")).await.unwrap();
    }
}
