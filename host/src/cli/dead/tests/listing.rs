use super::super::list::{Count, Listing};
use super::*;
use crate::flow::letters::Filter;

async fn listed(bus: &Bus, filter: Filter, limit: usize) -> Listing {
    let mut listing = Listing::new(filter, limit);
    listing.read(&bus.topic().await).await.unwrap_or_else(|_| panic!("it failed"));
    listing
}

/// Where the letters stand that are shown, in order.
fn shown(listing: &Listing) -> Vec<String> {
    let lines = listing.lines().unwrap_or_else(|_| panic!("it failed"));
    let at =
        |line: &String| serde_json::from_str::<serde_json::Value>(line).unwrap()["at"].as_str().unwrap().to_owned();
    lines.iter().map(at).collect()
}

async fn bus() -> Bus {
    let bus = Bus::new();
    bus.write("dlq", letter("fetch", "a", Class::Rejected, "gone")).await;
    bus.write("dlq", letter("fetch", "b", Class::Exhausted, "retry")).await;
    bus.write("dlq", Record { partition: Some(1), ..Record::default() }).await;
    bus.write("dlq", mark(&at("dlq/1@0"))).await;
    bus.write("dlq", Record { partition: Some(0), ..letter("plain", "c", Class::Exhausted, "retry") }).await;
    bus
}

#[tokio::test]
async fn letters_are_counted_by_pipeline_and_reason_with_those_that_were_redriven() {
    let listing = listed(&bus().await, Filter::default(), 10).await;
    let kind = |pipeline: &str, class: &str, code: &str| [pipeline, class, code].map(str::to_owned);
    let one = |redriven| Count { letters: 1, redriven };
    let expected = [
        (kind("fetch", "exhausted", "retry"), one(0)),
        (kind("fetch", "rejected", "gone"), one(1)),
        (kind("plain", "exhausted", "retry"), one(0)),
    ];
    assert_eq!(listing.counts, expected.into());
}

#[tokio::test]
async fn the_newest_letters_are_shown_the_newest_last_over_all_partitions() {
    let bus = bus().await;
    assert_eq!(shown(&listed(&bus, Filter::default(), 10).await), ["dlq/1@0", "dlq/1@1", "dlq/0@0"]);
    let two = listed(&bus, Filter::default(), 2).await;
    assert_eq!(shown(&two), ["dlq/1@1", "dlq/0@0"]);
    assert!(two.to_string().contains("1 older ones are not shown"), "{two}");
}

#[tokio::test]
async fn what_is_foreign_is_counted_and_its_place_told() {
    let foreign = listed(&bus().await, Filter::default(), 10).await.foreign.to_string();
    assert!(foreign.starts_with("1 messages") && foreign.contains("dlq/1@2"), "{foreign}");
}

#[tokio::test]
async fn letters_are_chosen_by_pipeline_by_reason_and_by_age() {
    let bus = bus().await;
    let filter = |arguments: &[&str]| match dead(&[&["list"], arguments].concat()) {
        Command::List(list) => list.filter(&Clock::from_fn(|| Timestamp(3_600_004 + 1000))),
        _ => panic!("another command"),
    };
    for (arguments, expected) in [
        (&["--pipeline", "plain"][..], &["dlq/0@0"][..]),
        (&["--reason", "gone"], &["dlq/1@0"]),
        (&["--reason", "exhausted"], &["dlq/1@1", "dlq/0@0"]),
        (&["--reason", "exhausted", "--pipeline", "fetch"], &["dlq/1@1"]),
        (&["--since", "1h"], &["dlq/0@0"]),
        (&["--since", "1970-01-01T00:00:01.001Z"], &["dlq/1@1", "dlq/0@0"]),
    ] {
        assert_eq!(shown(&listed(&bus, filter(arguments), 10).await), expected, "{arguments:?}");
    }
}

#[tokio::test]
async fn neither_secrets_nor_personal_data_are_listed() {
    let listing = listed(&bus().await, Filter::default(), 10).await;
    let told = format!("{listing} {:?}", listing.lines().unwrap_or_else(|_| panic!("it failed")));
    assert!(told.contains("403 from https://s3/a.pdf?…"), "{told}");
    assert!(!told.contains("SENTINEL") && !told.contains("insured person"), "{told}");
}

#[tokio::test]
async fn what_a_letter_says_does_nothing_to_a_terminal() {
    let bus = Bus::new();
    bus.write("dlq", letter("fetch", "a", Class::Rejected, "go\u{1b}[31mne\n")).await;
    let told = listed(&bus, Filter::default(), 10).await.to_string();
    assert!(told.contains(r"rejected/go\u{1b}[31mne\n"), "{told}");
}
