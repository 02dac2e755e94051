//! Where a scenario takes place: hosts, their topics, the load, and the oracle that follows. Gives scenarios what they do
//! faults with.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, bail};
use e2e::support::event_hubs::Namespace;
use e2e::support::lockgate::Lockgate;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::broker::OwnBroker;
use crate::bus::Bus;
use crate::checkpoints;
use crate::fleet::Fleet;
use crate::found::Found;
use crate::ledger::Ledger;
use crate::load::{self, Load, Pace, Until};
use crate::message::{Name, Sent};
use crate::on::{Ground, On};
use crate::oracle::{Oracle, Place, Standing, Verdict};
use crate::scenario::{Extent, Fault};
use crate::setting::{DEAD, MADE, RETRY, Setting, Shape};

/// How often it is looked whether what settled is stored.
const LOOK: Duration = Duration::from_millis(20);

/// Messages that show that hosts go on.
const MORE: u64 = 100;

/// What everything is made with.
#[derive(Clone, Debug)]
pub struct Tools {
    /// The host's program.
    pub program: PathBuf,
    /// The component that does what messages say.
    pub component: PathBuf,
    /// The same host in surroundings that can misbehave.
    pub faulty_host: PathBuf,
    /// The plugin that fetches files.
    pub download: PathBuf,
}

impl Tools {
    /// Has the component compiled and kept, so that no host does it among the faults.
    pub async fn compile(&self, folder: &Path) -> anyhow::Result<()> {
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let lockgate = Lockgate::new(self.program.clone(), folder, &[]);
        lockgate.output(&["plugin", "inspect", &self.component.display().to_string()]).await.map(drop)
    }
}

/// What a stage is set on.
pub struct Site {
    /// The scenario's folder, which is made anew.
    pub folder: PathBuf,
    /// Where its topics are.
    pub ground: Ground,
    /// The broker that they are on, where the scenario has one of its own.
    pub broker: Option<OwnBroker>,
    /// The namespace that they are in, where it is one of Event Hubs.
    pub namespace: Option<Arc<Namespace>>,
}

/// A scenario's place.
pub struct Stage {
    /// The hosts.
    pub fleet: Fleet,
    /// What they run.
    pub setting: Setting,
    /// How long the scenario is to be.
    pub extent: Extent,
    /// Decides what is to be decided; the same seed decides the same.
    pub random: ChaCha8Rng,
    /// How long nothing may end before messages count as stuck.
    pub patience: Duration,
    seed: u64,
    folder: PathBuf,
    tools: Tools,
    bus: Arc<Bus>,
    ledger: Arc<Ledger>,
    load: Option<Load>,
    faults: BTreeMap<&'static str, u64>,
    last_fault: Instant,
    findings: Arc<Mutex<Vec<String>>>,
    notes: Vec<String>,
    /// Ends when the stage is dropped.
    followers: JoinSet<()>,
    broker: Option<OwnBroker>,
    namespace: Option<Arc<Namespace>>,
}

/// What became of a scenario.
#[derive(Clone, Debug)]
pub struct Ending {
    /// What became of its messages.
    pub verdict: Verdict,
    /// Faults done, by name.
    pub faults: BTreeMap<&'static str, u64>,
    /// What else is wrong.
    pub findings: Vec<String>,
    /// What was measured, for people.
    pub notes: Vec<String>,
    /// From the last fault until everything had ended and was stored as settled; none when it never was.
    pub drained: Option<Duration>,
}

impl Stage {
    /// Makes the topics and the spec.
    pub async fn set(
        tools: &Tools,
        site: Site,
        mut setting: Setting,
        extent: Extent,
        seed: u64,
    ) -> anyhow::Result<Self> {
        let Site { folder, ground, broker, namespace } = site;
        setting.lease = ground.lease(setting.lease);
        if folder.exists() {
            fs::remove_dir_all(&folder).with_context(|| format!("cannot clear {}", folder.display()))?;
        }
        fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let spec = folder.join("spec.yaml");
        let notes = ground.note().into_iter().collect();
        let bus = Arc::new(Bus::open(ground, &setting).await?);
        let ledger = Arc::new(Ledger::new(Oracle::new(&setting)));
        let mut stage = Self {
            fleet: Fleet::new(Lockgate::new(tools.program.clone(), &folder, &[spec]), &folder),
            extent,
            random: ChaCha8Rng::seed_from_u64(seed),
            patience: Duration::from_secs(30),
            seed,
            folder,
            tools: tools.clone(),
            bus,
            ledger,
            load: None,
            faults: BTreeMap::new(),
            last_fault: Instant::now(),
            findings: Arc::default(),
            notes,
            followers: JoinSet::new(),
            broker,
            namespace,
            setting,
        };
        stage.write_spec()?;
        stage.follow();
        Ok(stage)
    }

    /// Writes the spec as the setting is now, for hosts that start from now on.
    pub fn write_spec(&mut self) -> anyhow::Result<()> {
        let file = self.folder.join("spec.yaml");
        fs::write(&file, self.setting.spec(self.bus.ground(), &self.tools.component))
            .with_context(|| format!("cannot write {}", file.display()))
    }

    /// Lays YAML over the spec, for hosts that start from now on; instead of what was laid over it before.
    pub fn overlay(&mut self, yaml: &str) -> anyhow::Result<()> {
        let file = self.folder.join("overlay.yaml");
        fs::write(&file, yaml).with_context(|| format!("cannot write {}", file.display()))?;
        if !self.fleet.lockgate.specs.contains(&file) {
            self.fleet.lockgate.specs.push(file);
        }
        Ok(())
    }

    /// The scenario's folder: spec, log where the hosts run on one, and what hosts logged.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// What everything is made with.
    pub fn tools(&self) -> &Tools {
        &self.tools
    }

    /// Which system of topics the hosts share.
    pub fn on(&self) -> On {
        self.bus.ground().on()
    }

    /// The broker that this scenario has for itself.
    pub fn broker(&self) -> anyhow::Result<OwnBroker> {
        self.broker.clone().context("the scenario has no broker of its own")
    }

    /// The namespace of Event Hubs that the topics are in.
    pub fn namespace(&self) -> anyhow::Result<Arc<Namespace>> {
        self.namespace.clone().context("the topics are in no namespace of Event Hubs")
    }

    /// The topics that the hosts share.
    pub fn bus(&self) -> &Arc<Bus> {
        &self.bus
    }

    /// Begins to send messages.
    pub fn load(&mut self, pace: Pace, until: Until) {
        let (bus, ledger) = (self.bus.clone(), self.ledger.clone());
        self.load = Some(Load::begin(bus, ledger, &self.setting, self.seed, pace, until));
    }

    /// Sends messages to a pipeline, and waits until they stand in its topic.
    pub async fn send(&self, pipeline: Shape, messages: Vec<Sent>) -> anyhow::Result<()> {
        load::write(&self.bus, &self.ledger, pipeline, messages).await.map(drop).context("messages cannot be sent")
    }

    /// Waits until everything is sent and has ended; fails when nothing ends for as long as one is patient.
    pub async fn until_drained(&mut self) -> anyhow::Result<()> {
        if let Some(load) = self.load.take() {
            load.end().await.context("messages cannot be sent")?;
        }
        Ok(self.ledger.until(Oracle::is_drained, self.patience).await?)
    }

    /// Messages that have ended so far.
    pub fn ended(&self) -> u64 {
        self.ledger.oracle().ended()
    }

    /// Messages that came again so far.
    pub fn repeated(&self) -> u64 {
        self.ledger.oracle().verdict(|_, _| Standing::Unsettled).repeated
    }

    /// Waits until so many messages have ended; fails when none ends for as long as one is patient, or when
    /// a host ends that nobody told to.
    pub async fn until_ended(&mut self, count: u64) -> anyhow::Result<()> {
        tokio::select! {
            ended = self.ledger.until(|oracle| oracle.ended() >= count, self.patience) => Ok(ended?),
            why = self.fleet.until_one_ends() => Err(why),
        }
    }

    /// Whether some more messages end within some time.
    pub async fn more_ends_within(&self, wait: Duration) -> bool {
        // Those that were under way when this was asked may still end.
        let enough = self.ledger.oracle().ended() + MORE;
        let until = self.ledger.until(|oracle| oracle.ended() >= enough, wait);
        tokio::time::timeout(wait, until).await.is_ok_and(|ended| ended.is_ok())
    }

    /// Waits for some time, up to so long: where the moment is to be any.
    pub async fn breathe(&mut self, most: Duration) {
        let wait = most.mul_f64(self.random.random());
        tokio::time::sleep(wait).await;
    }

    /// Waits for some time; fails when a host ends that nobody told to.
    pub async fn stand(&mut self, time: Duration) -> anyhow::Result<()> {
        tokio::select! {
            () = tokio::time::sleep(time) => Ok(()),
            why = self.fleet.until_one_ends() => Err(why),
        }
    }

    /// Does a fault, and counts it.
    pub async fn inflict(&mut self, fault: &dyn Fault) -> anyhow::Result<()> {
        fault.inflict(self).await.with_context(|| format!("fault {}", fault.name()))?;
        self.count(fault.name());
        Ok(())
    }

    /// Counts a fault that was just done.
    pub fn count(&mut self, fault: &'static str) {
        *self.faults.entry(fault).or_default() += 1;
        self.last_fault = Instant::now();
    }

    /// Lets messages of every pipeline run again, as many as one host that ends hard may leave. Said before that happens.
    pub fn allow_hard_end(&self) {
        for shape in self.setting.pipelines.clone() {
            self.allow_repeats(shape, self.setting.repeats(shape));
        }
    }

    /// Lets so many messages of a pipeline run again.
    pub fn allow_repeats(&self, pipeline: Shape, repeats: u64) {
        self.ledger.oracle().allow(&pipeline.name(), repeats);
    }

    /// Says something for people that is measured and not judged.
    pub fn note(&mut self, note: impl Into<String>) {
        self.notes.push(note.into());
    }

    /// Says that something is wrong that the oracle cannot see.
    pub fn blame(&self, finding: impl Into<String>) {
        blame(&self.findings, finding.into());
    }

    /// Waits until everything has ended and is stored as settled, ends the hosts, and judges.
    pub async fn end(mut self, outcome: anyhow::Result<()>) -> anyhow::Result<Ending> {
        let mut drained = None;
        match outcome {
            Ok(()) => match self.drain().await {
                Ok(()) => drained = Some(self.last_fault.elapsed()),
                Err(error) => self.blame(format!("{error:#}")),
            },
            Err(error) => self.blame(format!("{error:#}")),
        }
        drop(self.load.take());
        // What failed is looked at as it stands.
        self.fleet.save()?;
        if let Err(error) = self.stop_all().await {
            self.blame(format!("{error:#}"));
        }
        self.followers.shutdown().await;
        let verdict = self.verdict().await?;
        let mut findings = self.findings.lock().unwrap_or_else(PoisonError::into_inner).clone();
        findings.extend(self.fleet.findings().iter().cloned());
        Ok(Ending { verdict, faults: self.faults, findings, notes: self.notes, drained })
    }

    async fn drain(&mut self) -> anyhow::Result<()> {
        for seat in self.fleet.paused() {
            self.fleet.resume(seat).await?;
        }
        if self.fleet.moving().is_empty() {
            self.fleet.start(0)?;
        }
        self.until_drained().await?;
        let until = Instant::now() + self.patience;
        while !checkpoints::cover_all(&self.bus, &self.setting).await? {
            if Instant::now() > until {
                bail!("everything has ended, but is not stored as settled after {:?}", self.patience);
            }
            tokio::time::sleep(LOOK).await;
        }
        Ok(())
    }

    async fn stop_all(&mut self) -> anyhow::Result<()> {
        for seat in self.fleet.paused() {
            self.fleet.resume(seat).await?;
        }
        for seat in self.fleet.moving() {
            self.fleet.dismiss(seat).await?;
        }
        self.fleet.until_gone().await
    }

    /// Judges by what stands in the topics, all of it read once more.
    async fn verdict(&self) -> anyhow::Result<Verdict> {
        let mut oracle = self.ledger.oracle().afresh();
        for topic in [MADE, DEAD] {
            self.bus.everything(topic).await?.iter().for_each(|message| oracle.found(&Found::of(message)));
        }
        let stored = checkpoints::read(&self.bus, &self.setting).await?;
        let is_settled = |topic: &str, group: &str, place: Place| {
            let stored = stored.get(&(topic.to_owned(), group.to_owned()));
            let checkpoint = stored.and_then(|stored| stored.get(&place.partition));
            checkpoint.is_some_and(|checkpoint| checkpoint.is_settled(place.position))
        };
        // What is parked and not settled there still comes.
        let mut parked = Vec::new();
        for message in self.bus.everything(RETRY).await? {
            let place = Place { partition: message.origin.partition.index, position: message.origin.position };
            if let Ok(name) = message.id.as_str().parse::<Name>()
                && !is_settled(RETRY, &name.pipeline, place)
            {
                parked.push(name);
            }
        }
        let topics: BTreeMap<String, String> =
            self.setting.pipelines.iter().map(|shape| (shape.name(), shape.topic())).collect();
        let standing = |name: &Name, place: Place| {
            let topic = topics.get(&name.pipeline).map(String::as_str).unwrap_or_default();
            let comes = !is_settled(topic, &name.pipeline, place) || parked.contains(name);
            if comes { Standing::Unsettled } else { Standing::Settled }
        };
        let mut verdict = oracle.verdict(standing);
        // Only who watched knows how often things had come again at which time.
        verdict.beyond = self.ledger.oracle().verdict(standing).beyond;
        Ok(verdict)
    }

    /// Follows where messages end, and what is stored as settled.
    fn follow(&mut self) {
        for topic in [MADE, DEAD] {
            let (bus, ledger, findings) = (self.bus.clone(), self.ledger.clone(), self.findings.clone());
            self.followers.spawn(async move {
                let followed = bus.follow(topic, |message| ledger.found(&Found::of(&message))).await;
                if let Err(error) = followed {
                    blame(&findings, format!("topic {topic} cannot be followed: {error:#}"));
                }
            });
        }
        let read = self.setting.pipelines.iter().map(|shape| shape.topic());
        for topic in read.filter(|_| self.bus.learns_places()) {
            let (bus, findings) = (self.bus.clone(), self.findings.clone());
            self.followers.spawn(async move {
                if let Err(error) = bus.learn(&topic).await {
                    blame(&findings, format!("topic {topic} cannot be followed: {error:#}"));
                }
            });
        }
        let findings = self.findings.clone();
        let watch =
            checkpoints::watch(self.bus.clone(), self.setting.clone(), move |finding| blame(&findings, finding));
        self.followers.spawn(watch);
    }
}

fn blame(findings: &Mutex<Vec<String>>, finding: String) {
    findings.lock().unwrap_or_else(PoisonError::into_inner).push(finding);
}
