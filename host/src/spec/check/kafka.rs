//! What a Kafka transport says, as far as it can be judged without a broker.

use std::time::Duration;

use super::Checker;
use crate::model::Period;
use crate::spec::diagnostic::Diagnostic;
use crate::spec::node::Spot;
use crate::spec::plan::From;
use crate::transport::config::Config as TransportConfig;
use crate::transport::kafka::config::{
    Config, LEAST_CHECKPOINT_BYTES, LONGEST_INSTANCE_ID, MOST_CHECKPOINT_BYTES, OWNED, Sasl,
};

impl<'a> Checker<'a> {
    pub(super) fn kafka(&mut self, kafka: &Config, config: &TransportConfig, spot: Spot<'a>) {
        let owned = [("lease", config.lease.is_some()), ("poll", config.poll.is_some())];
        for key in owned.into_iter().filter(|(_, there)| *there).map(|(key, _)| key) {
            let message = format!("`{key}` is not for Kafka: the group's members are watched by the broker");
            let help = "the broker's session timeout decides: `properties: { session.timeout.ms: … }`";
            self.report(Diagnostic::error("wrong-value", spot.key(key).named(), message).help(help));
        }
        let spot = spot.key("kafka");
        self.brokers(kafka, spot);
        self.sign_in(kafka, spot);
        self.instance(kafka, spot.key("instance_id"));
        if let Some(bytes) = kafka.checkpoint_bytes
            && !(LEAST_CHECKPOINT_BYTES..=MOST_CHECKPOINT_BYTES).contains(&bytes.get())
        {
            let message = format!("`checkpoint_bytes` is from {LEAST_CHECKPOINT_BYTES} to {MOST_CHECKPOINT_BYTES}");
            self.error("wrong-value", spot.key("checkpoint_bytes").place(), message);
        }
        self.properties(kafka, spot);
    }

    fn brokers(&mut self, kafka: &Config, spot: Spot<'a>) {
        let brokers = spot.key("brokers");
        if kafka.brokers.is_empty() {
            let message = "`brokers` names no broker";
            self.report(Diagnostic::error("wrong-value", brokers.place(), message).help("name one as `host:9092`"));
        }
        for (index, broker) in kafka.brokers.iter().enumerate() {
            let port =
                broker.rsplit_once(':').filter(|(host, _)| !host.is_empty()).map(|(_, port)| port.parse::<u16>());
            if !matches!(port, Some(Ok(_))) || broker.contains(',') {
                let place = brokers.item(index).place();
                let message = format!("`{broker}` is no broker");
                self.report(Diagnostic::error("wrong-value", place, message).help("write it as `host:9092`"));
            }
        }
    }

    fn instance(&mut self, kafka: &Config, spot: Spot<'a>) {
        let Some(id) = &kafka.instance_id else { return };
        self.not_empty(id.is_empty(), spot);
        let is_known = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '.' | '_' | '-');
        if !id.chars().all(is_known) || id.len() > LONGEST_INSTANCE_ID {
            let message = format!("`{id}` is no `instance_id`");
            let help = format!("at most {LONGEST_INSTANCE_ID} of the letters a-z and A-Z, digits, `.`, `_` and `-`");
            self.report(Diagnostic::error("wrong-value", spot.place(), message).help(help));
        }
    }

    fn sign_in(&mut self, kafka: &Config, spot: Spot<'a>) {
        if let Some(Sasl::Plain(_)) = &kafka.sasl
            && kafka.tls.is_none()
        {
            let place = spot.keys(&["sasl", "plain"]).named();
            self.report(
                Diagnostic::warning("plain-password", place, "the password goes over the network as it is")
                    .help("say `tls: {}`, or sign in by `scram_sha_512`"),
            );
        }
        if let Some(tls) = &kafka.tls
            && tls.certificate.is_some() != tls.key.is_some()
        {
            let (there, missing) = if tls.key.is_some() { ("key", "certificate") } else { ("certificate", "key") };
            let message = format!("`{there}` is of no use without `{missing}`");
            self.error("missing-key", spot.keys(&["tls", there]).named(), message);
        }
    }

    fn properties(&mut self, kafka: &Config, spot: Spot<'a>) {
        let properties = spot.key("properties");
        let mut sound = true;
        for key in kafka.properties.keys() {
            if let Some((_, why)) = OWNED.iter().find(|(owned, _)| owned == key) {
                sound = false;
                let message = format!("`{key}` is not for `properties`");
                let place = properties.key(key).named();
                self.report(Diagnostic::error("wrong-value", place, message).help(*why));
            }
        }
        if !sound {
            return;
        }
        if let Err(reason) = kafka.check() {
            let named = kafka.properties.keys().find(|key| reason.contains(&format!("`{key}`")));
            let place = named.map_or_else(|| properties.named(), |key| properties.key(key).named());
            self.error("wrong-value", place, reason);
        }
    }

    /// Words that only a Kafka topic is made with.
    pub(super) fn no_words_of_kafka(&mut self, config: &TransportConfig, spot: Spot<'a>) {
        for (name, topic) in &config.topics {
            let Some(create) = &topic.create else { continue };
            let spot = spot.keys(&["topics", name, "create"]);
            for (key, there) in [("replication", create.replication.is_some()), ("config", !create.config.is_empty())] {
                if there {
                    let message = format!("`{key}` is for topics of Kafka");
                    self.report(Diagnostic::error("wrong-value", spot.key(key).named(), message).help("leave it out"));
                }
            }
        }
    }

    /// Partitions that are asked back have to be given before the group takes all that the host has.
    pub(super) fn drains_in_time(&mut self, from: &From, drain_for: Duration, spot: Spot<'a>) {
        let transports = &self.loaded.spec.transports;
        let Some(kafka) = transports.get(&from.transport).and_then(|config| config.get()?.kafka.as_ref()) else {
            return;
        };
        let most = kafka.max_poll_interval().mul_f64(0.8);
        if drain_for > most {
            let message = format!("`drain_for` is at most `{}` here", Period(most));
            let help = "the group takes all partitions of a host that keeps one that is asked back for longer than \
                        `max.poll.interval.ms`, and storing the last checkpoint takes time too";
            self.report(Diagnostic::error("wrong-value", spot.key("drain_for").place(), message).help(help));
        }
    }
}
