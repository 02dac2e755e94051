//! The topics that the hosts share, as the oracle's side uses them: messages go in, and where they end is followed. It is
//! one more process there, and reads for a group of its own.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use lockgate::assemble;
use lockgate::model::{Checkpoint, Clock, Message, Origin, Partition, Position, Record, header};
use lockgate::spec::plan::TransportKind;
use lockgate::spec::{self, Colour, Descriptions, Plan};
use lockgate::transport::config::Ownership;
use lockgate::transport::log::Log;
use lockgate::transport::{
    OnLostPosition, Room, Rooms, Sink, Source, SourceEvent, Start, Subscription, TopicInfo, Transport, TransportError,
    WriteError,
};
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use crate::on::{Ground, On};
use crate::oracle::Place;
use crate::setting::{BUS, Setting};

/// The group that follows where messages end.
pub const GROUP: &str = "oracle";
/// Messages that are read at once.
const READ: usize = 1000;
/// How long to wait before what could not be done is tried again.
const AGAIN: Duration = Duration::from_millis(50);
/// How long it is tried before that is given up.
const PATIENCE: Duration = Duration::from_secs(60);
/// As much as a source gives.
const ALL: Room = Room { messages: READ, bytes: 16 << 20 };

/// The topics, open.
pub struct Bus {
    ground: Ground,
    transport: Arc<dyn Transport>,
    /// The same, where it is a log.
    log: Option<Arc<Log>>,
    sinks: BTreeMap<String, Arc<dyn Sink>>,
    places: Places,
}

/// Where messages stand of which that is not said when they are written, by topic and id.
#[derive(Default)]
struct Places {
    seen: watch::Sender<HashMap<(String, String), Place>>,
}

impl Places {
    /// A message stands there; one that was written twice counts where it stands first.
    fn see(&self, message: &Message) {
        let Origin { partition, position, .. } = &message.origin;
        let place = Place { partition: partition.index, position: *position };
        let name = (partition.topic.to_string(), message.id.to_string());
        self.seen.send_modify(|seen| _ = seen.entry(name).or_insert(place));
    }

    /// Where a record stands, once it was seen.
    async fn of(&self, topic: &str, record: &Record) -> anyhow::Result<Place> {
        let id = record.headers.text(header::ID).context("a record without an id")?;
        let name = (topic.to_owned(), id.to_owned());
        let mut seen = self.seen.subscribe();
        let seen = tokio::time::timeout(PATIENCE, seen.wait_for(|seen| seen.contains_key(&name))).await;
        let place = seen.ok().and_then(|seen| seen.ok()?.get(&name).copied());
        place.with_context(|| format!("message {id} was written, but does not stand in topic {topic}"))
    }
}

/// Stored checkpoints of one group in one topic, by partition.
pub type Stored = BTreeMap<u32, Checkpoint>;

impl Bus {
    /// Opens the transport of a setting, and makes its topics.
    pub async fn open(ground: Ground, setting: &Setting) -> anyhow::Result<Self> {
        let plan = plan(&ground, setting)?;
        let (transport, log) = tokio::task::spawn_blocking(move || open(&plan)).await??;
        let mut bus = Self { ground, transport, log, sinks: BTreeMap::new(), places: Places::default() };
        for (topic, _) in setting.topics() {
            let sink = asked(|| bus.transport.sink(&topic)).await;
            bus.sinks.insert(topic.clone(), sink.with_context(|| format!("cannot open topic {topic}"))?);
        }
        Ok(bus)
    }

    /// Writes records, and waits until all of them stand there, each with its place. Those that cannot be written now are
    /// tried again until none could be for a minute; `twice` is told before how many of them may stand there all the
    /// same.
    pub async fn write(
        &self,
        topic: &str,
        records: Vec<Record>,
        mut twice: impl FnMut(usize),
    ) -> anyhow::Result<Vec<Place>> {
        let sink = self.sinks.get(topic).with_context(|| format!("there is no topic {topic}"))?;
        let mut places = vec![None; records.len()];
        let mut left: Vec<(usize, Record)> = records.iter().cloned().enumerate().collect();
        let mut until = Instant::now() + PATIENCE;
        while !left.is_empty() {
            let (before, mut why) = (left.len(), None);
            let answers = sink.write(left.iter().map(|(_, record)| record.clone()).collect()).await;
            let mut again = Vec::new();
            for ((index, record), answer) in left.into_iter().zip(answers) {
                match answer {
                    Ok(place) => places.iter_mut().skip(index).take(1).for_each(|slot| *slot = place),
                    Err(error @ WriteError::Unavailable { .. }) => {
                        again.push((index, record));
                        why = Some(error);
                    }
                    Err(error @ WriteError::Refused { .. }) => return Err(error.into()),
                }
            }
            left = again;
            if left.len() < before {
                until = Instant::now() + PATIENCE;
            }
            if let Some(why) = why {
                if Instant::now() > until {
                    return Err(why).with_context(given_up);
                }
                // The log says for sure what stands there.
                if self.ground.on() != On::Log {
                    twice(left.len());
                }
                sleep(AGAIN).await;
            }
        }
        let mut all = Vec::with_capacity(places.len());
        for (place, record) in places.into_iter().zip(&records) {
            all.push(match place {
                Some(place) => place,
                None if self.learns_places() => self.places.of(topic, record).await?,
                None => bail!("the transport did not say where a record stands"),
            });
        }
        Ok(all)
    }

    /// Whether it is learnt by reading where messages stand: whoever takes them is not told.
    pub fn learns_places(&self) -> bool {
        self.ground.on() == On::EventHubs
    }

    /// Learns where the messages of a topic stand, until it is told to stop by being dropped.
    pub async fn learn(&self, topic: &str) -> anyhow::Result<()> {
        self.follow(topic, |message| self.places.see(&message)).await
    }

    /// Follows a topic from its beginning, whatever comes, until it is told to stop by being dropped.
    pub async fn follow(&self, topic: &str, take: impl FnMut(Message)) -> anyhow::Result<()> {
        self.follow_as(GROUP, topic, take).await
    }

    /// The same for another group: who follows a topic for one group shares it.
    pub async fn follow_as(&self, group: &str, topic: &str, mut take: impl FnMut(Message)) -> anyhow::Result<()> {
        let subscription = Subscription {
            topic: topic.into(),
            group: self.ground.group(group).into(),
            start: Start::Earliest,
            on_lost_position: OnLostPosition::Fail,
        };
        let mut source: Box<dyn Source> = asked(|| self.transport.source(&subscription)).await?;
        let mut demand = HashMap::new();
        // Where each partition was read to: one that comes back comes from its beginning.
        let mut read: HashMap<Partition, Position> = HashMap::new();
        loop {
            match source.next(&Rooms(demand.clone())).await {
                SourceEvent::Assigned(assignments) => {
                    demand.extend(assignments.into_iter().map(|assignment| (assignment.partition, ALL)));
                }
                SourceEvent::Messages(batch) => {
                    for message in batch.messages {
                        let position = message.origin.position;
                        let last = read.get(&message.origin.partition).copied();
                        if last.is_none_or(|last| last < position) {
                            read.insert(message.origin.partition.clone(), position);
                            take(message);
                        }
                    }
                }
                SourceEvent::Revoked { partitions, reply } => {
                    demand.retain(|partition, _| !partitions.contains(partition));
                    // Who asked is gone where this fails.
                    let _ = reply.send(());
                }
                SourceEvent::Lost(partitions) => demand.retain(|partition, _| !partitions.contains(partition)),
                SourceEvent::Failed(error) if error.is_transient() => {}
                SourceEvent::Failed(error) => return Err(error.into()),
            }
        }
    }

    /// Everything that stands in a topic now, partition after partition.
    pub async fn everything(&self, topic: &str) -> anyhow::Result<Vec<Message>> {
        let topics = self.topics().await?;
        let info = topics.into_iter().find(|info| info.name == topic).with_context(|| format!("no topic {topic}"))?;
        let mut all = Vec::new();
        for (index, bounds) in (0..).zip(&info.partitions) {
            let partition = Partition::new(topic, index);
            let mut from = bounds.first;
            while from < bounds.end {
                let messages = asked(|| self.transport.read(&partition, Position(from), READ)).await?;
                let last = messages.last().with_context(|| format!("{partition}: nothing stands at {from}"))?;
                from = last.origin.position.0 + 1;
                all.extend(messages);
            }
        }
        Ok(all)
    }

    /// The topics, and how far they go.
    pub async fn topics(&self) -> anyhow::Result<Vec<TopicInfo>> {
        asked(|| self.transport.topics()).await
    }

    /// What a group has settled in a topic, as stored.
    pub async fn stored(&self, topic: &str, group: &str) -> anyhow::Result<Stored> {
        let group = self.ground.group(group);
        Ok(asked(|| self.transport.checkpoints(topic, &group)).await?.into_iter().collect())
    }

    /// Where the topics are.
    pub fn ground(&self) -> &Ground {
        &self.ground
    }

    /// The log itself, where it is one.
    pub fn log(&self) -> anyhow::Result<&Log> {
        self.log.as_deref().context("the hosts run on no log")
    }
}

/// What the host makes of the spec.
fn plan(ground: &Ground, setting: &Setting) -> anyhow::Result<Plan> {
    let told = |diagnostics: spec::Diagnostics| anyhow!("{}", diagnostics.render(Colour::Never));
    // The component is looked at by hosts only.
    let loaded = spec::load_str(&setting.spec(ground, Path::new("/none.wasm")), &|_| None).map_err(told)?;
    spec::check(&loaded, &Descriptions::default()).map_err(told)
}

/// A transport, and the log that it is, where it is one.
type Opened = (Arc<dyn Transport>, Option<Arc<Log>>);

/// The transport of the spec. Blocks.
fn open(plan: &Plan) -> anyhow::Result<Opened> {
    let planned = plan.transports.get(BUS).context("the spec has no transport")?;
    let TransportKind::Log(config) = &planned.kind else { return Ok((assemble::transport(plan, BUS, None)?, None)) };
    // Who looks is no host: it keeps its partitions for longer than one.
    let log = Log::open(BUS, config, Ownership::default(), planned.topics.clone(), Clock::system())?;
    let log = Arc::new(log);
    Ok((log.clone(), Some(log)))
}

/// The answer to a question that is asked again while none can be had, as while a broker is away.
async fn asked<T, F: Future<Output = Result<T, TransportError>>>(ask: impl Fn() -> F) -> anyhow::Result<T> {
    let until = Instant::now() + PATIENCE;
    loop {
        match ask().await {
            Err(error) if error.is_transient() && Instant::now() < until => sleep(AGAIN).await,
            Err(error) if error.is_transient() => return Err(error).with_context(given_up),
            answer => return Ok(answer?),
        }
    }
}

fn given_up() -> String {
    format!("asked again for {} s", PATIENCE.as_secs())
}
