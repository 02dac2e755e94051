//! Which system of topics the hosts share, and where a scenario's topics and groups are in it. Pure.

use std::fmt::{self, Write as _};
use std::path::PathBuf;
use std::time::Duration;

use clap::ValueEnum;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::setting::{BUS, Setting};

/// Which system of topics.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, ValueEnum)]
pub enum On {
    /// The embedded log.
    #[default]
    Log,
    /// A Kafka broker.
    Kafka,
    /// Event Hubs, and blobs for who reads what.
    EventHubs,
}

impl fmt::Display for On {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Log => "log",
            Self::Kafka => "kafka",
            Self::EventHubs => "event-hubs",
        })
    }
}

impl On {
    /// What all scenarios may take at most that are as long as fits into a budget. What is done to members of a group
    /// takes sessions of some seconds, and a broker's process some more, whatever the machine.
    pub fn at_most(self, budget: Duration) -> Duration {
        match self {
            Self::Log => budget,
            Self::Kafka | Self::EventHubs => budget * 3,
        }
    }
}

/// How the members of a group agree on who reads what.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Protocol {
    /// Among themselves.
    Classic,
    /// As the broker says.
    Consumer,
}

impl Protocol {
    /// By chance, another one for each scenario and seed; the same for the same ones.
    pub fn by_chance(seed: u64, scenario: &str) -> Self {
        let seed = scenario.bytes().fold(seed, |seed, byte| seed.wrapping_mul(31).wrapping_add(byte.into()));
        if ChaCha8Rng::seed_from_u64(seed).random() { Self::Classic } else { Self::Consumer }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Classic => "classic",
            Self::Consumer => "consumer",
        })
    }
}

/// Where the topics of one scenario are.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Ground {
    /// In a log of its own; what the setting says of its folder is relative to this one.
    Log(PathBuf),
    /// On a broker, beside those of other scenarios.
    Kafka {
        /// Its address.
        broker: String,
        /// What the names of topics and groups begin with there.
        prefix: String,
        /// How the groups agree.
        protocol: Protocol,
    },
    /// In a namespace of Event Hubs of its own.
    EventHubs {
        /// What the spec says of it up to the transport's kind.
        namespace: String,
        /// What the names of hubs begin with there.
        prefix: String,
    },
}

impl Ground {
    /// Which system it is.
    pub fn on(&self) -> On {
        match self {
            Self::Log(_) => On::Log,
            Self::Kafka { .. } => On::Kafka,
            Self::EventHubs { .. } => On::EventHubs,
        }
    }

    /// The name of a group there, by its name in the scenario.
    pub fn group(&self, name: &str) -> String {
        match self {
            // A group of Event Hubs belongs to its hub.
            Self::Log(_) | Self::EventHubs { .. } => name.to_owned(),
            Self::Kafka { prefix, .. } => format!("{prefix}-{name}"),
        }
    }

    /// What is to be known of it, for people.
    pub fn note(&self) -> Option<String> {
        match self {
            Self::Log(_) | Self::EventHubs { .. } => None,
            Self::Kafka { protocol, .. } => Some(format!("group protocol {protocol}")),
        }
    }

    /// How long a host that stands still keeps its partitions there, where it is to be so long: with the broker's
    /// protocol only the broker says it.
    pub fn lease(&self, wanted: Duration) -> Duration {
        match self {
            Self::Log(_) => wanted,
            Self::Kafka { protocol: Protocol::Classic, .. } => wanted.max(SHORTEST_SESSION),
            Self::EventHubs { .. } => wanted.max(SHORTEST_LEASE),
            Self::Kafka { protocol: Protocol::Consumer, .. } => xtask::kafka::SESSION,
        }
    }

    /// The transport of a setting, as the spec names it.
    pub fn transport(&self, setting: &Setting) -> String {
        let head = format!("transports:\n  {BUS}:\n");
        let mut spec = match self {
            Self::Log(folder) => head + &log(folder.join(&setting.bus), setting),
            Self::Kafka { broker, protocol, .. } => head + &kafka(broker, *protocol, setting),
            Self::EventHubs { namespace, .. } => event_hubs(namespace, setting),
        };
        spec.push_str("    topics:\n");
        for (topic, partitions) in setting.topics() {
            let create = format!("create: {{ partitions: {partitions}");
            let _ = match self {
                Self::Log(_) => writeln!(spec, "      {topic}: {{ {create} }} }}"),
                Self::Kafka { prefix, .. } => {
                    writeln!(spec, "      {topic}: {{ name: {prefix}-{topic}, {create}, replication: 1 }} }}")
                }
                Self::EventHubs { prefix, .. } => writeln!(spec, "      {topic}: {{ name: {prefix}-{topic} }}"),
            };
        }
        spec
    }
}

/// The shortest session that is no host's end merely because the machine is busy: each of its groups tells the broker by
/// a thread of its own that it lives, a hundred of them and more on one machine.
const SHORTEST_SESSION: Duration = Duration::from_secs(3);
/// The shortest lease that no host loses merely because the machine is busy: each partition of each group is renewed three
/// times within it, by a call of the blob emulator, which takes more than a second now and then.
const SHORTEST_LEASE: Duration = Duration::from_secs(9);
/// How often the hosts look there, at the most: there are eight members in a host, and those that wait for partitions look
/// five times as often.
const SHORTEST_POLL: Duration = Duration::from_secs(1);
/// A member says so often within its session that it lives.
const BEATS: u32 = 6;

fn log(folder: PathBuf, Setting { lease, poll, .. }: &Setting) -> String {
    let (folder, lease, poll) = (folder.display(), lease.as_millis(), poll.as_millis());
    format!("    log: {{ path: \"{folder}\" }}\n    lease: {lease}ms\n    poll: {poll}ms\n")
}

fn event_hubs(namespace: &str, Setting { lease, poll, .. }: &Setting) -> String {
    let (lease, poll) = (lease.as_millis(), (*poll).max(SHORTEST_POLL).as_millis());
    format!("{namespace}    lease: {lease}ms\n    poll: {poll}ms\n")
}

fn kafka(broker: &str, protocol: Protocol, Setting { lease, .. }: &Setting) -> String {
    let mut kafka = format!("    kafka:\n      brokers: [\"{broker}\"]\n      group_protocol: {protocol}\n");
    if protocol == Protocol::Classic {
        let (session, beat) = (lease.as_millis(), (*lease / BEATS).as_millis());
        let _ = writeln!(kafka, "      properties: {{ session.timeout.ms: {session}, heartbeat.interval.ms: {beat} }}");
    }
    kafka
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ground(protocol: Protocol) -> Ground {
        Ground::Kafka { broker: "127.0.0.1:19092".into(), prefix: "kill".into(), protocol }
    }

    #[test]
    fn on_a_log_everything_is_called_as_in_the_scenario() {
        let ground = Ground::Log("/folder".into());
        let spec = ground.transport(&Setting::default());
        assert!(spec.contains("    log: { path: \"/folder/bus\" }\n    lease: 2000ms\n    poll: 200ms\n"), "{spec}");
        assert!(spec.contains("\n      dead: { create: { partitions: 4 } }\n"), "{spec}");
        assert_eq!((ground.group("free-1"), ground.lease(Duration::MAX)), ("free-1".into(), Duration::MAX));
    }

    #[test]
    fn on_a_broker_everything_is_called_by_its_scenario() {
        let ground = ground(Protocol::Classic);
        let spec = ground.transport(&Setting { lease: Duration::from_secs(6), ..Setting::default() });
        assert!(spec.contains("brokers: [\"127.0.0.1:19092\"]\n      group_protocol: classic\n"), "{spec}");
        assert!(spec.contains("{ session.timeout.ms: 6000, heartbeat.interval.ms: 1000 }"), "{spec}");
        assert!(
            spec.contains("\n      dead: { name: kill-dead, create: { partitions: 4, replication: 1 } }\n"),
            "{spec}"
        );
        assert_eq!(ground.group("free-1"), "kill-free-1");
    }

    #[test]
    fn the_broker_alone_says_how_long_a_session_lasts_where_it_leads_groups() {
        let lease = |protocol, seconds| ground(protocol).lease(Duration::from_secs(seconds));
        assert_eq!(lease(Protocol::Classic, 6), Duration::from_secs(6));
        assert_eq!(lease(Protocol::Classic, 1), SHORTEST_SESSION);
        assert_eq!(lease(Protocol::Consumer, 6), xtask::kafka::SESSION);
        assert!(!ground(Protocol::Consumer).transport(&Setting::default()).contains("session"));
    }

    #[test]
    fn chance_gives_a_scenario_the_same_protocol_again_and_each_one_to_some() {
        let some: Vec<Protocol> = (0..20).map(|seed| Protocol::by_chance(seed, "kill")).collect();
        assert!(some.contains(&Protocol::Classic) && some.contains(&Protocol::Consumer));
        assert_eq!(some, (0..20).map(|seed| Protocol::by_chance(seed, "kill")).collect::<Vec<_>>());
        assert_ne!(some, (0..20).map(|seed| Protocol::by_chance(seed, "pause")).collect::<Vec<_>>());
    }
}
