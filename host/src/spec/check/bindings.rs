//! A pipeline against its plugin: does the config fit, does every output lead somewhere, is what the plugin asks for
//! granted and what is granted asked for.

use super::Checker;
use crate::plugin::Binding;
use crate::plugin::config::Grants;
use crate::spec::diagnostic::Diagnostic;
use crate::spec::near::advice;
use crate::spec::node::{Spot, Value};
use crate::spec::shape::{self, Part};

impl<'a> Checker<'a> {
    /// What is granted exists.
    pub(super) fn grants(&mut self, written: &Part<Grants>, spot: Spot<'a>) -> Option<Grants> {
        let grants = written.or(Grants::default())?;
        let spot = spot.key("grants");
        for (index, name) in grants.endpoints.iter().enumerate() {
            self.refer("endpoints", "endpoint", name, spot.key("endpoints").item(index).place());
        }
        for (index, name) in grants.stores.iter().enumerate() {
            self.refer("stores", "store", name, spot.key("stores").item(index).place());
        }
        if !grants.keyvalues.is_empty() {
            let place = spot.key("keyvalues").named();
            self.report(
                Diagnostic::error("not-in-this-version", place, "this version has no key-value stores")
                    .help("leave it out"),
            );
        }
        Some(grants)
    }

    /// What the plugin says to this pipeline, as far as it was asked.
    pub(super) fn against_plugin(
        &mut self,
        pipeline: &str,
        plugin: &str,
        config: &serde_json::Value,
        written: &shape::Pipeline,
        spot: Spot<'a>,
    ) {
        let fits = match self.descriptions.plugins.get(plugin) {
            Some(Ok(description)) => self.config_fits(plugin, &description.config_schema, config, spot),
            _ => true,
        };
        match self.descriptions.bindings.get(pipeline) {
            Some(Ok(binding)) => self.binding(plugin, binding, written, spot),
            Some(Err(reason)) if fits => {
                let message = format!("the plugin `{plugin}` refuses this config: {reason}");
                self.error("plugin-config", spot.key("config").named(), message);
            }
            _ => {}
        }
    }

    fn binding(&mut self, plugin: &str, binding: &Binding, written: &shape::Pipeline, spot: Spot<'a>) {
        self.outputs_match(plugin, binding, spot);
        let Some(grants) = written.grants.or(Grants::default()) else { return };
        self.grants_match(plugin, "endpoints", "endpoint", &binding.endpoints, &grants.endpoints, spot);
        self.grants_match(plugin, "stores", "store", &binding.stores, &grants.stores, spot);
        if let Some(name) = binding.keyvalues.first() {
            let place = spot.key("config").named();
            let message = format!("the plugin `{plugin}` asks for the key-value store `{name}`");
            let help = "this version has no key-value stores";
            self.report(Diagnostic::error("not-in-this-version", place, message).help(help));
        }
    }

    fn outputs_match(&mut self, plugin: &str, binding: &Binding, spot: Spot<'a>) {
        let to = spot.key("to");
        let entries = match to.node().map(|node| &node.value) {
            None | Some(Value::Null) => &[][..],
            Some(Value::Map(entries)) => entries,
            // Not a map: what it binds cannot be told.
            Some(_) => return,
        };
        for output in binding.outputs.iter().filter(|output| !entries.iter().any(|entry| entry.key == **output)) {
            self.report(
                Diagnostic::error(
                    "output",
                    to.named(),
                    format!("the plugin `{plugin}` has an output `{output}` that leads nowhere"),
                )
                .help(format!("add `{output}: {{ topic: NAME }}` under `to`, or `{output}: discard`")),
            );
        }
        for entry in entries.iter().filter(|entry| !binding.outputs.contains(&entry.key)) {
            let known = binding.outputs.iter().map(String::as_str);
            let help = advice(&entry.key, known).unwrap_or_else(|| "with this config it has none".to_owned());
            self.report(
                Diagnostic::error(
                    "output",
                    entry.place,
                    format!("the plugin `{plugin}` has no output `{}`", entry.key),
                )
                .help(help),
            );
        }
    }

    /// Asked for and granted are the same.
    fn grants_match(
        &mut self,
        plugin: &str,
        section: &str,
        what: &str,
        asked: &[String],
        granted: &[String],
        spot: Spot<'a>,
    ) {
        let list = spot.keys(&["grants", section]);
        for name in asked.iter().filter(|name| !granted.contains(name)) {
            if !self.refer(section, what, name, spot.key("config").named()) {
                continue;
            }
            self.report(
                Diagnostic::error(
                    "grant",
                    list.named(),
                    format!("the plugin `{plugin}` asks for the {what} `{name}`, which is not granted"),
                )
                .help(format!("add it to `grants.{section}`, or change the plugin's config")),
            );
        }
        for (index, name) in granted.iter().enumerate().filter(|(_, name)| !asked.contains(name)) {
            self.report(
                Diagnostic::error(
                    "grant",
                    list.item(index).place(),
                    format!("the plugin `{plugin}` does not ask for the {what} `{name}`"),
                )
                .help("leave it out: nothing is granted that is not used"),
            );
        }
    }
}
