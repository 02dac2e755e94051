//! From the spec to what librdkafka is told.

use std::path::Path;
use std::sync::Once;

use rdkafka::ClientConfig;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::BaseConsumer;
use rdkafka::error::KafkaError;
use rdkafka::producer::BaseProducer;
use sha2::{Digest, Sha256};

use super::config::{CLASSIC_ONLY, Config, GroupProtocol, Sasl, Tls};
use crate::model::Secrets;

/// Read ahead for each partition, in KiB. Split queues make the bound one of each partition.
const READ_AHEAD: &str = "2048";
/// The same in messages: small ones, and those without a payload, take more than their bytes.
const READ_AHEAD_MESSAGES: &str = "4000";
/// What one answer may bring of a partition, in bytes as they are kept. Compressed JSON is ten times that once it is read,
/// and what has come is held whole, beside what is bounded above.
const FETCHED: &str = "262144";
/// What a producer may hold, in KiB. `send` waits when it is full.
const PRODUCER_QUEUE: &str = "65536";
/// Characters of a member's name that Kafka takes.
const INSTANCE_LIMIT: usize = 249;
/// How long a record may take before its pipeline is told that the topic cannot be written.
const RECORD_TIMEOUT: &str = "30000";

/// Properties that are of producers only. librdkafka takes them for a consumer too, and warns.
const PRODUCERS: &[&str] = &[
    "batch.num.messages",
    "batch.size",
    "linger.ms",
    "max.in.flight",
    "max.in.flight.requests.per.connection",
    "message.send.max.retries",
    "queue.buffering.backpressure.threshold",
    "queue.buffering.max.kbytes",
    "queue.buffering.max.messages",
    "queue.buffering.max.ms",
    "request.timeout.ms",
    "retries",
    "retry.backoff.max.ms",
    "retry.backoff.ms",
    "sticky.partitioning.linger.ms",
];

/// Properties that are of consumers only.
const CONSUMERS: &[&str] = &[
    "check.crcs",
    "fetch.error.backoff.ms",
    "fetch.max.bytes",
    "fetch.message.max.bytes",
    "fetch.min.bytes",
    "fetch.queue.backoff.ms",
    "fetch.wait.max.ms",
    "group.protocol.type",
    "group.remote.assignor",
    "heartbeat.interval.ms",
    "isolation.level",
    "max.partition.fetch.bytes",
    "max.poll.interval.ms",
    "queued.max.messages.kbytes",
    "queued.min.messages",
    "session.timeout.ms",
];

/// Of a group's member only: a client that does not join must not have them.
const MEMBERS: &[&str] = &[
    "group.instance.id",
    "group.protocol",
    "group.protocol.type",
    "group.remote.assignor",
    "heartbeat.interval.ms",
    "max.poll.interval.ms",
    "partition.assignment.strategy",
    "session.timeout.ms",
];

/// What every client of a cluster is told.
#[derive(Clone)]
pub(super) struct Properties {
    common: ClientConfig,
    config: Config,
}

impl Properties {
    /// Puts them together. Fails with what is wrong and what to do when a secret is missing or a property is not taken.
    pub(super) fn new(config: &Config, secrets: &Secrets) -> Result<Self, String> {
        initialise_tls();
        let mut common = ClientConfig::new();
        common.set("bootstrap.servers", config.brokers.join(",")).set("client.id", "lockgate");
        common.set("allow.auto.create.topics", "false");
        // A broker that came back is found soon, and one that is away is not asked in a loop.
        common.set("reconnect.backoff.ms", "50").set("reconnect.backoff.max.ms", "1000");
        if let Some(tls) = &config.tls {
            encrypt(&mut common, tls, secrets)?;
        }
        if let Some(sasl) = &config.sasl {
            sign_in(&mut common, sasl, secrets)?;
        }
        let protocol = match (config.tls.is_some(), config.sasl.is_some()) {
            (false, false) => "plaintext",
            (true, false) => "ssl",
            (false, true) => "sasl_plaintext",
            (true, true) => "sasl_ssl",
        };
        common.set("security.protocol", protocol);
        // Unless it says so, rdkafka decides by a logger that is not there.
        let is_debugged = config.properties.contains_key("debug");
        common.set_log_level(if is_debugged { RDKafkaLogLevel::Debug } else { RDKafkaLogLevel::Warning });
        let properties = Self { common, config: config.clone() };
        for client in [properties.member("group", "topic"), properties.producer(1_000_000)] {
            client.create_native_config().map_err(|error| refusal(&error))?;
        }
        Ok(properties)
    }

    /// Of a client that only asks.
    pub(super) fn asker(&self) -> ClientConfig {
        let mut client = self.common.clone();
        self.pass_on(&mut client, |key| !CONSUMERS.contains(&key) && !PRODUCERS.contains(&key));
        client
    }

    /// Of a member of a group that reads a topic.
    pub(super) fn member(&self, group: &str, topic: &str) -> ClientConfig {
        let mut client = self.consumer(group);
        match self.config.group_protocol {
            GroupProtocol::Classic => {
                client.set("group.protocol", "classic");
                client.set("partition.assignment.strategy", "cooperative-sticky");
            }
            GroupProtocol::Consumer => drop(client.set("group.protocol", "consumer")),
        }
        if let Some(id) = &self.config.instance_id {
            client.set("group.instance.id", instance(id, topic));
        }
        client
    }

    /// Of a client that reads by assignment. The group is only a name: it never joins.
    pub(super) fn reader(&self, group: &str) -> ClientConfig {
        let mut client = self.consumer(group);
        for key in MEMBERS {
            client.remove(key);
        }
        client
    }

    /// Of a producer whose topics take records, and batches of them, of at most so many bytes.
    pub(super) fn producer(&self, largest: u64) -> ClientConfig {
        let mut client = self.common.clone();
        client.set("enable.idempotence", "true").set("acks", "all").set("partitioner", "murmur2_random");
        client.set("compression.codec", self.config.compression.name());
        client.set("message.timeout.ms", RECORD_TIMEOUT);
        client.set("message.max.bytes", largest.clamp(1_000, 1_000_000_000).to_string());
        client.set("linger.ms", "5").set("batch.size", largest.clamp(1, 500_000).to_string());
        client.set("queue.buffering.max.kbytes", PRODUCER_QUEUE);
        self.pass_on(&mut client, |key| !CONSUMERS.contains(&key));
        client
    }

    /// The most bytes of a record that a producer has room for.
    pub(super) fn producer_queue(&self) -> u64 {
        let said = self.config.properties.get("queue.buffering.max.kbytes").map(|property| property.0.as_str());
        said.unwrap_or(PRODUCER_QUEUE).parse::<u64>().unwrap_or(u64::MAX).saturating_mul(1024)
    }

    fn consumer(&self, group: &str) -> ClientConfig {
        let mut client = self.common.clone();
        client.set("group.id", group).set("enable.auto.commit", "false").set("enable.auto.offset.store", "false");
        client.set("auto.offset.reset", "error").set("enable.partition.eof", "true");
        client.set("fetch.queue.backoff.ms", "5").set("queued.max.messages.kbytes", READ_AHEAD);
        client.set("queued.min.messages", READ_AHEAD_MESSAGES).set("fetch.message.max.bytes", FETCHED);
        self.pass_on(&mut client, |key| !PRODUCERS.contains(&key));
        client
    }

    fn pass_on(&self, client: &mut ClientConfig, wanted: impl Fn(&str) -> bool) {
        for (key, value) in self.config.properties.iter().filter(|(key, _)| wanted(key)) {
            client.set(key, &value.0);
        }
    }
}

/// librdkafka initialises OpenSSL so that it cleans up when the process exits, while threads of clients may still use
/// it. Whoever comes first decides.
fn initialise_tls() {
    static ONCE: Once = Once::new();
    ONCE.call_once(openssl_sys::init);
}

fn encrypt(client: &mut ClientConfig, tls: &Tls, secrets: &Secrets) -> Result<(), String> {
    let files =
        [("ssl.ca.location", &tls.ca), ("ssl.certificate.location", &tls.certificate), ("ssl.key.location", &tls.key)];
    for (key, path) in files {
        let Some(path) = path else { continue };
        readable(path)?;
        client.set(key, path.to_string_lossy());
    }
    if let Some(password) = &tls.key_password {
        client.set("ssl.key.password", &*secrets.get(password).ok_or_else(|| missing(&password.0))?.expose());
    }
    Ok(())
}

/// librdkafka's own answer does not say which file it was.
fn readable(path: &Path) -> Result<(), String> {
    std::fs::File::open(path).map(drop).map_err(|error| format!("{} cannot be read: {error}", path.display()))
}

fn sign_in(client: &mut ClientConfig, sasl: &Sasl, secrets: &Secrets) -> Result<(), String> {
    let (mechanism, login) = match sasl {
        Sasl::Plain(login) => ("PLAIN", login),
        Sasl::ScramSha256(login) => ("SCRAM-SHA-256", login),
        Sasl::ScramSha512(login) => ("SCRAM-SHA-512", login),
        Sasl::Oauthbearer(oidc) => {
            let secret = secrets.get(&oidc.client_secret).ok_or_else(|| missing(&oidc.client_secret.0))?;
            client.set("sasl.mechanisms", "OAUTHBEARER").set("sasl.oauthbearer.method", "oidc");
            client.set("sasl.oauthbearer.token.endpoint.url", &oidc.token_endpoint);
            client.set("sasl.oauthbearer.client.id", &oidc.client_id);
            client.set("sasl.oauthbearer.client.secret", &*secret.expose());
            if let Some(scope) = &oidc.scope {
                client.set("sasl.oauthbearer.scope", scope);
            }
            // Otherwise OpenSSL looks for authorities where it was built.
            client.set("https.ca.location", "probe");
            return Ok(());
        }
    };
    let password = secrets.get(&login.password).ok_or_else(|| missing(&login.password.0))?;
    client.set("sasl.mechanisms", mechanism).set("sasl.username", &login.username);
    client.set("sasl.password", &*password.expose());
    Ok(())
}

/// The name of a member that stays the same over restarts. A pipeline's topic and its retry topic are read by two members
/// of one group, so it names the topic too, by its hash where that would be too long for Kafka.
fn instance(id: &str, topic: &str) -> String {
    let name = format!("{id}.{topic}");
    if name.len() <= INSTANCE_LIMIT {
        return name;
    }
    let hash: String = Sha256::digest(topic).iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    format!("{id}.{hash}")
}

fn missing(secret: &str) -> String {
    format!("the secret `{secret}` is not declared")
}

/// What librdkafka does not take. Its text is repeated only where no secret can stand in it.
fn refusal(error: &KafkaError) -> String {
    match error {
        KafkaError::ClientConfig(_, reason, key, _) if !crate::model::tells_secret(key) => {
            format!("property `{key}`: {reason}")
        }
        KafkaError::ClientConfig(_, _, key, _) => format!("property `{key}` is not taken"),
        KafkaError::ClientCreation(reason) => reason.clone(),
        error => error.to_string(),
    }
}

impl Config {
    /// What is wrong with the settings, as far as librdkafka knows without a broker, but for secrets and files.
    pub(crate) fn check(&self) -> Result<(), String> {
        if self.group_protocol == GroupProtocol::Consumer
            && let Some(key) = CLASSIC_ONLY.iter().find(|key| self.properties.contains_key(**key))
        {
            return Err(format!("property `{key}`: with `group_protocol: consumer` the broker decides it"));
        }
        let plain = Self { tls: None, sasl: None, ..self.clone() };
        let properties = Properties::new(&plain, &Secrets::default())?;
        // What does not go together is told when a client is made. Without brokers it connects to nothing.
        let alone = |mut client: ClientConfig| {
            client.remove("bootstrap.servers");
            client
        };
        let member: Result<BaseConsumer, _> = alone(properties.member("group", "topic")).create();
        member.map(drop).map_err(|error| refusal(&error))?;
        let producer: Result<BaseProducer, _> = alone(properties.producer(1_000_000)).create();
        producer.map(drop).map_err(|error| refusal(&error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Secret, SecretRef};
    use crate::transport::kafka::config::{Login, Property};

    fn config(properties: &[(&str, &str)]) -> Config {
        let property = |(key, value): &(&str, &str)| ((*key).to_owned(), Property((*value).to_owned()));
        let properties = properties.iter().map(property).collect();
        Config { brokers: vec!["127.0.0.1:1".into()], properties, ..Config::default() }
    }

    #[test]
    fn each_client_gets_what_is_for_it() {
        let config = config(&[("session.timeout.ms", "7000"), ("linger.ms", "9"), ("client.id", "mine")]);
        let properties = Properties::new(&config, &Secrets::default()).unwrap();
        let of = |client: &ClientConfig| {
            ["session.timeout.ms", "linger.ms", "client.id"].map(|key| client.get(key).map(str::to_owned))
        };
        let some = |value: &str| Some(value.to_owned());
        assert_eq!(of(&properties.member("g", "t")), [some("7000"), None, some("mine")]);
        assert_eq!(of(&properties.reader("g")), [None, None, some("mine")]);
        assert_eq!(of(&properties.producer(1000)), [None, some("9"), some("mine")]);
        assert_eq!(of(&properties.asker()), [None, None, some("mine")]);
    }

    #[test]
    fn what_the_library_does_not_take_is_told_by_its_key() {
        let refused = config(&[("fetch.min.bytes", "many")]).check().unwrap_err();
        assert!(refused.contains("fetch.min.bytes"), "{refused}");
        let refused = config(&[("no.such.thing", "1")]).check().unwrap_err();
        assert!(refused.contains("no.such.thing"), "{refused}");
    }

    #[test]
    fn what_the_broker_decides_is_not_taken_with_its_protocol() {
        let mut config = config(&[("session.timeout.ms", "7000")]);
        assert_eq!(config.check(), Ok(()));
        config.group_protocol = GroupProtocol::Consumer;
        assert!(config.check().unwrap_err().contains("the broker decides"));
    }

    #[test]
    fn what_does_not_go_together_is_told() {
        let refused = config(&[("session.timeout.ms", "9000"), ("max.poll.interval.ms", "5000")]).check().unwrap_err();
        assert!(refused.contains("max.poll.interval.ms"), "{refused}");
        let refused = config(&[("max.in.flight", "9")]).check().unwrap_err();
        assert!(refused.contains("max.in.flight"), "{refused}");
    }

    #[test]
    fn each_member_of_a_host_has_a_name_of_its_own() {
        assert_eq!(instance("host-1", "orders"), "host-1.orders");
        let long = "t".repeat(249);
        assert_ne!(instance("host-1", &long), instance("host-1", &long[1..]));
        assert!(instance("host-1", &long).len() <= INSTANCE_LIMIT, "{}", instance("host-1", &long));
    }

    #[test]
    fn signing_in_needs_its_secret() {
        let login = Login { username: "u".into(), password: SecretRef("p".into()) };
        let config = Config { sasl: Some(Sasl::Plain(login)), ..config(&[]) };
        let refused = Properties::new(&config, &Secrets::default()).err().unwrap();
        assert_eq!(refused, "the secret `p` is not declared");
        let secrets = Secrets([("p".to_owned(), Secret::new("pass"))].into());
        let client = Properties::new(&config, &secrets).unwrap().member("g", "t");
        assert_eq!(
            (client.get("security.protocol"), client.get("sasl.password")),
            (Some("sasl_plaintext"), Some("pass"))
        );
    }
}
