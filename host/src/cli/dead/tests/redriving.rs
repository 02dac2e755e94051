use std::time::Duration;

use super::super::redrive::{Redrive, Tally};
use super::*;
use crate::cli::Failure;
use crate::cli::signals::Signals;
use crate::flow::spill::tests::Shelf;
use crate::flow::spill::{Spiller, restore};

fn redrive(arguments: &[&str]) -> Redrive {
    match dead(&[&["redrive"], arguments].concat()) {
        Command::Redrive(redrive) => redrive,
        _ => panic!("another command"),
    }
}

async fn run_with(bus: &Bus, shelf: &Shelf, arguments: &[&str]) -> (Tally, Option<Failure>) {
    let (_tell, mut signals) = Signals::by_hand();
    redrive(arguments).redrive(&plan(), bus.transports(), shelf, &mut signals).await
}

/// How many were redriven, skipped as marked, and refused.
async fn run(bus: &Bus, arguments: &[&str]) -> [u64; 3] {
    let (tally, failure) = run_with(bus, &Shelf::default(), arguments).await;
    assert!(failure.is_none(), "it failed");
    [tally.redriven, tally.marked, tally.refused]
}

/// Two letters of `fetch` and one of `plain`.
async fn bus() -> Bus {
    let bus = Bus::new();
    bus.write("dlq", letter("fetch", "a", Class::Rejected, "gone")).await;
    bus.write("dlq", letter("fetch", "b", Class::Exhausted, "retry")).await;
    bus.write("dlq", letter("plain", "c", Class::Exhausted, "retry")).await;
    bus
}

fn ids(messages: &[Message]) -> Vec<&str> {
    messages.iter().map(|message| message.id.as_str()).collect()
}

#[tokio::test]
async fn a_letter_of_a_pipeline_that_parks_goes_to_its_retry_topic_due_now() {
    let bus = bus().await;
    assert_eq!(run(&bus, &["dlq/1@1"]).await, [1, 0, 0]);
    let parked = bus.read("parked").await;
    assert_eq!(ids(&parked), ["b"]);
    let original = letter("fetch", "b", Class::Exhausted, "retry");
    assert_eq!((&parked[0].key, &parked[0].payload), (&original.key, &original.payload));
    assert_eq!(parked[0].origin.partition.index % 2, 0, "of the first of two steps");
    for (name, value) in [
        ("lockgate-for", Some("fetch")),
        ("lockgate-delay-ms", Some("0")),
        ("lockgate-redriven", Some("1")),
        ("lockgate-origin-offset", Some("812")),
        ("trace_id", Some("t-1")),
        ("lockgate-class", None),
        ("lockgate-attempts", None),
    ] {
        assert_eq!(parked[0].headers.text(name), value, "{name}");
    }
}

#[tokio::test]
async fn a_letter_of_a_pipeline_that_does_not_park_goes_to_its_topic_for_it_alone() {
    let bus = bus().await;
    assert_eq!(run(&bus, &["--pipeline", "plain"]).await, [1, 0, 0]);
    let files = bus.read("files").await;
    assert_eq!((ids(&files), files[0].headers.text("lockgate-for")), (vec!["c"], Some("plain")));
    assert_eq!((files[0].headers.get("lockgate-delay-ms"), bus.read("parked").await.len()), (None, 0));
}

#[tokio::test]
async fn a_letter_is_redriven_once_and_again_only_when_forced() {
    let bus = bus().await;
    assert_eq!(run(&bus, &["--all"]).await, [3, 0, 0]);
    assert_eq!(run(&bus, &["--all"]).await, [0, 3, 0], "what was chosen by what it is is passed over");
    assert_eq!(run(&bus, &["dlq/1@0"]).await, [0, 0, 1], "what was asked for is refused");
    assert_eq!(run(&bus, &["dlq/1@0", "--force"]).await, [1, 0, 0]);
    let parked = bus.read("parked").await;
    let of_a = parked.iter().filter(|message| message.id.as_str() == "a").count();
    assert_eq!((of_a, parked.len()), (2, 3), "the id is kept");
    assert_eq!(bus.topic().await.marks(bus.topic().await.whole()).await.unwrap().times(&at("dlq/1@0")), 2);
}

#[tokio::test]
async fn a_letter_that_is_named_twice_goes_once() {
    assert_eq!(run(&bus().await, &["dlq/1@0", "dlq/1@0"]).await, [1, 0, 1]);
}

#[tokio::test]
async fn letters_are_chosen_by_pipeline_reason_and_age() {
    for (arguments, redriven) in [
        (&["--reason", "gone"][..], 1),
        (&["--reason", "exhausted"], 2),
        (&["--reason", "exhausted", "--pipeline", "fetch"], 1),
        (&["--since", "1970-01-01T00:00:01.001Z"], 2),
        (&["--since", "1m"], 0),
    ] {
        assert_eq!(run(&bus().await, arguments).await, [redriven, 0, 0], "{arguments:?}");
    }
}

#[tokio::test]
async fn a_dry_run_writes_nothing_and_makes_no_topic() {
    let bus = bus().await;
    assert_eq!(run(&bus, &["--all", "--dry-run"]).await, [3, 0, 0]);
    let topics = bus.memory.topics().await.unwrap();
    assert_eq!(topics.iter().map(|topic| topic.name.as_str()).collect::<Vec<_>>(), ["dlq"]);
    assert_eq!(bus.read("dlq").await.len(), 3);
}

#[tokio::test(start_paused = true)]
async fn letters_go_no_quicker_than_the_rate() {
    let (bus, start) = (bus().await, tokio::time::Instant::now());
    assert_eq!(run(&bus, &["--all", "--rate", "2/m"]).await, [3, 0, 0]);
    assert_eq!(start.elapsed().as_secs(), 60);
}

#[tokio::test(start_paused = true)]
async fn a_signal_ends_between_two_letters_and_the_rest_goes_next_time() {
    let bus = bus().await;
    let (tell, mut signals) = Signals::by_hand();
    let (plan, redrive) = (plan(), redrive(&["--all", "--rate", "1/h"]));
    let shelf = Shelf::default();
    let running = redrive.redrive(&plan, bus.transports(), &shelf, &mut signals);
    let telling = async {
        tokio::time::sleep(Duration::from_secs(60)).await;
        tell.send_replace(true);
    };
    let ((tally, failure), ()) = tokio::join!(running, telling);
    assert!(failure.is_none());
    assert_eq!((tally.redriven, tally.stopped), (1, true));
    assert_eq!(run(&bus, &["--all"]).await, [2, 1, 0]);
}

#[tokio::test]
async fn a_letter_of_a_pipeline_that_the_spec_does_not_know_is_refused_and_the_others_go() {
    let bus = bus().await;
    bus.write("dlq", letter("gone", "d", Class::Rejected, "x")).await;
    assert_eq!(run(&bus, &["--all"]).await, [3, 0, 1]);
    assert_eq!(run(&bus, &["--all", "--force", "--pipeline", "gone"]).await, [0, 0, 1]);
}

#[tokio::test]
async fn what_is_no_letter_is_never_redriven() {
    let bus = bus().await;
    bus.write("dlq", Record { partition: Some(1), ..Record::default() }).await;
    bus.write("dlq", mark(&at("dlq/1@0"))).await;
    assert_eq!(run(&bus, &["dlq/1@3", "dlq/1@4", "dlq/1@99"]).await, [0, 0, 3]);
    let (tally, _) = run_with(&bus, &Shelf::default(), &["--all"]).await;
    assert_eq!((tally.redriven, tally.marked), (2, 1));
    assert!(tally.foreign.to_string().contains("dlq/1@3"), "{}", tally.foreign);
}

#[tokio::test]
async fn when_the_mark_fails_the_message_has_gone_and_goes_again_under_its_id() {
    let bus = bus().await;
    bus.memory.fail_writes("dlq", Some("no room"));
    let (_, failure) = run_with(&bus, &Shelf::default(), &["dlq/1@0"]).await;
    match failure {
        Some(Failure::Runtime(error)) => {
            let told = format!("{error:#}");
            assert!(told.contains("dlq/1@0 was redriven but not marked") && told.contains("no room"), "{told}");
        }
        _ => panic!("it did not fail"),
    }
    bus.memory.fail_writes("dlq", None);
    assert_eq!(run(&bus, &["dlq/1@0"]).await, [1, 0, 0]);
    assert_eq!(ids(&bus.read("parked").await), ["a", "a"]);
}

#[tokio::test]
async fn a_topic_that_cannot_be_written_ends_it_and_marks_nothing() {
    let bus = bus().await;
    bus.memory.fail_writes("parked", Some("no room"));
    let (tally, failure) = run_with(&bus, &Shelf::default(), &["--all"]).await;
    assert!(failure.is_some());
    assert_eq!((tally.redriven, bus.read("dlq").await.len()), (0, 3));
}

fn large() -> Record {
    Record { payload: Bytes::from(vec![b'x'; 5000]), ..letter("fetch", "a", Class::Rejected, "gone") }
}

/// A bus with one spilled letter, and the store that has the rest of it.
async fn spilled() -> (Bus, Arc<Shelf>) {
    let (bus, shelf) = (Bus::new(), Arc::new(Shelf::default()));
    let spiller = Spiller { pipeline: "fetch".into(), spill: shelf.clone() };
    bus.write("dlq", spiller.shrink(&large()).await.unwrap().unwrap()).await;
    (bus, shelf)
}

#[tokio::test]
async fn a_spilled_letter_is_whole_again_when_it_is_redriven() {
    let (bus, shelf) = spilled().await;
    assert_eq!(run_with(&bus, &shelf, &["--all"]).await.0.redriven, 1);
    let parked = bus.read("parked").await;
    assert_eq!(parked[0].payload, large().payload);
    assert_eq!(parked[0].headers.get("lockgate-spilled-payload"), None);
}

#[tokio::test]
async fn a_spilled_letter_that_is_too_large_for_its_topic_travels_spilled() {
    let (bus, shelf) = spilled().await;
    bus.memory.refuse_larger("parked", Some(5000));
    assert_eq!(run_with(&bus, &shelf, &["--all"]).await.0.redriven, 1);
    let parked = bus.read("parked").await;
    assert!(parked[0].payload.is_empty());
    let restored = restore(parked[0].clone(), &*shelf).await.unwrap();
    assert_eq!(restored.payload, large().payload);
}

#[tokio::test]
async fn a_spilled_letter_with_another_hash_is_refused_and_not_marked() {
    let (bus, shelf) = spilled().await;
    shelf.kept.lock().unwrap().values_mut().for_each(|bytes| *bytes = Bytes::from_static(b"another"));
    let (tally, _) = run_with(&bus, &shelf, &["--all"]).await;
    assert_eq!((tally.redriven, tally.refused, bus.read("dlq").await.len()), (0, 1, 1));
    assert_eq!(bus.read("parked").await.len(), 0);
}

#[tokio::test]
async fn choosing_nothing_is_refused() {
    for arguments in [&[][..], &["--force"], &["--dry-run", "--rate", "1/s"]] {
        match redrive(arguments).obey().await {
            Err(Failure::Usage(reason)) => assert!(reason.contains("--all"), "{reason}"),
            _ => panic!("it was not refused: {arguments:?}"),
        }
    }
}

#[tokio::test]
async fn a_letter_in_a_topic_that_takes_none_is_refused_before_anything_goes() {
    let bus = bus().await;
    let (tally, failure) = run_with(&bus, &Shelf::default(), &["dlq/1@0", "claims/1@0"]).await;
    assert!(matches!(failure, Some(Failure::Usage(reason)) if reason.contains("claims")));
    assert_eq!((tally.redriven, bus.read("parked").await.len()), (0, 0));
}
