//! Lockgate and a processor of the official Python client in one consumer group, one after the other and beside each other.

use std::collections::BTreeMap;
use std::process::Stdio;
use std::time::Duration;

use e2e::support::event_hubs::{CHECKPOINTS, NAME, Namespace};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::watch;
use xtask::official_clients;

use super::{GROUP, copying, hub};
use crate::commands::eventually;
use crate::hosts::{Copying, joined, stopped};

/// Messages that are sent at once.
const BATCH: usize = 200;
/// How long anything may take before a test gives up.
const PATIENCE: Duration = Duration::from_secs(120);

/// A running processor, and what it has said.
struct Processor {
    child: Child,
    said: watch::Receiver<Vec<String>>,
}

impl Processor {
    async fn start(namespace: &Namespace, mark: &str) -> Self {
        let python = tokio::task::spawn_blocking(official_clients::python).await.unwrap().unwrap();
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/e2e/event_hubs_emulator_and_azurite/processor.py");
        let (_, port) = namespace.emulator.address().rsplit_once(':').unwrap();
        let mut command = Command::new(python);
        command.args([script, port]).arg(namespace.emulator.ca()).args([
            NAME,
            &hub(mark, "work"),
            GROUP,
            "SAS_KEY_VALUE",
        ]);
        command.args([&namespace.azurite.endpoint, CHECKPOINTS]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let (sender, said) = watch::channel(Vec::new());
        tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                sender.send_modify(|said| said.push(line));
            }
        });
        Self { child, said }
    }

    /// Waits until what it has said is enough.
    async fn until(&mut self, enough: impl FnMut(&Vec<String>) -> bool) {
        let is_enough = matches!(tokio::time::timeout(PATIENCE, self.said.wait_for(enough)).await, Ok(Ok(_)));
        assert!(is_enough, "it said {:?}", self.said.borrow());
    }

    /// The events that it has read, each with how often.
    fn read(&self) -> BTreeMap<(u32, i64), usize> {
        read(&self.said.borrow())
    }

    /// Partitions that it owns.
    fn owned(said: &[String]) -> usize {
        let times = |word: &str| said.iter().filter(|line| line.starts_with(word)).count();
        times("owns ") - times("lost ")
    }

    /// Lets it give back what it owns and end.
    async fn end(mut self) -> BTreeMap<(u32, i64), usize> {
        drop(self.child.stdin.take());
        tokio::time::timeout(PATIENCE, self.child.wait()).await.unwrap().unwrap();
        // All that it said was read once its output has ended.
        while self.said.changed().await.is_ok() {}
        self.read()
    }
}

fn read(said: &[String]) -> BTreeMap<(u32, i64), usize> {
    let mut read = BTreeMap::new();
    for line in said {
        if let ["read", partition, sequence] = line.split(' ').collect::<Vec<_>>().as_slice() {
            *read.entry((partition.parse().unwrap(), sequence.parse().unwrap())).or_default() += 1;
        }
    }
    read
}

/// The events of the topic by where they stand, and which of them Lockgate made something of, with how often.
async fn by_lockgate(copying: &Copying) -> BTreeMap<(u32, i64), usize> {
    let made = copying.made().await;
    let work = copying.lockgate.tail("work").await.unwrap();
    let times = |key: Option<String>| made.get(&key.unwrap()).copied().unwrap_or(0);
    work.into_iter().map(|seen| ((seen.partition, seen.offset), times(seen.key))).collect()
}

#[tokio::test]
async fn each_goes_on_at_the_next_message_where_the_other_one_stopped() {
    let (copying, namespace) = copying("after-another").await;
    copying.send_these(0..BATCH).await;
    copying.lockgate.run_until_idle().await.unwrap();

    copying.send_these(BATCH..2 * BATCH).await;
    let mut processor = Processor::start(namespace, "after-another").await;
    processor.until(|said| read(said).len() >= BATCH).await;
    let theirs = processor.end().await;

    copying.send_these(2 * BATCH..3 * BATCH).await;
    copying.lockgate.run_until_idle().await.unwrap();
    let ours = by_lockgate(&copying).await;
    assert_eq!(ours.len(), 3 * BATCH);
    assert_eq!((ours.values().sum::<usize>(), theirs.values().sum::<usize>()), (2 * BATCH, BATCH));
    for (place, times) in ours {
        assert_eq!(times + theirs.get(&place).copied().unwrap_or(0), 1, "{place:?} was read once");
    }
}

#[tokio::test]
async fn both_share_the_partitions_and_none_is_read_twice_at_a_time() {
    let (copying, namespace) = copying("beside-another").await;
    let host = joined(&copying).await;
    copying.send_these(0..BATCH).await;
    copying.until_settled(BATCH as i64).await;
    let mut processor = Processor::start(namespace, "beside-another").await;
    processor.until(|said| Processor::owned(said) == 4).await;
    // It says so before it reads; until then the host reads, whose link ends by that.
    let lost = |log: &str| {
        log.lines().filter(|line| line.contains("partitions lost")).flat_map(|line| line.matches("work/")).count()
    };
    eventually(async || (lost(&host.log()) == 4).then_some(())).await;

    // What moved may have been read again from where its checkpoint was; from here on nothing moves.
    let (before, before_theirs) = (by_lockgate(&copying).await, processor.read());
    copying.send_these(BATCH..3 * BATCH).await;
    let sent: Vec<(u32, i64)> = copying
        .lockgate
        .tail("work")
        .await
        .unwrap()
        .into_iter()
        .map(|seen| (seen.partition, seen.offset))
        .filter(|place| !before.contains_key(place))
        .collect();
    assert_eq!(sent.len(), 2 * BATCH);
    copying.until_settled(3 * BATCH as i64).await;
    let said = processor.said.borrow().join("\n");
    let theirs = processor.end().await;
    let log = host.log();
    stopped(host).await;
    let ours = by_lockgate(&copying).await;
    let by = |of: &BTreeMap<(u32, i64), usize>, place: &(u32, i64)| of.get(place).copied().unwrap_or(0);
    let (mut only_ours, mut only_theirs) = (0, 0);
    for place in &sent {
        let told = || format!("{place:?} was read once; the host logged:\n{log}\nthe processor said:\n{said}");
        assert_eq!(by(&ours, place) + by(&theirs, place), 1, "{}", told());
        only_ours += by(&ours, place);
        only_theirs += by(&theirs, place);
    }
    assert!(only_ours > 0 && only_theirs > 0, "{only_ours} and {only_theirs}");
    let all = before.keys().chain(&sent);
    let missed: Vec<_> = all.filter(|place| by(&ours, place) + by(&theirs, place) == 0).collect();
    assert!(missed.is_empty(), "{missed:?}; before the processor had read {before_theirs:?}");
}
