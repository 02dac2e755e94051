//! What is too large for a topic: a dead letter, and no stop.

use std::collections::BTreeMap;

use e2e::support::files;
use e2e::support::kafka;
use e2e::support::lockgate::Outgoing;
use serde_json::json;

use super::{TOPICS, transport};
use crate::hosts::Copying;

/// More than a topic takes that nobody has told otherwise.
const LARGE: usize = 2_000_000;

#[tokio::test]
async fn what_a_topic_does_not_take_is_a_letter_and_what_the_letter_cannot_carry_lies_in_the_store() {
    let transport = transport(kafka::shared().await.unwrap(), "large", TOPICS);
    let takes_more = transport.replace("partitions: 8", "partitions: 8, config: { max.message.bytes: 4000000 }");
    let mut copying = Copying::on(&takes_more).await;
    let sets =
        ["pipelines.copy.from.group=large", "pipelines.copy.dead_letter.spill=lake", "stores.lake.directory.path=lake"];
    copying.lockgate.sets.extend(sets.map(str::to_owned));
    let message = |key: &str, act: &str, payload| Outgoing {
        key: key.into(),
        headers: BTreeMap::from([("do".to_owned(), act.to_owned())]),
        payload,
    };
    let sent = [
        message("too-much-made", &format!(r#"{{"do":"emit","bytes":{LARGE}}}"#), json!("small")),
        message("too-much-to-bury", "reject", json!("x".repeat(LARGE))),
        message("fine", "emit", json!("small")),
    ];
    copying.lockgate.send("work", &sent).await.unwrap();
    let summary = copying.lockgate.run_until_idle().await.unwrap();
    assert_eq!((summary.pipelines[0].done, summary.pipelines[0].dead()), (1, 2), "{summary:?}");
    assert_eq!(copying.made().await.into_keys().collect::<Vec<_>>(), ["fine"]);
    let letters = copying.lockgate.tail("dlq").await.unwrap();
    let letter = |key: &str| letters.iter().find(|letter| letter.key.as_deref() == Some(key)).unwrap();
    let refused = letter("too-much-made");
    assert_eq!(refused.headers["lockgate-class"], "refused");
    assert!(refused.headers["lockgate-reason"].contains("max.message.bytes"), "{refused:?}");
    assert_eq!(refused.payload, json!("small"));
    let spilled = letter("too-much-to-bury");
    let lies = files::hashes(&copying.lockgate.folder.join("lake")).unwrap();
    let hash = spilled.headers.get("lockgate-spilled-payload-sha256");
    assert!(lies.values().any(|lying| Some(lying) == hash), "{lies:?} of {spilled:?}");
}
