//! Real processes: this test program again, told by its environment to play the other host.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};

use super::*;

/// Names the folder to the other host.
const FOLDER: &str = "LOCKGATE_TEST_LOG";
/// What the other host says once it has done its part.
const WRITTEN: &str = "written, not committed";

/// The other host: reads, writes what it read, and never commits.
#[test]
#[ignore = "the other process of `a_host_that_is_killed_between_write_and_commit_repeats_and_loses_nothing`"]
fn other_host() {
    let Ok(folder) = std::env::var(FOLDER) else { return };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let log =
            Log::open("bus", &Config { path: folder.into() }, Ownership::default(), BTreeMap::new(), Clock::system())
                .unwrap();
        let mut source = open_source(&log).await;
        assigned(&mut *source).await;
        let out = log.sink("out").await.unwrap();
        for payload in take(&mut *source, 5).await {
            out.write(vec![record(&payload)]).await.remove(0).unwrap();
        }
        println!("{WRITTEN}");
        std::io::stdout().flush().unwrap();
        loop {
            event(&mut *source).await;
        }
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

fn start_other_host(folder: &TempDir) -> Killed {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "--nocapture", "transport::log::tests::processes::other_host"])
        .env(FOLDER, folder.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let child = Killed(child);
    assert!(lines.map(Result::unwrap).any(|line| line.contains(WRITTEN)), "the other host ended too early");
    child
}

#[tokio::test]
async fn a_host_that_is_killed_between_write_and_commit_repeats_and_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let log = Log::open(
        "bus",
        &Config { path: folder.path().into() },
        Ownership::default(),
        BTreeMap::new(),
        Clock::system(),
    )
    .unwrap();
    let payloads = ["a", "b", "c", "d", "e"];
    write(&log, payloads.map(record).to_vec()).await;
    let other = start_other_host(&folder);

    let mut source = open_source(&log).await;
    // The other lets go what it is asked for, and keeps what it reads.
    assert_eq!(indices_of(&assigned(&mut *source).await), [2, 3]);
    // SIGKILL: nothing is tidied up. The leases would last half a minute more, but their owner is known to be dead.
    drop(other);
    assert_eq!(indices_of(&assigned(&mut *source).await), [0, 1]);
    assert_eq!(take(&mut *source, 5).await, payloads, "not committed, so they come again");
    let out = log.read(&Partition::new("out", 0), Position(0), 10).await.unwrap();
    assert_eq!(out.iter().map(|message| &message.payload[..]).collect::<Vec<_>>(), payloads.map(str::as_bytes));
}
