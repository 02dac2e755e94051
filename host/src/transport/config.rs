//! The shape of `transports:` in the spec, as far as it is common to all kinds.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::kafka::config::Property;
use super::spread::DEFAULT_PARTITIONS;
use crate::model::{Period, Size};

/// How long a lease lasts.
const LEASE: Duration = Duration::from_secs(30);
/// How often an owner looks at the others, where a look costs little; more often where leases are short.
const POLL: Duration = Duration::from_secs(1);

/// One transport.
#[derive(Clone, PartialEq, Eq, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Embedded log: needs nothing but a folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log: Option<super::log::Config>,
    /// A Kafka cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kafka: Option<super::kafka::config::Config>,
    /// A namespace of Azure Event Hubs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event_hubs: Option<super::event_hubs::config::Config>,
    /// In this process only; for trials and tests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<super::memory::Config>,
    /// How long partitions stay a host's after its last sign of life, where the transport shares them itself (`log`,
    /// `event_hubs`); `30s` where absent. A host that stops cleanly gives them back at once, and on a log one that dies
    /// is known to be gone at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease: Option<Period>,
    /// How often a host looks for others that are gone, when nothing wakes it; where absent `1s` on a log and `5s` on
    /// `event_hubs`, where each look is a call to the store.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub poll: Option<Period>,
    /// Physical names, and how to create what is missing.
    #[serde(default)]
    pub topics: BTreeMap<String, Topic>,
}

impl Config {
    /// How partitions are shared: what `lease` and `poll` say, and what holds where they say nothing.
    pub fn ownership(&self) -> Ownership {
        Ownership::of(self.lease, self.poll, self.event_hubs.as_ref().map_or(POLL, |_| super::event_hubs::config::POLL))
    }
}

/// How partitions are shared by a transport that has no groups of its own.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ownership {
    /// How long a lease lasts after its owner's last sign of life.
    pub lease: Duration,
    /// How often an owner looks at the others when nothing wakes it.
    pub poll: Duration,
}

impl Ownership {
    fn of(lease: Option<Period>, poll: Option<Period>, else_poll: Duration) -> Self {
        let lease = lease.map_or(LEASE, |lease| lease.0);
        Self { lease, poll: poll.map_or(else_poll.min(lease / 3), |poll| poll.0) }
    }
}

impl Default for Ownership {
    fn default() -> Self {
        Self::of(None, None, POLL)
    }
}

/// One topic, where the defaults do not fit.
#[derive(Clone, PartialEq, Eq, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Topic {
    /// Its name in the system, where that differs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// How to create it. Where this is left out, a topic that is there keeps the partitions and the retention that it
    /// has, and one that is missing is made with defaults; in Kafka it is an error. Event hubs are never made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub create: Option<Create>,
    /// The partitions that what uses it needs. Not of the spec: the host knows it from the pipelines.
    #[serde(skip)]
    pub needs: Option<NonZeroU32>,
}

impl Topic {
    /// How many partitions it is made with: as many as `create` says, else as what uses it needs, and 4 at least.
    pub fn partitions(&self) -> u32 {
        let said = self.create.as_ref().and_then(|create| create.partitions);
        said.map_or_else(|| self.needs.map_or(0, u32::from).max(DEFAULT_PARTITIONS), u32::from)
    }
}

/// How to create a topic.
#[derive(Clone, PartialEq, Eq, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Create {
    /// How many partitions; 4 where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partitions: Option<NonZeroU32>,
    /// How long messages are kept; for ever where absent. Holds for a topic that is there too. In Kafka it holds for a
    /// topic that is made, and the broker's defaults do where it is absent.
    #[serde(default)]
    pub retention: Retention,
    /// On how many brokers each partition is kept (Kafka only); the broker's default where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replication: Option<NonZeroU32>,
    /// The topic's settings in Kafka's own words (Kafka only).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub config: BTreeMap<String, Property>,
}

/// How long messages are kept. What exceeds either bound goes, oldest first.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Retention {
    /// At most so old.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub age: Option<Period>,
    /// At most so many bytes a topic; the newest message of a partition stays all the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<Size>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_is_made_with_the_partitions_that_are_said_else_needed_and_with_four_at_least() {
        let partitions = |said, needs| {
            let create = Create { partitions: NonZeroU32::new(said), ..Create::default() };
            Topic { create: Some(create), needs: NonZeroU32::new(needs), ..Topic::default() }.partitions()
        };
        assert_eq!([partitions(0, 0), partitions(0, 3), partitions(0, 6), partitions(2, 6)], [4, 4, 6, 2]);
        assert_eq!(Topic { needs: NonZeroU32::new(6), ..Topic::default() }.partitions(), 6);
    }
}
