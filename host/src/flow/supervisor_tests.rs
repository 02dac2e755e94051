//! The supervisor over sources that panic, fail for good or stay silent, in paused time.

use std::sync::atomic::{AtomicU32, Ordering};

use async_trait::async_trait;
use bytes::Bytes;

use super::*;
use crate::flow::config;
use crate::flow::dead_letter::Maker;
use crate::flow::remote::Look;
use crate::flow::router::Router;
use crate::model::{Clock, Headers, Message, MessageId, Origin, Outcome, Partition, Position, Record, Timestamp};
use crate::plugin::{Attempt, CallError, Plugin};
use crate::transport::{
    Assignment, Batch, Commit, CommitError, Demand, Epoch, Sink, Source, SourceEvent, TransportError, WriteError,
    Written,
};

/// A source that panics, fails for good, or stays silent.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mood {
    Panics,
    Damaged,
    Silent,
    /// Hands out one message, whose call panics after five seconds.
    PanicsInACall,
}

struct Moody(Mood, u32);

#[async_trait]
impl Source for Moody {
    async fn next(&mut self, _: &dyn Demand) -> SourceEvent {
        match self.0 {
            Mood::Panics => panic!("a bug"),
            Mood::Damaged => {
                let error = TransportError::Damaged { transport: "bus".into(), reason: "page 7".into() };
                SourceEvent::Failed(error)
            }
            Mood::Silent => std::future::pending().await,
            Mood::PanicsInACall => self.message().await,
        }
    }

    fn commit(&mut self, _: Vec<Commit>) -> BoxFuture<'static, Result<(), CommitError>> {
        Box::pin(async { Ok(()) })
    }
}

impl Moody {
    async fn message(&mut self) -> SourceEvent {
        let partition = Partition::new("t", 0);
        self.1 += 1;
        match self.1 {
            1 => SourceEvent::Assigned(vec![Assignment {
                partition,
                epoch: Epoch(1),
                checkpoint: None,
                checkpoint_limit: None,
            }]),
            2 => {
                let (messages, passed) = (vec![message(partition.clone())], Position(0));
                SourceEvent::Messages(Batch { messages, partition, lag: 0, passed })
            }
            _ => std::future::pending().await,
        }
    }
}

fn message(partition: Partition) -> Message {
    Message {
        id: MessageId::given("m"),
        origin: Origin { transport: "bus".into(), partition, position: Position(0), enqueued: Timestamp(0) },
        key: None,
        headers: Headers::default(),
        payload: Bytes::new(),
    }
}

/// A plugin whose calls panic after five seconds, and a sink that nothing is written to.
struct Idle;

#[async_trait]
impl Plugin for Idle {
    async fn call(&self, _: Arc<Message>, _: Attempt) -> Result<Outcome, CallError> {
        tokio::time::sleep(Duration::from_secs(5)).await;
        panic!("a bug")
    }

    fn bytes_moved(&self) -> u64 {
        0
    }
}

#[async_trait]
impl Sink for Idle {
    async fn write(&self, _: Vec<Record>) -> Vec<Result<Option<Written>, WriteError>> {
        Vec::new()
    }

    fn partitions(&self) -> u32 {
        1
    }
}

fn parts(mood: Mood) -> (Settings, Parts) {
    let maker = Maker { pipeline: "p".into(), plugin: "g".into(), version: "1".into(), sha256: "00".into() };
    let settings = Settings {
        maker,
        concurrency: 1,
        in_flight: config::InFlight::default(),
        order: config::Order::None,
        retry: crate::flow::retry::Policy::default(),
        retry_topic: None,
        checkpoint_every: Duration::from_secs(1),
        drain_for: Duration::from_secs(10),
    };
    let router =
        Router { pipeline: "p".into(), outputs: [].into(), dead_letter: Arc::new(Idle), retry: None, spill: None };
    let source = Box::new(Moody(mood, 0));
    (settings, Parts { source, plugin: Arc::new(Idle), router: Arc::new(router), clock: Clock::system() })
}

/// Supervises a pipeline whose n-th opening ends as told; the last one stays. Counts openings.
fn supervised(openings: Vec<Result<Mood, OpenError>>) -> (Handle, Arc<AtomicU32>) {
    let opened = Arc::new(AtomicU32::new(0));
    let count = opened.clone();
    let open: Open = Box::new(move || {
        let nth = usize::try_from(count.fetch_add(1, Ordering::Relaxed)).unwrap();
        let opening = openings[nth.min(openings.len() - 1)].clone();
        Box::pin(async move { opening.map(parts) })
    });
    (supervise("p".into(), open), opened)
}

#[tokio::test(start_paused = true)]
async fn what_is_unreachable_is_tried_again_and_tells_so_meanwhile() {
    let (handle, opened) = supervised(vec![Err(OpenError::Later("no route".into())), Ok(Mood::Silent)]);
    let state = handle.snapshot().await.unwrap().state;
    assert_eq!(state, State::Blocked { reason: "no route".into() });
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!((handle.snapshot().await.unwrap().state, opened.load(Ordering::Relaxed)), (State::Starting, 2));
    handle.stop().await;
    assert_eq!(handle.end().await, End::Stopped);
}

#[tokio::test(start_paused = true)]
async fn a_bug_of_the_host_rebuilds_the_pipeline() {
    let (handle, opened) = supervised(vec![Ok(Mood::Panics), Ok(Mood::Panics), Ok(Mood::Silent)]);
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!((handle.snapshot().await.unwrap().state, opened.load(Ordering::Relaxed)), (State::Starting, 3));
}

#[tokio::test(start_paused = true)]
async fn what_needs_somebody_ends_the_pipeline_with_its_reason() {
    for opening in [Err(OpenError::Never("no topic t".into())), Ok(Mood::Damaged)] {
        let (handle, opened) = supervised(vec![opening]);
        tokio::time::sleep(Duration::from_secs(60)).await;
        let end = handle.ending().unwrap().end;
        let End::Failed { reason } = end else { panic!("{end:?}") };
        assert!(reason.contains("no topic t") || reason.contains("page 7"), "{reason}");
        assert_eq!((opened.load(Ordering::Relaxed), handle.snapshot().await), (1, None));
    }
}

#[tokio::test(start_paused = true)]
async fn a_stop_is_heard_while_an_opening_takes_for_ever() {
    let open: Open = Box::new(|| Box::pin(std::future::pending()));
    let handle = supervise("p".into(), open);
    assert_eq!(handle.snapshot().await.unwrap().state, State::Starting);
    handle.stop().await;
    assert_eq!(handle.end().await, End::Stopped);
}

#[tokio::test(start_paused = true)]
async fn a_stop_is_heard_while_the_pipeline_cannot_start() {
    let (handle, _) = supervised(vec![Err(OpenError::Later("no route".into()))]);
    handle.stop().await;
    assert_eq!(handle.end().await, End::Stopped);
}

#[tokio::test(start_paused = true)]
async fn a_stop_is_not_forgotten_when_the_pipeline_breaks_while_it_stops() {
    let (handle, opened) = supervised(vec![Ok(Mood::PanicsInACall)]);
    tokio::time::sleep(Duration::from_secs(1)).await;
    handle.stop().await;
    let end = handle.end().await;
    assert!(matches!(end, End::Broken { .. }), "{end:?}");
    assert_eq!(opened.load(Ordering::Relaxed), 1);
}

#[tokio::test(start_paused = true)]
async fn counters_never_go_back_when_a_pipeline_is_rebuilt() {
    let (handle, opened) = supervised(vec![Ok(Mood::PanicsInACall)]);
    let (mut admitted, mut seen) = (0, Vec::new());
    for _ in 0..30 {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let counts = handle.snapshot().await.unwrap().counts;
        assert!(counts.admitted >= admitted, "{} after {admitted}", counts.admitted);
        admitted = counts.admitted;
        seen.push(admitted);
    }
    let lives = u64::from(opened.load(Ordering::Relaxed));
    assert!(lives > 2 && seen.contains(&2) && (lives - 1..=lives).contains(&admitted), "{lives} lives: {seen:?}");
    handle.stop().await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    let last = handle.ending().unwrap().last.unwrap();
    assert!(last.counts.admitted >= admitted, "{last:?}");
}

#[tokio::test(start_paused = true)]
async fn a_pause_outlives_the_pipeline_that_was_told_of_it() {
    let (handle, opened) = supervised(vec![Err(OpenError::Later("no route".into())), Ok(Mood::PanicsInACall)]);
    let remote = handle.remote();
    remote.pause().await;
    tokio::time::sleep(Duration::from_secs(20)).await;
    let Look::Alive(snapshot) = remote.look().await else { panic!("it has ended") };
    assert_eq!((snapshot.state, snapshot.running), (State::Paused, 0));
    assert_eq!(opened.load(Ordering::Relaxed), 2, "nothing was called that could panic");
    remote.resume().await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(handle.snapshot().await.unwrap().running, 1);
    remote.pause().await;
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert_eq!(opened.load(Ordering::Relaxed), 3, "its call panicked, and the next life is paused");
    assert_eq!(handle.snapshot().await.unwrap().state, State::Paused);
}

#[tokio::test(start_paused = true)]
async fn who_looks_from_elsewhere_sees_why_a_pipeline_ended() {
    let (handle, _) = supervised(vec![Ok(Mood::Damaged)]);
    let Look::Ended { failure, last } = handle.remote().look().await else { panic!("it lives") };
    assert!(failure.is_some_and(|failure| failure.contains("page 7")));
    assert!(last.is_some());
}
