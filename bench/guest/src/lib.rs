//! The plugin of the benchmark: parses a message, adds a field and emits it, or emits it as it came. Waits where the
//! message says so. What it computes stands in [`enrich`], so that the same code can be measured natively.

use std::time::Duration;

use lockgate_plugin::{Binding, Context, Emission, Message, Outcome, Worker, timers};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

/// The output.
pub const OUTPUT: &str = "enriched";
/// The header that says for how many milliseconds to wait.
pub const WAIT_MS: &str = "wait-ms";
/// The header of a message that is emitted as it came once it has waited; one without is done then.
pub const HAND_ON: &str = "hand-on";

/// The message with one field more.
pub fn enrich(payload: &[u8]) -> Result<Vec<u8>, serde_json::Error> {
    let mut message: Value = serde_json::from_slice(payload)?;
    if let Some(fields) = message.as_object_mut() {
        fields.insert("enriched".into(), true.into());
    }
    serde_json::to_vec(&message)
}

/// The plugin.
#[derive(Debug)]
pub struct Enrich(Config);

/// What the plugin is told.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Whether it looks at everything that a call has, and hands key and headers on, as plugins do that are traced.
    #[serde(default)]
    pub thorough: bool,
    /// Whether it emits the payload as it came, and parses nothing.
    #[serde(default)]
    pub as_it_came: bool,
}

impl Worker for Enrich {
    const NAME: &'static str = "enrich";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const DESCRIPTION: &'static str = "parses a message, adds a field and emits it";
    type Config = Config;

    fn configure(config: Config, binding: &mut Binding) -> Result<Self, String> {
        binding.output(OUTPUT);
        Ok(Self(config))
    }

    async fn process(&self, context: &Context, message: Message) -> Result<Outcome, Outcome> {
        if let Some(wait) = message.header(WAIT_MS) {
            let wait: u64 = wait.parse().map_err(|_| Outcome::reject("wait", "the wait is no number"))?;
            timers::sleep(Duration::from_millis(wait)).await;
            let done = Outcome::done();
            let is_handed_on = message.header(HAND_ON).is_some();
            return Ok(if is_handed_on { done.emit(Emission::bytes(OUTPUT, message.payload)) } else { done });
        }
        if self.0.as_it_came {
            return Ok(Outcome::done().emit(Emission::bytes(OUTPUT, message.payload)));
        }
        let payload = enrich(&message.payload).map_err(|error| Outcome::reject("json", error.to_string()))?;
        let emission = Emission::bytes(OUTPUT, payload);
        Ok(Outcome::done().emit(if self.0.thorough { traced(emission, context, message) } else { emission }))
    }
}

/// The emission with the message's key, its headers but the host's, and what the host knows of the call.
fn traced(mut emission: Emission, context: &Context, message: Message) -> Emission {
    emission.key = message.key;
    emission.headers = message.headers;
    emission.headers.retain(|header| !header.name.starts_with("lockgate-"));
    let left = context.remaining().map_or(0, |left| left.as_millis());
    let trace = context.trace_parent().unwrap_or_default();
    emission.header("tried", format!("{}/{} {left} {trace}", context.attempt(), context.attempts_left()))
}

lockgate_plugin::export!(Enrich);

#[cfg(test)]
mod tests {
    use lockgate_plugin::testing::Host;

    use super::*;

    #[test]
    fn the_message_has_one_field_more() {
        let enriched = enrich(br#"{"b":1,"a":[2]}"#).unwrap();
        assert_eq!(String::from_utf8(enriched).unwrap(), r#"{"b":1,"a":[2],"enriched":true}"#);
    }

    #[test]
    fn a_message_comes_out_as_it_came_where_that_is_wanted() {
        let plugin = Host::new().plugin::<Enrich>(serde_json::json!({ "as_it_came": true })).unwrap();
        let emitted = plugin.call(Message::new("no JSON")).emit;
        assert_eq!(emitted.first().map(|emission| emission.payload.as_slice()), Some(b"no JSON".as_slice()));
    }

    #[test]
    fn what_has_waited_is_handed_on_where_the_message_says_so() {
        let plugin = Host::new().plugin::<Enrich>(serde_json::json!({})).unwrap();
        let waiting = || Message::new("x").with_header(WAIT_MS, "0");
        assert_eq!(plugin.call(waiting()).emit.len(), 0);
        assert_eq!(plugin.call(waiting().with_header(HAND_ON, "")).emit.len(), 1);
    }
}
