//! What the emulator is told: a YAML file, or the same in code.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::num::{NonZeroU32, NonZeroU64, NonZeroUsize};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// Everything that can be said.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Where clients connect, by all four ways.
    pub listen: SocketAddr,
    /// Where faults are asked for, over HTTP.
    pub control: SocketAddr,
    /// Where the certificate of the authority is written that signed the server's.
    pub ca: Option<PathBuf>,
    /// Names that the server's certificate is for, beside those of the loopback.
    pub names: Vec<String>,
    /// Keys that tokens are signed with, by name.
    pub keys: BTreeMap<String, Key>,
    /// Tokens of an identity provider. Without this, none is taken.
    pub jwt: Option<Jwt>,
    /// The largest message, in bytes.
    pub max_message_size: NonZeroU64,
    /// Receivers without an epoch that may read one partition in one consumer group.
    pub receivers_per_group: NonZeroUsize,
    /// How long, in milliseconds, a client may be silent.
    pub idle_timeout_ms: NonZeroU32,
    /// How much later, in milliseconds, sends and requests are settled than they come.
    pub settle_ms: u64,
    /// The hubs, by name.
    pub hubs: BTreeMap<String, Hub>,
}

/// A key.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Key {
    /// The key itself.
    pub key: String,
    /// What it is good for.
    #[serde(default = "all_rights")]
    pub rights: BTreeSet<Right>,
}

/// What a token may be good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Right {
    /// To send events.
    Send,
    /// To receive events.
    Listen,
    /// To do both.
    Manage,
}

/// How JSON web tokens are checked.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Jwt {
    /// What they are signed with, by HS256.
    pub secret: String,
    /// Whom they must be meant for.
    #[serde(default = "audience")]
    pub audience: String,
}

/// A hub.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hub {
    /// How many partitions it has.
    pub partitions: NonZeroUsize,
    /// Consumer groups beside `$Default`.
    #[serde(default)]
    pub groups: Vec<String>,
    /// How long events are kept.
    #[serde(default)]
    pub retention: Retention,
    /// How much is taken before senders are told that the server is busy.
    #[serde(default)]
    pub throughput: Throughput,
    /// The largest message, in bytes, where it is not the namespace's.
    #[serde(default)]
    pub max_message_size: Option<NonZeroU64>,
    /// Whether it can be used.
    #[serde(default)]
    pub status: Status,
}

/// What each partition keeps at most; the oldest events go first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Retention {
    /// So many events.
    pub events: NonZeroUsize,
    /// So many bytes: they are kept in memory.
    pub bytes: NonZeroU64,
    /// No event that is older.
    pub seconds: Option<NonZeroU64>,
}

/// What a hub takes; without a limit, everything.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Throughput {
    /// So many events.
    pub events_per_second: Option<NonZeroU64>,
    /// So many bytes.
    pub bytes_per_second: Option<NonZeroU64>,
}

/// Whether a hub can be used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// For everything.
    #[default]
    Active,
    /// For nothing.
    Disabled,
    /// Only to receive.
    SendDisabled,
    /// Only to send.
    ReceiveDisabled,
}

/// The name of the key that every namespace of the service begins with.
pub const DEFAULT_KEY: &str = "RootManageSharedAccessKey";
/// The consumer group that every hub has.
pub const DEFAULT_GROUP: &str = "$Default";
/// The limit of the service's standard tier.
const MAX_MESSAGE_SIZE: NonZeroU64 = NonZeroU64::new(1 << 20).unwrap();
/// The limit of the service.
const RECEIVERS_PER_GROUP: NonZeroUsize = NonZeroUsize::new(5).unwrap();
/// What the service announces.
const IDLE_TIMEOUT_MS: NonZeroU32 = NonZeroU32::new(240_000).unwrap();
/// The official Rust client notes a send only when its frame has gone: what is settled sooner than that it never hears
/// of, and waits for ever. No service is so near that this happens; a loopback is.
const SETTLE_MS: u64 = 2;

impl Default for Config {
    fn default() -> Self {
        let free = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Self {
            listen: free,
            control: free,
            ca: None,
            names: Vec::new(),
            keys: BTreeMap::new(),
            jwt: None,
            max_message_size: MAX_MESSAGE_SIZE,
            receivers_per_group: RECEIVERS_PER_GROUP,
            idle_timeout_ms: IDLE_TIMEOUT_MS,
            settle_ms: SETTLE_MS,
            hubs: BTreeMap::new(),
        }
    }
}

impl Default for Retention {
    fn default() -> Self {
        const EVENTS: NonZeroUsize = NonZeroUsize::new(1_000_000).unwrap();
        const BYTES: NonZeroU64 = NonZeroU64::new(256 << 20).unwrap();
        Self { events: EVENTS, bytes: BYTES, seconds: None }
    }
}

/// Why the emulator cannot be told that.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read {path}: {error}", path = .0.display(), error = .1)]
    Unreadable(PathBuf, std::io::Error),
    /// It is not what it has to be.
    #[error("{0}")]
    Invalid(String),
    /// Two names differ only by case, which the service does not tell apart.
    #[error("{what} `{name}` is named twice: case does not matter")]
    Twice {
        /// Of what kind both are.
        what: &'static str,
        /// The second.
        name: String,
    },
}

impl Config {
    /// Reads a file.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|error| ConfigError::Unreadable(path.to_owned(), error))?;
        Self::parse(&text)
    }

    /// Reads what such a file holds.
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        let config: Self = serde_saphyr::from_str(text).map_err(|error| ConfigError::Invalid(error.to_string()))?;
        config.check().map(|()| config)
    }

    fn check(&self) -> Result<(), ConfigError> {
        distinct("hub", self.hubs.keys().map(String::as_str))?;
        self.hubs.values().try_for_each(Hub::check)
    }

    /// With a hub more.
    pub fn with_hub(mut self, name: impl Into<String>, hub: Hub) -> Self {
        self.hubs.insert(name.into(), hub);
        self
    }

    /// With a key that is good for everything.
    pub fn with_key(mut self, name: impl Into<String>, key: impl Into<String>) -> Self {
        self.keys.insert(name.into(), Key { key: key.into(), rights: all_rights() });
        self
    }
}

impl Hub {
    /// One with so many partitions, and nothing else said.
    pub fn new(partitions: NonZeroUsize) -> Self {
        let (groups, retention, throughput) = (Vec::new(), Retention::default(), Throughput::default());
        Self { partitions, groups, retention, throughput, max_message_size: None, status: Status::default() }
    }

    /// Whether it can be.
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        distinct("group", [DEFAULT_GROUP].into_iter().chain(self.groups.iter().map(String::as_str)))
    }
}

fn distinct<'a>(what: &'static str, names: impl Iterator<Item = &'a str>) -> Result<(), ConfigError> {
    let mut seen = BTreeSet::new();
    for name in names {
        if !seen.insert(name.to_lowercase()) {
            return Err(ConfigError::Twice { what, name: name.to_owned() });
        }
    }
    Ok(())
}

fn all_rights() -> BTreeSet<Right> {
    BTreeSet::from([Right::Send, Right::Listen, Right::Manage])
}

/// Whom tokens for the service are meant for.
fn audience() -> String {
    "https://eventhubs.azure.net".to_owned()
}

// What is secret is not shown, not even here.
impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key").field("rights", &self.rights).finish_non_exhaustive()
    }
}

impl fmt::Debug for Jwt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Jwt").field("audience", &self.audience).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_that_is_kept_here_says_what_it_means_to() {
        let config = Config::parse(include_str!("../hubs.yaml")).unwrap();
        let partitions: Vec<_> = config.hubs.iter().map(|(name, hub)| (name.as_str(), hub.partitions.get())).collect();
        assert_eq!(partitions, [("orders", 4), ("retries", 32)]);
        assert_eq!(config.keys[DEFAULT_KEY].rights, all_rights());
        assert_ne!(config.listen.port(), 0);
    }

    #[test]
    fn what_is_left_out_is_as_in_the_service() {
        let config = Config::parse("hubs: { a: { partitions: 2 } }").unwrap();
        assert_eq!((config.max_message_size.get(), config.receivers_per_group.get()), (1 << 20, 5));
        assert_eq!(config.hubs["a"].status, Status::Active);
        assert!(config.jwt.is_none() && config.keys.is_empty());
    }

    #[test]
    fn a_mistake_is_named_where_it_is() {
        for (text, part) in [
            ("hubs: { a: { partitions: 0 } }", "nonzero"),
            ("hubs: { a: {} }", "partitions"),
            ("hobs: {}", "hobs"),
            ("keys: { k: { key: x, rights: [dance] } }", "dance"),
            ("hubs: { a: { partitions: 1 }, A: { partitions: 1 } }", "hub `a` is named twice"),
            ("hubs: { a: { partitions: 1, groups: [$default] } }", "group `$default` is named twice"),
        ] {
            let error = Config::parse(text).unwrap_err().to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
    }

    #[test]
    fn secrets_are_not_shown() {
        let config = Config::parse("keys: { k: { key: hidden } }\njwt: { secret: hidden }").unwrap();
        assert!(!format!("{config:?}").contains("hidden"));
    }
}
