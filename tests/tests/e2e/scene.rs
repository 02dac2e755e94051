//! A folder with a spec, a file origin, and the program to run on it.

use std::path::Path;
use std::time::Duration;

use e2e::simulators::file_origin::{Behaviour, FileOrigin, FilePath, Ports};
use e2e::support::built;
use e2e::support::lockgate::{Lockgate, Outgoing};
use serde_json::json;
use tempfile::TempDir;

/// Where tasks are sent in a [`Scene`].
pub(crate) const PENDING: &str = "pending";
/// Where what is fetched is told in a [`Scene`].
pub(crate) const CACHED: &str = "cached";

/// One pipeline that fetches files.
pub(crate) struct Scene {
    pub(crate) lockgate: Lockgate,
    pub(crate) origin: FileOrigin,
    folder: TempDir,
}

/// The program with a spec in a folder of its own.
pub(crate) async fn lockgate(folder: &Path, spec: &str) -> Lockgate {
    std::fs::write(folder.join("pipelines.yaml"), spec).unwrap();
    let programs = tokio::task::spawn_blocking(built::programs).await.unwrap().unwrap();
    Lockgate::new(programs.lockgate, folder, &["pipelines.yaml".into()])
}

impl Scene {
    /// A scene whose origin is late by so much where it is late at all.
    pub(crate) async fn new(late: Duration) -> Self {
        let origin = FileOrigin::start(Ports::ANY, late).await.unwrap();
        let component = tokio::task::spawn_blocking(built::guests).await.unwrap().unwrap().download;
        let folder = tempfile::tempdir().unwrap();
        let (component, port) = (component.display(), origin.ports().origin);
        let spec = format!(
            r#"
lockgate: 1
transports: {{ bus: {{ log: {{ path: bus }} }} }}
stores: {{ cache: {{ directory: {{ path: cache }} }} }}
endpoints:
  media:
    allow: ["http://127.0.0.1:{port}"]
    allow_addresses: ["127.0.0.0/8"]
    timeouts: {{ first_byte: 1h, stall: 1h }}
plugins: {{ download: {{ component: "{component}", limits: {{ stall: 1h }} }} }}
pipelines:
  fetch:
    from: {{ topic: {PENDING}, group: fetch, start: earliest }}
    plugin: download
    grants: {{ endpoints: [media], stores: [cache] }}
    config: {{ domain: claimx, endpoint: media, store: cache }}
    to: {{ cached: {{ topic: {CACHED} }} }}
    dead_letter: {{ topic: dlq }}
"#
        );
        Self { lockgate: lockgate(folder.path(), &spec).await, origin, folder }
    }

    /// Sends the task to fetch a file, and gives the file's path.
    pub(crate) async fn ask_for(&self, number: usize, behaviour: Behaviour) -> FilePath {
        let path = FilePath { behaviour, size: 20_000, name: format!("{number}.jpg") };
        let payload = json!({
            "media_id": number.to_string(), "project_id": "6120457", "trace_id": format!("trace-{number}"),
            "download_url": self.origin.url(&path), "blob_path": format!("6120457/media/{number}.jpg"),
            "file_type": "jpg", "file_name": format!("{number}.jpg"), "retry_count": 0, "expires_at": null,
            "refresh_count": 0, "metadata": null,
        });
        let message = Outgoing { key: format!("trace-{number}"), headers: [].into(), payload };
        self.lockgate.send(PENDING, &[message]).await.unwrap();
        path
    }

    /// Which files were fetched, by media id, in order and without repeats.
    pub(crate) async fn fetched(&self) -> Vec<String> {
        let cached = self.lockgate.tail(CACHED).await.unwrap();
        let mut ids: Vec<String> =
            cached.iter().map(|seen| seen.payload["media_id"].as_str().unwrap().into()).collect();
        ids.sort();
        ids.dedup();
        ids
    }

    /// Holds that every file in the cache is as the origin has it.
    pub(crate) fn cache_is_as_the_origin(&self, paths: &[&FilePath]) {
        let found = e2e::support::files::hashes(&self.folder.path().join("cache")).unwrap();
        let mut found: Vec<String> = found.into_values().collect();
        let mut expected: Vec<String> = paths.iter().map(|path| path.final_content("").unwrap().sha256()).collect();
        found.sort();
        expected.sort();
        assert_eq!(found, expected);
    }
}
