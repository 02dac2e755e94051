//! What the official clients make of the emulator. They are installed where they are missing, which takes a network and a
//! minute; so these tests are ignored by themselves, and `cargo xtask test` runs them.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use eventhubs_emulator::Emulator;
use eventhubs_emulator::config::{Config, DEFAULT_KEY, Hub};
use xtask::official_clients;

use crate::scene::{SECRET, hub};

/// How long a judge may take.
const PATIENCE: Duration = Duration::from_secs(600);

#[tokio::test]
#[ignore = "installs the official Python client"]
async fn official_client_python_by_amqp() {
    python("amqp").await;
}

#[tokio::test]
#[ignore = "installs the official Python client"]
async fn official_client_python_by_amqps() {
    python("amqps").await;
}

#[tokio::test]
#[ignore = "installs the official Python client"]
async fn official_client_python_by_websocket() {
    python("ws").await;
}

#[tokio::test]
#[ignore = "installs the official Python client"]
async fn official_client_python_by_secure_websocket() {
    python("wss").await;
}

#[tokio::test]
#[ignore = "installs the official Node client"]
async fn official_client_node_by_amqp() {
    node("amqp").await;
}

#[tokio::test]
#[ignore = "installs the official Node client"]
async fn official_client_node_by_amqps() {
    node("amqps").await;
}

#[tokio::test]
#[ignore = "installs the official Node client"]
async fn official_client_node_by_secure_websocket() {
    node("wss").await;
}

async fn python(way: &str) {
    let interpreter = tokio::task::spawn_blocking(official_clients::python).await.unwrap().unwrap();
    let (emulator, ca) = judged().await;
    let mut judge = Command::new(interpreter);
    judge.arg(script("judge.py")).args([way, &emulator.address().port().to_string()]).arg(ca.path());
    passes(judge).await;
}

async fn node(way: &str) {
    let modules = tokio::task::spawn_blocking(official_clients::node).await.unwrap().unwrap();
    let (emulator, ca) = judged().await;
    let mut judge = Command::new("node");
    judge.env("NODE_EXTRA_CA_CERTS", ca.path()).env("NODE_PATH", modules);
    judge.arg(script("judge.js")).args([way, &emulator.address().port().to_string()]);
    passes(judge).await;
}

/// An emulator as the judges want it, and the file of its certificate.
async fn judged() -> (Emulator, tempfile::NamedTempFile) {
    let ca = tempfile::NamedTempFile::new().unwrap();
    let groups = vec!["other".to_owned(), "pair".to_owned()];
    let mut config = Config::default().with_key(DEFAULT_KEY, SECRET);
    config = config.with_hub("judged", Hub { groups, ..hub(4) }).with_hub("small", hub(2));
    config.ca = Some(ca.path().to_owned());
    (Emulator::start(config).await.unwrap(), ca)
}

/// Runs a judge to its end, and shows what it says where it does not pass.
async fn passes(mut judge: Command) {
    judge.stdin(Stdio::null());
    let mut judge = tokio::process::Command::from(judge);
    let ran = tokio::time::timeout(PATIENCE, judge.kill_on_drop(true).output()).await;
    let Output { status, stdout, stderr } = ran.expect("the judge ends").unwrap();
    let said = |bytes| String::from_utf8_lossy(bytes).into_owned();
    assert!(status.success(), "{}\n{}", said(&stdout), said(&stderr));
    println!("{}", said(&stdout));
}

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("judges").join(name)
}
