//! What an Event Hubs transport says, as far as it can be judged without the service.

use std::time::Duration;

use super::Checker;
use crate::model::Period;
use crate::spec::diagnostic::Diagnostic;
use crate::spec::node::Spot;
use crate::spec::plan::From;
use crate::spec::shape::Part;
use crate::storage::config::Config as Store;
use crate::transport::config::{Config as TransportConfig, Ownership};
use crate::transport::event_hubs::config::{Auth, Config, DRAIN, LONGEST_GROUP, LONGEST_HUB};

/// What makes hubs and groups.
const MAKES: &str = "an event hub is made by whoever keeps the namespace, with its partitions and its retention: in the \
                     portal, by Terraform or Bicep, or by `az eventhubs eventhub create`";

impl<'a> Checker<'a> {
    pub(super) fn event_hubs(&mut self, hubs: &Config, config: &TransportConfig, spot: Spot<'a>) {
        // One is enough: a spec that was written for a log says it of every topic.
        if let Some((name, _)) = config.topics.iter().find(|(_, topic)| topic.create.is_some()) {
            let place = spot.keys(&["topics", name, "create"]).named();
            self.report(Diagnostic::warning("says-nothing", place, "Lockgate makes no event hubs").help(MAKES));
        }
        for (name, topic) in &config.topics {
            let topic_spot = spot.keys(&["topics", name]);
            let named = topic.name.as_deref();
            let place = if named.is_some() { topic_spot.key("name").place() } else { topic_spot.named() };
            if !is_hub(named.unwrap_or(name)) && !name.is_empty() {
                let message = format!("`{}` is no name of an event hub", named.unwrap_or(name));
                let help = format!(
                    "at most {LONGEST_HUB} letters, digits, `.`, `-` and `_`, of which the first is a letter or a digit"
                );
                self.report(Diagnostic::error("wrong-value", place, message).help(help));
            }
        }
        let spot = spot.key("event_hubs");
        self.sign_in_at_hubs(hubs, spot);
        self.way_to_hubs(hubs, spot);
        self.keeps_checkpoints(&hubs.checkpoints, spot.key("checkpoints"));
    }

    /// Either everything in one string, or a namespace and how to sign in there.
    fn sign_in_at_hubs(&mut self, hubs: &Config, spot: Spot<'a>) {
        let help =
            "say `connection_string: \"${secrets.NAME}\"`, or `namespace: NAME.servicebus.windows.net` with `auth`";
        let named = [("namespace", hubs.namespace.is_some()), ("auth", hubs.auth.is_some())];
        match (&hubs.connection_string, named) {
            (Some(_), named) => {
                for (key, _) in named.iter().filter(|(_, there)| *there) {
                    let message =
                        format!("`{key}` and `connection_string` say the same, and only one of them can count");
                    self.report(
                        Diagnostic::error("wrong-value", spot.key(key).named(), message)
                            .related(spot.key("connection_string").named(), "the other one")
                            .help(help),
                    );
                }
            }
            (None, [(_, false), (_, false)]) => {
                let message = "`event_hubs` does not say where the namespace is";
                self.report(Diagnostic::error("missing-key", spot.named(), message).help(help));
            }
            (None, named) => {
                for (key, _) in named.iter().filter(|(_, there)| !*there) {
                    let message = format!("`event_hubs` lacks the key `{key}`");
                    self.report(Diagnostic::error("missing-key", spot.named(), message).help(help));
                }
            }
        }
        if let Some(namespace) = &hubs.namespace
            && !is_host(namespace)
        {
            let message = format!("`{namespace}` is no namespace");
            let help = "write it in full and without a port: `name.servicebus.windows.net`; where it answers elsewhere, \
                        say `endpoint` too";
            self.report(Diagnostic::error("wrong-value", spot.key("namespace").place(), message).help(help));
        }
        self.identity(hubs, spot.key("auth"));
    }

    fn identity(&mut self, hubs: &Config, auth: Spot<'a>) {
        match &hubs.auth {
            Some(Auth::Key(key)) => self.not_empty(key.name.is_empty(), auth.keys(&["key", "name"])),
            Some(Auth::ClientSecret(client)) => {
                let client_spot = auth.key("client_secret");
                self.not_empty(client.tenant_id.is_empty(), client_spot.key("tenant_id"));
                self.not_empty(client.client_id.is_empty(), client_spot.key("client_id"));
                self.authority(client.authority.as_deref(), client_spot.key("authority"));
            }
            Some(Auth::WorkloadIdentity(workload)) => {
                self.authority(workload.authority.as_deref(), auth.keys(&["workload_identity", "authority"]));
            }
            Some(Auth::TokenFile(path)) => self.not_empty(path.as_os_str().is_empty(), auth.key("token_file")),
            Some(Auth::Sas(_) | Auth::ManagedIdentity(_)) | None => {}
        }
    }

    /// A secret goes there.
    fn authority(&mut self, authority: Option<&str>, spot: Spot<'a>) {
        if authority.is_some_and(|url| !url.starts_with("https://")) {
            let help = "such as `https://login.microsoftonline.com`";
            self.report(Diagnostic::error("wrong-value", spot.place(), "an authority is an `https` URL").help(help));
        }
    }

    fn way_to_hubs(&mut self, hubs: &Config, spot: Spot<'a>) {
        if let Some(endpoint) = &hubs.endpoint
            && !is_address(endpoint)
        {
            let message = format!("`{endpoint}` is no place to connect to");
            let help = format!("write it as `host` or `host:port`; without a port it is {}", hubs.protocol.port());
            self.report(Diagnostic::error("wrong-value", spot.key("endpoint").place(), message).help(help));
        }
        if let Some(ca) = &hubs.ca {
            self.not_empty(ca.as_os_str().is_empty(), spot.key("ca"));
        }
        if let Some(proxy) = &hubs.proxy {
            let address = proxy.url.strip_prefix("http://").map(|rest| rest.strip_suffix('/').unwrap_or(rest));
            if !address.is_some_and(|address| address.contains(':') && is_address(address)) {
                let message = "a proxy is written as `http://host:port`";
                let help =
                    "what goes through it is encrypted from here to the namespace; a credential stands in `auth`";
                let place = spot.keys(&["proxy", "url"]).place();
                self.report(Diagnostic::error("wrong-value", place, message).help(help));
            }
        }
        if let Some(group) = &hubs.look_in {
            self.hub_group(group, spot.key("look_in"));
        }
    }

    /// Ownership and checkpoints outlive the host, and other hosts see them.
    fn keeps_checkpoints(&mut self, name: &str, spot: Spot<'a>) {
        if !self.refer("stores", "store", name, spot.place()) {
            return;
        }
        if let Some(Store::Memory {}) = self.loaded.spec.stores.get(name).and_then(Part::get) {
            let message = format!("the store `{name}` cannot keep checkpoints: it is gone with the process");
            let help = "name a store of kind `azure`, or a `directory` where all hosts run on one machine";
            self.report(Diagnostic::error("wrong-value", spot.place(), message).help(help));
        }
    }

    /// Whether a transport is one of Event Hubs.
    pub(super) fn is_of_event_hubs(&self, transport: &str) -> bool {
        self.config_of_event_hubs(transport).is_some()
    }

    fn config_of_event_hubs(&self, transport: &str) -> Option<&'a TransportConfig> {
        let config = self.loaded.spec.transports.get(transport).and_then(Part::get);
        config.filter(|config| config.event_hubs.is_some())
    }

    /// The group of a pipeline that reads a hub.
    pub(super) fn is_a_hubs_group(&mut self, from: &From, spot: Spot<'a>) {
        if self.is_of_event_hubs(&from.transport) {
            self.hub_group(&from.group, if spot.key("group").node().is_some() { spot.key("group") } else { spot });
        }
    }

    /// Partitions that are asked back have to be given before they are taken.
    pub(super) fn drains_before_it_is_taken(&mut self, from: &From, drain_for: Duration, spot: Spot<'a>) {
        let Some(config) = self.config_of_event_hubs(&from.transport) else { return };
        let Ownership { lease, .. } = config.ownership();
        let most = lease.saturating_add(DRAIN / 2);
        if drain_for > most {
            let message = format!("`drain_for` is at most `{}` here", Period(most));
            let help = format!(
                "a host that is asked for a partition and does not give it within a lease and {} loses it, and asking and \
                 storing the last checkpoint take time too; raise the transport's `lease`",
                Period(DRAIN)
            );
            self.report(Diagnostic::error("wrong-value", spot.key("drain_for").place(), message).help(help));
        }
    }

    fn hub_group(&mut self, group: &str, spot: Spot<'a>) {
        let is_default = group.eq_ignore_ascii_case(crate::transport::event_hubs::config::DEFAULT_GROUP);
        if !is_default && (group.len() > LONGEST_GROUP || !is_hub(group)) {
            let message = format!("`{group}` is no name of a consumer group");
            let help = format!(
                "at most {LONGEST_GROUP} letters, digits, `.`, `-` and `_`, of which the first is a letter or a digit, or \
                 `$Default`"
            );
            self.report(Diagnostic::error("wrong-value", spot.place(), message).help(help));
        }
    }
}

/// Whether a hub may be called so.
fn is_hub(name: &str) -> bool {
    let is_known = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '.' | '_' | '-');
    name.len() <= LONGEST_HUB
        && name.chars().all(is_known)
        && name.starts_with(|letter: char| letter.is_ascii_alphanumeric())
}

/// Whether this is a host's name or an IPv4 address.
fn is_host(host: &str) -> bool {
    !host.is_empty() && host.chars().all(|letter| letter.is_ascii_alphanumeric() || matches!(letter, '.' | '-'))
}

/// Whether this is a host, with a port or without.
fn is_address(text: &str) -> bool {
    match text.rsplit_once(':') {
        Some((host, port)) => is_host(host) && port.parse::<u16>().is_ok_and(|port| port > 0),
        None => is_host(text),
    }
}
