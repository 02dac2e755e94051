//! From a transport's config to the transport, and between a topic's two names.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{PartitionInfo, TopicInfo, Transport, TransportError, config, memory};
use crate::model::Clock;

/// Opens the transport that `config` describes under its name in the spec. Blocks for some milliseconds.
///
/// Fails with [`TransportError::Config`] unless exactly one kind is named, with [`TransportError::Unavailable`] when
/// it cannot be opened now, and with [`TransportError::Damaged`] when what is there is something else.
pub fn open(name: &str, config: &config::Config, clock: Clock) -> Result<Arc<dyn Transport>, TransportError> {
    let topics = config.topics.clone();
    match config {
        config::Config { log: None, memory: Some(_), .. } => Ok(Arc::new(memory::Memory::new(name, topics, clock))),
        _ => Err(TransportError::Config {
            transport: name.into(),
            reason: "name exactly one kind of transport: `memory`".into(),
        }),
    }
}

/// A topic's name in the system.
pub(super) fn physical_name(topics: &BTreeMap<String, config::Topic>, topic: &str) -> String {
    topics.get(topic).and_then(|topic| topic.name.clone()).unwrap_or_else(|| topic.to_owned())
}

/// Topics under their names in the spec; those that the spec does not name under their own, unless that name means
/// another topic in the spec.
pub(super) fn named_as_in_the_spec(
    topics: &BTreeMap<String, config::Topic>,
    physical: Vec<(String, Vec<PartitionInfo>)>,
) -> Vec<TopicInfo> {
    let mut named: Vec<TopicInfo> = Vec::new();
    for (system, partitions) in physical {
        let names: Vec<&String> = topics.keys().filter(|topic| physical_name(topics, topic) == system).collect();
        let unnamed = names.is_empty() && !topics.contains_key(&system);
        let names = names.into_iter().chain(unnamed.then_some(&system));
        named.extend(names.map(|name| TopicInfo { name: name.clone(), partitions: partitions.clone() }));
    }
    named.sort_by(|one, other| one.name.cmp(&other.name));
    named
}
