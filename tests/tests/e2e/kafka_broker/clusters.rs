//! Pipelines from one transport into another.

use std::collections::BTreeSet;
use std::path::Path;

use e2e::support::host::Host;
use e2e::support::kafka::{self, Broker, stands};
use e2e::support::lockgate::Lockgate;
use e2e::support::{built, lockgate::Outgoing};
use serde_json::json;

use super::transport;
use crate::commands::{eventually, status};
use crate::hosts::stopped;
use crate::scene::lockgate;

/// What is read.
const WORK: &[(&str, u32)] = &[("work", 8)];

/// A pipeline that makes one message of each, from `near` to `far`.
async fn between(folder: &Path, near: &str, far: &str, group: &str) -> Lockgate {
    let component = tokio::task::spawn_blocking(built::guests).await.unwrap().unwrap().faulty;
    let component = component.display();
    let spec = format!(
        r#"
lockgate: 1
transports:
  near: {near}
  far: {far}
plugins: {{ faulty: {{ component: "{component}" }} }}
pipelines:
  copy:
    from: {{ transport: near, topic: work, group: {group}, start: earliest }}
    plugin: faulty
    to: {{ out: {{ transport: far, topic: made }} }}
    dead_letter: {{ transport: far, topic: dlq }}
"#
    );
    lockgate(folder, &spec).await
}

async fn send(lockgate: &Lockgate, numbers: std::ops::Range<usize>) {
    let message =
        |number: usize| Outgoing { key: format!("key-{number}"), headers: [].into(), payload: json!({ "do": "emit" }) };
    lockgate.send("work", &numbers.map(message).collect::<Vec<_>>()).await.unwrap();
}

async fn made(lockgate: &Lockgate) -> BTreeSet<String> {
    lockgate.tail("made").await.unwrap().into_iter().map(|seen| seen.key.unwrap()).collect()
}

async fn topics(broker: &Broker) -> String {
    tokio::task::block_in_place(|| broker.tool("org.apache.kafka.tools.TopicCommand", &["--list"])).unwrap()
}

#[tokio::test]
async fn what_comes_from_kafka_may_go_into_an_embedded_log() {
    let (broker, folder) = (kafka::shared().await.unwrap(), tempfile::tempdir().unwrap());
    let lockgate = between(folder.path(), &transport(broker, "tolog", WORK), "{ log: { path: far } }", "tolog").await;
    send(&lockgate, 0..200).await;
    let summary = lockgate.run_until_idle().await.unwrap();
    assert_eq!((summary.pipelines[0].admitted, summary.pipelines[0].done), (200, 200), "{summary:?}");
    assert_eq!((made(&lockgate).await.len(), lockgate.tail("made").await.unwrap().len()), (200, 200));
    assert!(folder.path().join("far/log.sqlite").exists());
    let stands = tokio::task::spawn_blocking(|| stands(broker, "tolog")).await.unwrap().unwrap();
    assert_eq!(stands.iter().map(|stand| (stand.current, stand.lag)).fold((0, 0), sum), (200, 0), "{stands:?}");
}

fn sum(one: (i64, u64), other: (i64, u64)) -> (i64, u64) {
    (one.0 + other.0, one.1 + other.1)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_goes_from_one_cluster_to_another_waits_while_the_other_is_away() {
    let (near, folder) = (kafka::shared().await.unwrap(), tempfile::tempdir().unwrap());
    let mut far = kafka::own().await.unwrap();
    let (near_is, far_is) =
        (transport(near, "clusters", WORK), transport(&far, "clusters", &[("made", 4), ("dlq", 1)]));
    let lockgate = between(folder.path(), &near_is, &far_is, "clusters").await;
    send(&lockgate, 0..100).await;
    let mut host = Host::start(&lockgate, &[]).unwrap();
    // Its topics are made by then.
    host.until_logged("\"assigned\"").await.unwrap();
    eventually(async || (made(&lockgate).await.len() == 100).then_some(())).await;
    assert!(!topics(near).await.contains("clusters-made") && !topics(&far).await.contains("clusters-work"));

    tokio::task::block_in_place(|| far.kill());
    send(&lockgate, 100..200).await;
    tokio::task::block_in_place(|| far.restart()).unwrap();
    eventually(async || (made(&lockgate).await.len() == 200).then_some(())).await;
    eventually(async || status(&lockgate).await.iter().all(|row| row["lag"] == 0).then_some(())).await;
    stopped(host).await;
    assert!(lockgate.tail("dlq").await.unwrap().is_empty());
}
