//! The shape of `kafka:` in the spec. Read and checked by every build, also by one without the client.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::Visitor;
use serde::{Deserialize, Deserializer, Serialize};

use crate::model::SecretRef;

/// librdkafka's default of `max.poll.interval.ms`.
const MAX_POLL_INTERVAL: Duration = Duration::from_secs(300);

/// What the client library may be told of everything but what Lockgate decides.
pub const OWNED: &[(&str, &str)] = &[
    ("acks", "a record counts as written once all in-sync replicas have it"),
    ("allow.auto.create.topics", "a topic that is missing is an error, or made as `create:` says"),
    ("auto.commit.interval.ms", "checkpoints are stored as `checkpoint_every` says"),
    ("auto.offset.reset", "say `start` and `on_lost_position` in the pipeline's `from`"),
    ("bootstrap.servers", "say `brokers`"),
    ("compression.codec", "say `compression`"),
    ("compression.type", "say `compression`"),
    (
        "delivery.timeout.ms",
        "how long a record may take decides when the pipeline says that its topic cannot be written",
    ),
    ("enable.auto.commit", "only what is settled is committed, by Lockgate"),
    ("enable.auto.offset.store", "only what is settled is committed, by Lockgate"),
    ("enable.gapless.guarantee", "Lockgate keeps the order of what it tries again"),
    ("enable.idempotence", "without it a retry could repeat records or change their order"),
    ("enable.partition.eof", "Lockgate needs it to know where a partition ends"),
    ("group.id", "say `group` in the pipeline's `from`"),
    ("group.instance.id", "say `instance_id`"),
    ("group.protocol", "say `group_protocol`"),
    (
        "message.timeout.ms",
        "how long a record may take decides when the pipeline says that its topic cannot be written",
    ),
    ("metadata.broker.list", "say `brokers`"),
    ("partition.assignment.strategy", "partitions change hands one by one only with `cooperative-sticky`"),
    ("partitioner", "keys go to the partitions where the Java client puts them"),
    ("plugin.library.paths", "the host loads no code but components"),
    ("request.required.acks", "a record counts as written once all in-sync replicas have it"),
    ("sasl.jaas.config", "say `sasl`"),
    ("sasl.mechanism", "say `sasl`"),
    ("sasl.mechanisms", "say `sasl`"),
    ("sasl.oauthbearer.client.id", "say `sasl: { oauthbearer: { client_id: … } }`"),
    ("sasl.oauthbearer.client.secret", "say `sasl: { oauthbearer: { client_secret: \"${secrets.NAME}\" } }`"),
    ("sasl.oauthbearer.config", "say `sasl: { oauthbearer: … }`"),
    ("sasl.oauthbearer.method", "say `sasl: { oauthbearer: … }`"),
    ("sasl.oauthbearer.scope", "say `sasl: { oauthbearer: { scope: … } }`"),
    ("sasl.oauthbearer.token.endpoint.url", "say `sasl: { oauthbearer: { token_endpoint: … } }`"),
    ("sasl.password", "say `sasl`, with the password as a secret"),
    ("sasl.username", "say `sasl`"),
    ("security.protocol", "it follows from `tls` and `sasl`"),
    ("ssl.ca.location", "say `tls: { ca: … }`"),
    ("ssl.certificate.location", "say `tls: { certificate: … }`"),
    ("ssl.key.location", "say `tls: { key: … }`"),
    ("ssl.key.password", "say `tls: { key_password: \"${secrets.NAME}\" }`"),
    ("ssl.key.pem", "a key is no setting: say `tls: { key: … }`"),
    ("ssl.keystore.password", "use PEM files: `tls: { certificate: …, key: … }`"),
    ("transactional.id", "records are written without transactions"),
];

/// Properties that only consumers of the protocol `classic` take: with the other one the broker decides.
pub const CLASSIC_ONLY: [&str; 2] = ["session.timeout.ms", "heartbeat.interval.ms"];

/// A Kafka cluster.
#[derive(Clone, PartialEq, Eq, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Brokers to ask first, as `host:port`; the others of the cluster are found by them.
    pub brokers: Vec<String>,
    /// How members of a consumer group agree on who reads what.
    #[serde(default)]
    pub group_protocol: GroupProtocol,
    /// This host's name in its consumer groups (static membership, `group.instance.id`): one that comes back within the
    /// session timeout keeps its partitions. Another one for each host; it may hold `${env.NAME}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance_id: Option<String>,
    /// Encrypts, where it is said; `tls: {}` trusts the machine's certificate authorities.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<Tls>,
    /// How the host signs in, where it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sasl: Option<Sasl>,
    /// How records are compressed.
    #[serde(default)]
    pub compression: Compression,
    /// The most bytes that a checkpoint may take beside its offset: the broker's `offset.metadata.max.bytes`; `4096`
    /// where absent, as there. Messages that are settled out of order are known to the broker only as far as they fit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkpoint_bytes: Option<NonZeroU32>,
    /// Properties of librdkafka, for what has no key of its own here. Those that Lockgate decides are refused.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub properties: BTreeMap<String, Property>,
}

impl Config {
    /// How long a member may take to give partitions back before the group goes on without it.
    pub fn max_poll_interval(&self) -> Duration {
        let said = self.properties.get("max.poll.interval.ms").and_then(|property| property.0.parse().ok());
        said.map_or(MAX_POLL_INTERVAL, Duration::from_millis)
    }

    /// The most bytes of a checkpoint's metadata.
    pub fn checkpoint_bytes(&self) -> usize {
        let bytes = self.checkpoint_bytes.map_or(DEFAULT_CHECKPOINT_BYTES, u32::from);
        usize::try_from(bytes).unwrap_or(usize::MAX)
    }

    /// The secrets that it names.
    pub fn secrets(&self) -> Vec<&SecretRef> {
        let key = self.tls.as_ref().and_then(|tls| tls.key_password.as_ref());
        let sign_in = self.sasl.as_ref().map(|sasl| match sasl {
            Sasl::Plain(login) | Sasl::ScramSha256(login) | Sasl::ScramSha512(login) => &login.password,
            Sasl::Oauthbearer(client) => &client.client_secret,
        });
        key.into_iter().chain(sign_in).collect()
    }
}

/// What brokers take unless told otherwise (`offset.metadata.max.bytes`).
pub const DEFAULT_CHECKPOINT_BYTES: u32 = 4096;
/// The most that the protocol can carry: a string of it has a length of 15 bits.
pub const MOST_CHECKPOINT_BYTES: u32 = 32_767;
/// What a checkpoint needs at least.
pub const LEAST_CHECKPOINT_BYTES: u32 = 64;

/// The most characters of `instance_id`: Kafka takes 249, of which a hash and a dot are ours.
pub const LONGEST_INSTANCE_ID: usize = 200;

/// How members of a group agree.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum GroupProtocol {
    /// The members decide, with `cooperative-sticky`. Every broker knows it.
    #[default]
    Classic,
    /// The broker decides (KIP-848); from Kafka 4.0 on.
    Consumer,
}

/// Encryption.
#[derive(Clone, PartialEq, Eq, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// A PEM file of certificate authorities to trust instead of the machine's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<PathBuf>,
    /// A PEM file with the host's own certificate, where brokers want one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<PathBuf>,
    /// A PEM file with its key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<PathBuf>,
    /// The key's password, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_password: Option<SecretRef>,
}

/// How the host signs in.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Sasl {
    /// User and password, as they are: only with `tls`.
    Plain(Login),
    /// SCRAM-SHA-256.
    #[serde(rename = "scram_sha_256")]
    ScramSha256(Login),
    /// SCRAM-SHA-512.
    #[serde(rename = "scram_sha_512")]
    ScramSha512(Login),
    /// Tokens of an OpenID provider, by client credentials.
    Oauthbearer(Client),
}

/// User and password.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Login {
    /// The user.
    pub username: String,
    /// The password: `${secrets.NAME}`.
    pub password: SecretRef,
}

/// A client of an OpenID provider.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Client {
    /// Where the provider gives tokens out.
    pub token_endpoint: String,
    /// The client's id.
    pub client_id: String,
    /// The client's secret: `${secrets.NAME}`.
    pub client_secret: SecretRef,
    /// What the token is to be good for, where the provider asks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
}

/// How records are compressed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Compression {
    /// Zstandard.
    #[default]
    Zstd,
    /// LZ4.
    Lz4,
    /// Not at all.
    None,
}

impl Compression {
    /// As librdkafka calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Zstd => "zstd",
            Self::Lz4 => "lz4",
            Self::None => "none",
        }
    }
}

/// A property's value: a text, a number or `true` and `false`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Property(pub String);

impl<'de> Deserialize<'de> for Property {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(PropertyVisitor)
    }
}

struct PropertyVisitor;

impl Visitor<'_> for PropertyVisitor {
    type Value = Property;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text, a number, `true` or `false`")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Property, E> {
        if text.contains('\0') {
            return Err(E::custom("a property holds no zero bytes"));
        }
        Ok(Property(text.to_owned()))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Property, E> {
        Ok(Property(value.to_string()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Property, E> {
        Ok(Property(value.to_string()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Property, E> {
        Ok(Property(value.to_string()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Property, E> {
        Ok(Property(value.to_string()))
    }
}

impl JsonSchema for Property {
    fn schema_name() -> Cow<'static, str> {
        "Property".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["string", "number", "boolean"] })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn properties_are_texts_numbers_and_truths() {
        let text = r#"{"brokers":["a:1"],"properties":{"a":"x","b":6000,"c":true,"d":0.5}}"#;
        let config: Config = serde_json::from_str(text).unwrap();
        let values: Vec<&str> = config.properties.values().map(|property| property.0.as_str()).collect();
        assert_eq!(values, ["x", "6000", "true", "0.5"]);
    }

    #[test]
    fn the_secrets_are_those_that_it_names() {
        let text = r#"{"brokers":[],"tls":{"key_password":"${secrets.k}"},
            "sasl":{"plain":{"username":"u","password":"${secrets.p}"}}}"#;
        let config: Config = serde_json::from_str(text).unwrap();
        assert_eq!(config.secrets(), [&SecretRef("k".into()), &SecretRef("p".into())]);
    }

    #[test]
    fn the_poll_interval_is_what_the_properties_say_or_the_librarys() {
        let config = |properties: &[(&str, &str)]| {
            let property = |(key, value): &(&str, &str)| ((*key).to_owned(), Property((*value).to_owned()));
            Config { properties: properties.iter().map(property).collect(), ..Config::default() }
        };
        assert_eq!(config(&[]).max_poll_interval(), Duration::from_secs(300));
        assert_eq!(config(&[("max.poll.interval.ms", "6000")]).max_poll_interval(), Duration::from_secs(6));
    }

    #[test]
    fn owned_properties_stand_in_order_and_once() {
        assert!(OWNED.windows(2).all(|pair| pair[0].0 < pair[1].0));
    }
}
