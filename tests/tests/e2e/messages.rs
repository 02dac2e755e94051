//! Messages as writers get them wrong, through the real program and the real components. Each becomes a dead letter of
//! its own with the reason that an operator reads; none makes a guest trap, holds a pipeline up, or keeps the good and
//! the odd ones beside it from their end.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use claims::Domain;
use claims::testing::{Bad, Kind, SENTINEL, misleading, odd, unreadable, whole, with_all};
use e2e::simulators::file_origin::{Behaviour, FileOrigin, FilePath, Ports};
use e2e::support::built;
use e2e::support::lockgate::{Answer, Lockgate, Seen, Summary, summary};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::scene::lockgate;

/// Download and upload of one domain, as the shipped spec has them, with dead letters of their own. Reading eight
/// million bytes takes a busy machine its time: the computing limit is not what is shown here.
struct Works {
    domain: Domain,
    lockgate: Lockgate,
    origin: FileOrigin,
    _folder: TempDir,
}

impl Works {
    async fn new(domain: Domain) -> Self {
        let origin = FileOrigin::start(Ports::ANY, std::time::Duration::ZERO).await.unwrap();
        let guests = tokio::task::spawn_blocking(built::guests).await.unwrap().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let (download, upload, name) = (guests.download.display(), guests.upload.display(), domain.name());
        let results = match domain {
            Domain::Claimx => "",
            Domain::Verisk => ", results: { topic: results }",
        };
        let port = origin.ports().origin;
        let spec = format!(
            r#"
lockgate: 1
transports: {{ bus: {{ log: {{ path: bus }} }} }}
stores: {{ cache: {{ directory: {{ path: cache }} }}, lake: {{ directory: {{ path: lake }} }} }}
endpoints: {{ media: {{ allow: ["http://127.0.0.1:{port}"], allow_addresses: ["127.0.0.0/8"] }} }}
plugins:
  download: {{ component: "{download}", limits: {{ cpu: 60s }} }}
  upload: {{ component: "{upload}", limits: {{ cpu: 60s }} }}
pipelines:
  download:
    from: {{ topic: pending, start: earliest }}
    plugin: download
    grants: {{ endpoints: [media], stores: [cache] }}
    config: {{ domain: {name}, endpoint: media, store: cache }}
    to: {{ cached: {{ topic: cached }}{results} }}
    concurrency: 4
    dead_letter: {{ topic: download-dead }}
  upload:
    from: {{ topic: cached, start: earliest }}
    plugin: upload
    grants: {{ stores: [cache, lake] }}
    config: {{ domain: {name}, cache: cache, store: lake }}
    to: {{ results: {{ topic: results }}, downloads: {{ topic: pending }} }}
    concurrency: 4
    dead_letter: {{ topic: upload-dead }}
"#
        );
        Self { domain, lockgate: lockgate(folder.path(), &spec).await, origin, _folder: folder }
    }

    /// Messages that are right, though most are odd.
    fn good(&self) -> Vec<Vec<u8>> {
        let path = FilePath { behaviour: Behaviour::Fine, size: 20_000, name: "1.jpg".into() };
        let task = whole(Kind::Task, self.domain, &self.origin.url(&path));
        let odd = odd(Kind::Task, self.domain).into_iter().map(|(_, fields)| with_all(&task, &fields));
        [task.to_string().into_bytes()].into_iter().chain(odd).collect()
    }

    async fn send(&self, topic: &str, messages: &[(String, &[u8])]) {
        let records: Vec<Value> = messages.iter().map(|(key, payload)| record(key, payload)).collect();
        self.lockgate.send_records(topic, &records).await.unwrap();
    }

    async fn run(&self) -> (Summary, String) {
        let Answer { code, output, errors } =
            self.lockgate.answer(&["run", "--until-idle", "--format", "json", "--log", "json"]).await.unwrap();
        assert_eq!(code, Some(0), "{errors}");
        (summary(&output).unwrap(), errors)
    }
}

fn record(key: &str, payload: &[u8]) -> Value {
    match str::from_utf8(payload) {
        Ok(text) => json!({ "key": key, "payload_text": text }),
        Err(_) => json!({ "key": key, "payload_base64": STANDARD.encode(payload) }),
    }
}

/// Rows of the table by the key that they are sent with.
fn keyed(rows: Vec<Bad>) -> BTreeMap<String, Bad> {
    rows.into_iter().enumerate().map(|(number, row)| (format!("bad-{number}"), row)).collect()
}

/// What is bad with what is good between, as evenly as it goes.
fn mixed<'a>(bad: &'a BTreeMap<String, Bad>, good: &'a [Vec<u8>]) -> Vec<(String, &'a [u8])> {
    let mut good = good.iter().enumerate().map(|(number, payload)| (format!("good-{number}"), payload.as_slice()));
    let mut messages = Vec::new();
    for (number, (key, row)) in bad.iter().enumerate() {
        if number % 5 == 0 {
            messages.extend(good.next());
        }
        messages.push((key.clone(), row.payload.as_slice()));
    }
    messages.into_iter().chain(good).collect()
}

/// Holds that each row has one letter, with its reason and its payload as it was.
fn check_letters(rows: &BTreeMap<String, Bad>, letters: &[Seen]) {
    let mut keys: Vec<&str> = letters.iter().map(|letter| letter.key.as_deref().unwrap()).collect();
    keys.sort_unstable();
    assert_eq!(keys, rows.keys().map(String::as_str).collect::<Vec<_>>());
    for letter in letters {
        let row = &rows[letter.key.as_deref().unwrap()];
        let header = |name: &str| letter.headers[name].as_str();
        let ended = (header("lockgate-class"), header("lockgate-code"), header("lockgate-reason"));
        assert_eq!(ended, ("rejected", row.code, row.reason.as_str()), "{}", row.name);
        // Tries that failed: a rejection is an answer, a trap would be one.
        assert_eq!(header("lockgate-attempts"), "0", "{}", row.name);
        if let Some(text) = letter.payload.as_str() {
            assert_eq!(text.as_bytes(), row.payload, "{}", row.name);
        }
    }
}

async fn check(domain: Domain) {
    let works = Works::new(domain).await;
    let of = |kind| keyed([unreadable(kind, domain), misleading(kind, domain)].concat());
    let (mut tasks, cached) = (of(Kind::Task), of(Kind::Cached));
    tasks.insert("huge".into(), huge());
    let good = works.good();
    works.send("pending", &mixed(&tasks, &good)).await;
    works.send("cached", &mixed(&cached, &[])).await;
    let (summary, log) = works.run().await;

    let pipeline = |name: &str| summary.pipelines.iter().find(|pipeline| pipeline.name == name).unwrap();
    for (name, bad) in [("download", &tasks), ("upload", &cached)] {
        let ran = pipeline(name);
        let ended = (ran.admitted as usize, ran.done as usize, ran.dead() as usize, ran.retried);
        assert_eq!(ended, (bad.len() + good.len(), good.len(), bad.len(), 0), "{name}: {ran:?}");
        check_letters(bad, &works.lockgate.tail(&format!("{name}-dead")).await.unwrap());
    }
    let results = works.lockgate.tail("results").await.unwrap();
    let completed = results.iter().filter(|result| result.payload["status"] == "completed").count();
    assert_eq!(completed, good.len());
    assert!(!log.contains(SENTINEL), "the log tells what a payload holds");
}

/// A message that would fill the memory of a guest.
fn huge() -> Bad {
    let payload = format!("{{\"metadata\":\"{}\"}}", "x".repeat(33 << 20)).into_bytes();
    // With its key.
    let reason = format!(
        "the message has {} bytes, where half of `limits.memory` of plugin download, 33554432, is the most",
        payload.len() + "huge".len()
    );
    Bad { name: "more than the memory".into(), payload, code: "too-large", reason }
}

#[tokio::test]
async fn every_bad_message_of_claimx_is_a_dead_letter_with_its_reason_and_the_others_pass() {
    check(Domain::Claimx).await;
}

#[tokio::test]
async fn every_bad_message_of_verisk_is_a_dead_letter_with_its_reason_and_the_others_pass() {
    check(Domain::Verisk).await;
}
