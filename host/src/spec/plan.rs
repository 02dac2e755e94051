//! A spec that is right: every name leads somewhere, every default is filled in. Only [`check`](super::check) makes one.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use super::diagnostic::{Diagnostic, Diagnostics};
use super::place::Place;
pub use super::shape::SecretSource;
use crate::flow::config::{InFlight, InPlace, OnFatal, Order};
use crate::model::Period;
use crate::plugin::config::Grants;
use crate::transport::{OnLostPosition, Start, event_hubs, kafka, log, memory};
use crate::{admin, egress, plugin, storage, transport};

/// What runs.
#[derive(Clone, PartialEq, Debug)]
pub struct Plan {
    /// Secrets by name.
    pub secrets: BTreeMap<String, Secret>,
    /// Transports by name.
    pub transports: BTreeMap<String, Transport>,
    /// Stores by name.
    pub stores: BTreeMap<String, storage::config::Config>,
    /// Endpoints by name.
    pub endpoints: BTreeMap<String, egress::config::Config>,
    /// Plugins by name.
    pub plugins: BTreeMap<String, plugin::config::Config>,
    /// Pipelines by name.
    pub pipelines: BTreeMap<Arc<str>, Pipeline>,
    /// Where a running host tells how it is.
    pub admin: Option<admin::config::Config>,
    /// What a pipeline that fails for good does to the process.
    pub on_fatal: OnFatal,
    /// What works and is probably not meant.
    pub warnings: Diagnostics,
}

impl Plan {
    /// That secrets cannot be had, each by its name with the reason and what to do, shown where the spec declares it.
    pub fn missing_secrets(&self, missing: &[(&str, Missing)]) -> Diagnostics {
        let fault = |(name, Missing { reason, help }): &(&str, Missing)| {
            let fault = Diagnostic::nowhere("secret", format!("secret {name}: {reason}")).help(help.as_str());
            Diagnostic { place: self.secrets.get(*name).map(|secret| secret.place), ..fault }
        };
        Diagnostics::new(missing.iter().map(fault).collect(), self.warnings.shared_sources())
    }
}

/// Why a secret cannot be had.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Missing {
    /// What failed.
    pub reason: String,
    /// What to do about it.
    pub help: String,
}

/// A secret.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Secret {
    /// Where it comes from. A file is relative to the working directory.
    pub source: SecretSource,
    /// Where the spec declares it.
    pub place: Place,
}

/// A transport of exactly one kind.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Transport {
    /// Which kind, with its settings.
    pub kind: TransportKind,
    /// How long partitions stay a host's after its last sign of life, where the transport shares them itself.
    pub lease: Option<Period>,
    /// How often a host looks for others that are gone.
    pub poll: Option<Period>,
    /// Topics where the defaults do not fit.
    pub topics: BTreeMap<String, transport::config::Topic>,
}

impl Transport {
    /// Whether topics are always made by somebody else.
    pub fn makes_no_topics(&self) -> bool {
        matches!(self.kind, TransportKind::EventHubs(_))
    }
}

/// The kinds of transport.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum TransportKind {
    /// The embedded log.
    Log(log::Config),
    /// A Kafka cluster.
    Kafka(Box<kafka::config::Config>),
    /// A namespace of Azure Event Hubs.
    EventHubs(Box<event_hubs::config::Config>),
    /// In this process only.
    Memory(memory::Config),
}

/// One pipeline.
#[derive(Clone, PartialEq, Debug)]
pub struct Pipeline {
    /// Its name.
    pub name: Arc<str>,
    /// Where its messages come from.
    pub from: From,
    /// Its plugin's name in the plan.
    pub plugin: String,
    /// What the plugin may use: names of the plan.
    pub grants: Grants,
    /// The plugin's own configuration: a JSON object.
    pub config: serde_json::Value,
    /// Where the plugin's outputs go.
    pub outputs: BTreeMap<String, Target>,
    /// Messages in the plugin at once.
    pub concurrency: NonZeroUsize,
    /// What may be read but not settled.
    pub in_flight: InFlight,
    /// Which messages may run beside each other.
    pub order: Order,
    /// When to try again.
    pub retry: Retry,
    /// Where messages go that cannot be processed.
    pub dead_letter: DeadLetter,
    /// How often checkpoints are stored.
    pub checkpoint_every: Duration,
    /// How long running messages may take to finish when the pipeline stops.
    pub drain_for: Duration,
}

impl Pipeline {
    /// Every topic that it reads, its source first: also the one that its messages wait in, in the same group, from
    /// the beginning on.
    pub fn reads(&self) -> Vec<From> {
        let parked = self.retry.later.as_ref().map(|parking| From {
            transport: parking.topic.transport.clone(),
            topic: parking.topic.topic.as_str().into(),
            start: Start::Earliest,
            ..self.from.clone()
        });
        std::iter::once(self.from.clone()).chain(parked).collect()
    }

    /// Every topic that it writes to. One may come more than once.
    pub fn writes(&self) -> impl Iterator<Item = &Topic> {
        let outputs = self.outputs.values().filter_map(|target| match target {
            Target::Topic(topic) => Some(topic),
            Target::Discard => None,
        });
        let parking = self.retry.later.as_ref().map(|parking| &parking.topic);
        [&self.dead_letter.topic].into_iter().chain(parking).chain(outputs)
    }
}

/// The topic that a pipeline reads.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct From {
    /// The transport's name in the plan.
    pub transport: String,
    /// The topic's name in the spec.
    pub topic: Arc<str>,
    /// The consumer group.
    pub group: Arc<str>,
    /// Where a group begins that has no checkpoint.
    pub start: Start,
    /// What to do when unsettled messages are no longer kept.
    pub on_lost_position: OnLostPosition,
}

/// When to try again.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Retry {
    /// Tries that hold the message's place.
    pub in_place: InPlace,
    /// Where it waits for further rounds of them, if there are any.
    pub later: Option<Parking>,
}

/// Where messages wait for their next round, and how long.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Parking {
    /// The topic. Every pipeline of the spec that parks there has the same delays and a group of its own, and nothing
    /// else is written there.
    pub topic: Topic,
    /// The wait after each failed round: at least one, and none shorter than the one before it.
    pub delays: Vec<Duration>,
}

/// Where messages go that cannot be processed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DeadLetter {
    /// The topic.
    pub topic: Topic,
    /// The store, by its name in the plan, for what the topic does not take.
    pub spill: Option<String>,
}

/// A topic of a transport.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Topic {
    /// The transport's name in the plan.
    pub transport: String,
    /// The topic's name in the spec.
    pub topic: String,
}

/// Where an output goes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Target {
    /// Nowhere.
    Discard,
    /// To a topic.
    Topic(Topic),
}
