//! What operators do beside a running host: look, pause, resume, and send dead letters back.

use std::collections::BTreeMap;

use e2e::support::host::Host;
use e2e::support::lockgate::{Outgoing, Seen, lines};
use serde_json::{Value, json};

use crate::commands::eventually;
use crate::hosts::{Copying, stopped};

/// Where a host says that it can be asked.
pub(crate) async fn address(host: &mut Host) -> String {
    host.until_logged("admin listens").await.unwrap();
    let log = host.log();
    let line = log.lines().find(|line| line.contains("admin listens")).unwrap();
    serde_json::from_str::<Value>(line).unwrap()["address"].as_str().unwrap().to_owned()
}

fn told(payload: Value) -> Outgoing {
    Outgoing { key: "claim 7".into(), headers: BTreeMap::new(), payload }
}

#[tokio::test]
async fn a_paused_pipeline_starts_nothing_until_it_is_resumed_and_status_says_so() {
    let mut copying = Copying::new().await;
    copying.lockgate.sets.push("admin.listen=127.0.0.1:0".into());
    let mut host = Host::start(&copying.lockgate, &[]).unwrap();
    let address = address(&mut host).await;
    let rows = async || -> Vec<Value> {
        lines(&copying.lockgate.output(&["status", "--json", "--admin", &address]).await.unwrap()).unwrap()
    };
    let until = async |state: &str| {
        eventually(async || rows().await.iter().all(|row| row["state"] == state).then_some(())).await;
    };
    until("running").await;
    copying.lockgate.output(&["pause", "copy", "--admin", &address]).await.unwrap();
    until("paused").await;
    copying.lockgate.send("work", &[told(json!({ "do": "emit" }))]).await.unwrap();
    eventually(async || rows().await.iter().any(|row| row["lag"] == 1).then_some(())).await;
    assert!(copying.lockgate.tail("made").await.unwrap().is_empty());
    copying.lockgate.output(&["resume", "copy", "--admin", &address]).await.unwrap();
    assert_eq!(copying.lockgate.first("made", 1).await.unwrap().len(), 1);
    stopped(host).await;
}

#[tokio::test]
async fn a_held_pipeline_says_by_what_it_is_held_and_by_which_message() {
    let mut copying = Copying::new().await;
    copying.lockgate.sets.push("admin.listen=127.0.0.1:0".into());
    copying.lockgate.send("work", &[told(json!({ "do": "hold", "after": 3_600_000, "reason": "401" }))]).await.unwrap();
    let mut host = Host::start(&copying.lockgate, &[]).unwrap();
    let address = address(&mut host).await;
    let held = eventually(async || {
        let output = copying.lockgate.output(&["status", "--json", "--admin", &address]).await.unwrap();
        lines::<Value>(&output).unwrap().into_iter().find(|row| row["state"] == "held" && row["unsettled"] == 1)
    });
    let held = held.await;
    assert_eq!(held["reason"], "401");
    let text = held["oldest"]["text"].as_str().unwrap();
    assert!(text.starts_with("held at 0 by key claim 7, attempt 1, "), "{text}");
    stopped(host).await;
}

#[tokio::test]
async fn a_dead_letter_is_listed_redriven_once_and_keeps_its_id() {
    let copying = Copying::new().await;
    let lockgate = &copying.lockgate;
    lockgate.send("work", &[told(json!({ "do": "reject", "code": "bad", "reason": "it is bad" }))]).await.unwrap();
    lockgate.run_until_idle().await.unwrap();
    let first: Seen = lockgate.tail("dlq").await.unwrap().remove(0);
    let place = format!("dlq/{}@{}", first.partition, first.offset);
    let listed = lockgate.output(&["dead", "list", "--reason", "bad"]).await.unwrap();
    assert!(listed.contains(&place) && !listed.contains("claim 7"), "{listed}");
    lockgate.output(&["dead", "redrive", &place, "--dry-run"]).await.unwrap();
    lockgate.output(&["dead", "redrive", &place]).await.unwrap();
    let again = lockgate.answer(&["dead", "redrive", &place]).await.unwrap();
    assert_eq!(again.code, Some(1), "{}", again.errors);

    lockgate.run_until_idle().await.unwrap();
    let letters: Vec<Seen> = lockgate.tail("dlq").await.unwrap();
    let letters: Vec<&Seen> = letters.iter().filter(|seen| seen.headers.contains_key("lockgate-code")).collect();
    let [_, second] = &letters[..] else { panic!("{letters:?}") };
    assert_eq!((&second.id, second.headers["lockgate-redriven"].as_str()), (&first.id, "1"));
    assert_eq!((&second.payload, &second.key), (&first.payload, &first.key));
    assert_eq!(second.headers["lockgate-origin-topic"], "work");
}
