//! The loop with parking on topics in memory: what is parked, when it comes again, and what never happens to it. Paused
//! time; the wall clock follows it unless a test sets it back.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use futures::future::BoxFuture;
use tokio::task::JoinHandle;

use super::*;
use crate::flow::redrive::{Way, redriven};
use crate::flow::snapshot::Idle;
use crate::flow::spill::tests::Shelf;
use crate::model::{Headers, Message, Outcome, Position, Record, Timestamp, Verdict, header};
use crate::plugin::{Attempt, CallError};
use crate::transport::config::Topic;
use crate::transport::memory::Memory;
use crate::transport::{Commit, CommitError, Demand, OnLostPosition, Start, Subscription, Transport};

const MINUTE: u64 = 60;
/// So far the wall clock is ahead at the start, so that a test can set it back.
const AHEAD: u64 = 1_772_460_000_000;

/// Two sources as one.
struct Joined(Box<dyn Source>, Box<dyn Source>);

#[async_trait]
impl Source for Joined {
    async fn next(&mut self, demand: &dyn Demand) -> SourceEvent {
        tokio::select! {
            event = self.0.next(demand) => event,
            event = self.1.next(demand) => event,
        }
    }

    fn commit(&mut self, commits: Vec<Commit>) -> BoxFuture<'static, Result<(), CommitError>> {
        let (retry, own) = commits.into_iter().partition(|commit| &*commit.partition.topic == "retry");
        let (own, retry) = (self.0.commit(own), self.1.commit(retry));
        Box::pin(async { own.await.and(retry.await) })
    }
}

/// One call: when, in seconds since the start, and what the plugin was told.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Call {
    at: u64,
    payload: String,
    attempt: (u32, u32),
    place: String,
}

/// Does what the payload says: `<verb> <calls>` for its first so many calls, then done.
struct Obedient {
    start: Instant,
    calls: Mutex<Vec<Call>>,
}

#[async_trait]
impl Plugin for Obedient {
    async fn call(&self, message: Arc<Message>, attempt: Attempt) -> Result<Outcome, CallError> {
        let payload = String::from_utf8_lossy(&message.payload).into_owned();
        let before = {
            let mut calls = self.calls.lock().unwrap();
            let before = calls.iter().filter(|call| call.payload == payload).count();
            let place = format!("{}@{}", message.origin.partition, message.origin.position);
            let attempt = (attempt.number.get(), attempt.left);
            calls.push(Call { at: self.start.elapsed().as_secs(), payload: payload.clone(), attempt, place });
            before
        };
        let mut words = payload.split(' ');
        let (verb, times) = (words.next().unwrap_or_default(), words.next().and_then(|times| times.parse().ok()));
        let reason = "told to".to_owned();
        let retry = |after: Option<u64>, reason| Verdict::Retry { after: after.map(Duration::from_secs), reason };
        Ok(Outcome::of(match verb {
            _ if before >= times.unwrap_or(0) => Verdict::Done,
            "fail" => retry(None, reason),
            "soon" => retry(Some(2 * MINUTE), reason),
            "late" => retry(Some(30 * MINUTE), reason),
            "hold" => Verdict::Hold { after: Some(Duration::from_secs(MINUTE)), reason },
            _ => return Err(CallError::Trap { plugin: "g".into(), reason }),
        }))
    }

    fn bytes_moved(&self) -> u64 {
        0
    }
}

/// Topics, a clock, and a plugin that they all share.
struct World {
    memory: Memory,
    clock: Clock,
    set_back: Arc<AtomicU64>,
    plugin: Arc<Obedient>,
    order: config::Order,
    shelf: Arc<Shelf>,
}

struct Running {
    commands: mpsc::Sender<Command>,
    task: JoinHandle<(End, Snapshot)>,
}

impl World {
    /// The topic `work` with two partitions, and a retry topic with two for the delays of 5 and 40 minutes.
    fn new() -> Self {
        let (start, set_back) = (Instant::now(), Arc::new(AtomicU64::new(0)));
        let behind = set_back.clone();
        let clock = Clock::from_fn(move || {
            let passed = u64::try_from(start.elapsed().as_millis()).unwrap();
            Timestamp(AHEAD + passed - behind.load(Ordering::Relaxed))
        });
        let two: Topic = serde_json::from_str(r#"{"create": {"partitions": 2}}"#).unwrap();
        let topics: BTreeMap<String, Topic> = ["work", "retry"].map(|name| (name.to_owned(), two.clone())).into();
        let plugin = Arc::new(Obedient { start, calls: Mutex::default() });
        let memory = Memory::new("bus", topics, clock.clone());
        Self { memory, clock, set_back, plugin, order: config::Order::None, shelf: Arc::default() }
    }

    async fn source(&self, topic: &str, group: &str) -> Box<dyn Source> {
        let (topic, group) = (topic.into(), group.into());
        let (start, on_lost_position) = (Start::Earliest, OnLostPosition::Fail);
        self.memory.source(&Subscription { topic, group, start, on_lost_position }).await.unwrap()
    }

    /// Starts a pipeline that reads `work` in a group of its own name.
    async fn run(&self, pipeline: &str) -> Running {
        let maker = Maker { pipeline: pipeline.into(), plugin: "g".into(), version: "1".into(), sha256: "00".into() };
        let in_place = config::InPlace { attempts: 2.try_into().unwrap(), ..config::InPlace::default() };
        let delays = [5, 40].map(|minutes| Duration::from_secs(minutes * MINUTE)).to_vec();
        let settings = Settings {
            maker,
            concurrency: 4,
            in_flight: config::InFlight::default(),
            order: self.order.clone(),
            retry: retry::Policy { in_place, delays },
            retry_topic: Some("retry".into()),
            checkpoint_every: Duration::from_secs(1),
            drain_for: Duration::from_secs(5),
        };
        let dead_letter = self.memory.sink("dead").await.unwrap();
        let retry = Some(self.memory.sink("retry").await.unwrap());
        let router = Router {
            pipeline: pipeline.into(),
            outputs: [].into(),
            dead_letter,
            retry,
            spill: Some(self.shelf.clone()),
        };
        let source = Joined(self.source("work", pipeline).await, self.source("retry", pipeline).await);
        let (plugin, clock) = (self.plugin.clone(), self.clock.clone());
        let parts = Parts { source: Box::new(source), plugin, router: Arc::new(router), clock };
        let (commands, mut inbox) = mpsc::channel(1);
        let task = tokio::spawn(async move { Pipeline::new(settings, parts).run(&mut inbox).await });
        Running { commands, task }
    }

    async fn send(&self, payload: &str, key: Option<&'static str>) {
        self.send_with(payload, key, Headers::default()).await;
    }

    async fn send_with(&self, payload: &str, key: Option<&'static str>, headers: Headers) {
        let record = Record {
            key: key.map(Bytes::from),
            headers,
            payload: Bytes::copy_from_slice(payload.as_bytes()),
            partition: key.is_none().then_some(1),
        };
        let written = self.memory.sink("work").await.unwrap().write(vec![record]).await;
        assert!(written[0].is_ok(), "{written:?}");
    }

    /// When a message was called, in seconds since the start.
    fn calls(&self, payload: &str) -> Vec<u64> {
        self.all_calls().iter().filter(|call| call.payload == payload).map(|call| call.at).collect()
    }

    fn all_calls(&self) -> Vec<Call> {
        self.plugin.calls.lock().unwrap().clone()
    }

    /// All records of a topic.
    async fn records(&self, topic: &str) -> Vec<Message> {
        let mut records = Vec::new();
        for index in 0..4 {
            let partition = Partition::new(topic, index);
            records.extend(self.memory.read(&partition, Position(0), 99).await.unwrap_or_default());
        }
        records
    }

    /// The bases of a group, by partition.
    async fn bases(&self, topic: &str, group: &str) -> Vec<i64> {
        let stored = self.memory.checkpoints(topic, group).await.unwrap();
        stored.into_iter().map(|(_, checkpoint)| checkpoint.base().0).collect()
    }
}

impl Running {
    async fn snapshot(&self) -> Snapshot {
        let (reply, answer) = oneshot::channel();
        self.commands.send(Command::Snapshot(reply)).await.unwrap();
        answer.await.unwrap()
    }

    async fn stop(self) -> Snapshot {
        self.commands.send(Command::Stop).await.unwrap();
        let (end, last) = self.task.await.unwrap();
        assert_eq!(end, End::Stopped);
        last
    }
}

async fn pass(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

#[tokio::test(start_paused = true)]
async fn a_message_that_fails_in_every_round_is_a_dead_letter_with_its_origin_and_all_its_attempts() {
    let world = World::new();
    let running = world.run("p").await;
    world.send("fail 99", None).await;
    pass(60 * MINUTE).await;
    let told: Vec<_> = world.all_calls().into_iter().map(|call| (call.at, call.attempt, call.place)).collect();
    let at = |at, attempt| (at, attempt, "work/1@0".to_owned());
    let later = 5 * MINUTE + 40 * MINUTE;
    assert_eq!(
        told,
        [at(0, (1, 5)), at(0, (2, 4)), at(300, (3, 3)), at(300, (4, 2)), at(later, (5, 1)), at(later, (6, 0))]
    );
    let letters = world.records("dead").await;
    let text = |name| letters[0].headers.text(name).unwrap().to_owned();
    assert_eq!((letters.len(), text(header::CLASS), text(header::ATTEMPTS)), (1, "exhausted".into(), "6".into()));
    assert_eq!((text(header::ORIGIN_TOPIC), text(header::ORIGIN_PARTITION)), ("work".into(), "1".into()));
    assert_eq!(text(header::ORIGIN_MS), AHEAD.to_string());
    assert_eq!(text(header::FAILURES).matches("told to").count(), 6);
    let counts = running.stop().await.counts;
    assert_eq!((counts.admitted, counts.parked, counts.done, counts.dead["retry"]), (3, 2, 0, 1));
}

#[tokio::test(start_paused = true)]
async fn a_message_due_in_40_minutes_never_delays_one_due_in_5_or_a_new_one() {
    let world = World::new();
    let running = world.run("p").await;
    world.send("late 1", None).await;
    pass(MINUTE).await;
    world.send("soon 1", None).await;
    pass(MINUTE).await;
    world.send("done", None).await;
    pass(60 * MINUTE).await;
    assert_eq!(world.calls("late 1"), [0, 40 * MINUTE], "30 minutes asked for, rounded up");
    assert_eq!(world.calls("soon 1"), [MINUTE, 6 * MINUTE]);
    assert_eq!(world.calls("done"), [2 * MINUTE]);
    assert_eq!(running.stop().await.idle, Idle::Yes);
}

#[tokio::test(start_paused = true)]
async fn a_parked_message_survives_a_restart_and_is_due_at_its_old_time() {
    let world = World::new();
    let running = world.run("p").await;
    world.send("fail 2", None).await;
    pass(MINUTE).await;
    running.stop().await;
    pass(MINUTE).await;
    let _running = world.run("p").await;
    pass(10 * MINUTE).await;
    assert_eq!(world.calls("fail 2"), [0, 0, 5 * MINUTE]);
    assert_eq!(world.all_calls()[2].attempt, (3, 3));
}

#[tokio::test(start_paused = true)]
async fn a_host_that_dies_while_a_message_is_parked_repeats_nothing_and_loses_nothing() {
    let world = World::new();
    let running = world.run("p").await;
    world.send("fail 2", None).await;
    pass(MINUTE).await;
    running.task.abort();
    pass(1).await;
    let _running = world.run("p").await;
    pass(10 * MINUTE).await;
    assert_eq!(world.calls("fail 2"), [0, 0, 5 * MINUTE]);
}

#[tokio::test(start_paused = true)]
async fn what_is_overdue_runs_at_once() {
    let world = World::new();
    let running = world.run("p").await;
    world.send("soon 1", None).await;
    world.send("late 1", None).await;
    pass(MINUTE).await;
    running.stop().await;
    pass(99 * MINUTE).await;
    let _running = world.run("p").await;
    pass(MINUTE).await;
    assert_eq!((world.calls("soon 1"), world.calls("late 1")), (vec![0, 100 * MINUTE], vec![0, 100 * MINUTE]));
}

#[tokio::test(start_paused = true)]
async fn a_clock_set_back_prolongs_no_wait_beyond_the_delay() {
    let world = World::new();
    let running = world.run("p").await;
    world.send("soon 1", None).await;
    pass(MINUTE).await;
    running.stop().await;
    world.set_back.store(24 * 60 * MINUTE * 1000, Ordering::Relaxed);
    let _running = world.run("p").await;
    pass(60 * MINUTE).await;
    assert_eq!(world.calls("soon 1"), [0, 6 * MINUTE]);
}

#[tokio::test(start_paused = true)]
async fn pipelines_that_share_a_retry_topic_run_their_own_records_and_pass_over_the_others() {
    let world = World::new();
    let (one, other) = (world.run("p").await, world.run("q").await);
    // Both read the same topic: each calls the message, and parks its own.
    world.send("soon 2", None).await;
    pass(MINUTE).await;
    assert_eq!(world.records("retry").await.len(), 2);
    pass(9 * MINUTE).await;
    assert_eq!(world.calls("soon 2"), [0, 0, 5 * MINUTE, 5 * MINUTE]);
    let counts = [one.stop().await.counts, other.stop().await.counts];
    assert!(counts.iter().all(|counts| (counts.admitted, counts.parked, counts.done) == (2, 1, 1)), "{counts:?}");
    for pipeline in ["p", "q"] {
        let held: i64 = world.bases("retry", pipeline).await.iter().map(|base| base + 1).sum();
        assert_eq!(held, 2, "all that the topic holds is behind the bases of {pipeline}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_record_redriven_for_another_pipeline_is_settled_unseen() {
    let world = World::new();
    let running = world.run("p").await;
    let mut headers = Headers::default();
    headers.push(header::FOR, "another");
    world.send_with("done", None, headers).await;
    pass(MINUTE).await;
    let last = running.stop().await;
    assert_eq!((world.all_calls(), last.counts), (vec![], Counts::default()));
    assert_eq!(world.bases("work", "p").await, [-1, 0]);
}

#[tokio::test(start_paused = true)]
async fn parking_releases_the_lane_of_a_key() {
    let world = World { order: config::Order::Key, ..World::new() };
    let _running = world.run("p").await;
    world.send("soon 1", Some("k")).await;
    world.send("done", Some("k")).await;
    pass(10 * MINUTE).await;
    assert_eq!((world.calls("soon 1"), world.calls("done")), (vec![0, 5 * MINUTE], vec![0]));
}

#[tokio::test(start_paused = true)]
async fn what_is_due_waits_while_the_pipeline_is_held() {
    let world = World::new();
    let running = world.run("p").await;
    world.send("soon 1", None).await;
    pass(5 * MINUTE - 10).await;
    world.send("hold 1", None).await;
    pass(20).await;
    assert!(matches!(running.snapshot().await.state, State::Held { .. }));
    pass(10 * MINUTE).await;
    let passed = 6 * MINUTE - 10;
    assert_eq!((world.calls("hold 1"), world.calls("soon 1")), (vec![5 * MINUTE - 10, passed], vec![0, passed]));
}

#[tokio::test(start_paused = true)]
async fn while_the_retry_topic_is_unavailable_the_pipeline_waits_and_skips_nothing() {
    let world = World::new();
    let running = world.run("p").await;
    world.memory.fail_writes("retry", Some("down"));
    world.send("soon 1", None).await;
    pass(MINUTE).await;
    world.send("done", None).await;
    pass(MINUTE).await;
    assert!(matches!(running.snapshot().await.state, State::Blocked { .. }));
    assert_eq!((world.bases("work", "p").await, world.calls("done")), (vec![-1, -1], vec![]));
    world.memory.fail_writes("retry", None);
    pass(60 * MINUTE).await;
    assert_eq!((world.calls("soon 1").len(), world.calls("done").len()), (2, 1));
    assert_eq!((world.bases("work", "p").await, world.records("dead").await), (vec![-1, 1], vec![]));
}

#[tokio::test(start_paused = true)]
async fn a_message_that_the_retry_topic_refuses_is_a_dead_letter() {
    let world = World::new();
    let _running = world.run("p").await;
    world.memory.refuse_writes("retry", Some("too large"));
    world.send("soon 1", None).await;
    pass(MINUTE).await;
    let letters = world.records("dead").await;
    let text = |name| letters[0].headers.text(name);
    assert_eq!((text(header::CLASS), letters.len()), (Some("refused"), 1));
    assert_eq!(
        text(header::REASON),
        Some("topic retry refuses a parked message: too large; nothing more of it can be spilled")
    );
}

#[tokio::test(start_paused = true)]
async fn the_plugins_own_fault_is_never_parked() {
    let world = World::new();
    let _running = world.run("p").await;
    world.send("trap 99", None).await;
    pass(60 * MINUTE).await;
    let letters = world.records("dead").await;
    assert_eq!((letters.len(), letters[0].headers.text(header::CLASS)), (1, Some("guest-fault")));
    assert_eq!((world.calls("trap 99"), world.records("retry").await), (vec![0, 0], vec![]));
}

#[tokio::test(start_paused = true)]
async fn a_pipeline_that_only_waits_for_what_is_parked_is_idle_and_says_what_it_waits_for() {
    let world = World::new();
    let running = world.run("p").await;
    world.send("soon 1", None).await;
    pass(MINUTE).await;
    let waiting = running.snapshot().await;
    let due: Vec<Timestamp> = waiting.partitions.iter().filter_map(|state| state.due).collect();
    assert_eq!((waiting.idle, due), (Idle::ButParked, vec![Timestamp(AHEAD + 5 * MINUTE * 1000)]));
    pass(10 * MINUTE).await;
    assert_eq!(running.snapshot().await.idle, Idle::Yes);
}

#[tokio::test(start_paused = true)]
async fn a_retry_partition_that_is_asked_back_goes_at_once_and_its_head_comes_again() {
    let world = World::new();
    let running = world.run("p").await;
    world.send("soon 1", None).await;
    pass(MINUTE).await;
    world.memory.revoke("retry", "p", &[0, 1]);
    pass(1).await;
    let owned =
        |snapshot: Snapshot| snapshot.partitions.iter().filter(|state| &*state.partition.topic == "retry").count();
    assert_eq!(owned(running.snapshot().await), 0, "it does not wait for what is parked");
    world.memory.assign("retry", "p", &[0, 1]);
    pass(10 * MINUTE).await;
    assert_eq!(world.calls("soon 1"), [0, 5 * MINUTE]);
}

#[tokio::test(start_paused = true)]
async fn a_retry_partition_that_is_lost_starts_nothing() {
    let world = World::new();
    let running = world.run("p").await;
    world.send("soon 1", None).await;
    pass(MINUTE).await;
    world.memory.lose("retry", "p", &[0, 1]);
    pass(10 * MINUTE).await;
    assert_eq!(world.calls("soon 1"), [0]);
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_message_that_is_too_large_to_be_parked_is_parked_spilled_and_called_whole() {
    let world = World::new();
    world.memory.refuse_larger("retry", Some(4000));
    world.memory.refuse_larger("dead", Some(4000));
    let running = world.run("p").await;
    let payload = format!("fail 99 {}", "x".repeat(5000));
    world.send(&payload, None).await;
    pass(60 * MINUTE).await;
    let later = 5 * MINUTE + 40 * MINUTE;
    assert_eq!(world.calls(&payload), [0, 0, 5 * MINUTE, 5 * MINUTE, later, later]);
    let records = [world.records("retry").await, world.records("dead").await].concat();
    assert_eq!(records.len(), 3);
    for record in records {
        assert!(record.payload.is_empty() && record.headers.get(header::SPILLED_PAYLOAD).is_some());
    }
    assert_eq!(world.shelf.kept.lock().unwrap().len(), 1, "the same bytes are kept once");
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_letter_that_is_redriven_runs_at_once_with_fresh_tries_and_says_so_when_it_fails_again() {
    let world = World::new();
    let running = world.run("p").await;
    world.send("trap 99", None).await;
    pass(MINUTE).await;
    let letters = world.records("dead").await;
    for (topic, way) in [("retry", Way::Retry { steps: 2 }), ("work", Way::Source)] {
        let record = redriven(&letters[0], "p", way, 2);
        assert!(world.memory.sink(topic).await.unwrap().write(vec![record]).await[0].is_ok());
        pass(MINUTE).await;
    }
    let told: Vec<_> = world.all_calls().into_iter().map(|call| (call.at, call.attempt.0, call.place)).collect();
    let at = |at, attempt| (at, attempt, "work/1@0".to_owned());
    let expected = [at(0, 1), at(0, 2), at(MINUTE, 1), at(MINUTE, 2), at(2 * MINUTE, 1), at(2 * MINUTE, 2)];
    assert_eq!(told, expected, "its origin is kept");
    let letters = world.records("dead").await;
    let text = |letter: &Message, name| letter.headers.text(name).map(str::to_owned);
    let redriven: Vec<_> = letters.iter().map(|letter| text(letter, header::REDRIVEN)).collect();
    assert_eq!(redriven.iter().flatten().count(), 2, "{redriven:?}");
    assert!(letters.iter().all(|letter| letter.id == letters[0].id));
    running.stop().await;
}
