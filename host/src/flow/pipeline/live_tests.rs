//! What a running pipeline tells while it runs, and what it is told.

use super::*;
use crate::flow::snapshot::{Oldest, Waits};

/// A pipeline that runs one assigned partition.
struct Running {
    commands: mpsc::Sender<Command>,
    task: tokio::task::JoinHandle<(End, Snapshot)>,
    stored: Arc<Mutex<Option<String>>>,
    plugin: Arc<Obedient>,
}

impl Running {
    /// Runs what a source tells, each at its second. The dead-letter topic is unavailable for as many writes as told.
    fn start(order: config::Order, script: Vec<(u64, SourceEvent)>, unavailable: usize) -> Self {
        let start = Instant::now();
        let assignment =
            Assignment { partition: partition(), epoch: Epoch(1), checkpoint: None, checkpoint_limit: None };
        let assigned = [(0, SourceEvent::Assigned(vec![assignment]))];
        let at = |(seconds, event)| (start + Duration::from_secs(seconds), event);
        let events = assigned.into_iter().chain(script).map(at).collect();
        let (stored, plugin) = (Arc::new(Mutex::new(None)), Arc::new(Obedient::default()));
        let letters = Arc::new(Letters { unavailable: Mutex::new(unavailable), ..Letters::default() });
        let router =
            Router { pipeline: "p".into(), outputs: [].into(), dead_letter: letters, retry: None, spill: None };
        let source = Box::new(Scripted { events, stored: stored.clone(), slow_epoch: None });
        let clock = Clock::from_fn(move || Timestamp(60_000 + start.elapsed().as_millis() as u64));
        let parts = Parts { source, plugin: plugin.clone(), router: Arc::new(router), clock };
        let settings = Settings { concurrency: 1, ..settings(order) };
        let (commands, mut inbox) = mpsc::channel(1);
        let task = tokio::spawn(async move { Pipeline::new(settings, parts).run(&mut inbox).await });
        Self { commands, task, stored, plugin }
    }

    async fn tell(&self, command: Command) {
        self.commands.send(command).await.unwrap();
    }

    /// What it tells after so many milliseconds more.
    async fn after(&self, ms: u64) -> Snapshot {
        tokio::time::sleep(Duration::from_millis(ms)).await;
        let (reply, answer) = oneshot::channel();
        self.tell(Command::Snapshot(reply)).await;
        answer.await.unwrap()
    }

    async fn stop(self) -> (End, Snapshot) {
        self.tell(Command::Stop).await;
        self.task.await.unwrap()
    }

    fn calls(&self) -> Vec<i64> {
        self.plugin.calls.lock().unwrap().iter().map(|call| call.0).collect()
    }
}

fn keyed(position: i64, key: &'static str, payload: &'static str) -> Message {
    Message { key: Some(Bytes::from_static(key.as_bytes())), ..message(position, payload) }
}

fn oldest(snapshot: &Snapshot) -> &Oldest {
    snapshot.partitions[0].oldest.as_ref().unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_message_in_the_plugin_tells_since_when() {
    let running = Running::start(config::Order::None, vec![(1, batch(vec![keyed(0, "K", "never")]))], 0);
    let snapshot = running.after(8_000).await;
    let told = oldest(&snapshot);
    assert_eq!(told.to_string(), "held at 0 by key K, attempt 1, in the plugin for 7 s");
    assert_eq!((told.message_id.as_str(), told.admitted), ("m-0", Timestamp(61_000)));
}

#[tokio::test(start_paused = true)]
async fn a_message_that_backs_off_tells_when_it_is_tried_again() {
    let running = Running::start(config::Order::None, vec![(0, batch(vec![keyed(0, "K", "retry")]))], 0);
    let snapshot = running.after(150).await;
    assert_eq!(oldest(&snapshot).waits, Waits::Again { wait: Duration::from_millis(50) });
    assert_eq!(oldest(&snapshot).to_string(), "held at 0 by key K, attempt 2, next try in 1 s");
}

#[tokio::test(start_paused = true)]
async fn a_held_pipeline_tells_when_the_trial_is_and_recovers() {
    let script = vec![(0, messages(&["hold twice"]))];
    let running = Running::start(config::Order::None, script, 0);
    let snapshot = running.after(4_000).await;
    assert_eq!(snapshot.state, State::Held { reason: "told to".into() });
    assert_eq!(oldest(&snapshot).waits, Waits::Trial { wait: Some(Duration::from_secs(6)) });
    let snapshot = running.after(60_000).await;
    assert_eq!((snapshot.state, snapshot.partitions[0].oldest.as_ref()), (State::Running, None));
}

#[tokio::test(start_paused = true)]
async fn what_waits_for_a_slot_or_behind_its_key_says_so() {
    let first = batch(vec![keyed(0, "K", "slow"), keyed(1, "K", "done"), keyed(2, "L", "done")]);
    let running = Running::start(config::Order::Key, vec![(0, first)], 0);
    tokio::time::sleep(Duration::from_secs(1)).await;
    // Of a partition that it shares with nobody, the oldest runs; so what is behind it is asked for itself.
    let snapshot = running.after(0).await;
    assert!(matches!(oldest(&snapshot).waits, Waits::Plugin { .. }), "{snapshot:?}");
    drop(running);
    let mut pipeline = at_rest(config::Order::Key);
    let SourceEvent::Messages(batch) = batch(vec![keyed(0, "K", "x"), keyed(1, "K", "x")]) else { panic!() };
    pipeline.in_flight.admit(batch, Timestamp(0), Instant::now());
    let waits = |pipeline: &Pipeline, at| pipeline.oldest(&partition(), Position(at)).unwrap().waits;
    assert_eq!(waits(&pipeline, 0), Waits::Slot);
    assert_eq!(waits(&pipeline, 1), Waits::Lane { key: Some("K".into()) });
    pipeline.sink_trouble = Some("topic dlq is down".into());
    assert_eq!(waits(&pipeline, 0), Waits::Topic { reason: "topic dlq is down".into() });
    pipeline.paused = true;
    assert_eq!(waits(&pipeline, 0), Waits::Resume);
}

/// A pipeline that has a partition, and whose loop does not run.
fn at_rest(order: config::Order) -> Pipeline {
    let source = Box::new(Scripted { events: VecDeque::new(), stored: Arc::default(), slow_epoch: None });
    let router =
        Router { pipeline: "p".into(), outputs: [].into(), dead_letter: Arc::new(Refusing), retry: None, spill: None };
    let plugin = Arc::new(Obedient::default());
    let parts = Parts { source, plugin, router: Arc::new(router), clock: Clock::system() };
    let mut pipeline = Pipeline::new(settings(order), parts);
    pipeline.in_flight.assign(vec![Assignment {
        partition: partition(),
        epoch: Epoch(1),
        checkpoint: None,
        checkpoint_limit: None,
    }]);
    pipeline
}

#[tokio::test(start_paused = true)]
async fn a_topic_that_is_down_is_named_by_what_waits_for_it() {
    let running = Running::start(config::Order::None, vec![(0, messages(&["bad", "done"]))], 1_000);
    let snapshot = running.after(9_000).await;
    let State::Blocked { reason } = &snapshot.state else { panic!("{snapshot:?}") };
    assert!(reason.contains("dlq"), "{reason}");
    assert_eq!(oldest(&snapshot).waits, Waits::Durable { reason: Some(reason.clone()) });
    assert_eq!(oldest(&snapshot).attempt, 1, "the try that led to it");
}

#[tokio::test(start_paused = true)]
async fn of_what_was_given_up_nothing_is_told() {
    let mut pipeline = at_rest(config::Order::None);
    let SourceEvent::Messages(batch) = messages(&["done"]) else { panic!() };
    pipeline.in_flight.admit(batch, Timestamp(0), Instant::now());
    assert!(pipeline.snapshot().partitions[0].oldest.is_some());
    pipeline.close(&[partition()]);
    let told = pipeline.snapshot().partitions.remove(0);
    assert_eq!((told.unsettled, told.oldest), (1, None), "nobody has it any more");
}

#[tokio::test(start_paused = true)]
async fn a_paused_pipeline_starts_nothing_finishes_what_runs_and_keeps_its_partitions() {
    let script = vec![(0, messages(&["slow", "done"])), (20, batch(vec![message(2, "done")]))];
    let running = Running::start(config::Order::None, script, 0);
    tokio::time::sleep(Duration::from_secs(1)).await;
    running.tell(Command::Pause).await;
    let snapshot = running.after(30_000).await;
    assert_eq!((&snapshot.state, snapshot.running, snapshot.counts.done), (&State::Paused, 0, 1));
    assert_eq!(snapshot.partitions.len(), 1);
    assert_eq!(oldest(&snapshot).waits, Waits::Resume);
    assert_eq!(snapshot.counts.admitted, 2, "nothing is admitted either");
    assert_eq!(running.stored.lock().unwrap().as_deref(), Some("base 0"), "what ran is stored");
    running.tell(Command::Resume).await;
    let snapshot = running.after(5_000).await;
    assert_eq!((&snapshot.state, snapshot.counts.done), (&State::Running, 3));
    assert_eq!(running.calls(), [0, 1, 2]);
}

#[tokio::test(start_paused = true)]
async fn a_paused_pipeline_tries_no_held_message_and_hears_a_stop() {
    let running = Running::start(config::Order::None, vec![(0, messages(&["hold twice"]))], 0);
    tokio::time::sleep(Duration::from_secs(1)).await;
    running.tell(Command::Pause).await;
    let snapshot = running.after(120_000).await;
    assert_eq!((snapshot.state, running.calls()), (State::Paused, vec![0]));
    assert_eq!(running.stop().await.0, End::Stopped);
}

#[tokio::test(start_paused = true)]
async fn calls_and_the_latency_of_what_is_processed_are_measured() {
    let running = Running::start(config::Order::None, vec![(0, messages(&["slow", "bad"]))], 0);
    let (_, last) = {
        tokio::time::sleep(Duration::from_secs(10)).await;
        running.stop().await
    };
    assert_eq!((last.measures.in_plugin.count(), last.measures.in_plugin.sum()), (2, Duration::from_secs(3)));
    assert_eq!(last.measures.latency.count(), 1, "a dead letter is none");
    assert_eq!(last.measures.latency.sum(), Duration::from_secs(63), "since it was enqueued, by the wall clock");
}
