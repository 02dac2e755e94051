//! One run: a pipeline on the memory transport in paused time, and what happens to it. What is done next, and how long
//! everything takes, is drawn from the run's seed alone.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::sync::{mpsc, oneshot};
use tokio::task::{JoinHandle, yield_now};
use tokio::time::{Instant, sleep, timeout};

use super::fate::{Fate, LETTERS, PIPELINE, RETRY};
use super::oracle::{Oracle, Promises};
use super::script::{DISCARDED, OUTPUTS, Script};
use super::setup::{LANE, Setup};
use super::tardy::Tardy;
use super::world::{Scripted, Shared, Topic};
use crate::flow::config::Order;
use crate::flow::pipeline::{End, Parts, Pipeline};
use crate::flow::router::{Route, Router};
use crate::flow::snapshot::{Command, Snapshot};
use crate::model::header;
use crate::model::{Clock, Headers, Message, MessageId, Origin, Partition, Record, Timestamp};
use crate::transport::config::{Create, Topic as TopicConfig};
use crate::transport::memory::Memory;
use crate::transport::{OnLostPosition, Sink, Start, Subscription, Transport, join};

/// The topic that is worked on, and its group.
pub(super) const WORK: &str = "work";
pub(super) const GROUP: &str = "g";
/// How long everything may take to leave once nothing goes wrong any more. A hold waits at most five minutes, thrice.
const PATIENCE: Duration = Duration::from_secs(3_000);
/// What a pipeline may take to stop beyond its time to drain.
const STOP_GRACE: Duration = Duration::from_secs(10);

/// A pipeline that runs.
struct Life {
    commands: mpsc::Sender<Command>,
    task: JoinHandle<(End, Snapshot)>,
}

/// Where a partition is, as far as it was ordered.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Here,
    Away,
}

pub(super) struct Driver {
    pub(super) setup: Setup,
    pub(super) shared: Shared,
    pub(super) memory: Memory,
    rng: StdRng,
    life: Option<Life>,
    places: Vec<Place>,
    /// Commits failed, or were slow, at any time of this life.
    commits_fail: bool,
}

impl Driver {
    pub(super) fn random(seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut setup = Setup::random(&mut rng);
        // Every other pair of seeds, so that what earlier seeds have found stays what it was.
        if (seed + 1) % 4 < 2 {
            setup = setup.parking(&mut rng);
        }
        let driver = Self::new(setup, seed);
        driver.shared.look().chaos.rough = true;
        Self { rng, ..driver }
    }

    pub(super) fn new(setup: Setup, seed: u64) -> Self {
        let promises = Promises {
            window: setup.window,
            concurrency: setup.concurrency,
            retry_partitions: setup.retry_partitions as usize,
            drain_for: setup.drain_for,
            checkpoint_limit: setup.checkpoint_limit,
        };
        let create = |partitions| Create { partitions: NonZeroU32::new(partitions), ..Create::default() };
        let topic = |partitions| TopicConfig { create: Some(create(partitions)), ..TopicConfig::default() };
        let one = OUTPUTS.iter().chain([&LETTERS]).map(|name| ((*name).to_owned(), topic(1)));
        let topics: BTreeMap<_, _> = one.chain([(WORK.to_owned(), topic(setup.partitions))]).collect();
        let topics = topics.into_iter().chain(setup.parks().then(|| (RETRY.to_owned(), topic(setup.retry_partitions))));
        let memory = Memory::new("bus", topics.collect(), clock());
        if setup.parks() {
            memory.limit_checkpoints(RETRY, setup.checkpoint_limit);
        }
        memory.limit_checkpoints(WORK, setup.checkpoint_limit);
        let mut oracle = Oracle::new(promises);
        oracle.note(format_args!("{setup:?}"));
        Self {
            places: vec![Place::Here; (setup.partitions + setup.retry_partitions) as usize],
            shared: Shared::new(oracle, seed),
            rng: StdRng::seed_from_u64(seed),
            memory,
            setup,
            life: None,
            commits_fail: false,
        }
    }

    /// Everything that a seed stands for. What was wrong, if anything was.
    pub(super) async fn run(&mut self) -> Result<(), String> {
        self.start().await;
        for _ in 0..self.setup.steps {
            self.step().await;
            self.verdict()?;
        }
        self.drain().await;
        self.verdict()
    }

    pub(super) fn verdict(&self) -> Result<(), String> {
        let world = self.shared.look();
        world.oracle.wrong().map_or(Ok(()), |wrong| Err(wrong.to_owned()))
    }

    async fn step(&mut self) {
        let alive = self.life.is_some();
        match self.rng.random_range(0..40) {
            0..8 => self.send_some().await,
            8..18 => self.pass_time().await,
            18..24 => {
                for _ in 0..self.rng.random_range(1..12) {
                    yield_now().await;
                }
            }
            _ if !alive => self.start().await,
            24..26 => self.revoke(),
            26 => self.lose(),
            27..30 => self.give_again(),
            30..32 => self.crash().await,
            32 => self.stop().await,
            33..36 => self.toggle_topic(),
            36 | 37 => self.toggle_commits(),
            38 => {
                let topic = self.topic_to_read();
                self.memory.fail_reads(topic, 2);
            }
            _ => self.refuse(),
        }
        self.watch().await;
    }

    async fn pass_time(&mut self) {
        let most = [5, 300, 300, 3_000, 3_000, 30_000][self.rng.random_range(0..6)];
        sleep(Duration::from_millis(self.rng.random_range(0..most))).await;
    }

    async fn send_some(&mut self) {
        if self.setup.parks() && self.rng.random_bool(0.3) {
            self.send_strange().await;
        }
        for _ in 0..self.rng.random_range(1..6) {
            let partition = self.rng.random_range(0..self.setup.partitions);
            let scope = if self.setup.shared_keys { 0 } else { partition };
            let mut word =
                |odds| self.rng.random_bool(odds).then(|| format!("{scope}-{}", self.rng.random_range(0..2)));
            let (key, lane) = (word(0.8), word(0.8));
            let size = self.rng.random_range(0..60);
            let script = Script::random(&mut self.rng, if self.setup.parks() { 9 } else { 4 });
            let id = self.rng.random_bool(0.3).then(|| format!("given-{}", self.rng.random_range(0..u64::MAX)));
            self.send_as(partition, key.as_deref(), lane.as_deref(), id.as_deref(), size, script).await;
        }
    }

    /// Puts a message into a partition.
    pub(super) async fn send(&self, partition: u32, key: Option<&str>, script: Script) {
        self.send_as(partition, key, None, None, 10, script).await;
    }

    async fn send_as(
        &self,
        partition: u32,
        key: Option<&str>,
        lane: Option<&str>,
        id: Option<&str>,
        size: usize,
        script: Script,
    ) {
        let mut headers = Headers::default();
        for (name, value) in [(LANE, lane), (header::ID, id)] {
            if let Some(value) = value {
                headers.push(name, value.to_owned());
            }
        }
        let key = key.map(|key| Bytes::from(key.to_owned()));
        let payload = Bytes::from(vec![b'm'; size]);
        let record =
            Record { key: key.clone(), headers: headers.clone(), payload: payload.clone(), partition: Some(partition) };
        let position =
            self.memory.sink(WORK).await.unwrap().write(vec![record]).await[0].clone().unwrap().unwrap().position;
        let id = id.map_or_else(|| MessageId::of_origin("bus", WORK, partition, position), MessageId::given);
        let origin = Origin {
            transport: "bus".into(),
            partition: Partition::new(WORK, partition),
            position,
            enqueued: Timestamp(0),
        };
        let message = Message { id, origin, key, headers, payload };
        let lane = self.lane_of(&message);
        self.shared.look().oracle.sent(Fate::new(&message, lane, script, self.setup.rounds()));
    }

    fn lane_of(&self, message: &Message) -> Option<String> {
        let text = |bytes: &Bytes| String::from_utf8_lossy(bytes).into_owned();
        match &self.setup.order {
            Order::None => None,
            Order::Key => message.key.as_ref().map(text),
            Order::Header(name) => message.headers.get(name).map(text),
            Order::Partition => Some(message.origin.partition.to_string()),
        }
    }

    /// Begins a life.
    pub(super) async fn start(&mut self) {
        let life = self.shared.look().oracle.born();
        self.note("start");
        let subscription = |topic: &str| Subscription {
            topic: topic.into(),
            group: GROUP.into(),
            start: Start::Earliest,
            on_lost_position: OnLostPosition::Fail,
        };
        let mut inner = self.memory.source(&subscription(WORK)).await.unwrap();
        let mut retry: Option<Arc<dyn Sink>> = None;
        if self.setup.parks() {
            inner = join(vec![inner, self.memory.source(&subscription(RETRY)).await.unwrap()]);
            retry = Some(self.topic(life, RETRY).await);
        }
        let source = Box::new(Tardy::new(self.shared.clone(), inner, self.memory.clone()));
        let mut outputs = BTreeMap::from([(DISCARDED.to_owned(), Route::Discard)]);
        for name in OUTPUTS {
            outputs.insert(name.to_owned(), Route::Topic(self.topic(life, name).await));
        }
        let router = Router {
            pipeline: PIPELINE.into(),
            outputs,
            dead_letter: self.topic(life, LETTERS).await,
            retry,
            spill: None,
        };
        let plugin = Arc::new(Scripted { shared: self.shared.clone(), life });
        let parts = Parts { source, plugin, router: Arc::new(router), clock: clock() };
        let (commands, mut inbox) = mpsc::channel(4);
        let settings = self.setup.settings();
        let task = tokio::spawn(async move { Pipeline::new(settings, parts).run(&mut inbox).await });
        self.life = Some(Life { commands, task });
        self.places.fill(Place::Here);
    }

    async fn topic(&self, life: u64, name: &'static str) -> Arc<dyn Sink> {
        Arc::new(Topic { shared: self.shared.clone(), life, name, inner: self.memory.sink(name).await.unwrap() })
    }

    /// Kills the pipeline where it stands.
    pub(super) async fn crash(&mut self) {
        let Some(life) = self.life.take() else { return };
        life.task.abort();
        self.shared.look().oracle.crashed();
        // Aborted tasks end before anything else does.
        let _ = life.task.await;
        yield_now().await;
    }

    /// Tells the pipeline to stop, by word or by leaving; sometimes it is killed meanwhile.
    pub(super) async fn stop(&mut self) {
        let Some(life) = self.life.take() else { return };
        self.note("stop");
        let Life { commands, mut task } = life;
        let killed = self.setup.steps > 0 && self.rng.random_bool(0.2);
        if self.rng.random_bool(0.5) {
            // One that ended already is found out below.
            let _ = commands.send(Command::Stop).await;
        }
        drop(commands);
        let limit = if killed {
            Duration::from_millis(self.rng.random_range(0..2_000))
        } else {
            self.setup.drain_for + STOP_GRACE
        };
        match timeout(limit, &mut task).await {
            Ok(ended) => self.ended(ended),
            Err(_) if killed => {
                self.life = Some(Life { commands: mpsc::channel(1).0, task });
                self.crash().await;
            }
            Err(_) => self.blame("the pipeline does not stop"),
        }
    }

    fn ended(&mut self, ended: Result<(End, Snapshot), tokio::task::JoinError>) {
        let mut world = self.shared.look();
        match ended {
            Ok((End::Stopped, _)) => world.oracle.stopped(),
            // The time to store the last checkpoint may have been too short.
            Ok((End::Failed { reason }, _))
                if self.commits_fail || world.chaos.rough && reason.contains("too long") =>
            {
                world.oracle.note(format_args!("ended: {reason}"));
                world.oracle.gone();
            }
            other => world.oracle.blame(format!("the pipeline ended: {other:?}")),
        }
        drop(world);
        self.commits_fail = false;
        self.all_commits_succeed();
    }

    /// Looks whether the pipeline still lives, and at what it says of itself.
    pub(super) async fn watch(&mut self) {
        if let Some(life) = self.life.take_if(|life| life.task.is_finished()) {
            self.blame(format!("the pipeline ended by itself: {:?}", life.task.await));
        }
        if let Some(snapshot) = self.snapshot().await {
            self.shared.look().oracle.snapshot(&snapshot.partitions);
        }
    }

    /// What the pipeline says of itself.
    pub(super) async fn snapshot(&self) -> Option<Snapshot> {
        let (reply, answer) = oneshot::channel();
        self.life.as_ref()?.commands.send(Command::Snapshot(reply)).await.ok()?;
        answer.await.ok()
    }

    fn any(&mut self, place: Place) -> Option<u32> {
        let all: Vec<u32> = (0..).zip(&self.places).filter(|(_, at)| **at == place).map(|(index, _)| index).collect();
        (!all.is_empty()).then(|| all[self.rng.random_range(0..all.len())])
    }

    fn revoke(&mut self) {
        if let Some(place) = self.any(Place::Here) {
            let (topic, partition) = self.place(place);
            self.note(format_args!("order: revoke {topic}/{partition}"));
            self.memory.revoke(topic, GROUP, &[partition]);
            self.places[place as usize] = Place::Away;
        }
    }

    /// Takes a partition away, be it asked back already or not.
    fn lose(&mut self) {
        let place = if self.rng.random_bool(0.7) { Place::Here } else { Place::Away };
        if let Some(place) = self.any(place) {
            let (topic, partition) = self.place(place);
            self.note(format_args!("order: lose {topic}/{partition}"));
            self.memory.lose(topic, GROUP, &[partition]);
            self.places[place as usize] = Place::Away;
        }
    }

    fn give_again(&mut self) {
        if let Some(place) = self.any(Place::Away) {
            let (topic, partition) = self.place(place);
            self.note(format_args!("order: assign {topic}/{partition}"));
            self.memory.assign(topic, GROUP, &[partition]);
            self.places[place as usize] = Place::Here;
        }
    }

    fn toggle_topic(&mut self) {
        let names = [OUTPUTS[0], OUTPUTS[1], LETTERS, RETRY];
        let name = names[self.rng.random_range(0..if self.setup.parks() { 4 } else { 3 })];
        let mut world = self.shared.look();
        if !world.chaos.down.remove(name) {
            world.chaos.down.insert(name);
        }
        let down = world.chaos.down.clone();
        world.oracle.note(format_args!("topics down: {down:?}"));
    }

    fn refuse(&mut self) {
        let name = if self.setup.parks() && self.rng.random_bool(0.5) { RETRY } else { LETTERS };
        let mut world = self.shared.look();
        if !world.chaos.refusing.remove(name) {
            world.chaos.refusing.insert(name);
        }
        world.oracle.note(format_args!("{name} refuses, or no more"));
    }

    fn toggle_commits(&mut self) {
        let fail = self.rng.random_bool(0.5);
        let topic = self.topic_to_read();
        self.note(format_args!("commits of {topic} fail: {fail}"));
        self.commits_fail |= fail;
        self.memory.fail_commits(topic, fail.then_some("told to"));
    }

    fn all_commits_succeed(&self) {
        self.topics_to_read().for_each(|topic| self.memory.fail_commits(topic, None));
    }

    fn topics_to_read(&self) -> impl Iterator<Item = &'static str> {
        [WORK].into_iter().chain(self.setup.parks().then_some(RETRY))
    }

    fn topic_to_read(&mut self) -> &'static str {
        if self.setup.parks() && self.rng.random_bool(0.5) { RETRY } else { WORK }
    }

    /// Which partition a place is.
    fn place(&self, place: u32) -> (&'static str, u32) {
        place.checked_sub(self.setup.partitions).map_or((WORK, place), |partition| (RETRY, partition))
    }

    /// Parks something for another pipeline, that nobody here is to see.
    pub(super) async fn send_strange(&mut self) {
        let mut headers = Headers::default();
        for (name, value) in [(header::FOR, "another"), (header::DELAY_MS, "600000"), (header::ID, "strange")] {
            headers.push(name, value);
        }
        let partition = Some(self.rng.random_range(0..self.setup.retry_partitions));
        let record = Record { key: None, headers, payload: Bytes::from_static(b"strange"), partition };
        let written = self.memory.sink(RETRY).await.unwrap().write(vec![record]).await[0].clone().unwrap().unwrap();
        let partition = Partition::new(RETRY, written.partition);
        self.shared.look().oracle.strange(partition, written.position);
    }

    /// Nothing goes wrong any more: everything leaves, and is stored.
    pub(super) async fn drain(&mut self) {
        {
            let mut world = self.shared.look();
            world.chaos = super::world::Chaos::default();
            world.oracle.note("nothing goes wrong any more");
        }
        self.all_commits_succeed();
        self.topics_to_read().for_each(|topic| self.memory.fail_reads(topic, 0));
        if self.life.is_none() {
            self.start().await;
        }
        let away: Vec<u32> =
            (0..).zip(&self.places).filter(|(_, at)| **at == Place::Away).map(|(index, _)| index).collect();
        for (topic, partition) in away.into_iter().map(|place| self.place(place)) {
            self.memory.assign(topic, GROUP, &[partition]);
        }
        self.places.fill(Place::Here);
        let deadline = Instant::now() + PATIENCE;
        while !self.shared.look().oracle.is_over_and_done() && self.verdict().is_ok() {
            if Instant::now() >= deadline {
                let snapshot = self.snapshot().await;
                self.blame(format!("not everything leaves: {snapshot:?}"));
            }
            sleep(Duration::from_secs(1)).await;
            self.watch().await;
        }
        self.commits_fail = false;
        self.stop().await;
    }

    fn note(&self, what: impl std::fmt::Display) {
        self.shared.look().oracle.note(what);
    }

    fn blame(&self, what: impl Into<String>) {
        self.shared.look().oracle.blame(what);
    }
}

/// Wall time that goes with paused time.
fn clock() -> Clock {
    let start = Instant::now();
    Clock::from_fn(move || Timestamp(1_772_460_311_000 + start.elapsed().as_millis() as u64))
}
