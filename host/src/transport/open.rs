//! From a transport's config to the transport, and between a topic's two names.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{PartitionInfo, TopicInfo, Transport, TransportError, config, event_hubs, kafka, log, memory};
use crate::model::{Clock, Secrets};
use crate::storage;

/// What a transport is opened with besides its own settings.
#[derive(Clone, Debug)]
pub struct Means {
    /// Tells the time.
    pub clock: Clock,
    /// The secrets of the spec.
    pub secrets: Secrets,
    /// The stores of the spec, by name: a transport may keep something in one.
    pub stores: BTreeMap<String, storage::config::Config>,
    /// The topics of this transport that the spec names: not every system says which there are.
    pub topics: BTreeSet<String>,
}

impl Means {
    /// No secrets, no stores and no topics.
    pub fn new(clock: Clock) -> Self {
        Self { clock, secrets: Secrets::default(), stores: BTreeMap::new(), topics: BTreeSet::new() }
    }
}

/// Opens the transport that `config` describes under its name in the spec. Blocks for some milliseconds.
///
/// Fails with [`TransportError::Config`] unless exactly one kind is named and its settings hold, with [`TransportError::Unavailable`] when
/// it cannot be opened now, and with [`TransportError::Damaged`] when what is there is something else.
pub fn open(name: &str, config: &config::Config, means: &Means) -> Result<Arc<dyn Transport>, TransportError> {
    let (topics, clock) = (config.topics.clone(), means.clock.clone());
    match config {
        config::Config { log: Some(log), kafka: None, event_hubs: None, memory: None, .. } => {
            Ok(Arc::new(log::Log::open(name, log, config.ownership(), topics, clock)?))
        }
        config::Config { log: None, kafka: None, event_hubs: None, memory: Some(_), .. } => {
            Ok(Arc::new(memory::Memory::new(name, topics, clock)))
        }
        config::Config { log: None, kafka: Some(kafka), event_hubs: None, memory: None, .. } => {
            open_kafka(name, kafka, topics, clock, &means.secrets)
        }
        config::Config { log: None, kafka: None, event_hubs: Some(hubs), memory: None, .. } => {
            open_event_hubs(name, hubs, config, means)
        }
        _ => Err(TransportError::Config {
            transport: name.into(),
            reason: "name exactly one kind of transport, `log`, `kafka`, `event_hubs` or `memory`".into(),
        }),
    }
}

#[cfg(feature = "kafka")]
fn open_kafka(
    name: &str,
    config: &kafka::config::Config,
    topics: BTreeMap<String, config::Topic>,
    clock: Clock,
    secrets: &Secrets,
) -> Result<Arc<dyn Transport>, TransportError> {
    Ok(Arc::new(kafka::Kafka::new(name, config, topics, clock, secrets)?))
}

#[cfg(not(feature = "kafka"))]
fn open_kafka(
    name: &str,
    _: &kafka::config::Config,
    _: BTreeMap<String, config::Topic>,
    _: Clock,
    _: &Secrets,
) -> Result<Arc<dyn Transport>, TransportError> {
    let reason = "this build has no Kafka client: build it with the feature `kafka`".to_owned();
    Err(TransportError::Config { transport: name.into(), reason })
}

#[cfg(feature = "event-hubs")]
fn open_event_hubs(
    name: &str,
    hubs: &event_hubs::config::Config,
    config: &config::Config,
    means: &Means,
) -> Result<Arc<dyn Transport>, TransportError> {
    Ok(Arc::new(event_hubs::EventHubs::open(name, hubs, config.ownership(), &config.topics, means)?))
}

#[cfg(not(feature = "event-hubs"))]
fn open_event_hubs(
    name: &str,
    _: &event_hubs::config::Config,
    _: &config::Config,
    _: &Means,
) -> Result<Arc<dyn Transport>, TransportError> {
    let reason = "this build has no Event Hubs client: build it with the feature `event-hubs`".to_owned();
    Err(TransportError::Config { transport: name.into(), reason })
}

/// A topic's name in the system.
pub(super) fn physical_name(topics: &BTreeMap<String, config::Topic>, topic: &str) -> String {
    topics.get(topic).and_then(|topic| topic.name.clone()).unwrap_or_else(|| topic.to_owned())
}

/// Topics under every name by which they are read: their names in the spec, and their own, unless that one means
/// another topic in the spec. So one topic may be listed more than once.
pub(super) fn named_as_in_the_spec(
    topics: &BTreeMap<String, config::Topic>,
    physical: Vec<(String, Vec<PartitionInfo>)>,
) -> Vec<TopicInfo> {
    let mut named: Vec<TopicInfo> = Vec::new();
    for (system, partitions) in physical {
        let names = topics.keys().filter(|topic| physical_name(topics, topic) == system);
        let names = names.chain((!topics.contains_key(&system)).then_some(&system));
        named.extend(names.map(|name| TopicInfo { name: name.clone(), partitions: partitions.clone() }));
    }
    named.sort_by(|one, other| one.name.cmp(&other.name));
    named
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(log: Option<log::Config>, memory: Option<memory::Config>) -> config::Config {
        config::Config { log, memory, ..config::Config::default() }
    }

    fn means() -> Means {
        Means::new(Clock::system())
    }

    #[tokio::test]
    async fn the_named_kind_is_opened() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bus");
        let log = open("bus", &config(Some(log::Config { path: path.clone() }), None), &means()).unwrap();
        log.sink("t").await.unwrap();
        assert!(path.join("log.sqlite").exists());
        let memory = open("bus", &config(None, Some(memory::Config {})), &means()).unwrap();
        assert_eq!(memory.topics().await, Ok(Vec::new()));
    }

    #[test]
    fn exactly_one_kind_is_named() {
        let log = Some(log::Config { path: "never-made".into() });
        for config in [config(None, None), config(log, Some(memory::Config {}))] {
            let refused = open("bus", &config, &means()).err();
            assert!(matches!(refused, Some(TransportError::Config { .. })), "{refused:?}");
        }
        assert!(!std::path::Path::new("never-made").exists());
    }

    #[test]
    fn topics_are_listed_by_every_name_that_reads_them() {
        let named = |name: &str| config::Topic { name: Some(name.to_owned()), ..config::Topic::default() };
        let topics = BTreeMap::from([("a".to_owned(), named("x")), ("b".to_owned(), named("x"))]);
        let physical = ["x", "a", "y"].map(|name| (name.to_owned(), Vec::new())).into();
        let names: Vec<String> = named_as_in_the_spec(&topics, physical).into_iter().map(|topic| topic.name).collect();
        assert_eq!(names, ["a", "b", "x", "y"], "the system's own `a` is hidden behind the spec's");
    }

    #[tokio::test]
    async fn a_topic_that_is_read_by_its_own_name_is_listed_though_the_spec_has_another_name_for_it() {
        let topics = BTreeMap::from([(
            "a".to_owned(),
            config::Topic { name: Some("x".to_owned()), ..config::Topic::default() },
        )]);
        let memory = config::Config { topics, ..config(None, Some(memory::Config {})) };
        let transport = open("bus", &memory, &means()).unwrap();
        let record = crate::model::Record { partition: Some(0), ..crate::model::Record::default() };
        transport.sink("a").await.unwrap().write(vec![record]).await.remove(0).unwrap();
        let ends: Vec<_> =
            transport.topics().await.unwrap().into_iter().map(|topic| (topic.name, topic.partitions[0].end)).collect();
        assert_eq!(ends, [("a".to_owned(), 1), ("x".to_owned(), 1)]);
        assert_eq!(
            transport.read(&crate::model::Partition::new("x", 0), crate::model::Position(0), 9).await.unwrap().len(),
            1
        );
    }
}
