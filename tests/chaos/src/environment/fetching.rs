//! A host of its own that fetches files with the plugin `download`, from an origin that can go down, into a store and
//! over logs that can stand on any disk; and whether every file is there at the end, once and as it should be.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use e2e::simulators::file_origin::{Behaviour, FileOrigin, FilePath, Ports};
use e2e::support::files;
use e2e::support::host::{Host, Signal};
use e2e::support::lockgate::Lockgate;
use lockgate::model::{Clock, Message, Partition, Position, Record, header};
use lockgate::transport::config::Ownership;
use lockgate::transport::log::{Config, Log};
use lockgate::transport::{Sink, Transport, WriteError};
use serde::Deserialize;
use serde_json::json;
use tokio::time::Instant;

use super::front::Front;
use super::status::{self, Line};
use crate::stage::Tools;

/// The pipeline.
const FETCH: &str = "fetch";
/// Where tasks are sent.
const PENDING: &str = "pending";
/// Where what is fetched is told.
const CACHED: &str = "cached";
/// Where dead letters go.
const DEAD: &str = "dead";
/// How long it waits between looks, and before it tries again.
const LOOK: Duration = Duration::from_millis(50);
/// Messages that are read at once.
const READ: usize = 1000;
/// What a host logs once its pipelines run.
const RUNNING: &str = "\"running\"";

/// Where its parts stand.
#[derive(Clone, Debug)]
pub struct Places {
    /// The log of the tasks, with the checkpoints.
    pub tasks: PathBuf,
    /// The store of the files.
    pub cache: PathBuf,
    /// The log of everything that is made of tasks.
    pub ends: PathBuf,
}

impl Places {
    /// All in one folder.
    pub fn in_folder(folder: &Path) -> Self {
        Self { tasks: folder.join("tasks"), cache: folder.join("cache"), ends: folder.join("ends") }
    }
}

/// A host that fetches, its origin, and what is asked of it.
pub struct Fetching {
    lockgate: Lockgate,
    host: Host,
    address: String,
    origin: FileOrigin,
    /// Stands before the origin.
    pub front: Front,
    places: Places,
    pending: Arc<dyn Sink>,
    ends: Log,
    /// The SHA-256 of every file asked for, by the task's id.
    expected: BTreeMap<String, String>,
}

/// A file as a message says it was fetched.
#[derive(Deserialize)]
struct Cached {
    media_id: String,
    local_cache_path: String,
    sha256: String,
}

impl Fetching {
    /// Starts it in a folder, and waits until it runs.
    pub async fn start(tools: &Tools, folder: &Path, places: Places) -> anyhow::Result<Self> {
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let origin = FileOrigin::start(Ports::ANY, Duration::ZERO).await?;
        let front = Front::before(origin.ports().origin)?;
        let spec = folder.join("fetching.yaml");
        fs::write(&spec, text(&tools.download, &places, front.port()))?;
        let open = |path: &Path| {
            let config = Config { path: path.to_owned() };
            Log::open("own", &config, Ownership::default(), BTreeMap::new(), Clock::system())
        };
        let (tasks, ends) = (open(&places.tasks)?, open(&places.ends)?);
        let pending = tasks.sink(PENDING).await?;
        let lockgate = Lockgate::new(tools.program.clone(), folder, &[spec]);
        let mut host = Host::start(&lockgate, &[])?;
        host.until_logged(RUNNING).await?;
        let address = status::address(&host.log()).context("the host does not say where it can be asked")?;
        Ok(Self { lockgate, host, address, origin, front, places, pending, ends, expected: BTreeMap::new() })
    }

    /// Asks for so many more files.
    pub async fn ask_for(&mut self, files: usize) -> anyhow::Result<()> {
        let mut records = Vec::with_capacity(files);
        for number in self.expected.len()..self.expected.len() + files {
            let id = number.to_string();
            let path = path(number);
            let content = path.final_content("").with_context(|| format!("{path} is no file"))?;
            self.expected.insert(id.clone(), content.sha256());
            records.push(self.task(&id, &path));
        }
        while !records.is_empty() {
            let answers = self.pending.write(records.clone()).await;
            let mut left = Vec::new();
            for (record, answer) in records.into_iter().zip(answers) {
                match answer {
                    Ok(_) => {}
                    Err(WriteError::Unavailable { .. }) => left.push(record),
                    Err(error @ WriteError::Refused { .. }) => return Err(error.into()),
                }
            }
            records = left;
            if !records.is_empty() {
                tokio::time::sleep(LOOK).await;
            }
        }
        Ok(())
    }

    fn task(&self, id: &str, path: &FilePath) -> Record {
        let url = format!("http://127.0.0.1:{}{path}", self.front.port());
        let payload = json!({
            "media_id": id, "project_id": "6120457", "trace_id": format!("trace-{id}"), "download_url": url,
            "blob_path": format!("6120457/media/{id}.jpg"), "file_type": "jpg", "file_name": format!("{id}.jpg"),
            "retry_count": 0, "expires_at": null, "refresh_count": 0, "metadata": null,
        });
        Record { key: Some(id.to_owned().into()), payload: payload.to_string().into(), ..Record::default() }
    }

    /// Waits until so many files of those asked for are fetched; fails when none is for as long as one is patient.
    pub async fn until_fetched(&self, files: usize, patience: Duration) -> anyhow::Result<()> {
        let (mut before, mut since) = (0, Instant::now());
        loop {
            let fetched = self.count(CACHED).await?;
            if fetched >= files {
                return Ok(());
            }
            if fetched > before {
                (before, since) = (fetched, Instant::now());
            } else if since.elapsed() > patience {
                bail!("no file was fetched for {patience:?}, after {fetched} of {} had been", self.expected.len());
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Waits until all files asked for are.
    pub async fn until_all(&self, patience: Duration) -> anyhow::Result<()> {
        self.until_fetched(self.expected.len(), patience).await
    }

    /// Files asked for so far.
    pub fn asked(&self) -> usize {
        self.expected.len()
    }

    /// Waits until the host says that it waits, in one of these states and with a reason that contains this text.
    pub async fn until_waiting(&self, states: &[&str], reason: &str, patience: Duration) -> anyhow::Result<Line> {
        status::until_waiting(&self.lockgate, &self.address, FETCH, states, reason, patience).await
    }

    /// Stops the host, and says everything that is wrong.
    pub async fn end(self) -> anyhow::Result<Vec<String>> {
        self.host.signal(Signal::Terminate).await?;
        let answer = self.host.end().await?;
        // Beside the spec, for whoever looks at a failure.
        fs::write(self.lockgate.folder.join("fetching.log"), &answer.errors)?;
        let mut wrong = Vec::new();
        if answer.code != Some(0) {
            wrong.push(format!("the host that fetches ended with {:?}", answer.code));
        }
        if self.origin.strayed() > 0 {
            wrong.push(format!("{} requests went where none may", self.origin.strayed()));
        }
        let there = files::hashes(&self.places.cache)?;
        let mut times: BTreeMap<&str, usize> = BTreeMap::new();
        let told = everything(&self.ends, CACHED).await?;
        let told: Vec<Cached> =
            told.iter().map(|message| serde_json::from_slice(&message.payload)).collect::<Result<_, _>>()?;
        for cached in &told {
            *times.entry(&cached.media_id).or_default() += 1;
            let Some(expected) = self.expected.get(&cached.media_id) else {
                wrong.push(format!("file {} was never asked for", cached.media_id));
                continue;
            };
            let stored = there.get(&cached.local_cache_path);
            if cached.sha256 != *expected || stored != Some(expected) {
                let (said, path) = (&cached.sha256, &cached.local_cache_path);
                wrong.push(format!("{path} should be {expected}, is said to be {said} and is {stored:?}"));
            }
        }
        for id in self.expected.keys() {
            match times.get(id.as_str()) {
                None => wrong.push(format!("file {id} is lost")),
                Some(1) => {}
                Some(times) => wrong.push(format!("file {id} was told {times} times")),
            }
        }
        if there.len() > self.expected.len() {
            wrong.push(format!("{} files lie in the store, of {}", there.len(), self.expected.len()));
        }
        for letter in everything(&self.ends, DEAD).await? {
            let text = |name| letter.headers.text(name).unwrap_or_default().to_owned();
            wrong.push(format!(
                "task {} is a dead letter: {} {}",
                letter.key.as_deref().map(String::from_utf8_lossy).unwrap_or_default(),
                text(header::CODE),
                text(header::REASON)
            ));
        }
        Ok(wrong)
    }

    async fn count(&self, topic: &str) -> anyhow::Result<usize> {
        let topics = self.ends.topics().await?;
        let partitions = topics.iter().filter(|info| info.name == topic).flat_map(|info| &info.partitions);
        Ok(usize::try_from(partitions.map(|bounds| bounds.end - bounds.first).sum::<i64>())?)
    }
}

/// The `number`th file.
fn path(number: usize) -> FilePath {
    let behaviour = match number % 20 {
        7 => Behaviour::CutResumable,
        13 => Behaviour::UnavailableTwice,
        _ => Behaviour::Fine,
    };
    // Between 10 and 100 KB, and no two alike.
    FilePath { behaviour, size: 10_000 + (number as u64 * 7_919) % 90_000, name: format!("{number}.jpg") }
}

/// Everything that stands in a topic.
async fn everything(log: &Log, topic: &str) -> anyhow::Result<Vec<Message>> {
    let topics = log.topics().await?;
    let mut all = Vec::new();
    let partitions = topics.iter().filter(|info| info.name == topic).flat_map(|info| (0..).zip(&info.partitions));
    for (index, bounds) in partitions {
        let (partition, mut from) = (Partition::new(topic, index), bounds.first);
        while from < bounds.end {
            let messages = log.read(&partition, Position(from), READ).await?;
            ensure!(!messages.is_empty(), "{partition}: nothing stands at {from}");
            from = messages.last().map_or(bounds.end, |last| last.origin.position.0 + 1);
            all.extend(messages);
        }
    }
    Ok(all)
}

/// The spec. Its delays are so many that no outage of some seconds uses up the rounds of a message.
fn text(component: &Path, places: &Places, port: u16) -> String {
    let Places { tasks, cache, ends } = places;
    format!(
        r#"lockgate: 1
transports:
  tasks: {{ log: {{ path: "{tasks}" }} }}
  ends: {{ log: {{ path: "{ends}" }} }}
stores: {{ cache: {{ directory: {{ path: "{cache}" }} }} }}
endpoints:
  media:
    allow: ["http://127.0.0.1:{port}"]
    allow_addresses: ["127.0.0.0/8"]
    timeouts: {{ connect: 1s, first_byte: 1s, stall: 2s }}
    breaker: {{ failures: 5, successes: 1, open_for: 500ms, trials: 2 }}
plugins: {{ download: {{ component: "{component}" }} }}
pipelines:
  {FETCH}:
    from: {{ transport: tasks, topic: {PENDING}, start: earliest }}
    plugin: download
    grants: {{ endpoints: [media], stores: [cache] }}
    config: {{ domain: claimx, endpoint: media, store: cache }}
    to: {{ cached: {{ transport: ends, topic: {CACHED} }} }}
    concurrency: 10
    in_flight: {{ messages: 50 }}
    retry:
      in_place: {{ attempts: 3, first: 50ms, max: 500ms }}
      later: {{ transport: ends, topic: retry, delays: [1s, 2s, 4s, 8s, 16s, 32s, 32s] }}
    dead_letter: {{ transport: ends, topic: {DEAD} }}
{LISTENS}"#,
        tasks = tasks.display(),
        ends = ends.display(),
        cache = cache.display(),
        component = component.display(),
        LISTENS = status::LISTENS,
    )
}

#[cfg(test)]
mod tests {
    use lockgate::spec::{self, Colour, Descriptions};

    use super::*;

    #[test]
    fn the_spec_is_one_that_the_checker_takes() {
        let text = text(Path::new("/download.wasm"), &Places::in_folder(Path::new("/f")), 80);
        let loaded = spec::load_str(&text, &|_| None).unwrap();
        let checked = spec::check(&loaded, &Descriptions::default());
        checked.unwrap_or_else(|diagnostics| panic!("{}", diagnostics.render(Colour::Never)));
    }
}
