use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use rusqlite::params;
use tempfile::TempDir;

use super::holder::Holder;
use super::*;
use crate::model::{Period, Record, Size, Timestamp};
use crate::transport::config::{Create, Retention};
use crate::transport::contract::{PARTITIONS, Subject};
use crate::transport::{
    Assignment, Commit, CommitError, OnLostPosition, Rooms, SourceEvent, Start, WriteError, Written,
};

mod leases;
mod processes;
mod read_ahead;
mod retained;
mod together;
mod trouble;

/// How the contract opens the log.
#[derive(Clone, Copy)]
enum Opened {
    /// As one process does.
    Together,
    /// Each as a process of its own.
    Apart,
}

struct InLog {
    folder: TempDir,
    topics: AtomicU32,
    opened: Opened,
}

impl InLog {
    fn new(opened: Opened) -> Self {
        Self { folder: tempfile::tempdir().unwrap(), topics: AtomicU32::new(0), opened }
    }
}

#[async_trait]
impl Subject for InLog {
    async fn open(&self) -> Arc<dyn Transport> {
        match self.opened {
            Opened::Together => {
                let config = Config { path: self.folder.path().to_owned() };
                Arc::new(Log::open("bus", &config, Ownership::default(), BTreeMap::new(), Clock::system()).unwrap())
            }
            Opened::Apart => Arc::new(apart(&self.folder, Timing::of(Ownership::default()))),
        }
    }

    async fn topic(&self) -> String {
        format!("topic-{}", self.topics.fetch_add(1, Ordering::Relaxed))
    }

    async fn break_reads(&self, _: &str) {
        execute(&self.folder, "ALTER TABLE message RENAME TO hidden");
    }

    async fn mend_reads(&self, _: &str) {
        execute(&self.folder, "ALTER TABLE hidden RENAME TO message");
    }

    async fn take_away(&self, _: &str, _: &str) {
        // As another process would that has found the lease stale, and has died then.
        execute(&self.folder, "UPDATE partition_lease SET epoch = epoch + 1, owner = 0");
    }

    async fn give_back(&self, _: &str, _: &str) {}

    async fn forget(&self, topic: &str, partition: u32, before: Position) {
        let connection = connection(&self.folder);
        let sql = "SELECT log.id FROM log JOIN topic ON topic.id = log.topic WHERE topic.name = ?1 AND log.part = ?2";
        let log: i64 = connection.query_row(sql, params![topic, partition], |row| row.get(0)).unwrap();
        let (from, to) = (schema::row_id(log, 0), schema::row_id(log, before.0));
        connection.execute("DELETE FROM message WHERE id >= ?1 AND id < ?2", [from, to]).unwrap();
        connection.execute("UPDATE log SET first = ?2 WHERE id = ?1", [log, before.0]).unwrap();
    }
}

mod contract_in_one_process {
    use super::*;

    crate::transport_contract!(InLog::new(Opened::Together));
}

mod contract_across_processes {
    use super::*;

    crate::transport_contract!(InLog::new(Opened::Apart));
}

/// Shorter times, where a test waits for them.
const QUICK: Timing = Timing {
    busy: Duration::from_secs(30),
    observe: Duration::from_millis(1),
    beat: Duration::from_millis(5),
    lease: Duration::from_secs(3600),
    poll: Duration::from_millis(5),
};

/// Nothing happens by itself.
const SLOW: Timing = Timing { beat: Duration::from_secs(3600), poll: Duration::from_secs(3600), ..QUICK };

/// The log as another process has it open.
fn apart(folder: &TempDir, timing: Timing) -> Log {
    with(folder, timing, BTreeMap::new(), Clock::system())
}

fn with(folder: &TempDir, timing: Timing, topics: BTreeMap<String, TopicConfig>, clock: Clock) -> Log {
    std::fs::create_dir_all(folder.path().join("leases")).unwrap();
    Log::on("bus".into(), Arc::new(Store::apart(folder.path(), &clock, timing).unwrap()), topics, clock)
}

fn connection(folder: &TempDir) -> Connection {
    Connection::open(folder.path().join("log.sqlite")).unwrap()
}

fn execute(folder: &TempDir, sql: &str) {
    connection(folder).execute_batch(sql).unwrap();
}

fn subscription(on_lost_position: OnLostPosition) -> Subscription {
    Subscription { topic: "t".into(), group: "g".into(), start: Start::Earliest, on_lost_position }
}

async fn open_source(log: &Log) -> Box<dyn Source> {
    log.source(&subscription(OnLostPosition::Fail)).await.unwrap()
}

fn record(payload: &str) -> Record {
    Record { partition: Some(0), payload: payload.to_owned().into(), ..Record::default() }
}

async fn write(log: &Log, records: Vec<Record>) -> Vec<Result<Option<Written>, WriteError>> {
    log.sink("t").await.unwrap().write(records).await
}

fn everything() -> Rooms {
    let room = Room { messages: 100, bytes: 1 << 20 };
    Rooms((0..PARTITIONS).map(|index| (Partition::new("t", index), room)).collect())
}

/// The next event that is not news of the lag.
async fn event(source: &mut dyn Source) -> SourceEvent {
    loop {
        match source.next(&everything()).await {
            SourceEvent::Messages(batch) if batch.messages.is_empty() => {}
            event => return event,
        }
    }
}

async fn assigned(source: &mut dyn Source) -> Vec<Assignment> {
    match event(source).await {
        SourceEvent::Assigned(assignments) => assignments,
        event => panic!("{event:?}"),
    }
}

/// The next event of a source while another one, beside it, has nothing to say.
async fn event_beside(source: &mut dyn Source, other: &mut dyn Source) -> SourceEvent {
    tokio::select! {
        biased;
        event = event(source) => event,
        event = event(other) => panic!("{event:?}"),
    }
}

/// What a source is asked for while the one that asks waits beside it.
async fn asked(source: &mut dyn Source, asker: &mut dyn Source) -> (Vec<u32>, tokio::sync::oneshot::Sender<()>) {
    match event_beside(source, asker).await {
        SourceEvent::Revoked { partitions, reply } => (indices(&partitions), reply),
        event => panic!("{event:?}"),
    }
}

fn indices<'a>(partitions: impl IntoIterator<Item = &'a Partition>) -> Vec<u32> {
    partitions.into_iter().map(|partition| partition.index).collect()
}

fn indices_of(assignments: &[Assignment]) -> Vec<u32> {
    indices(assignments.iter().map(|assignment| &assignment.partition))
}

/// So many payloads.
async fn take(source: &mut dyn Source, count: usize) -> Vec<String> {
    let mut came = Vec::new();
    while came.len() < count {
        let SourceEvent::Messages(batch) = event(source).await else { panic!("no messages") };
        came.extend(batch.messages.iter().map(|message| String::from_utf8(message.payload.to_vec()).unwrap()));
    }
    came
}

fn commit(assignment: &Assignment, base: i64) -> Commit {
    let Assignment { partition, epoch, .. } = assignment.clone();
    Commit { partition, epoch, checkpoint: Checkpoint::plain(Position(base)) }
}

#[tokio::test]
async fn a_folder_is_opened_once_in_a_process_and_closed_with_the_last() {
    let folder = tempfile::tempdir().unwrap();
    let config = Config { path: folder.path().join("deep/er") };
    let one = Log::open("one", &config, Ownership::default(), BTreeMap::new(), Clock::system()).unwrap();
    let other = Log::open("other", &config, Ownership::default(), BTreeMap::new(), Clock::system()).unwrap();
    assert!(Arc::ptr_eq(&one.store, &other.store));
    write(&one, vec![record("a")]).await[0].clone().unwrap();
    drop(one);
    assert!(config.path.join("log.sqlite-wal").exists());
    drop(other);
    assert!(!config.path.join("log.sqlite-wal").exists(), "the writer thread has closed the file");
}

#[tokio::test]
async fn a_source_that_has_not_joined_owns_nothing_and_stores_nothing_without_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let mut source = open_source(&with(&folder, QUICK, BTreeMap::new(), Clock::system())).await;
    assert_eq!(source.commit(Vec::new()).await, Ok(()));
    let partition = Partition::new("t", 0);
    let epoch = crate::transport::Epoch(1);
    let stray = Commit { partition: partition.clone(), epoch, checkpoint: Checkpoint::plain(Position(0)) };
    assert_eq!(source.commit(vec![stray]).await, Err(CommitError::NotOwned(vec![partition])));
}

#[tokio::test]
async fn a_topic_has_the_partitions_and_the_name_that_the_spec_says() {
    let folder = tempfile::tempdir().unwrap();
    let create = Some(Create { partitions: 7.try_into().ok(), ..Create::default() });
    let topics = BTreeMap::from([("t".to_owned(), TopicConfig { name: Some("prod-t".into()), create, needs: None })]);
    let log = with(&folder, QUICK, topics, Clock::system());
    write(&log, vec![record("a")]).await[0].clone().unwrap();
    log.sink("u").await.unwrap();
    let counts = |topics: Vec<TopicInfo>| -> Vec<(String, usize)> {
        topics.into_iter().map(|topic| (topic.name, topic.partitions.len())).collect()
    };
    assert_eq!(
        counts(log.topics().await.unwrap()),
        [("prod-t".to_owned(), 7), ("t".to_owned(), 7), ("u".to_owned(), 4)]
    );
    let elsewhere = apart(&folder, QUICK);
    assert_eq!(counts(elsewhere.topics().await.unwrap()), [("prod-t".to_owned(), 7), ("u".to_owned(), 4)]);
    let message = log.read(&Partition::new("t", 0), Position(0), 1).await.unwrap().remove(0);
    assert_eq!(message.id, crate::model::MessageId::of_origin("bus", "prod-t", 0, Position(0)));
}

#[tokio::test]
async fn messages_carry_the_time_at_which_they_were_written() {
    let folder = tempfile::tempdir().unwrap();
    let log = with(&folder, QUICK, BTreeMap::new(), Clock::from_fn(|| Timestamp(1_234)));
    write(&log, vec![record("a")]).await[0].clone().unwrap();
    let message = log.read(&Partition::new("t", 0), Position(0), 1).await.unwrap().remove(0);
    assert_eq!(message.origin.enqueued, Timestamp(1_234));
}
