//! Several hosts on one log: they share its partitions, hand them over, and lose and skip nothing.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use e2e::support::built;
use e2e::support::host::{Host, Signal};
use e2e::support::lockgate::{Lockgate, Outgoing, Seen, lines};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::task::JoinHandle;

use crate::commands::{eventually, status};
use crate::scene::lockgate;

/// Messages of one load.
const LOAD: usize = 4_000;
/// Read but unsettled, at most.
pub(crate) const IN_FLIGHT: usize = 50;

/// A pipeline that makes one message of each.
pub(crate) struct Copying {
    pub(crate) lockgate: Lockgate,
    _folder: TempDir,
}

impl Copying {
    pub(crate) async fn new() -> Self {
        Self::on("{ log: { path: bus }, topics: { work: { create: { partitions: 8 } } } }").await
    }

    /// On this transport.
    pub(crate) async fn on(transport: &str) -> Self {
        let component = tokio::task::spawn_blocking(built::guests).await.unwrap().unwrap().faulty;
        let (folder, component) = (tempfile::tempdir().unwrap(), component.display().to_string());
        let spec = format!(
            r#"
lockgate: 1
transports: {{ bus: {transport} }}
plugins: {{ faulty: {{ component: "{component}" }} }}
pipelines:
  copy:
    from: {{ topic: work, start: earliest }}
    plugin: faulty
    to: {{ out: {{ topic: made }} }}
    concurrency: 8
    in_flight: {{ messages: {IN_FLIGHT} }}
    retry:
      in_place: {{ attempts: 2, first: 10ms, max: 50ms }}
      later: {{ topic: retry, delays: [2s] }}
    dead_letter: {{ topic: dlq }}
"#
        );
        Self { lockgate: lockgate(folder.path(), &spec).await, _folder: folder }
    }

    async fn send(&self, count: usize) {
        self.send_these(0..count).await;
    }

    /// Sends messages of these numbers.
    pub(crate) async fn send_these(&self, numbers: Range<usize>) {
        let message = |number: usize| Outgoing {
            key: format!("key-{number}"),
            headers: BTreeMap::new(),
            payload: json!({ "do": "emit" }),
        };
        self.lockgate.send("work", &numbers.map(message).collect::<Vec<_>>()).await.unwrap();
    }

    /// How often each message was made.
    pub(crate) async fn made(&self) -> BTreeMap<String, usize> {
        let made: Vec<Seen> = self.lockgate.tail("made").await.unwrap();
        let mut times = BTreeMap::new();
        for seen in made {
            *times.entry(seen.key.unwrap()).or_default() += 1;
        }
        times
    }

    /// Waits until so many of the topic are settled, as stored.
    pub(crate) async fn until_settled(&self, count: i64) {
        eventually(async || {
            let rows = status(&self.lockgate).await;
            let settled = |row: &serde_json::Value| row["base"].as_i64().unwrap_or(-1) + 1;
            let work = rows.iter().filter(|row| row["topic"] == "work");
            (work.map(settled).sum::<i64>() >= count).then_some(())
        })
        .await;
    }
}

pub(crate) async fn stopped(host: Host) {
    host.signal(Signal::Terminate).await.unwrap();
    let answer = host.end().await.unwrap();
    assert_eq!(answer.code, Some(0), "{}", answer.errors);
}

/// What is sent by the command comes back by the other one.
pub(crate) async fn what_is_sent_comes_back(lockgate: &Lockgate) {
    let raw: Vec<u8> = (0..=255).collect();
    std::fs::write(lockgate.folder.join("raw"), &raw).unwrap();
    std::fs::write(lockgate.folder.join("lines"), "{\"b\":1, \"a\":2}\n\n[3]\n").unwrap();
    lockgate.output(&["send", "work", "--key", "k", "--header", "from=x=y", "lines"]).await.unwrap();
    lockgate.output(&["send", "work", "--key", "k", "--raw", "raw"]).await.unwrap();
    let seen: Vec<Value> = lines(&lockgate.output(&["tail", "work", "--json"]).await.unwrap()).unwrap();
    assert_eq!(seen.len(), 3);
    assert_eq!((&seen[0]["topic"], &seen[0]["offset"]), (&Value::from("work"), &Value::from(0)));
    assert_eq!(seen[0]["payload_text"], "{\"b\":1, \"a\":2}", "it is not written compactly");
    assert_eq!((&seen[0]["key"], &seen[0]["headers"]["from"]), (&Value::from("k"), &Value::from("x=y")));
    assert_eq!(seen[1]["payload"], json!([3]));
    assert!(seen[2]["payload_base64"].as_str().unwrap().starts_with("AAECAwQF"), "{}", seen[2]);
    assert_eq!(seen[0]["partition"], seen[2]["partition"], "one key, one partition");
    let last = lockgate.output(&["tail", "work", "-n", "1", "--json"]).await.unwrap();
    assert_eq!(lines::<Value>(&last).unwrap(), seen[2..]);
}

/// Topics are listed by their names in the spec, with where they end. Says what was listed.
pub(crate) async fn topics_are_listed(copying: &Copying) -> Vec<Value> {
    copying.send_these(0..20).await;
    let topics: Vec<Value> = lines(&copying.lockgate.output(&["topics", "--json"]).await.unwrap()).unwrap();
    let named = |name: &str| topics.iter().find(|topic| topic["topic"] == name);
    let partitions = named("work").unwrap()["partitions"].as_array().unwrap();
    assert_eq!(partitions.len(), 8);
    assert_eq!(partitions.iter().map(|partition| partition["end"].as_i64().unwrap()).sum::<i64>(), 20);
    let told = copying.lockgate.output(&["topics"]).await.unwrap();
    assert!(told.lines().any(|line| line.starts_with("bus ") && line.contains(" work ")), "{told}");
    topics
}

/// Messages that are sent at once.
const BATCH: usize = 400;

/// Messages that are sent until they are enough.
struct Load {
    enough: Arc<AtomicBool>,
    sending: JoinHandle<usize>,
}

impl Load {
    /// Sends numbers from `first` on.
    fn start(copying: &Arc<Copying>, first: usize) -> Self {
        let enough = Arc::new(AtomicBool::new(false));
        let (until, copying) = (enough.clone(), copying.clone());
        let sending = tokio::spawn(async move {
            let mut next = first;
            while !until.load(Ordering::Relaxed) {
                copying.send_these(next..next + BATCH).await;
                next += BATCH;
            }
            next
        });
        Self { enough, sending }
    }

    /// Sends no more, and says how many there are.
    async fn end(self) -> usize {
        self.enough.store(true, Ordering::Relaxed);
        self.sending.await.unwrap()
    }
}

/// A host that has partitions.
pub(crate) async fn joined(copying: &Copying) -> Host {
    let mut host = Host::start(&copying.lockgate, &[]).unwrap();
    host.until_logged("\"assigned\"").await.unwrap();
    host
}

/// Three hosts of one group while messages come: none is lost, and only the end of the one that is killed repeats some.
pub(crate) async fn of_three_under_load_one_is_added_one_stopped_and_one_killed(copying: Copying) {
    let copying = Arc::new(copying);
    let load = Load::start(&copying, 0);
    let first = joined(&copying).await;
    let second = joined(&copying).await;
    copying.until_settled(1).await;
    let third = joined(&copying).await;
    stopped(first).await;
    let sent = load.end().await;
    copying.until_settled(sent as i64).await;
    let made = copying.made().await;
    assert_eq!((made.len(), made.values().sum::<usize>()), (sent, sent), "none is lost and none repeated");

    let load = Load::start(&copying, sent);
    copying.until_settled((sent + BATCH) as i64).await;
    second.kill().await.unwrap();
    copying.until_settled((sent + 2 * BATCH) as i64).await;
    let sent = load.end().await;
    copying.until_settled(sent as i64).await;
    stopped(third).await;
    let made = copying.made().await;
    assert_eq!(made.len(), sent, "none is lost");
    let repeats = made.values().sum::<usize>() - sent;
    assert!(repeats <= 2 * IN_FLIGHT, "{repeats} repeats");
}

#[tokio::test]
async fn a_host_that_joins_and_one_that_stops_under_load_repeat_nothing() {
    let copying = Copying::new().await;
    copying.send(LOAD).await;
    let first = Host::start(&copying.lockgate, &[]).unwrap();
    copying.until_settled(1).await;
    let mut second = Host::start(&copying.lockgate, &[]).unwrap();
    second.until_logged("\"assigned\"").await.unwrap();
    stopped(first).await;
    copying.send(LOAD).await;
    copying.until_settled(2 * LOAD as i64).await;
    stopped(second).await;
    let made = copying.made().await;
    assert_eq!(made.len(), LOAD);
    let wrong: Vec<_> = made.iter().filter(|(_, times)| **times != 2).collect();
    assert!(wrong.is_empty(), "each was sent twice: {wrong:?}");
}

#[tokio::test]
async fn a_host_that_is_killed_under_load_repeats_at_most_what_was_in_flight() {
    let copying = Copying::new().await;
    copying.send(LOAD).await;
    let (first, mut second) =
        (Host::start(&copying.lockgate, &[]).unwrap(), Host::start(&copying.lockgate, &[]).unwrap());
    second.until_logged("\"assigned\"").await.unwrap();
    copying.until_settled(1).await;
    first.kill().await.unwrap();
    copying.until_settled(LOAD as i64).await;
    stopped(second).await;
    let made = copying.made().await;
    assert_eq!(made.len(), LOAD, "none is lost");
    let repeats: usize = made.values().map(|times| times - 1).sum();
    assert!(repeats <= 2 * IN_FLIGHT, "{repeats} repeats");
}

#[tokio::test]
async fn of_twenty_of_which_two_fail_eighteen_run_once_and_two_again_though_the_host_is_killed_between() {
    of_twenty_two_fail_and_the_host_is_killed(Copying::new().await).await;
}

/// A host that is killed once twenty messages are settled, of which two failed and were parked: eighteen are never repeated.
pub(crate) async fn of_twenty_two_fail_and_the_host_is_killed(copying: Copying) {
    let fails = |number: usize| number % 10 == 3;
    let message = |number: usize| Outgoing {
        key: format!("key-{number}"),
        headers: BTreeMap::new(),
        payload: if fails(number) { json!({ "do": "retry", "times": 2 }) } else { json!({ "do": "emit" }) },
    };
    copying.lockgate.send("work", &(0..20).map(message).collect::<Vec<_>>()).await.unwrap();
    let host = Host::start(&copying.lockgate, &[]).unwrap();
    copying.until_settled(20).await;
    host.kill().await.unwrap();
    copying.lockgate.run_until_idle().await.unwrap();
    let made: Vec<Seen> = copying.lockgate.tail("made").await.unwrap();
    let mut attempts: Vec<(String, u64)> =
        made.into_iter().map(|seen| (seen.key.unwrap(), seen.payload["attempt"].as_u64().unwrap())).collect();
    attempts.sort();
    let mut expected: Vec<(String, u64)> =
        (0..20).map(|number| (format!("key-{number}"), if fails(number) { 3 } else { 1 })).collect();
    expected.sort();
    assert_eq!(attempts, expected);
}
