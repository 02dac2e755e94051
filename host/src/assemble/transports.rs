//! The transports of a spec: each is opened once, when it is first needed and lets itself be opened.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;
use std::sync::Arc;

use futures::future::join_all;
use tokio::sync::OnceCell;

use super::Surroundings;
use crate::model::{Clock, SecretRef, Secrets};
use crate::spec::plan::{From, Transport as Planned, TransportKind};
use crate::spec::{Diagnostics, Plan};
use crate::transport::config::{Config, Topic};
use crate::transport::{Means, Sink, Transport, TransportError};

/// Whether what a transport holds can be looked at from outside of a running host.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reach {
    /// It can.
    Now,
    /// Nothing is there yet: opening it would make it.
    Later,
    /// It holds everything inside the host.
    Never,
}

/// Whether a transport of the spec can be looked at from outside.
pub fn reach(plan: &Plan, name: &str) -> Reach {
    match plan.transports.get(name).map(|transport| &transport.kind) {
        Some(TransportKind::Memory(_)) => Reach::Never,
        // A folder that may not be looked at is opened, which says why not.
        Some(TransportKind::Log(log)) if matches!(log.path.try_exists(), Ok(false)) => Reach::Later,
        Some(TransportKind::Log(_) | TransportKind::Kafka(_) | TransportKind::EventHubs(_)) | None => Reach::Now,
    }
}

/// Opens one transport of the spec, to look at what the spec names of it and at `topic`. Reads the secrets that this one
/// needs, and no others.
pub fn transport(plan: &Plan, name: &str, topic: Option<&str>) -> Result<Arc<dyn Transport>, TransportError> {
    let config = config(plan, name)?;
    let needed = secrets_of(plan, &config);
    let secrets = super::secrets_of(plan, |secret| needed.iter().any(|needed| needed.0 == secret));
    let unreadable = |missing: Diagnostics| TransportError::Config {
        transport: name.into(),
        reason: missing.iter().map(|one| one.message.as_str()).collect::<Vec<_>>().join("; "),
    };
    let mut means = means(plan, name, Clock::system(), secrets.map_err(unreadable)?);
    means.topics.extend(topic.map(str::to_owned));
    crate::transport::open(name, &config, &means)
}

/// The secrets that a transport and its store need.
fn secrets_of<'p>(plan: &'p Plan, config: &'p Config) -> Vec<&'p SecretRef> {
    let of_kafka = config.kafka.iter().flat_map(|kafka| kafka.secrets());
    let of_hubs = config.event_hubs.iter().flat_map(|hubs| hubs.secrets());
    let store = config.event_hubs.as_ref().and_then(|hubs| plan.stores.get(&hubs.checkpoints));
    of_kafka.chain(of_hubs).chain(store.and_then(|store| store.secret())).collect()
}

fn means(plan: &Plan, name: &str, clock: Clock, secrets: Secrets) -> Means {
    let topics = super::topics_of(plan, name).into_iter().map(str::to_owned).collect();
    Means { clock, secrets, stores: plan.stores.clone(), topics }
}

fn config(plan: &Plan, name: &str) -> Result<Config, TransportError> {
    let unknown = || TransportError::Config { transport: name.into(), reason: "the spec does not name it".into() };
    let Planned { kind, lease, poll, topics } = plan.transports.get(name).ok_or_else(unknown)?.clone();
    let topics = with_needs(plan, name, topics);
    let mut config = Config { lease, poll, topics, ..Config::default() };
    match kind {
        TransportKind::Log(log) => config.log = Some(log),
        TransportKind::Kafka(kafka) => config.kafka = Some(*kafka),
        TransportKind::EventHubs(hubs) => config.event_hubs = Some(*hubs),
        TransportKind::Memory(memory) => config.memory = Some(memory),
    }
    Ok(config)
}

/// Topics, and how many partitions those need that messages wait in: one a delay.
fn with_needs(plan: &Plan, transport: &str, mut topics: BTreeMap<String, Topic>) -> BTreeMap<String, Topic> {
    let parkings = plan.pipelines.values().filter_map(|pipeline| pipeline.retry.later.as_ref());
    for parking in parkings.filter(|parking| parking.topic.transport == transport) {
        let needs = u32::try_from(parking.delays.len()).ok().and_then(NonZeroU32::new);
        topics.entry(parking.topic.topic.clone()).or_default().needs = needs;
    }
    topics
}

/// What was found before anything starts.
pub(super) struct Looked<'t> {
    /// What is wrong and does not pass by itself.
    pub(super) errors: Vec<String>,
    /// How many partitions a topic has, by transport and topic; of those that can be reached.
    pub(super) partitions: BTreeMap<(&'t str, &'t str), u32>,
}

/// Some transports of a spec. Cheap to clone.
#[derive(Clone, Default)]
pub(super) struct Transports {
    lazy: Arc<BTreeMap<String, Lazy>>,
    surroundings: Surroundings,
}

struct Lazy {
    config: Config,
    means: Means,
    opened: OnceCell<Arc<dyn Transport>>,
}

impl Transports {
    /// These transports. Opens none.
    pub(super) fn new<'a>(
        plan: &Plan,
        names: impl Iterator<Item = &'a str>,
        surroundings: &Surroundings,
        secrets: &Secrets,
    ) -> Result<Self, TransportError> {
        let names: BTreeSet<&str> = names.collect();
        let lazy = |name: &str| {
            let means = means(plan, name, surroundings.clock.clone(), secrets.clone());
            Ok((name.to_owned(), Lazy { config: config(plan, name)?, means, opened: OnceCell::new() }))
        };
        let lazy = Arc::new(names.into_iter().map(lazy).collect::<Result<_, _>>()?);
        Ok(Self { lazy, surroundings: surroundings.clone() })
    }

    /// The clock that the transports go by.
    pub(super) fn clock(&self) -> &Clock {
        &self.surroundings.clock
    }

    /// Their names.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.lazy.keys().map(String::as_str)
    }

    /// A transport, opened now if it is not open yet.
    pub(super) async fn get(&self, name: &str) -> Result<Arc<dyn Transport>, TransportError> {
        let unknown = || TransportError::Config { transport: name.into(), reason: "no pipeline uses it".into() };
        let Lazy { config, means, opened } = self.lazy.get(name).ok_or_else(unknown)?;
        opened.get_or_try_init(|| self.open(name.to_owned(), config.clone(), means.clone())).await.cloned()
    }

    /// A sink of a topic.
    pub(super) async fn sink(&self, transport: &str, topic: &str) -> Result<Arc<dyn Sink>, TransportError> {
        self.get(transport).await?.sink(topic).await
    }

    /// Looks at these transports and these topics of them, and makes topics that are missing and can be made; looks for
    /// the groups that are to read, too, where their topics are.
    pub(super) async fn look<'t>(&self, topics: &BTreeSet<(&'t str, &'t str)>, reads: &[From]) -> Looked<'t> {
        let opened = join_all(self.names().map(async |name| (name, self.get(name).await))).await;
        let open: BTreeSet<&str> = opened.iter().filter(|(_, result)| result.is_ok()).map(|(name, _)| *name).collect();
        // A transport that could not be opened would be tried again for each of its topics.
        let topics = topics.iter().filter(|(transport, _)| open.contains(transport));
        let sinks = topics.map(async |place| (*place, self.sink(place.0, place.1).await));
        let mut partitions = BTreeMap::new();
        let mut errors: Vec<TransportError> = opened.into_iter().filter_map(|(_, result)| result.err()).collect();
        for (place, sink) in join_all(sinks).await {
            match sink {
                Ok(sink) => drop(partitions.insert(place, sink.partitions())),
                Err(error) => errors.push(error),
            }
        }
        let there = reads.iter().filter(|from| partitions.contains_key(&(from.transport.as_str(), &*from.topic)));
        let groups =
            there.map(async |from| self.get(&from.transport).await?.look_at_group(&from.topic, &from.group).await);
        errors.extend(join_all(groups).await.into_iter().filter_map(Result::err));
        errors.retain(|error| !error.is_transient());
        let help = self.help(&errors);
        let lasting = errors.iter().map(ToString::to_string).chain(help.map(str::to_owned));
        Looked { errors: lasting.collect(), partitions }
    }

    /// What to do about topics that nobody but an operator makes, where some are missing.
    fn help(&self, errors: &[TransportError]) -> Option<&'static str> {
        let is_missing = |error: &TransportError| match error {
            TransportError::UnknownTopic { transport, .. } => {
                self.lazy.get(&**transport).is_some_and(|lazy| lazy.config.event_hubs.is_some())
            }
            _ => false,
        };
        let help = "event hubs are made beside Lockgate: `az eventhubs eventhub create` and `az eventhubs eventhub \
                    consumer-group create` do it; where a hub has another name than the topic, say it as \
                    `topics: { TOPIC: { name: HUB } }`";
        errors.iter().any(is_missing).then_some(help)
    }

    /// Opening blocks, for seconds while another process keeps a file locked.
    async fn open(&self, name: String, config: Config, means: Means) -> Result<Arc<dyn Transport>, TransportError> {
        let transport: Arc<str> = name.as_str().into();
        let surroundings = self.surroundings.clone();
        let opening = tokio::task::spawn_blocking(move || {
            let opened = crate::transport::open(&name, &config, &means)?;
            Ok(surroundings.transport(&name, opened))
        });
        opening.await.unwrap_or_else(|error| Err(TransportError::Unavailable { transport, reason: error.to_string() }))
    }
}
