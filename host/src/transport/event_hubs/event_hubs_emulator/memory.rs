//! How much memory a source takes whose partitions hold large messages that nobody wants yet. Measured in a process of its
//! own: a test that starts itself again.

use std::process::Command;
use std::time::Duration;

use super::scene::{Reader, Scene, record};
use crate::transport::{Room, Rooms, Transport};

const PARTITIONS: usize = 32;
/// Messages of 1 MiB in each partition.
const EACH: usize = 6;
/// What a process may take.
const MOST_KIB: u64 = 512 << 10;
/// Names the emulator to the process that is measured, and where its certificate lies.
const MEASURED: [&str; 3] = ["LOCKGATE_MEASURED_HUBS", "LOCKGATE_MEASURED_TOPIC", "LOCKGATE_MEASURED_FOLDER"];
const MEASURES: &str = "transport::event_hubs::event_hubs_emulator::memory::reads_large_messages_slowly";

/// The most memory that this process had.
fn most_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn large_messages_in_many_partitions_are_read_ahead_within_bounds() {
    let scene = Scene::new().await;
    let topic = scene.hub(PARTITIONS);
    let sink = scene.transport().sink(&topic).await.unwrap();
    for partition in 0..u32::try_from(PARTITIONS).unwrap() {
        let records = vec![record(partition, vec![b'x'; (1 << 20) - 1024]); EACH];
        sink.write(records).await.into_iter().for_each(|answer| assert!(answer.is_ok(), "{answer:?}"));
    }
    let connection_string = scene.emulator.connection_string("RootManageSharedAccessKey").unwrap();
    let values = [connection_string, topic, scene.folder.path().display().to_string()];
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", MEASURES, "--ignored", "--nocapture", "--test-threads=1"]).envs(MEASURED.iter().zip(values));
    let output = tokio::task::spawn_blocking(move || child.output().unwrap()).await.unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{told}{}", String::from_utf8_lossy(&output.stderr));
    let most = told.lines().find_map(|line| line.split_once("KiB at most: ")).unwrap().1.trim().parse::<u64>().unwrap();
    println!("{PARTITIONS} partitions of messages of 1 MiB: {most} KiB at most");
    assert!(most < MOST_KIB, "{most} KiB");
}

/// Not a test: what the one above starts.
#[tokio::test]
#[ignore = "is started by large_messages_in_many_partitions_are_read_ahead_within_bounds"]
async fn reads_large_messages_slowly() {
    let [Ok(connection_string), Ok(topic), Ok(folder)] = MEASURED.map(std::env::var) else { return };
    let hubs = Scene::elsewhere(&connection_string, &topic, folder.as_ref());
    let mut reader = Reader::of(&hubs, &topic).await;
    reader.until_assigned(PARTITIONS).await;
    // As much is read ahead as ever will be, for nothing is wanted.
    let until = hubs.0.clock.now() + Duration::from_secs(5);
    while hubs.0.clock.now() < until {
        let _ = tokio::time::timeout_at(until, reader.source.next(&Rooms::default())).await;
    }
    // Then everything, a little at a time.
    let mut came = 0;
    while came < PARTITIONS * EACH {
        let demand = reader.demand(Room { messages: 1, bytes: 1 << 20 });
        if let crate::transport::SourceEvent::Messages(batch) = reader.event(&demand).await {
            came += batch.messages.len();
        }
    }
    println!("KiB at most: {}", most_memory());
}
