//! The loop against a source, a plugin and sinks that do as they are told, in paused time.

use std::collections::VecDeque;
use std::sync::Mutex;

use async_trait::async_trait;
use bytes::Bytes;
use futures::future::BoxFuture;

use super::*;
use crate::flow::router::Route;
use crate::model::{Emission, Headers, Message, MessageId, Origin, Outcome, Position, Record, Timestamp, Verdict};
use crate::plugin::{Attempt, CallError};
use crate::transport::{Assignment, Batch, Commit, CommitError, Demand, Epoch, Sink, WriteError, Written};

/// Hands out scripted events, each not before its time and as demand allows, and keeps the last checkpoint that was
/// committed.
struct Scripted {
    events: VecDeque<(Instant, SourceEvent)>,
    stored: Arc<Mutex<Option<String>>>,
    /// Commits of this epoch take ten seconds, and are refused then.
    slow_epoch: Option<Epoch>,
}

#[async_trait]
impl Source for Scripted {
    async fn next(&mut self, demand: &dyn Demand) -> SourceEvent {
        // Never at once, so that what came before it has begun.
        tokio::task::yield_now().await;
        match self.events.front() {
            Some((_, SourceEvent::Messages(batch))) if demand.room(&batch.partition).is_none() => {}
            Some((due, _)) => sleep_until(*due).await,
            None => {}
        }
        let allowed = |(_, event): &mut (Instant, SourceEvent)| match event {
            SourceEvent::Messages(batch) => demand.room(&batch.partition).is_some(),
            _ => true,
        };
        match self.events.pop_front_if(allowed) {
            Some((_, event)) => event,
            None => std::future::pending().await,
        }
    }

    fn commit(&mut self, commits: Vec<Commit>) -> BoxFuture<'static, Result<(), CommitError>> {
        if let Some(old) = commits.iter().find(|commit| Some(commit.epoch) == self.slow_epoch) {
            let error = CommitError::NotOwned(vec![old.partition.clone()]);
            return Box::pin(async {
                tokio::time::sleep(Duration::from_secs(10)).await;
                Err(error)
            });
        }
        if let Some(commit) = commits.last() {
            *self.stored.lock().unwrap() = Some(format!("{:?}", commit.checkpoint));
        }
        Box::pin(async { Ok(()) })
    }
}

/// Answers by what the payload says, and keeps what was called.
#[derive(Default)]
struct Obedient {
    calls: Mutex<Vec<(i64, u32)>>,
    holds: Mutex<u32>,
}

#[async_trait]
impl Plugin for Obedient {
    async fn call(&self, message: Arc<Message>, attempt: Attempt) -> Result<Outcome, CallError> {
        self.calls.lock().unwrap().push((message.origin.position.0, attempt.number.get()));
        let reason = "told to".to_owned();
        let verdict = match &message.payload[..] {
            b"done" => Verdict::Done,
            b"retry" => Verdict::Retry { after: None, reason },
            b"never" => std::future::pending().await,
            b"slow" => {
                tokio::time::sleep(Duration::from_secs(3)).await;
                Verdict::Done
            }
            b"hold twice" => {
                let mut holds = self.holds.lock().unwrap();
                *holds += 1;
                if *holds > 2 { Verdict::Done } else { Verdict::Hold { after: None, reason } }
            }
            b"emit" => return Ok(Outcome { verdict: Verdict::Done, emit: vec![emission()] }),
            b"reject with emission" => {
                let verdict = Verdict::Reject { code: "own".into(), reason };
                return Ok(Outcome { verdict, emit: vec![emission()] });
            }
            other => Verdict::Reject { code: String::from_utf8_lossy(other).into_owned(), reason },
        };
        Ok(Outcome::of(verdict))
    }

    fn bytes_moved(&self) -> u64 {
        0
    }
}

fn emission() -> Emission {
    let payload = Bytes::from_static(b"made");
    Emission { output: "out".into(), key: None, headers: Headers::default(), payload }
}

/// Keeps records; unavailable for as many writes as told.
#[derive(Default)]
struct Letters {
    records: Mutex<Vec<Record>>,
    last: Mutex<Option<Instant>>,
    unavailable: Mutex<usize>,
}

#[async_trait]
impl Sink for Letters {
    async fn write(&self, records: Vec<Record>) -> Vec<Result<Option<Written>, WriteError>> {
        let mut unavailable = self.unavailable.lock().unwrap();
        if *unavailable > 0 {
            *unavailable -= 1;
            let down = WriteError::Unavailable { topic: "dlq".into(), reason: "down".into() };
            return records.iter().map(|_| Err(down.clone())).collect();
        }
        let written = records.iter().map(|_| Ok(Some(Written { partition: 0, position: Position(0) }))).collect();
        self.records.lock().unwrap().extend(records);
        *self.last.lock().unwrap() = Some(Instant::now());
        written
    }

    fn partitions(&self) -> u32 {
        1
    }
}

/// Refuses every record.
struct Refusing;

#[async_trait]
impl Sink for Refusing {
    async fn write(&self, records: Vec<Record>) -> Vec<Result<Option<Written>, WriteError>> {
        let refused = WriteError::Refused { topic: "out".into(), reason: "too large".into() };
        records.iter().map(|_| Err(refused.clone())).collect()
    }

    fn partitions(&self) -> u32 {
        1
    }
}

struct Ran {
    end: End,
    stored: Option<String>,
    calls: Vec<(i64, u32)>,
    letters: Vec<Option<String>>,
    /// When the last letter was written, from the start.
    last_letter: Option<Duration>,
    counts: Counts,
}

fn message(position: i64, payload: &'static str) -> Message {
    Message {
        id: MessageId::given(&format!("m-{position}")),
        origin: Origin {
            transport: "bus".into(),
            partition: Partition::new("t", 0),
            position: Position(position),
            enqueued: Timestamp(0),
        },
        key: None,
        headers: Headers::default(),
        payload: Bytes::from_static(payload.as_bytes()),
    }
}

fn partition() -> Partition {
    Partition::new("t", 0)
}

fn batch(messages: Vec<Message>) -> SourceEvent {
    let passed = messages.last().map_or(Position(-1), |message| message.origin.position);
    SourceEvent::Messages(Batch { partition: partition(), messages, lag: 0, passed })
}

fn messages(payloads: &[&'static str]) -> SourceEvent {
    let messages = (0..).zip(payloads).map(|(position, payload)| message(position, payload)).collect();
    batch(messages)
}

fn settings(order: config::Order) -> Settings {
    let maker = Maker { pipeline: "p".into(), plugin: "g".into(), version: "1".into(), sha256: "00".into() };
    Settings {
        maker,
        concurrency: 4,
        in_flight: config::InFlight::default(),
        order,
        retry: retry::Policy::default(),
        retry_topic: None,
        checkpoint_every: Duration::from_secs(1),
        drain_for: Duration::from_secs(5),
    }
}

/// Runs one partition of messages for a minute, then stops the pipeline.
async fn run(order: config::Order, payloads: &[&'static str], unavailable: usize) -> Ran {
    run_script(order, vec![(0, messages(payloads))], unavailable).await
}

/// Runs what a source tells, each at its second, for a minute, then stops the pipeline. The partition is assigned at
/// the start.
async fn run_script(order: config::Order, script: Vec<(u64, SourceEvent)>, unavailable: usize) -> Ran {
    run_with_slow_commits(order, script, unavailable, None).await
}

async fn run_with_slow_commits(
    order: config::Order,
    script: Vec<(u64, SourceEvent)>,
    unavailable: usize,
    slow_epoch: Option<Epoch>,
) -> Ran {
    let start = Instant::now();
    let assignment = Assignment { partition: partition(), epoch: Epoch(1), checkpoint: None, checkpoint_limit: None };
    let assigned = [(0, SourceEvent::Assigned(vec![assignment]))];
    let at = |(seconds, event)| (start + Duration::from_secs(seconds), event);
    let events = assigned.into_iter().chain(script).map(at).collect();
    let (stored, plugin) = (Arc::new(Mutex::new(None)), Arc::new(Obedient::default()));
    let letters = Arc::new(Letters { unavailable: Mutex::new(unavailable), ..Letters::default() });
    let outputs = [("out".to_owned(), Route::Topic(Arc::new(Refusing)))].into();
    let router = Router { pipeline: "p".into(), outputs, dead_letter: letters.clone(), retry: None, spill: None };
    let source = Box::new(Scripted { events, stored: stored.clone(), slow_epoch });
    let parts = Parts { source, plugin: plugin.clone(), router: Arc::new(router), clock: Clock::system() };
    let (commands, mut inbox) = mpsc::channel(1);
    let pipeline = tokio::spawn(async move { Pipeline::new(settings(order), parts).run(&mut inbox).await });
    tokio::time::sleep(Duration::from_secs(60)).await;
    // One that failed has ended already.
    let _ = commands.send(Command::Stop).await;
    let (end, last) = pipeline.await.unwrap();
    let code = |record: &Record| record.headers.text("lockgate-code").map(str::to_owned);
    Ran {
        end,
        stored: stored.lock().unwrap().clone(),
        calls: plugin.calls.lock().unwrap().clone(),
        letters: letters.records.lock().unwrap().iter().map(code).collect(),
        last_letter: letters.last.lock().unwrap().map(|last| last - start),
        counts: last.counts,
    }
}

#[tokio::test(start_paused = true)]
async fn a_stop_stores_what_settled_and_leaves_what_did_not() {
    let ran = run(config::Order::None, &["done", "never", "done"], 0).await;
    assert_eq!(ran.end, End::Stopped);
    assert_eq!(ran.stored.as_deref(), Some("base 0, settled above to 2 but [1]"));
}

#[tokio::test(start_paused = true)]
async fn a_message_that_fails_too_often_becomes_a_dead_letter_and_then_settles() {
    let ran = run(config::Order::None, &["retry"], 0).await;
    assert_eq!(ran.calls, [(0, 1), (0, 2), (0, 3)]);
    assert_eq!((ran.letters, ran.stored.as_deref()), (vec![Some("retry".to_owned())], Some("base 0")));
}

#[tokio::test(start_paused = true)]
async fn a_dead_letter_topic_that_is_down_is_waited_for() {
    let ran = run(config::Order::None, &["bad", "done"], 3).await;
    assert_eq!((ran.letters, ran.stored.as_deref()), (vec![Some("bad".to_owned())], Some("base 1")));
}

#[tokio::test(start_paused = true)]
async fn a_topic_that_fails_once_for_many_messages_is_waited_for_once() {
    // All that run at once meet the trouble before it is known.
    let ran = run(config::Order::None, &["bad"; 4], 4).await;
    assert_eq!((ran.letters.len(), ran.last_letter), (4, Some(SINK_FIRST_WAIT)));
}

#[tokio::test(start_paused = true)]
async fn messages_of_one_partition_wait_for_each_other_when_told() {
    let ran = run(config::Order::Partition, &["retry", "done"], 0).await;
    assert_eq!(ran.calls, [(0, 1), (0, 2), (0, 3), (1, 1)]);
}

#[tokio::test(start_paused = true)]
async fn a_held_message_is_tried_alone_until_it_passes_and_uses_no_attempt() {
    let script = vec![(0, messages(&["hold twice"])), (5, later(&["done", "done"]))];
    let ran = run_script(config::Order::None, script, 0).await;
    assert_eq!(ran.calls, [(0, 1), (0, 1), (0, 1), (1, 1), (2, 1)], "nothing else starts while one is held");
    assert_eq!((ran.stored.as_deref(), ran.counts.done, ran.counts.retried), (Some("base 2"), 3, 0));
}

/// The messages that follow the first.
fn later(payloads: &[&'static str]) -> SourceEvent {
    let messages = (1..).zip(payloads).map(|(position, payload)| message(position, payload)).collect();
    batch(messages)
}

#[tokio::test(start_paused = true)]
async fn a_partition_that_is_asked_back_goes_after_what_runs_has_settled_and_is_stored() {
    let (reply, released) = oneshot::channel();
    let revoked = SourceEvent::Revoked { partitions: vec![partition()], reply };
    let script = vec![(0, messages(&["slow", "retry", "done"])), (0, revoked)];
    let ran = run_script(config::Order::None, script, 0).await;
    assert_eq!(released.await, Ok(()));
    assert_eq!(ran.calls, [(0, 1), (1, 1), (2, 1)], "what backs off is given up");
    assert_eq!(ran.stored.as_deref(), Some("base 0, settled above to 2 but [1]"));
}

#[tokio::test(start_paused = true)]
async fn a_partition_that_is_asked_back_does_not_wait_longer_than_it_may() {
    let (reply, released) = oneshot::channel();
    let revoked = SourceEvent::Revoked { partitions: vec![partition()], reply };
    let script = vec![(0, messages(&["done", "never"])), (0, revoked)];
    let ran = run_script(config::Order::None, script, 0).await;
    assert_eq!((released.await, ran.stored.as_deref()), (Ok(()), Some("base 0")));
}

#[tokio::test(start_paused = true)]
async fn nothing_of_a_lost_partition_is_published_or_stored() {
    let script = vec![(0, messages(&["slow", "bad"])), (2, SourceEvent::Lost(vec![partition()]))];
    let ran = run_script(config::Order::None, script, 1000).await;
    assert_eq!((ran.end, ran.letters), (End::Stopped, vec![]));
    assert_eq!((ran.counts.done, ran.counts.dead.len()), (0, 0));
    assert!(ran.stored.is_none_or(|stored| !stored.contains("settled above")), "the slow message never counted");
}

#[tokio::test(start_paused = true)]
async fn an_emission_that_its_topic_refuses_makes_its_message_a_dead_letter() {
    let ran = run(config::Order::None, &["emit"], 0).await;
    assert_eq!((ran.letters, ran.stored.as_deref()), (vec![Some("refused".to_owned())], Some("base 0")));
    assert_eq!((ran.counts.done, ran.counts.dead.get("refused")), (0, Some(&1)));
}

#[tokio::test(start_paused = true)]
async fn a_partition_that_comes_back_goes_on_from_its_checkpoint() {
    let again = Assignment {
        partition: partition(),
        epoch: Epoch(2),
        checkpoint: Some(crate::model::Checkpoint::new(Position(0), Position(2), vec![Position(1)])),
        checkpoint_limit: None,
    };
    let script = vec![
        (0, messages(&["done", "never", "done"])),
        (2, SourceEvent::Lost(vec![partition()])),
        (3, SourceEvent::Assigned(vec![again])),
        (3, later(&["done", "done"])),
    ];
    let ran = run_script(config::Order::None, script, 0).await;
    assert_eq!(ran.calls, [(0, 1), (1, 1), (2, 1), (1, 1)], "what was settled does not run again");
    assert_eq!(ran.stored.as_deref(), Some("base 2"));
}

#[tokio::test(start_paused = true)]
async fn a_source_that_fails_for_good_ends_the_pipeline_and_says_why() {
    let gone =
        crate::transport::TransportError::LostPosition { partition: partition(), from: Position(0), to: Position(9) };
    let (stored, plugin) = (Arc::new(Mutex::new(None)), Arc::new(Obedient::default()));
    let source =
        Box::new(Scripted { events: [(Instant::now(), SourceEvent::Failed(gone))].into(), stored, slow_epoch: None });
    let router =
        Router { pipeline: "p".into(), outputs: [].into(), dead_letter: Arc::new(Refusing), retry: None, spill: None };
    let parts = Parts { source, plugin, router: Arc::new(router), clock: Clock::system() };
    let (_commands, mut inbox) = mpsc::channel(1);
    let (end, _) = Pipeline::new(settings(config::Order::None), parts).run(&mut inbox).await;
    let End::Failed { reason } = end else { panic!("{end:?}") };
    assert_eq!(reason, "t/0: messages 0 to 9 were not settled but are no longer kept");
}

#[tokio::test(start_paused = true)]
async fn a_commit_of_an_earlier_assignment_that_is_refused_late_does_not_end_the_new_one() {
    let again = Assignment { partition: partition(), epoch: Epoch(2), checkpoint: None, checkpoint_limit: None };
    let script = vec![
        (0, messages(&["done"])),
        (3, SourceEvent::Lost(vec![partition()])),
        (4, SourceEvent::Assigned(vec![again])),
        (20, messages(&["done", "done"])),
    ];
    let ran = run_with_slow_commits(config::Order::None, script, 0, Some(Epoch(1))).await;
    assert_eq!(ran.calls, [(0, 1), (0, 1), (1, 1)]);
    assert_eq!(ran.stored.as_deref(), Some("base 1"));
}

#[tokio::test(start_paused = true)]
async fn a_partition_goes_while_a_commit_of_another_topic_waits() {
    let other = Partition::new("other", 0);
    let assignment = Assignment { partition: other.clone(), epoch: Epoch(2), checkpoint: None, checkpoint_limit: None };
    let mut of_other = message(0, "done");
    of_other.origin.partition = other.clone();
    let of_other = Batch { partition: other, messages: vec![of_other], lag: 0, passed: Position(0) };
    let (reply, released) = oneshot::channel();
    let script = vec![
        (0, SourceEvent::Assigned(vec![assignment])),
        (0, SourceEvent::Messages(of_other)),
        // While the other one's first commit waits.
        (3, messages(&["done"])),
        (3, SourceEvent::Revoked { partitions: vec![partition()], reply }),
    ];
    let start = Instant::now();
    let released = tokio::spawn(async move { released.await.map(|()| start.elapsed()) });
    let ran = run_with_slow_commits(config::Order::None, script, 0, Some(Epoch(2))).await;
    assert_eq!((released.await.unwrap(), ran.stored.as_deref()), (Ok(Duration::from_secs(3)), Some("base 0")));
}

#[tokio::test(start_paused = true)]
async fn a_reject_keeps_its_reason_when_its_emission_is_refused() {
    let ran = run(config::Order::None, &["reject with emission"], 0).await;
    assert_eq!((ran.letters, ran.stored.as_deref()), (vec![Some("own".to_owned())], Some("base 0")));
}

#[tokio::test(start_paused = true)]
async fn nothing_starts_while_a_topic_is_unavailable() {
    let ran = run(config::Order::None, &["bad"; 100], usize::MAX).await;
    assert!(ran.calls.len() <= 2 * 4, "{} started, of which all wait for the topic", ran.calls.len());
    assert_eq!(ran.letters, []);
}

#[tokio::test(start_paused = true)]
async fn a_source_that_fails_for_good_lets_what_runs_finish_and_stores_it() {
    let gone =
        crate::transport::TransportError::LostPosition { partition: partition(), from: Position(2), to: Position(9) };
    let script = vec![(0, messages(&["slow", "done"])), (1, SourceEvent::Failed(gone))];
    let ran = run_script(config::Order::None, script, 0).await;
    assert!(matches!(ran.end, End::Failed { .. }), "{:?}", ran.end);
    assert_eq!((ran.stored.as_deref(), ran.counts.done), (Some("base 1"), 2));
}

#[tokio::test(start_paused = true)]
async fn a_source_that_fails_for_good_is_heard_until_what_runs_has_finished() {
    let gone = || crate::transport::TransportError::LostPosition {
        partition: partition(),
        from: Position(2),
        to: Position(9),
    };
    let (reply, released) = oneshot::channel();
    let script = vec![
        (0, messages(&["slow"])),
        (1, SourceEvent::Failed(gone())),
        (2, SourceEvent::Revoked { partitions: vec![partition()], reply }),
        (2, SourceEvent::Failed(gone())),
    ];
    let start = Instant::now();
    let released = tokio::spawn(async move { released.await.map(|()| start.elapsed()) });
    let ran = run_script(config::Order::None, script, 0).await;
    assert!(matches!(ran.end, End::Failed { .. }), "{:?}", ran.end);
    assert_eq!((released.await.unwrap(), ran.stored.as_deref()), (Ok(Duration::from_secs(3)), Some("base 0")));
}

#[tokio::test(start_paused = true)]
async fn a_partition_that_is_lost_while_it_is_asked_back_and_comes_again_is_read_on() {
    let (reply, _released) = oneshot::channel();
    let again = Assignment { partition: partition(), epoch: Epoch(2), checkpoint: None, checkpoint_limit: None };
    let script = vec![
        (0, messages(&["never"])),
        (1, SourceEvent::Revoked { partitions: vec![partition()], reply }),
        (2, SourceEvent::Lost(vec![partition()])),
        (2, SourceEvent::Assigned(vec![again])),
        (2, messages(&["retry", "done"])),
    ];
    let ran = run_script(config::Order::None, script, 0).await;
    assert_eq!((ran.stored.as_deref(), ran.counts.retried), (Some("base 1"), 2));
}

#[tokio::test(start_paused = true)]
async fn a_call_that_never_ends_is_given_up_when_the_time_to_drain_is_over_however_busy_the_loop_is() {
    let assignment = Assignment { partition: partition(), epoch: Epoch(1), checkpoint: None, checkpoint_limit: None };
    let events = [SourceEvent::Assigned(vec![assignment]), messages(&["never"])];
    let events = events.into_iter().map(|event| (Instant::now(), event)).collect();
    let source = Box::new(Scripted { events, stored: Arc::default(), slow_epoch: None });
    let router =
        Router { pipeline: "p".into(), outputs: [].into(), dead_letter: Arc::new(Refusing), retry: None, spill: None };
    let plugin = Arc::new(Obedient::default());
    let parts = Parts { source, plugin, router: Arc::new(router), clock: Clock::system() };
    let (commands, mut inbox) = mpsc::channel(1);
    let pipeline =
        tokio::spawn(async move { Pipeline::new(settings(config::Order::None), parts).run(&mut inbox).await });
    tokio::time::sleep(Duration::from_secs(1)).await;
    commands.send(Command::Stop).await.unwrap();
    let told = Instant::now();
    while !pipeline.is_finished() {
        let (reply, _) = oneshot::channel();
        let _ = commands.send(Command::Snapshot(reply)).await;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(pipeline.await.unwrap().0, End::Stopped);
    assert!(told.elapsed() < Duration::from_secs(6), "{:?} after 5 s to drain", told.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_pipeline_that_nobody_can_tell_anything_stops() {
    let assignment = Assignment { partition: partition(), epoch: Epoch(1), checkpoint: None, checkpoint_limit: None };
    let events = [SourceEvent::Assigned(vec![assignment]), messages(&["slow"])];
    let events = events.into_iter().map(|event| (Instant::now(), event)).collect();
    let stored = Arc::<Mutex<Option<String>>>::default();
    let source = Box::new(Scripted { events, stored: stored.clone(), slow_epoch: None });
    let router =
        Router { pipeline: "p".into(), outputs: [].into(), dead_letter: Arc::new(Refusing), retry: None, spill: None };
    let plugin = Arc::new(Obedient::default());
    let parts = Parts { source, plugin, router: Arc::new(router), clock: Clock::system() };
    let (commands, mut inbox) = mpsc::channel(1);
    let pipeline =
        tokio::spawn(async move { Pipeline::new(settings(config::Order::None), parts).run(&mut inbox).await });
    tokio::time::sleep(Duration::from_secs(1)).await;
    drop(commands);
    assert_eq!(pipeline.await.unwrap().0, End::Stopped);
    assert_eq!(stored.lock().unwrap().as_deref(), Some("base 0"), "what ran could finish");
}

#[path = "pipeline/live_tests.rs"]
mod live;
#[path = "pipeline_spill_tests.rs"]
mod spill;
