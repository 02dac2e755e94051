//! The claims pipelines of the root `pipelines.yaml`, as they are shipped.

use e2e::demo::task::{Domain, SIGNATURE};
use e2e::demo::{Demo, Place};
use e2e::support::built;
use e2e::support::host::Host;
use e2e::support::lockgate::{Summary, summary};
use tempfile::TempDir;

/// As few tasks as meet every misbehaviour in both domains.
pub(crate) const TASKS: usize = 60;

/// The shipped spec, in a folder of its own.
pub(crate) struct Claims {
    pub(crate) place: Place,
    _folder: TempDir,
}

impl Claims {
    pub(crate) async fn new() -> Self {
        let build = || anyhow::Ok((built::programs()?, built::guests()?));
        let (programs, guests) = tokio::task::spawn_blocking(build).await.unwrap().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().to_owned();
        std::fs::create_dir(root.join("plugins")).unwrap();
        for (name, built) in [("download", guests.download), ("upload", guests.upload)] {
            std::fs::copy(built, root.join("plugins").join(name).with_extension("wasm")).unwrap();
        }
        let spec = xtask::workspace::root().join("pipelines.yaml");
        let place = Place { program: programs.lockgate, spec, folder: root.join("demo"), root };
        Self { place, _folder: folder }
    }

    /// A published demo.
    pub(crate) async fn demo(&self) -> Demo {
        let demo = Demo::begin(&self.place, TASKS).await.unwrap();
        demo.publish().await.unwrap();
        demo
    }
}

/// Each message of every pipeline ended, and is settled.
pub(crate) fn everything_is_settled(summary: &Summary) {
    assert_eq!(summary.pipelines.len(), 4);
    for pipeline in &summary.pipelines {
        let left = pipeline.done + pipeline.skipped() + pipeline.parked + pipeline.dead();
        assert_eq!(pipeline.admitted, left, "{pipeline:?}");
        assert_eq!(pipeline.partitions.len(), 4 + 8, "its topic and its retry topic: {pipeline:?}");
        let settled = pipeline.partitions.iter().all(|partition| partition.unsettled_above == 0);
        assert!(settled, "{pipeline:?}");
    }
}

#[tokio::test]
async fn the_shipped_spec_is_right() {
    let claims = Claims::new().await;
    let demo = Demo::begin(&claims.place, 0).await.unwrap();
    let mut alone = demo.lockgate.clone();
    alone.specs.truncate(1);
    alone.output(&["check"]).await.unwrap();
    demo.lockgate.output(&["check"]).await.unwrap();
}

#[tokio::test]
async fn every_task_ends_as_it_has_to() {
    let claims = Claims::new().await;
    let demo = claims.demo().await;
    let answer =
        demo.lockgate.answer(&["run", "--until-idle=parked", "--format", "json", "--log", "json"]).await.unwrap();
    assert_eq!(answer.code, Some(0), "{}", answer.errors);
    assert_eq!(demo.differences().await.unwrap(), [""; 0]);
    assert!(!answer.errors.contains(SIGNATURE), "a signature is in the log");
    let summary = summary(&answer.output).unwrap();
    everything_is_settled(&summary);
    for domain in Domain::ALL {
        let download = summary.pipelines.iter().find(|pipeline| pipeline.name == domain.topic("download")).unwrap();
        assert_eq!(download.admitted - download.parked, TASKS as u64 / 2, "{download:?}");
        assert!(download.retried > 0 && download.parked > 0 && download.bytes > 0, "{download:?}");
    }
}

#[tokio::test]
async fn a_host_killed_again_and_again_loses_nothing() {
    let claims = Claims::new().await;
    let demo = claims.demo().await;
    for requests in [10, 30, 60] {
        let mut host = Host::start(&demo.lockgate, &["--until-idle=parked"]).unwrap();
        host.until(demo.origin.until_asked(requests)).await.unwrap();
        host.kill().await.unwrap();
    }
    demo.lockgate.run_until_idle().await.unwrap();
    assert_eq!(demo.differences().await.unwrap(), [""; 0]);
}
