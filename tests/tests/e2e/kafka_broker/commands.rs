//! Commands on topics in Kafka, beside Kafka's own tools.

use std::collections::BTreeMap;

use e2e::support::kafka::{Stand, stands};
use serde_json::Value;

use super::copying;
use crate::commands::status;
use crate::hosts::{topics_are_listed, what_is_sent_comes_back};

#[tokio::test]
async fn what_is_sent_comes_back_as_it_was() {
    let (copying, _) = copying("sent").await;
    what_is_sent_comes_back(&copying.lockgate).await;
}

#[tokio::test]
async fn topics_are_listed_by_their_names_in_the_spec_with_where_they_end() {
    let (copying, _) = copying("listed").await;
    let topics = topics_are_listed(&copying).await;
    assert!(topics.iter().any(|topic| topic["topic"] == "listed-work"), "by its own name too");
}

#[tokio::test]
async fn kafkas_own_tool_tells_the_same_lag_and_the_offsets_of_what_comes_next() {
    let (copying, broker) = copying("lag").await;
    copying.send_these(0..100).await;
    let lag = |rows: &[Value]| rows.iter().map(|row| row["lag"].as_u64().unwrap()).sum::<u64>();
    let before = status(&copying.lockgate).await;
    let work: Vec<Value> = before.into_iter().filter(|row| row["topic"] == "work").collect();
    assert_eq!((work.len(), lag(&work)), (8, 100), "nothing ran yet: {work:?}");

    copying.lockgate.run_until_idle().await.unwrap();
    copying.send_these(100..140).await;
    let rows = status(&copying.lockgate).await;
    let row = |row: &Value| {
        let number = |key: &str| row[key].as_i64().unwrap_or_else(|| panic!("no {key}: {row}"));
        let partition = u32::try_from(number("partition")).unwrap();
        (partition, (number("base") + 1, number("lag")))
    };
    let ours: BTreeMap<u32, (i64, i64)> = rows.iter().filter(|row| row["topic"] == "work").map(row).collect();
    let stands = tokio::task::spawn_blocking(|| stands(broker, "lag")).await.unwrap().unwrap();
    let theirs = stands.iter().filter(|stand| stand.topic == "lag-work");
    let theirs: BTreeMap<u32, (i64, i64)> = theirs
        .map(|Stand { partition, current, end, lag, .. }| {
            assert_eq!(i64::try_from(*lag).unwrap(), end - current);
            (*partition, (*current, end - current))
        })
        .collect();
    assert_eq!(ours, theirs);
    assert_eq!(theirs.len(), 8, "a partition without a message is committed too");
    let sums = theirs.values().fold((0, 0), |sum, next| (sum.0 + next.0, sum.1 + next.1));
    assert_eq!(sums, (100, 40));
}

#[tokio::test]
async fn a_topic_that_is_missing_is_named_at_the_start_and_not_made() {
    let (mut copying, broker) = copying("missing").await;
    copying.lockgate.sets.extend(["work", "made"].map(|topic| format!("transports.bus.topics.{topic}.create=null")));
    let answer = copying.lockgate.answer(&["run", "--until-idle"]).await.unwrap();
    assert_eq!((answer.code, answer.output.as_str()), (Some(1), ""), "{}", answer.errors);
    for topic in ["`work`", "`made`"] {
        assert!(answer.errors.contains(&format!("has no topic {topic}")), "{}", answer.errors);
    }
    let list = || broker.tool("org.apache.kafka.tools.TopicCommand", &["--list"]);
    let listed = tokio::task::spawn_blocking(list).await.unwrap().unwrap();
    let made = |topic: &str| listed.lines().any(|line| line == format!("missing-{topic}"));
    assert!(!made("work") && !made("made"), "{listed}");
}
