//! What the dead left is cleared, and nothing that a living host may need: with real processes and real locks.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use futures::{StreamExt, stream};
use tempfile::TempDir;
use tokio::sync::mpsc;

use super::Directory;
use crate::model::Progress;
use crate::storage::{BlobPath, BlobStore, PutOptions, Source, StoreError, Stored};

/// Names the store's folder to the other host.
const FOLDER: &str = "LOCKGATE_TEST_BLOBS";
/// What the other host says once half of a blob is on the disk.
const HALF: &str = "half is written";
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

type Sender = mpsc::Sender<Result<Bytes, String>>;

/// A body that comes by hand.
fn source() -> (Sender, Source) {
    let (sender, receiver) = mpsc::channel::<Result<Bytes, String>>(1);
    (sender, stream::unfold(receiver, |mut receiver| async { Some((receiver.recv().await?, receiver)) }).boxed())
}

/// Begins a put, and returns when its first half is on its way to the disk.
async fn half_put(store: &Arc<Directory>) -> (Sender, tokio::task::JoinHandle<Result<Stored, StoreError>>) {
    let (sender, source) = source();
    let store = Arc::clone(store);
    let at = BlobPath::parse("blob").unwrap();
    let put = tokio::spawn(async move { store.put(&at, source, &PutOptions::default(), &Progress::new()).await });
    // The second is taken when the first was written, for each is as large as a batch; the third when the second was.
    for _ in 0..3 {
        sender.send(Ok(vec![7; 1 << 20].into())).await.unwrap();
    }
    (sender, put)
}

/// The other host: puts half a blob, and then waits until it is killed.
#[test]
#[ignore = "the other process of `what_a_killed_host_left_is_cleared_and_what_a_living_one_writes_stays`"]
fn other_host() {
    let Ok(folder) = std::env::var(FOLDER) else { return };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let store = Arc::new(Directory::open(Path::new(&folder)).unwrap());
        let (_sender, put) = half_put(&store).await;
        println!("{HALF}");
        std::io::stdout().flush().unwrap();
        put.await.unwrap().unwrap();
    });
}

/// Kills the process when the test fails.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start_other_host(root: &Path) -> Killed {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "--nocapture", "storage::directory::sweep_tests::other_host"])
        .env(FOLDER, root)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let child = Killed(child);
    assert!(lines.map(Result::unwrap).any(|line| line.contains(HALF)), "the other host ended too early");
    child
}

/// The writers' folders in the hidden one, with the names of what lies in each besides locks.
fn writers(root: &Path) -> Vec<(PathBuf, Vec<String>)> {
    let entries = fs::read_dir(root.join(".lockgate")).unwrap().map(|entry| entry.unwrap().path());
    let folders = entries.filter(|path| path.is_dir()).map(|folder| {
        let files = fs::read_dir(&folder).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap());
        let files = files.filter(|name| name != "lock").collect();
        (folder, files)
    });
    let mut folders: Vec<_> = folders.collect();
    folders.sort();
    folders
}

/// Everything in a folder, and the folder, as it were after so long without a change.
fn grow_old(folder: &Path, age: Duration) {
    let then = SystemTime::now() - age;
    for file in fs::read_dir(folder).unwrap() {
        File::options().write(true).open(file.unwrap().path()).unwrap().set_modified(then).unwrap();
    }
    File::open(folder).unwrap().set_modified(then).unwrap();
}

fn root() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("store");
    fs::create_dir_all(root.join(".lockgate")).unwrap();
    (folder, root)
}

/// A folder of a writer, with half a blob.
fn leave(root: &Path, name: &str, lock: bool) -> PathBuf {
    let folder = root.join(".lockgate").join(name);
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("put-half"), "half").unwrap();
    if lock {
        fs::write(folder.join("lock"), "").unwrap();
    }
    folder
}

fn kernel() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap().trim().replace('-', "")
}

#[test]
fn what_a_killed_host_left_is_cleared_and_what_a_living_one_writes_stays() {
    let (_folder, root) = root();
    let mut other = start_other_host(&root);
    let [(living, files)] = &writers(&root)[..] else { panic!("one host, one folder") };
    assert_eq!(files.len(), 1, "half a blob");
    // However old what it writes is, and whatever its process id may mean elsewhere.
    grow_old(living, DAY * 1000);
    let store = Directory::open(&root).unwrap();
    assert_eq!(writers(&root).len(), 2, "what a living host writes stays");
    drop(store);

    other.0.kill().unwrap();
    other.0.wait().unwrap();
    assert_eq!(writers(&root).len(), 1, "nobody could clear it");
    let store = Directory::open(&root).unwrap();
    assert!(!living.exists(), "what a killed host left is cleared at once");
    drop(store);
    assert_eq!(fs::read_dir(root.join(".lockgate")).unwrap().count(), 1, "only the lock of the folder itself");
    assert_eq!(fs::read_dir(&root).unwrap().count(), 1, "no half blob shows");
}

/// In another container the process ids are the same; the kernel, and what it knows of locks, is too.
#[test]
fn a_host_that_ended_while_it_made_its_folder_is_cleared_after() {
    let (_folder, root) = root();
    let half_made = leave(&root, &format!("writer-{}-x", kernel()), false);
    let made = leave(&root, &format!("writer-{}-y", kernel()), true);
    Directory::open(&root).unwrap();
    assert!(!half_made.exists() && !made.exists());
}

/// Its lock seems free, for file systems of several machines may keep locks to the machine that holds them.
#[test]
fn what_a_host_of_another_machine_writes_stays_until_nothing_changed_for_a_day() {
    let other = format!("writer-{}-x", "0123456789abcdef".repeat(2));
    for name in [other.as_str(), "writer-x", "left-writer-x"] {
        for lock in [true, false] {
            let (_folder, root) = root();
            let folder = leave(&root, name, lock);
            let is_kept = || {
                Directory::open(&root).unwrap();
                folder.exists()
            };
            assert!(is_kept(), "{name} is new");
            grow_old(&folder, DAY - Duration::from_secs(600));
            assert!(is_kept(), "{name} is not a day old");
            grow_old(&folder, DAY * 2);
            fs::write(folder.join("put-other"), "other").unwrap();
            File::open(&folder).unwrap().set_modified(SystemTime::now() - DAY * 2).unwrap();
            assert!(is_kept(), "{name} has one that is new");
            grow_old(&folder, DAY * 2);
            File::open(&folder).unwrap().set_modified(SystemTime::now()).unwrap();
            assert!(is_kept(), "{name} shows that its host lives, whatever it writes");
            grow_old(&folder, DAY + Duration::from_secs(600));
            assert!(!is_kept(), "{name} is a day old");
            assert_eq!(writers(&root), []);
        }
    }
}

#[test]
fn a_lock_that_is_held_keeps_a_folder_of_whatever_machine_and_age() {
    let (_folder, root) = root();
    let folder = leave(&root, "writer-x", true);
    let lock = File::open(folder.join("lock")).unwrap();
    lock.lock().unwrap();
    grow_old(&folder, DAY * 1000);
    Directory::open(&root).unwrap();
    assert!(folder.exists());
    drop(lock);
    grow_old(&folder, DAY * 1000);
    Directory::open(&root).unwrap();
    assert!(!folder.exists());
}

#[tokio::test(start_paused = true)]
async fn a_put_that_waits_shows_other_machines_that_it_lives() {
    let (_folder, root) = root();
    let store = Arc::new(Directory::open(&root).unwrap());
    let (sender, put) = half_put(&store).await;
    let [(folder, _)] = &writers(&root)[..] else { panic!("one host, one folder") };
    let changed = || SystemTime::now().duration_since(fs::metadata(folder).unwrap().modified().unwrap()).unwrap();
    for _ in 0..3 {
        grow_old(folder, DAY * 2);
        tokio::time::sleep(Duration::from_secs(2 * 60 * 60)).await;
        assert!(changed() < DAY, "a waiting put has not shown that it lives");
    }
    drop(sender);
    assert_eq!(put.await.unwrap().unwrap().size, 3 << 20);
}

#[tokio::test(start_paused = true)]
async fn a_host_that_runs_on_clears_what_another_left_meanwhile() {
    let (_folder, root) = root();
    let store = Arc::new(Directory::open(&root).unwrap());
    let left = leave(&root, &format!("writer-{}-x", kernel()), true);
    let put = async |at: &str| {
        let source = stream::iter([Ok(Bytes::from_static(b"content"))]).boxed();
        let at = BlobPath::parse(at).unwrap();
        store.put(&at, source, &PutOptions::default(), &Progress::new()).await.unwrap();
    };
    put("one").await;
    assert!(left.exists(), "it is not looked for at every put");
    tokio::time::advance(DAY).await;
    put("two").await;
    assert!(!left.exists());
}

#[tokio::test]
async fn a_folder_that_somebody_removed_is_made_again() {
    let (_folder, root) = root();
    let store = Arc::new(Directory::open(&root).unwrap());
    fs::remove_dir_all(root.join(".lockgate")).unwrap();
    let (sender, put) = half_put(&store).await;
    assert_eq!(writers(&root).len(), 1);
    let other = Directory::open(&root).unwrap();
    assert_eq!(writers(&root).len(), 2, "it is held again");
    drop(sender);
    assert_eq!(put.await.unwrap().unwrap().size, 3 << 20);
    drop((store, other));
    assert_eq!(writers(&root), []);
}
