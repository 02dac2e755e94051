//! What is shown, in which order, and when it ends; over a transport that answers in small pieces.

use std::num::NonZeroU32;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use async_trait::async_trait;
use clap::Parser;
use proptest::prelude::*;

use super::*;
use crate::model::{Checkpoint, Clock, Partition, Position, Record, Timestamp};
use crate::transport::config::{Create, Topic};
use crate::transport::memory::Memory;
use crate::transport::{Sink, Source, Subscription, TopicInfo, TransportError};

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    tail: Tail,
}

fn tail(arguments: &[&str]) -> Tail {
    Line::parse_from(["tail", "claims"].iter().chain(arguments)).tail
}

/// Answers at most two messages a read, and has others written meanwhile.
struct Small {
    memory: Memory,
    reads: AtomicU32,
    /// The partitions that are written beside the n-th read.
    beside: fn(u32) -> &'static [u32],
}

#[async_trait]
impl Transport for Small {
    async fn source(&self, subscription: &Subscription) -> Result<Box<dyn Source>, TransportError> {
        self.memory.source(subscription).await
    }

    async fn sink(&self, topic: &str) -> Result<Arc<dyn Sink>, TransportError> {
        self.memory.sink(topic).await
    }

    async fn topics(&self) -> Result<Vec<TopicInfo>, TransportError> {
        self.memory.topics().await
    }

    async fn checkpoints(&self, topic: &str, group: &str) -> Result<Vec<(u32, Checkpoint)>, TransportError> {
        self.memory.checkpoints(topic, group).await
    }

    async fn read(&self, partition: &Partition, from: Position, max: usize) -> Result<Vec<Message>, TransportError> {
        let read = self.memory.read(partition, from, max.min(2)).await;
        write(&self.memory, (self.beside)(self.reads.fetch_add(1, Ordering::Relaxed))).await;
        read
    }
}

async fn write(memory: &Memory, partitions: &[u32]) {
    let records = partitions.iter().map(|index| Record { partition: Some(*index), ..Record::default() }).collect();
    assert!(memory.sink("claims").await.unwrap().write(records).await.iter().all(Result::is_ok));
}

/// Two partitions; each message is a partition and the time at which it is written.
async fn topic(messages: &[(u32, u64)]) -> Small {
    let times = Mutex::new(messages.iter().map(|message| message.1).collect::<Vec<_>>().into_iter().chain(1000..));
    let clock = Clock::from_fn(move || Timestamp(times.lock().unwrap().next().unwrap()));
    let create = Create { partitions: NonZeroU32::new(2), ..Create::default() };
    let topics = [("claims".to_owned(), Topic { create: Some(create), ..Topic::default() })].into();
    let memory = Memory::new("bus", topics, clock);
    assert!(memory.sink("claims").await.is_ok(), "an empty topic is one, too");
    for (partition, _) in messages {
        write(&memory, &[*partition]).await;
    }
    Small { memory, reads: AtomicU32::new(0), beside: |_| &[] }
}

/// Partition and offset of what is shown.
async fn shown(small: Small, arguments: &[&str]) -> Vec<(u32, i64)> {
    let mut shown = Vec::new();
    let transport: Arc<dyn Transport> = Arc::new(small);
    let show = |message: &Message| {
        shown.push((message.origin.partition.index, message.origin.position.0));
        Ok(())
    };
    let ended = tail(arguments).show(&transport, show).await;
    assert!(ended.is_ok());
    shown
}

#[tokio::test]
async fn the_last_messages_are_the_newest_of_all_partitions() {
    let messages: Vec<(u32, u64)> = (0..30).map(|time| (u32::from(time % 5 == 0), time)).collect();
    let last = shown(topic(&messages).await, &["-n", "12"]).await;
    let expected = [(0, 14), (0, 15), (1, 4), (0, 16), (0, 17), (0, 18), (0, 19), (1, 5), (0, 20), (0, 21), (0, 22)];
    assert_eq!(last, [&expected[..], &[(0, 23)]].concat());
}

#[tokio::test]
async fn offsets_stay_in_order_though_clocks_go_back() {
    let messages = [(0, 10), (0, 5), (1, 7), (0, 20), (1, 3)];
    let all = shown(topic(&messages).await, &["--from", "earliest"]).await;
    assert_eq!(all, [(1, 0), (1, 1), (0, 0), (0, 1), (0, 2)]);
}

#[tokio::test(start_paused = true)]
async fn it_ends_beside_steady_writers() {
    for arguments in [&["--from", "earliest"][..], &["-n", "100"]] {
        let mut small = topic(&[(0, 1), (1, 2), (0, 3), (0, 4), (1, 5), (0, 6)]).await;
        small.beside = |_| &[0, 1];
        let all = tokio::time::timeout(std::time::Duration::from_secs(60), shown(small, arguments)).await.unwrap();
        assert_eq!(all, [(0, 0), (1, 0), (0, 1), (0, 2), (1, 1), (0, 3)]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_busy_partition_hides_no_quiet_one_that_is_followed() {
    let mut small = topic(&[(0, 1)]).await;
    small.beside = |nth| if nth < 6 { &[0, 0] } else { &[0, 0, 1] };
    let all = shown(small, &["--from", "earliest", "--follow", "-n", "40"]).await;
    assert!(all.contains(&(1, 0)), "{all:?}");
}

#[tokio::test]
async fn one_partition_can_be_chosen() {
    let all = shown(topic(&[(0, 1), (1, 2), (0, 3)]).await, &["--from", "1", "--partition", "0"]).await;
    assert_eq!(all, [(0, 1)]);
}

proptest! {
    #[test]
    fn the_last_messages_are_the_end_of_all(
        mut messages in prop::collection::vec((0_u32..2, 0_u64..20), 0..40), count in 0_usize..50, steady in any::<bool>(),
    ) {
        if steady {
            messages.sort_by_key(|message| message.1);
        }
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let (all, last) = runtime.block_on(async {
            let last = shown(topic(&messages).await, &["-n", &count.to_string()]).await;
            (shown(topic(&messages).await, &["--from", "earliest"]).await, last)
        });
        prop_assert_eq!(last.len(), count.min(messages.len()));
        prop_assert!(!steady || all.ends_with(&last), "{:?} of {:?}", last, all);
        for partition in 0..2 {
            let of = |places: &[(u32, i64)]| places.iter().copied().filter(|place| place.0 == partition).collect::<Vec<_>>();
            prop_assert!(of(&all).ends_with(&of(&last)), "{:?} of {:?}", last, all);
        }
    }
}

#[tokio::test]
async fn a_topic_that_is_neither_named_nor_there_is_a_slip_and_one_that_is_named_only_is_not_there_yet() {
    let folder = tempfile::tempdir().unwrap();
    let spec = folder.path().join("pipelines.yaml");
    let bus = folder.path().join("bus");
    let text = format!(
        "lockgate: 1\ntransports: {{ bus: {{ log: {{ path: '{}' }}, topics: {{ claims: {{}} }} }} }}\n",
        bus.display()
    );
    std::fs::write(&spec, text).unwrap();
    let tailed = async |topic: &str| {
        Line::parse_from(["tail", topic, "-f", &spec.display().to_string()]).tail.obey().await.err()
    };
    // First without a log, then with one that holds another topic.
    for _ in 0..2 {
        let Some(Failure::Usage(reason)) = tailed("clams").await else { panic!("it was not refused") };
        assert!(reason.ends_with("does not name it\nhelp: did you mean `claims`?"), "{reason}");
        let Some(Failure::Runtime(error)) = tailed("claims").await else { panic!("it was not named") };
        assert!(error.to_string().contains("there is no topic `claims` yet"), "{error}");
        let log = crate::assemble::plan(std::slice::from_ref(&spec), &[]).ok().unwrap();
        crate::assemble::transport(&log, "bus", None).unwrap().sink("other").await.unwrap();
    }
}

#[test]
fn what_a_message_holds_does_nothing_to_a_terminal() {
    assert_eq!(printable("a\u{1b}]0;title\u{7}\nb\té"), "a\\u{1b}]0;title\\u{7}\\nb\\té");
}

#[test]
fn people_see_no_query_of_a_message_and_machines_the_message_as_it_is() {
    let url = "https://me:SENTINEL@h/f?sig=SENTINEL";
    let mut headers = crate::model::Headers::default();
    headers.push("lockgate-code", "gone");
    headers.push("lockgate-reason", format!("404 from {url}"));
    headers.push("authorization", "SENTINEL");
    let message = Message {
        id: crate::model::MessageId::given("m"),
        origin: crate::model::Origin {
            transport: "bus".into(),
            partition: Partition::new("claims", 0),
            position: Position(7),
            enqueued: Timestamp(0),
        },
        key: Some(url.into()),
        headers,
        payload: format!("{{\"url\":\"{url}\",\"token\":\"SENTINEL\"}}").into(),
    };
    let told = text(&message);
    assert!(told.contains("…@h/f?…") && told.contains("404 from") && !told.contains("SENTINEL"), "{told}");
    assert!(record::line(&message).contains(url));
}
