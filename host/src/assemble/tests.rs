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
    assert_eq!(transports.lasting_errors(&used(&plan)).await, Vec::<String>::new());
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
    let errors = transports.lasting_errors(&used(&plan)).await;
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
        let state = PartitionState { partition, checkpoint, unsettled: 0, oldest: None, lag: Some(0) };
        let snapshot = Snapshot {
            pipeline: "p".into(),
            state: State::Running,
            counts: Counts::default(),
            running: 0,
            idle: true,
            partitions: vec![state],
        };
        has_read(&snapshot, &[TopicInfo { name: "claims".into(), partitions: vec![PartitionInfo { first: 0, end }] }])
    };
    let base = |base| Some(Checkpoint::plain(Position(base)));
    assert!(read(base(6), 7) && read(base(-1), 0));
    assert!(!read(base(5), 7) && !read(None, 7) && !read(None, 0));
}
