//! The loop against a source, a plugin and sinks that do as they are told, in paused time.

use std::collections::VecDeque;
use std::sync::Mutex;

use async_trait::async_trait;
use bytes::Bytes;

use super::*;
use crate::model::{Headers, Message, MessageId, Origin, Outcome, Position, Record, Timestamp, Verdict};
use crate::plugin::{Attempt, CallError};
use crate::transport::{Assignment, Batch, Epoch, Sink, WriteError, Written};

/// Hands out scripted events as demand allows, and keeps the last checkpoint that was committed.
struct Scripted {
    events: VecDeque<SourceEvent>,
    stored: Arc<Mutex<Option<String>>>,
}

#[async_trait]
impl Source for Scripted {
    async fn next(&mut self, demand: &Demand) -> SourceEvent {
        let allowed = match self.events.front() {
            Some(SourceEvent::Messages(batch)) => demand.0.contains_key(&batch.partition),
            front => front.is_some(),
        };
        match self.events.pop_front_if(|_| allowed) {
            Some(event) => event,
            None => std::future::pending().await,
        }
    }

    fn commit(&mut self, commits: Vec<Commit>) -> BoxFuture<'static, Result<(), CommitError>> {
        if let Some(commit) = commits.last() {
            *self.stored.lock().unwrap() = Some(format!("{:?}", commit.checkpoint));
        }
        Box::pin(async { Ok(()) })
    }
}

/// Answers by what the payload says, and keeps what was called.
#[derive(Default)]
struct Obedient(Mutex<Vec<(i64, u32)>>);

#[async_trait]
impl Plugin for Obedient {
    async fn call(&self, message: Arc<Message>, attempt: Attempt) -> Result<Outcome, CallError> {
        self.0.lock().unwrap().push((message.origin.position.0, attempt.number.get()));
        let reason = "told to".to_owned();
        let verdict = match &message.payload[..] {
            b"done" => Verdict::Done,
            b"retry" => Verdict::Retry { after: None, reason },
            b"never" => std::future::pending().await,
            other => Verdict::Reject { code: String::from_utf8_lossy(other).into_owned(), reason },
        };
        Ok(Outcome::of(verdict))
    }

    fn bytes_moved(&self) -> u64 {
        0
    }
}

/// Keeps records; unavailable for as many writes as told.
#[derive(Default)]
struct Letters {
    records: Mutex<Vec<Record>>,
    unavailable: Mutex<usize>,
}

#[async_trait]
impl Sink for Letters {
    async fn write(&self, records: Vec<Record>) -> Vec<Result<Written, WriteError>> {
        let mut unavailable = self.unavailable.lock().unwrap();
        if *unavailable > 0 {
            *unavailable -= 1;
            let down = WriteError::Unavailable { topic: "dlq".into(), reason: "down".into() };
            return records.iter().map(|_| Err(down.clone())).collect();
        }
        let written = records.iter().map(|_| Ok(Written { partition: 0, position: Position(0) })).collect();
        self.records.lock().unwrap().extend(records);
        written
    }
}

struct Ran {
    end: End,
    stored: Option<String>,
    calls: Vec<(i64, u32)>,
    letters: Vec<Option<String>>,
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

/// Runs one partition of messages for a minute, then stops the pipeline.
async fn run(order: config::Order, payloads: &[&'static str], unavailable: usize) -> Ran {
    let partition = Partition::new("t", 0);
    let messages = (0..).zip(payloads).map(|(position, payload)| message(position, payload)).collect();
    let assignment = Assignment { partition: partition.clone(), epoch: Epoch(1), checkpoint: None };
    let events = VecDeque::from([
        SourceEvent::Assigned(vec![assignment]),
        SourceEvent::Messages(Batch { partition, messages, lag: 0 }),
    ]);
    let (stored, plugin) = (Arc::new(Mutex::new(None)), Arc::new(Obedient::default()));
    let letters = Arc::new(Letters { unavailable: Mutex::new(unavailable), ..Letters::default() });
    let router = Router { pipeline: "p".into(), outputs: Default::default(), dead_letter: letters.clone() };
    let maker = Maker { pipeline: "p".into(), plugin: "g".into(), version: "1".into(), sha256: "00".into() };
    let settings = Settings {
        maker,
        concurrency: 4,
        in_flight: config::InFlight::default(),
        order,
        retry: config::Retry::default(),
        checkpoint_every: Duration::from_secs(1),
        drain_for: Duration::from_secs(5),
    };
    let source = Box::new(Scripted { events, stored: stored.clone() });
    let parts = Parts { source, plugin: plugin.clone(), router: Arc::new(router), clock: Clock::system() };
    let (commands, mut inbox) = mpsc::channel(1);
    let pipeline = tokio::spawn(async move { Pipeline::new(settings, parts).run(&mut inbox).await });
    tokio::time::sleep(Duration::from_secs(60)).await;
    commands.send(Command::Stop).await.unwrap();
    let (end, _) = pipeline.await.unwrap();
    let code = |record: &Record| record.headers.text("lockgate-code").map(str::to_owned);
    Ran {
        end,
        stored: stored.lock().unwrap().clone(),
        calls: plugin.0.lock().unwrap().clone(),
        letters: letters.records.lock().unwrap().iter().map(code).collect(),
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
async fn messages_of_one_partition_wait_for_each_other_when_told() {
    let ran = run(config::Order::Partition, &["retry", "done"], 0).await;
    assert_eq!(ran.calls, [(0, 1), (0, 2), (0, 3), (1, 1)]);
}
