//! What ends a start and what a pipeline waits for, on logs in a folder.

use std::sync::Arc;

use async_trait::async_trait;
use futures::future::BoxFuture;

use super::*;
use crate::flow::in_flight::PartitionState;
use crate::flow::snapshot::{Counts, State};
use crate::model::{Checkpoint, Message, Outcome, Partition, Position, Verdict};
use crate::plugin::{Attempt, CallError};
use crate::transport::PartitionInfo;

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
    Transports::new(plan, used(plan).into_iter().map(|place| place.0)).unwrap()
}

fn opened(plan: &Plan, transports: &Transports) -> BoxFuture<'static, Result<(Settings, Parts), OpenError>> {
    let maker = Maker { pipeline: "p".into(), plugin: "g".into(), version: "1".into(), sha256: "00".into() };
    opener(&plan.pipelines["p"], maker, Arc::new(Idle), transports)()
}

#[tokio::test]
async fn what_is_unreachable_keeps_its_pipeline_waiting_until_it_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let plan = two_logs(folder.path());
    std::fs::write(folder.path().join("two"), "no folder").unwrap();
    let transports = transports(&plan);
    assert_eq!(transports.look(&used(&plan)).await.errors, Vec::<String>::new());
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
    let errors = transports.look(&used(&plan)).await.errors;
    assert_eq!(errors.len(), 2, "{errors:?}");
    assert!(errors[0].contains("transport one is damaged") && errors[1].contains("transport two is damaged"));
    assert!(matches!(opened(&plan, &transports).await.err(), Some(OpenError::Never(_))));
}

#[tokio::test]
async fn a_retry_topic_is_made_with_a_partition_for_each_delay_and_four_at_least() {
    for (delays, partitions) in [(6, 6), (2, 4)] {
        let folder = tempfile::tempdir().unwrap();
        let plan = parking(folder.path(), delays);
        let looked = transports(&plan).look(&used(&plan)).await;
        assert_eq!(looked.errors, Vec::<String>::new());
        let topics = [("claims", 4), ("dlq", 4), ("parked", partitions)];
        assert_eq!(looked.partitions, topics.map(|(topic, partitions)| (("bus", topic), partitions)).into());
        assert_eq!(too_few_partitions(&plan.pipelines["p"], &looked.partitions), None);
    }
}

#[tokio::test]
async fn a_retry_topic_with_fewer_partitions_than_delays_is_told_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let before = parking(folder.path(), 2);
    transports(&before).look(&used(&before)).await;
    let plan = parking(folder.path(), 6);
    let looked = transports(&plan).look(&used(&plan)).await;
    assert_eq!(
        too_few_partitions(&plan.pipelines["p"], &looked.partitions).as_deref(),
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
    transport(&plan, "one").unwrap();
    assert_eq!(reach(&plan, "one"), Reach::Now);
}

#[test]
fn everything_is_read_when_the_base_is_the_last_message() {
    let read = |checkpoint: Option<Checkpoint>, end| {
        let partition = Partition::new("claims", 0);
        let state = PartitionState { partition, checkpoint, unsettled: 0, oldest: None, lag: Some(0), due: None };
        let snapshot = Snapshot {
            pipeline: "p".into(),
            state: State::Running,
            counts: Counts::default(),
            running: 0,
            idle: crate::flow::snapshot::Idle::Yes,
            partitions: vec![state],
        };
        has_read(&snapshot, &[TopicInfo { name: "claims".into(), partitions: vec![PartitionInfo { first: 0, end }] }])
    };
    let base = |base| Some(Checkpoint::plain(Position(base)));
    assert!(read(base(6), 7) && read(base(-1), 0));
    assert!(!read(base(5), 7) && !read(None, 7) && !read(None, 0));
}
