//! What ends a start and what a pipeline waits for, on logs in a folder.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use futures::future::BoxFuture;

use super::*;
use crate::flow::pipeline::{Parts, Settings};
use crate::flow::snapshot::{Snapshot, State};
use crate::flow::supervisor::OpenError;
use crate::model::{Checkpoint, Clock, Message, Outcome, Partition, Position, Verdict};
use crate::plugin::{Attempt, CallError, Plugin};
use crate::transport::{Commit, Rooms, SourceEvent, Subscription};

struct Idle;

#[async_trait]
impl Plugin for Idle {
    async fn call(&self, _: Arc<Message>, _: Attempt) -> Result<Outcome, CallError> {
        Ok(Outcome::of(Verdict::Done))
    }

    fn bytes_moved(&self) -> u64 {
        0
    }
}

/// The plan of a pipeline that reads the log `one` and has its dead letters in the log `two`.
fn two_logs(folder: &Path) -> Plan {
    let spec = folder.join("pipelines.yaml");
    let text = format!(
        "
lockgate: 1
transports:
  one: {{ log: {{ path: '{0}/one' }} }}
  two: {{ log: {{ path: '{0}/two' }} }}
  trial: {{ memory: {{}} }}
plugins: {{ worker: {{ component: worker.wasm }} }}
pipelines:
  p:
    from: {{ transport: one, topic: claims }}
    plugin: worker
    dead_letter: {{ transport: two, topic: dlq }}
",
        folder.display()
    );
    std::fs::write(&spec, text).unwrap();
    plan(&[spec], &[]).unwrap_or_else(|errors| panic!("{}", errors.to_json()))
}

/// The plan of a pipeline that parks for one minute, two minutes, and so on, and whose dead letters spill.
fn parking(folder: &Path, delays: usize) -> Plan {
    let spec = folder.join("parking.yaml");
    let delays: Vec<String> = (1..=delays).map(|minutes| format!("{minutes}m")).collect();
    let text = format!(
        "
lockgate: 1
transports: {{ bus: {{ log: {{ path: '{0}/bus' }} }} }}
stores: {{ lake: {{ directory: {{ path: '{0}/lake' }} }} }}
plugins: {{ worker: {{ component: worker.wasm }} }}
pipelines:
  p:
    from: {{ topic: claims }}
    plugin: worker
    retry: {{ later: {{ topic: parked, delays: [{1}] }} }}
    dead_letter: {{ topic: dlq, spill: lake }}
",
        folder.display(),
        delays.join(", ")
    );
    std::fs::write(&spec, text).unwrap();
    plan(&[spec], &[]).unwrap_or_else(|errors| panic!("{}", errors.to_json()))
}

fn used(plan: &Plan) -> BTreeSet<(&str, &str)> {
    plan.pipelines.values().flat_map(places).collect()
}

fn transports(plan: &Plan) -> Transports {
    let places = used(plan).into_iter().map(|place| place.0);
    Transports::new(plan, places, &Surroundings::default(), &Secrets::default()).unwrap()
}

fn opened(plan: &Plan, transports: &Transports) -> BoxFuture<'static, Result<(Settings, Parts), OpenError>> {
    let maker = Maker { pipeline: "p".into(), plugin: "g".into(), version: "1".into(), sha256: "00".into() };
    opener(&plan.pipelines["p"], maker, Arc::new(Idle), transports, None)()
}

#[tokio::test]
async fn what_is_unreachable_keeps_its_pipeline_waiting_until_it_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let plan = two_logs(folder.path());
    std::fs::write(folder.path().join("two"), "no folder").unwrap();
    let transports = transports(&plan);
    assert_eq!(transports.look(&used(&plan), &[]).await.errors, Vec::<String>::new());
    let waits = opened(&plan, &transports).await.err();
    assert!(matches!(&waits, Some(OpenError::Later(reason)) if reason.contains("transport two")), "{waits:?}");
    std::fs::remove_file(folder.path().join("two")).unwrap();
    assert!(opened(&plan, &transports).await.is_ok());
}

#[tokio::test]
async fn what_does_not_pass_by_itself_is_named_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let plan = two_logs(folder.path());
    for log in ["one", "two"] {
        std::fs::create_dir(folder.path().join(log)).unwrap();
        std::fs::write(folder.path().join(log).join("log.sqlite"), "this is no database".repeat(100)).unwrap();
    }
    let transports = transports(&plan);
    let errors = transports.look(&used(&plan), &[]).await.errors;
    assert_eq!(errors.len(), 2, "{errors:?}");
    assert!(errors[0].contains("transport one is damaged") && errors[1].contains("transport two is damaged"));
    assert!(matches!(opened(&plan, &transports).await.err(), Some(OpenError::Never(_))));
}

#[test]
fn every_secret_that_is_missing_is_named_at_once_where_the_spec_declares_it() {
    let folder = tempfile::tempdir().unwrap();
    let spec = folder.path().join("pipelines.yaml");
    let text = "lockgate: 1\nsecrets:\n  claimx_token: { env: LOCKGATE_TEST_NEVER_SET }\n  here: { env: PATH }\n  \
                lake_key: { file: /nowhere/lake }\n";
    std::fs::write(&spec, text).unwrap();
    let plan = plan(std::slice::from_ref(&spec), &[]).unwrap();
    let missing = secrets(&plan).unwrap_err();
    let told: Vec<String> = missing
        .iter()
        .map(|one| {
            let at = missing.position(one).unwrap();
            assert_eq!(at.file, spec.display().to_string());
            format!("{}:{}: {}", at.line, at.column, one.message)
        })
        .collect();
    assert_eq!(
        told,
        [
            "3:3: secret claimx_token: the variable LOCKGATE_TEST_NEVER_SET is not set",
            "5:3: secret lake_key: cannot read /nowhere/lake: No such file or directory (os error 2)",
        ]
    );
    assert!(
        missing.has_errors() && missing.to_string().contains("help: set LOCKGATE_TEST_NEVER_SET where"),
        "{missing}"
    );
}

#[tokio::test]
async fn a_retry_topic_is_made_with_a_partition_for_each_delay_and_four_at_least() {
    for (delays, partitions) in [(6, 6), (2, 4)] {
        let folder = tempfile::tempdir().unwrap();
        let plan = parking(folder.path(), delays);
        let looked = transports(&plan).look(&used(&plan), &[]).await;
        assert_eq!(looked.errors, Vec::<String>::new());
        let topics = [("claims", 4), ("dlq", 4), ("parked", partitions)];
        assert_eq!(looked.partitions, topics.map(|(topic, partitions)| (("bus", topic), partitions)).into());
        assert_eq!(too_few_partitions(&plan.pipelines["p"], looked.partitions[&("bus", "parked")]), None);
    }
}

#[tokio::test]
async fn a_retry_topic_with_fewer_partitions_than_delays_is_told_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let before = parking(folder.path(), 2);
    transports(&before).look(&used(&before), &[]).await;
    let plan = parking(folder.path(), 6);
    let looked = transports(&plan).look(&used(&plan), &[]).await;
    let never = opened(&plan, &transports(&plan)).await.err();
    assert!(matches!(&never, Some(OpenError::Never(reason)) if reason.contains("topic parked has 4")), "{never:?}");
    assert_eq!(
        too_few_partitions(&plan.pipelines["p"], looked.partitions[&("bus", "parked")]).as_deref(),
        Some(
            "pipeline p: topic parked has 4 partitions and `retry.later` has 6 delays, each of which needs a \
             partition of its own; name another topic, or 4 delays at most"
        )
    );
}

#[test]
fn the_store_that_dead_letters_spill_into_is_opened_though_no_plugin_may_use_it() {
    let folder = tempfile::tempdir().unwrap();
    let plan = parking(folder.path(), 1);
    let pipelines: Vec<&Pipeline> = plan.pipelines.values().collect();
    let opened = |errors: &mut Vec<String>| open_stores(&plan, &pipelines, &Secrets::default(), errors);
    let mut errors = Vec::new();
    assert!(opened(&mut errors).contains_key("lake") && errors.is_empty(), "{errors:?}");
    std::fs::remove_dir_all(folder.path().join("lake")).unwrap();
    std::fs::write(folder.path().join("lake"), "no folder").unwrap();
    assert!(opened(&mut errors).is_empty());
    assert!(matches!(errors.as_slice(), [error] if error.contains("lake")), "{errors:?}");
}

#[tokio::test]
async fn looking_tells_what_is_there_and_makes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let plan = two_logs(folder.path());
    assert_eq!([reach(&plan, "one"), reach(&plan, "trial")], [Reach::Later, Reach::Never]);
    assert!(!folder.path().join("one").exists());
    transport(&plan, "one", None).unwrap();
    assert_eq!(reach(&plan, "one"), Reach::Now);
}

/// A plugin that fails so many times with each message, and then is done. Keeps what it was called with.
struct Failing {
    failures: u32,
    calls: Mutex<Vec<(Partition, u32, u32)>>,
}

#[async_trait]
impl Plugin for Failing {
    async fn call(&self, message: Arc<Message>, attempt: Attempt) -> Result<Outcome, CallError> {
        let number = attempt.number.get();
        self.calls.lock().unwrap().push((message.origin.partition.clone(), number, attempt.left));
        let retry = Verdict::Retry { after: None, reason: "not yet".into() };
        Ok(Outcome::of(if number > self.failures { Verdict::Done } else { retry }))
    }

    fn bytes_moved(&self) -> u64 {
        0
    }
}

/// What is told of a message that fails so many times in a pipeline with two calls a round and two delays: the calls,
/// the dead letter if there is one, how long it took, and the last snapshot.
struct Story {
    calls: Vec<(Partition, u32, u32)>,
    letter: Option<Message>,
    minutes: u64,
    last: Snapshot,
}

async fn story(failures: u32, retry_transport: &str) -> Story {
    let text = format!(
        "
lockgate: 1
transports: {{ bus: {{ memory: {{}} }}, other: {{ memory: {{}} }} }}
plugins: {{ worker: {{ component: worker.wasm }} }}
pipelines:
  p:
    from: {{ transport: bus, topic: claims }}
    plugin: worker
    retry:
      in_place: {{ attempts: 2 }}
      later: {{ transport: {retry_transport}, topic: parked, delays: [5m, 10m] }}
    dead_letter: {{ transport: bus, topic: dlq }}
"
    );
    let folder = tempfile::tempdir().unwrap();
    let spec = folder.path().join("pipelines.yaml");
    std::fs::write(&spec, text).unwrap();
    let plan = plan(&[spec], &[]).unwrap_or_else(|errors| panic!("{}", errors.to_json()));
    let (transports, started) = (transports(&plan), Clock::system().now());
    let record = crate::model::Record { payload: "claim 7".into(), partition: Some(3), ..Default::default() };
    transports.sink("bus", "claims").await.unwrap().write(vec![record]).await.remove(0).unwrap();
    let plugin = Arc::new(Failing { failures, calls: Mutex::default() });
    let maker = Maker { pipeline: "p".into(), plugin: "g".into(), version: "1".into(), sha256: "00".into() };
    let handle = supervise("p".into(), opener(&plan.pipelines["p"], maker, plugin.clone(), &transports, None));
    let host = Host {
        handles: vec![handle],
        reads: [("p".into(), plan.pipelines["p"].reads())].into(),
        transports,
        abouts: [].into(),
    };
    let handle = &host.handles[0];
    let mut looks = tokio::time::interval(Duration::from_secs(10));
    let last = loop {
        looks.tick().await;
        let snapshot = handle.snapshot().await.unwrap();
        if snapshot.idle == crate::flow::snapshot::Idle::Yes && host.has_read_everything(&[&snapshot]).await {
            break snapshot;
        }
    };
    let minutes = started.elapsed().as_secs() / 60;
    handle.stop().await;
    let transport = host.transports.get("bus").await.unwrap();
    let mut letter = None;
    for index in 0..4 {
        letter = letter.or(transport.read(&Partition::new("dlq", index), Position(0), 1).await.unwrap().pop());
    }
    let calls = plugin.calls.lock().unwrap().clone();
    Story { calls, letter, minutes, last }
}

#[tokio::test(start_paused = true)]
async fn a_message_is_parked_round_after_round_and_is_then_a_dead_letter() {
    let Story { calls, letter, minutes, last } = story(u32::MAX, "bus").await;
    let claims = || Partition::new("claims", 3);
    let expected = [(1, 5), (2, 4), (3, 3), (4, 2), (5, 1), (6, 0)];
    assert_eq!(calls, expected.map(|(number, left)| (claims(), number, left)));
    assert_eq!(minutes, 15, "both delays");
    let letter = letter.unwrap();
    assert_eq!(letter.payload, "claim 7");
    assert_eq!(letter.headers.text("lockgate-class"), Some("exhausted"));
    assert_eq!(letter.headers.text("lockgate-origin-topic"), Some("claims"));
    assert_eq!((last.counts.parked, last.counts.dead.values().sum::<u64>(), last.counts.done), (2, 1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_message_that_passes_in_its_second_round_is_done_and_leaves_no_letter() {
    for retry_transport in ["bus", "other"] {
        let Story { calls, letter, minutes, last } = story(2, retry_transport).await;
        assert_eq!((calls.len(), minutes), (3, 5));
        assert_eq!((letter, last.counts.done, last.counts.parked), (None, 1, 1));
    }
}

#[tokio::test]
async fn what_another_host_of_the_group_has_not_settled_is_left() {
    let folder = tempfile::tempdir().unwrap();
    let plan = two_logs(folder.path());
    let transports = transports(&plan);
    let reads = plan.pipelines["p"].reads();
    let (topic, group) = (reads[0].topic.clone(), reads[0].group.clone());
    let host = Host { handles: vec![], reads: [("p".into(), reads.clone())].into(), transports, abouts: [].into() };
    let nothing = Snapshot::empty("p".into(), State::Running);
    let sink = host.transports.sink("one", &topic).await.unwrap();
    let log = host.transports.get("one").await.unwrap();
    let subscription = Subscription {
        topic: topic.clone(),
        group,
        start: reads[0].start,
        on_lost_position: reads[0].on_lost_position,
    };
    let mut other = log.source(&subscription).await.unwrap();
    assert!(host.has_read_everything(&[&nothing]).await, "there is no message");
    let record = crate::model::Record { payload: "claim 7".into(), partition: Some(0), ..Default::default() };
    let written = sink.write(vec![record]).await.remove(0).unwrap().unwrap();
    assert!(!host.has_read_everything(&[&nothing]).await);
    let epoch = loop {
        if let SourceEvent::Assigned(assigned) = other.next(&Rooms::default()).await {
            let of = assigned.into_iter().find(|assignment| assignment.partition.index == 0);
            if let Some(assignment) = of {
                break assignment.epoch;
            }
        }
    };
    let checkpoint = Checkpoint::plain(written.position);
    other.commit(vec![Commit { partition: Partition::new(topic, 0), epoch, checkpoint }]).await.unwrap();
    assert!(host.has_read_everything(&[&nothing]).await);
}
