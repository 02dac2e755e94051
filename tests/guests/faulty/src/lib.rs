//! A guest that does what its message says, mostly something wrong: what the host has to survive. It stands on the SDK,
//! as plugins do. See [`Command`] for what can be said.

mod command;
mod run;

use lockgate_plugin::{Binding, Context, Message, Outcome, Worker};
use schemars::JsonSchema;
use serde::Deserialize;

pub use command::{Act, Command};

/// The guest.
#[derive(Debug)]
pub struct Faulty {
    output: String,
}

/// What the guest binds, and whether it can be configured at all.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Outputs to bind. Emissions that name none go to the first.
    pub outputs: Vec<String>,
    /// Endpoints to bind.
    pub endpoints: Vec<String>,
    /// Stores to bind.
    pub stores: Vec<String>,
    /// Refuses the config with this text.
    pub refuse: Option<String>,
    /// Panics with this text instead of configuring.
    pub panic: Option<String>,
}

impl Default for Config {
    fn default() -> Self {
        Self { outputs: vec!["out".into()], endpoints: Vec::new(), stores: Vec::new(), refuse: None, panic: None }
    }
}

impl Worker for Faulty {
    const NAME: &'static str = "faulty";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const DESCRIPTION: &'static str = "does what its message says, mostly something wrong";
    type Config = Config;

    fn configure(config: Config, binding: &mut Binding) -> Result<Self, String> {
        if let Some(text) = config.panic {
            run::panicked(&text);
        }
        if let Some(text) = config.refuse {
            return Err(text);
        }
        let output = config.outputs.first().cloned().unwrap_or_default();
        config.outputs.into_iter().for_each(|name| _ = binding.output(name));
        config.endpoints.into_iter().for_each(|name| _ = binding.endpoint(name));
        config.stores.into_iter().for_each(|name| _ = binding.store(name));
        Ok(Self { output })
    }

    async fn process(&self, context: &Context, message: Message) -> Result<Outcome, Outcome> {
        let command = Command::of(&message)?;
        if command.times.is_some_and(|times| context.attempt() > times) {
            return run::emit(&self.output, &message, context, 1, 0);
        }
        run::run(&self.output, command.act, context, &message).await
    }
}

lockgate_plugin::export!(Faulty);

#[cfg(test)]
mod tests;
