//! Parking and dead letters: what a spec may say of them, by itself and beside other pipelines.

use super::{RIGHT, checked, edited, wrong};
use crate::spec::plan::{From, Topic};
use crate::transport::{OnLostPosition, Start};

const LATER: &str = "later: { topic: parked, delays: [5m, 10m, 10m, 40m], overtake: allowed }";

/// Writes `retry.later` of the right spec anew, and says what is wrong with it then.
#[track_caller]
fn later(new: &str, expected: &[&str]) {
    wrong(LATER, new, expected);
}

/// Puts another pipeline beside the one of the right spec; what it shares with it is what `says` leaves as it is.
#[track_caller]
fn beside(says: &str, expected: &[&str]) {
    let other = format!(
        "pipelines:\n  other: {{ from: {{ topic: other }}, plugin: download, config: {{ domain: claimx, endpoint: media, store: cache }}, grants: {{ endpoints: [media], stores: [cache] }}, to: {{ cached: discard }}, {says} }}\n"
    );
    wrong("pipelines:\n", &other, expected);
}

#[test]
fn a_pipeline_reads_its_topic_and_what_it_parked() {
    let plan = checked(&[("pipelines.yaml", RIGHT)], &[]).map_err(|problems| problems.to_string()).unwrap();
    let read = |topic: &str, start| From {
        transport: "bus".to_owned(),
        topic: topic.into(),
        group: "fetch".into(),
        start,
        on_lost_position: OnLostPosition::Earliest,
    };
    let fetch = &plan.pipelines["fetch"];
    assert_eq!(fetch.reads(), [read("pending", Start::Latest), read("parked", Start::Earliest)]);
    let written: Vec<&str> = fetch.writes().map(|Topic { topic, .. }| topic.as_str()).collect();
    assert_eq!(written, ["letters", "parked", "cached"]);
}

#[test]
fn delays_are_there_last_and_do_not_shrink() {
    later(
        "later: { topic: parked, delays: [], overtake: allowed }",
        &[
            "`delays` missing-key: without a delay no message is tried again later (say how long one waits after each failed round, such as `delays: [5m, 10m, 20m, 40m]`, or leave `later` out)",
        ],
    );
    later(
        "later: { topic: parked, overtake: allowed }",
        &[
            "`later` missing-key: without a delay no message is tried again later (say how long one waits after each failed round, such as `delays: [5m, 10m, 20m, 40m]`, or leave `later` out)",
        ],
    );
    later(
        "later: { topic: parked, delays: [0s, 5m], overtake: allowed }",
        &["`0s` wrong-value: this must be longer than nothing"],
    );
    later(
        "later: { topic: parked, delays: [5m, 31d], overtake: allowed }",
        &[
            "`25h` retention: messages wait in this topic for up to 744h and are kept for 25h (keep them for a day longer than the longest delay, 768h: what is deleted before it is due is lost)",
            "`31d` wrong-value: no message is parked for longer than 720h",
        ],
    );
    later(
        "later: { topic: parked, delays: [5m, 20m, 10m, 40m, 30m], overtake: allowed }",
        &[
            "`10m` wrong-value: a delay of 10m cannot follow one of 20m (put them in order, the shortest first: a message that asks for a longer wait takes a later one)",
            "`30m` wrong-value: a delay of 30m cannot follow one of 40m (put them in order, the shortest first: a message that asks for a longer wait takes a later one)",
        ],
    );
}

#[test]
fn the_topic_to_wait_in_is_named() {
    later("later: { delays: [5m], overtake: allowed }", &["`later` missing-key: `later` lacks the key `topic`"]);
    later(
        "later: { transport: bsu, topic: parked, delays: [5m], overtake: allowed }",
        &["`bsu` unknown-name: no transport is called `bsu` (did you mean `bus`?)"],
    );
}

#[test]
fn parking_breaks_an_order_and_has_to_be_told_so() {
    let without = "later: { topic: parked, delays: [5m] }";
    for (order, same) in [
        ("order: key", "of its key"),
        ("order: partition", "of its partition"),
        ("order: { header: project-id }", "with the same `project-id`"),
    ] {
        let help = format!(
            "`later` missing-key: a message that is parked does not keep its `order` (while a message is parked, later ones {same} will pass it; add `overtake: allowed` if they may, or leave `later` out)"
        );
        let said = edited(&[(LATER, without), ("order: { header: project-id }", order)]);
        assert_eq!(said.iter().map(|line| line.split_once(' ').unwrap().1).collect::<Vec<_>>(), [help]);
    }
    for order in ["order: none", "drain_for: 30s"] {
        let rest = RIGHT.replace("    drain_for: 30s\n", "").replace(LATER, without);
        let text = rest.replace("order: { header: project-id }", order);
        assert!(checked(&[("pipelines.yaml", &text)], &[]).is_ok(), "{order}");
    }
    assert_eq!(edited(&[("order: { header: project-id }", "order: none")]), Vec::<String>::new(), "said for nothing");
}

#[test]
fn a_topic_to_wait_in_holds_nothing_else() {
    let topic = |name: &str| format!("later: {{ topic: {name}, delays: [5m], overtake: allowed }}");
    let help = "(name a topic that is used for nothing else)";
    for (name, what) in [
        ("pending", "the pipeline `fetch` reads its new messages from it"),
        // By its physical name as well.
        ("prod-pending", "the pipeline `fetch` reads its new messages from it"),
        ("letters", "the pipeline `fetch` writes its dead letters to it"),
        ("cached", "the pipeline `fetch` writes its output `cached` to it"),
    ] {
        later(&topic(name), &[&format!("`{name}` wrong-value: messages cannot wait in this topic: {what} {help}")]);
    }
    for (says, what) in [
        ("from: { topic: parked, group: g }", "reads its new messages from it"),
        ("dead_letter: { topic: parked }", "writes its dead letters to it"),
        ("to: { cached: { topic: parked } }", "writes its output `cached` to it"),
    ] {
        let rest = "plugin: download, config: { domain: claimx, endpoint: media, store: cache }, grants: { endpoints: [media], stores: [cache] }";
        let from = if says.starts_with("from") { "" } else { "from: { topic: other }, " };
        let to = if says.starts_with("to") { "" } else { "to: { cached: discard }, " };
        let other = format!("pipelines:\n  other: {{ {from}{to}{rest}, {says} }}\n");
        let expected =
            format!("`parked` wrong-value: messages cannot wait in this topic: the pipeline `other` {what} {help}");
        wrong("pipelines:\n", &other, &[&expected]);
    }
}

#[test]
fn pipelines_that_share_a_topic_to_wait_in_have_the_same_delays_and_groups_of_their_own() {
    beside("retry: { later: { topic: parked, delays: [5m, 10m, 10m, 40m] } }", &[]);
    beside("retry: { later: { topic: aside, delays: [5m] } }", &[]);
    // The later one of the two is `other`: pipelines are compared by name.
    beside(
        "retry: { later: { topic: parked, delays: [5m, 10m] } }",
        &[
            "`delays` wrong-value: the pipelines `fetch` and `other` share a retry topic and not its delays (give both the same `delays`, or each a topic of its own)",
        ],
    );
    let grouped = "pipelines:\n  other: { from: { topic: other, group: fetch }, plugin: download, config: { domain: claimx, endpoint: media, store: cache }, grants: { endpoints: [media], stores: [cache] }, to: { cached: discard }, retry: { later: { topic: parked, delays: [5m, 10m, 10m, 40m] } } }\n";
    wrong(
        "pipelines:\n",
        grouped,
        &[
            "`parked` wrong-value: the pipelines `fetch` and `other` wait in the same topic in the same group, so each would miss messages (give each a `group` of its own)",
        ],
    );
    // Who also reads the same topic is told once.
    let said = edited(&[("pipelines:\n", &grouped.replace("topic: other", "topic: pending"))]);
    assert_eq!(said.len(), 1, "{said:#?}");
}

#[test]
fn the_other_pipeline_is_shown_beside_the_fault() {
    let other = "pipelines:\n  other: { from: { topic: other }, plugin: download, config: { domain: claimx, endpoint: media, store: cache }, grants: { endpoints: [media], stores: [cache] }, to: { cached: discard }, retry: { later: { topic: parked, delays: [7m] } } }\n";
    let text = RIGHT.replace("pipelines:\n", other);
    let diagnostics = checked(&[("pipelines.yaml", &text)], &[]).unwrap_err();
    let related: Vec<_> = diagnostics.iter().flat_map(|one| &one.related).collect();
    let [(place, label)] = related.as_slice() else { panic!("{related:?}") };
    let line = text[..place.range().start].lines().count();
    assert_eq!((text.lines().nth(line - 1).unwrap().trim(), label.as_str()), (LATER, "the other ones"));
}

#[test]
fn a_topic_to_wait_in_is_made_and_kept_for_that() {
    wrong(
        "parked: { create: { partitions: 8,",
        "parked: { create: { partitions: 3,",
        &[
            "`3` wrong-value: 3 partitions are too few: each of 4 delays needs one of its own (make it 4 or more, or leave it out)",
        ],
    );
    wrong(
        "age: 25h",
        "age: 24h",
        &[
            "`24h` retention: messages wait in this topic for up to 40m and are kept for 24h (keep them for a day longer than the longest delay, 24h 40m: what is deleted before it is due is lost)",
        ],
    );
    wrong("age: 25h", "size: 1GiB", &[]);
    // However the spec calls it where it says how it is made.
    wrong(
        "parked: { create: { partitions: 8,",
        "alias: { name: parked, create: { partitions: 2,",
        &[
            "`2` wrong-value: 2 partitions are too few: each of 4 delays needs one of its own (make it 4 or more, or leave it out)",
        ],
    );
}

#[test]
fn both_topics_that_a_pipeline_reads_have_names_of_their_own() {
    let said = edited(&[
        ("stores:\n", "  other: { memory: {} }\nstores:\n"),
        ("{ topic: pending,", "{ transport: bus, topic: pending,"),
        ("{ topic: cached }", "{ transport: bus, topic: cached }"),
        ("{ topic: letters,", "{ transport: bus, topic: letters,"),
        ("{ topic: parked,", "{ transport: other, topic: pending,"),
    ]);
    let expected = "`pending` wrong-value: the pipeline reads a topic `pending` of another transport already (give this one another name here, and its own as `name` under the transport's `topics`)";
    assert_eq!(said.iter().map(|line| line.split_once(' ').unwrap().1).collect::<Vec<_>>(), [expected]);
}

#[test]
fn letters_spill_into_a_store_of_the_spec_or_on_purpose_into_none() {
    wrong("spill: lake", "spill: none", &[]);
    wrong("spill: lake", "spill: scratch", &[]);
    wrong("spill: lake", "spill: lak", &["`lak` unknown-name: no store is called `lak` (did you mean `lake`?)"]);
    wrong("  scratch:", "  none:", &["`none` wrong-value: `none` is no name of a store: it is the word for no store"]);
    let plan = |spill: &str| {
        let text = RIGHT.replace("spill: lake", spill);
        checked(&[("pipelines.yaml", &text)], &[]).map_err(|problems| problems.to_string()).unwrap()
    };
    assert_eq!(plan("spill: scratch").pipelines["fetch"].dead_letter.spill.as_deref(), Some("scratch"));
    assert_eq!(plan("spill: none").pipelines["fetch"].dead_letter.spill, None);
}
