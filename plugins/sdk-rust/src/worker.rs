//! The one trait of a plugin, and what a configured plugin says that it needs.

use schemars::JsonSchema;
use serde::de::DeserializeOwned;

use crate::{Context, Message, Outcome};

/// A plugin. The host makes as many instances as it runs messages at once, configures each, and calls it with one
/// message after another. Hand the type to [`export!`](crate::export!).
pub trait Worker: Sized + 'static {
    /// How the plugin is called, such as `download`.
    const NAME: &'static str;
    /// Its version, mostly `env!("CARGO_PKG_VERSION")`.
    const VERSION: &'static str;
    /// What it does, in one line.
    const DESCRIPTION: &'static str;

    /// What stands under `config` in the pipeline. Its doc comments and its schema are what operators see, so derive
    /// `JsonSchema` and deny unknown fields.
    type Config: DeserializeOwned + JsonSchema;

    /// Takes a config and says what it needs. Pure: besides [`log`](crate::log), no call to the host is allowed here.
    /// An error is a mistake in the spec, in words for the operator, and naming the field; `lockgate check` shows it.
    fn configure(config: Self::Config, binding: &mut Binding) -> Result<Self, String>;

    /// What becomes of one message. Both sides of the result are answers of the same kind: `Err` is only there so that
    /// `?` may leave early. The same message may come again, so whatever is done outside of the outcome must bear a
    /// repeat; [`Message::id`] stays the same.
    fn process(&self, context: &Context, message: Message) -> impl Future<Output = Result<Outcome, Outcome>>;
}

/// What a configured plugin needs, by the names of the spec. The host checks it before anything starts; a call that
/// names something else is refused.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Binding {
    pub(crate) outputs: Vec<String>,
    pub(crate) endpoints: Vec<String>,
    pub(crate) stores: Vec<String>,
    pub(crate) keyvalues: Vec<String>,
}

impl Binding {
    /// Emissions may name this output.
    pub fn output(&mut self, name: impl Into<String>) -> &mut Self {
        add(&mut self.outputs, name.into());
        self
    }

    /// Requests may name this endpoint.
    pub fn endpoint(&mut self, name: impl Into<String>) -> &mut Self {
        add(&mut self.endpoints, name.into());
        self
    }

    /// Calls on blobs may name this store.
    pub fn store(&mut self, name: impl Into<String>) -> &mut Self {
        add(&mut self.stores, name.into());
        self
    }

    /// Calls on keys and values may name this store.
    pub fn keyvalue(&mut self, name: impl Into<String>) -> &mut Self {
        add(&mut self.keyvalues, name.into());
        self
    }

    /// Outputs that emissions may name.
    pub fn outputs(&self) -> &[String] {
        &self.outputs
    }

    /// Endpoints that requests may name.
    pub fn endpoints(&self) -> &[String] {
        &self.endpoints
    }

    /// Stores that calls on blobs may name.
    pub fn stores(&self) -> &[String] {
        &self.stores
    }

    /// Stores that calls on keys and values may name.
    pub fn keyvalues(&self) -> &[String] {
        &self.keyvalues
    }
}

fn add(names: &mut Vec<String>, name: String) {
    if !names.contains(&name) {
        names.push(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_bound_once() {
        let mut binding = Binding::default();
        binding.store("cache").store("lake").store("cache");
        assert_eq!(binding.stores(), ["cache", "lake"]);
    }
}
