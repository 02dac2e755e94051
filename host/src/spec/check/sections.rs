//! Transports, stores, endpoints, plugins and secrets, each by itself.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Checker;
use super::failures::NO_STORE;
use super::urls::{AllowFault, ProxyFault, UrlFault, allow_entry, base_url, proxy_url};
use crate::admin::config::Config as Admin;
use crate::egress::config::{Auth, Config as Endpoint};
use crate::model::Period;
use crate::plugin::config::Config as Plugin;
use crate::spec::diagnostic::Diagnostic;
use crate::spec::node::{Spot, Value};
use crate::spec::plan::{Secret, Transport, TransportKind};
use crate::spec::shape::{Part, SecretSource};
use crate::storage::config::Config as Store;
use crate::transport::config::{Config as TransportConfig, Ownership};

/// A lease that is shorter ends while its owner merely waits for a disk.
const SHORTEST_LEASE: Duration = Duration::from_secs(1);

impl<'a> Checker<'a> {
    pub(super) fn secrets(&mut self) -> BTreeMap<String, Secret> {
        self.section("secrets", &self.loaded.spec.secrets, |checker, _, secret, spot| {
            let empty = match secret {
                SecretSource::Env(variable) => variable.is_empty(),
                SecretSource::File(path) => path.as_os_str().is_empty(),
            };
            if empty {
                checker.error("wrong-value", spot.place(), "a secret comes from somewhere, and this is empty");
            }
            Some(Secret { source: secret.clone(), place: spot.named() })
        })
    }

    pub(super) fn transports(&mut self) -> BTreeMap<String, Transport> {
        self.section("transports", &self.loaded.spec.transports, Self::transport)
    }

    fn transport(&mut self, name: &str, config: &TransportConfig, spot: Spot<'a>) -> Option<Transport> {
        for topic in config.topics.keys().filter(|topic| topic.is_empty()) {
            self.error("wrong-value", spot.keys(&["topics", topic]).named(), "a topic's name is empty");
        }
        let kind = self.kind(name, config, spot)?;
        match &kind {
            TransportKind::Log(log) => {
                self.not_empty(log.path.as_os_str().is_empty(), spot.keys(&["log", "path"]));
            }
            TransportKind::Kafka(kafka) => self.kafka(kafka, config, spot),
            TransportKind::EventHubs(hubs) => self.event_hubs(hubs, config, spot),
            TransportKind::Memory(_) => {}
        }
        if !matches!(kind, TransportKind::Kafka(_) | TransportKind::EventHubs(_)) {
            self.no_words_of_kafka(config, spot);
        }
        self.ownership(config, spot);
        Some(Transport { kind, lease: config.lease, poll: config.poll, topics: config.topics.clone() })
    }

    fn kind(&mut self, name: &str, config: &TransportConfig, spot: Spot<'a>) -> Option<TransportKind> {
        let TransportConfig { log, kafka, event_hubs, memory, .. } = config;
        let kinds = [
            ("log", log.clone().map(TransportKind::Log)),
            ("kafka", kafka.clone().map(Box::new).map(TransportKind::Kafka)),
            ("event_hubs", event_hubs.clone().map(Box::new).map(TransportKind::EventHubs)),
            ("memory", memory.clone().map(TransportKind::Memory)),
        ];
        let mut named = kinds.into_iter().filter_map(|(word, kind)| Some((word, kind?)));
        match (named.next(), named.next()) {
            (Some((_, kind)), None) => Some(kind),
            (Some((first, _)), Some((second, _))) => {
                let message = format!("the transport `{name}` is of two kinds: `{first}` and `{second}`");
                self.error("wrong-value", spot.key(second).named(), message);
                None
            }
            (None, _) => {
                let message = format!("the transport `{name}` is of no kind");
                let help = "give it one: `log: { path: data/bus }`, `kafka: { brokers: [host:9092] }`, `event_hubs: { \
                            connection_string: \"${secrets.NAME}\", checkpoints: STORE }` or `memory: {}`";
                self.report(Diagnostic::error("missing-key", spot.named(), message).help(help));
                None
            }
        }
    }

    fn ownership(&mut self, config: &TransportConfig, spot: Spot<'a>) {
        let Ownership { lease, poll } = config.ownership();
        if lease < SHORTEST_LEASE {
            self.report(
                Diagnostic::error("wrong-value", spot.key("lease").place(), "a lease lasts at least `1s`")
                    .help("a host that is busy for longer than a lease loses its partitions"),
            );
        }
        if let Some(written) = config.poll {
            self.longer_than_nothing(written.0, spot.key("poll"));
            if poll >= lease {
                let message = format!("`poll` must be shorter than `lease`, which is `{}`", Period(lease));
                self.error("wrong-value", spot.key("poll").place(), message);
            }
        }
    }

    pub(super) fn stores(&mut self) -> BTreeMap<String, Store> {
        self.section("stores", &self.loaded.spec.stores, |checker, name, store, spot| {
            if name == NO_STORE {
                checker.error("wrong-value", spot.named(), "`none` is no name of a store: it is the word for no store");
            }
            match store {
                Store::Memory {} => {}
                Store::Directory { path } => {
                    checker.not_empty(path.as_os_str().is_empty(), spot.keys(&["directory", "path"]));
                }
                Store::Azure { account, container, endpoint, .. } => {
                    let azure = spot.key("azure");
                    checker.not_empty(account.is_empty(), azure.key("account"));
                    checker.not_empty(container.is_empty(), azure.key("container"));
                    if let Some(url) = endpoint {
                        checker.url(url, azure.key("endpoint"));
                    }
                }
            }
            Some(store.clone())
        })
    }

    pub(super) fn endpoints(&mut self) -> BTreeMap<String, Endpoint> {
        self.section("endpoints", &self.loaded.spec.endpoints, |checker, name, endpoint, spot| {
            checker.reach(name, endpoint, spot);
            checker.auth(endpoint, spot);
            checker.proxy(endpoint, spot);
            checker.waits(endpoint, spot);
            for (index, redirect) in endpoint.redirects.iter().enumerate() {
                checker.refer("endpoints", "endpoint", redirect, spot.key("redirects").item(index).place());
            }
            Some(endpoint.clone())
        })
    }

    /// Either one system or a list of hosts.
    fn reach(&mut self, name: &str, endpoint: &Endpoint, spot: Spot<'a>) {
        match (&endpoint.base_url, endpoint.allow.is_empty()) {
            (Some(_), false) => self.report(
                Diagnostic::error(
                    "wrong-value",
                    spot.key("allow").named(),
                    format!("the endpoint `{name}` has both a `base_url` and `allow`"),
                )
                .related(spot.key("base_url").named(), "the other one")
                .help("make two endpoints of it: one system below a URL, and one for the URLs that messages carry"),
            ),
            (None, true) => self.report(
                Diagnostic::error(
                    "missing-key",
                    spot.named(),
                    format!("the endpoint `{name}` leads nowhere: it has neither a `base_url` nor `allow`"),
                )
                .help("`base_url` is one system below a URL; `allow` lists hosts whose URLs messages may carry"),
            ),
            _ => {}
        }
        if let Some(url) = &endpoint.base_url {
            self.url(url, spot.key("base_url"));
        }
        for (index, entry) in endpoint.allow.iter().enumerate() {
            if let Err(fault) = allow_entry(entry) {
                let place = spot.key("allow").item(index).place();
                self.report(Diagnostic::error("wrong-value", place, fault.to_string()).help(AllowFault::HELP));
            }
        }
    }

    fn auth(&mut self, endpoint: &Endpoint, spot: Spot<'a>) {
        let auth = spot.key("auth");
        if endpoint.auth == Auth::None {
            return;
        }
        if endpoint.base_url.is_none() && !endpoint.allow.is_empty() {
            self.report(
                Diagnostic::error("wrong-value", auth.named(), "`auth` needs a `base_url`")
                    .help("a credential is sent to its own system only, never to hosts that messages name"),
            );
        }
        if endpoint.base_url.as_deref().is_some_and(super::urls::is_plain_and_remote) {
            self.report(
                Diagnostic::warning("plain-http", spot.key("base_url").place(), "credentials go over plain HTTP")
                    .help("write `https://`"),
            );
        }
        if let Auth::Header { name, .. } = &endpoint.auth
            && reqwest::header::HeaderName::from_bytes(name.as_bytes()).is_err()
        {
            let place = auth.keys(&["header", "name"]).place();
            self.error("wrong-value", place, format!("`{name}` is no name of an HTTP header"));
        }
    }

    fn proxy(&mut self, endpoint: &Endpoint, spot: Spot<'a>) {
        let Some(proxy) = &endpoint.proxy else { return };
        if let Err(fault) = proxy_url(&proxy.url) {
            let place = spot.keys(&["proxy", "url"]).place();
            self.report(Diagnostic::error("wrong-value", place, fault.to_string()).help(ProxyFault::HELP));
        }
    }

    fn waits(&mut self, endpoint: &Endpoint, spot: Spot<'a>) {
        let timeouts = spot.key("timeouts");
        self.longer_than_nothing(endpoint.timeouts.connect.0, timeouts.key("connect"));
        self.longer_than_nothing(endpoint.timeouts.first_byte.0, timeouts.key("first_byte"));
        self.longer_than_nothing(endpoint.timeouts.stall.0, timeouts.key("stall"));
        self.longer_than_nothing(endpoint.breaker.open_for.0, spot.keys(&["breaker", "open_for"]));
        if endpoint.max_body.is_some_and(|most| most.0 == 0) {
            self.error("wrong-value", spot.key("max_body").place(), "no file fits into a body of nothing");
        }
    }

    pub(super) fn admin(&mut self) -> Option<Admin> {
        let admin = self.loaded.spec.admin.get().copied();
        if admin.is_some_and(|admin| !admin.listen.ip().is_loopback()) {
            self.report(
                Diagnostic::warning(
                    "open-admin",
                    self.at(&["admin", "listen"]).place(),
                    "whoever reaches this address can look at pipelines and pause them",
                )
                .help("listen on `127.0.0.1`, or let the network keep others out"),
            );
        }
        admin
    }

    pub(super) fn plugins(&mut self) -> BTreeMap<String, Plugin> {
        self.section("plugins", &self.loaded.spec.plugins, |checker, name, plugin, spot| {
            let limits = spot.key("limits");
            checker.longer_than_nothing(plugin.limits.cpu.0, limits.key("cpu"));
            checker.longer_than_nothing(plugin.limits.stall.0, limits.key("stall"));
            if let Some(deadline) = plugin.limits.deadline {
                checker.longer_than_nothing(deadline.0, limits.key("deadline"));
            }
            if plugin.limits.memory.0 == 0 {
                checker.error("wrong-value", limits.key("memory").place(), "no component runs in no memory");
            }
            checker.component(name, plugin, spot);
            Some(plugin.clone())
        })
    }

    fn component(&mut self, name: &str, plugin: &Plugin, spot: Spot<'a>) {
        let component = spot.key("component");
        if plugin.component.to_string_lossy().starts_with("oci:") {
            self.report(
                Diagnostic::error("not-in-this-version", component.place(), "this version fetches no components")
                    .help("`component` is the path of a `.wasm` file"),
            );
            return;
        }
        self.not_empty(plugin.component.as_os_str().is_empty(), component);
        let pinned = plugin.sha256.as_deref();
        if pinned.is_some_and(|pin| pin.len() != 64 || !pin.chars().all(|c| c.is_ascii_hexdigit())) {
            let place = spot.key("sha256").place();
            self.error("wrong-value", place, "a SHA-256 is 64 hexadecimal digits");
            return;
        }
        match self.descriptions.plugins.get(name) {
            Some(Err(reason)) => {
                self.error("component", component.place(), format!("the plugin `{name}` cannot be used: {reason}"));
            }
            Some(Ok(description)) if pinned.is_some_and(|pin| !pin.eq_ignore_ascii_case(&description.sha256)) => {
                self.report(
                    Diagnostic::error(
                        "component",
                        spot.key("sha256").place(),
                        format!("the component of plugin `{name}` is another one than is pinned here"),
                    )
                    .related(component.place(), format!("its SHA-256 is {}", description.sha256))
                    .help("put the pinned file back, or pin the new one if it is meant"),
                );
            }
            _ => {}
        }
    }

    /// Checks each entry of a section that could be read, and all names.
    fn section<T, U>(
        &mut self,
        section: &str,
        parts: &'a BTreeMap<String, Part<T>>,
        check: impl Fn(&mut Self, &str, &'a T, Spot<'a>) -> Option<U>,
    ) -> BTreeMap<String, U> {
        self.named_well(section);
        let mut sound = BTreeMap::new();
        for (name, part) in parts {
            if self.is_enough() {
                break;
            }
            let spot = self.at(&[section, name]);
            match part {
                Part::Broken => {}
                Part::Absent => {
                    self.error("missing-key", spot.named(), format!("`{name}` says nothing"));
                }
                Part::Sound(value) => {
                    if let Some(checked) = check(self, name, value, spot) {
                        sound.insert(name.clone(), checked);
                    }
                }
            }
        }
        sound
    }

    /// Names stand in metrics, in `--set` and in `${secrets.NAME}`, so they are plain.
    pub(super) fn named_well(&mut self, section: &str) {
        let fine =
            |name: &str| !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'));
        let Some(Value::Map(entries)) = self.at(&[section]).node().map(|node| &node.value) else { return };
        for entry in entries.iter().filter(|entry| !fine(&entry.key)) {
            self.report(
                Diagnostic::error("wrong-value", entry.place, format!("`{}` is no name", entry.key))
                    .help("a name has letters, digits, `-` and `_`"),
            );
        }
    }

    fn url(&mut self, url: &str, spot: Spot<'a>) {
        if let Err(fault) = base_url(url) {
            self.report(Diagnostic::error("wrong-value", spot.place(), fault.to_string()).help(UrlFault::HELP));
        }
    }

    pub(super) fn not_empty(&mut self, empty: bool, spot: Spot<'a>) {
        if empty {
            self.error("wrong-value", spot.place(), "this is empty");
        }
    }

    pub(super) fn longer_than_nothing(&mut self, duration: Duration, spot: Spot<'a>) {
        if duration.is_zero() {
            self.error("wrong-value", spot.place(), "this must be longer than nothing");
        }
    }
}
