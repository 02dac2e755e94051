//! A guest that does what its message says: the payload is one command, see `commands`. It stands on the contract
//! alone, without the SDK, so that the host is tested against what any author could build.
#![allow(missing_docs, unreachable_pub, reason = "generated from the contract")]
#![allow(clippy::panic, reason = "it fails on purpose")]

mod commands;
mod insight;

wit_bindgen::generate!({ path: "../../../wit", world: "worker" });

use exports::lockgate::plugin::{lifecycle, processor};
use lockgate::plugin::context::Context;
use lockgate::plugin::types::{Message, Outcome};
use lockgate::plugin::{http, log};

struct Probe;

export!(Probe);

/// How the probe describes itself. A test that wants it to misbehave writes another mode over this one in the file:
/// `mode: calls`, `mode: panic` or `mode: wrong`.
static MODE: &str = "mode: plain";

impl lifecycle::Guest for Probe {
    fn describe() -> lifecycle::PluginInfo {
        let mode = std::hint::black_box(MODE);
        match mode {
            "mode: calls" => log::log(log::Level::Info, "describing", &[]),
            "mode: panic" => panic!("cannot be described"),
            _ => {}
        }
        let config_schema = if mode == "mode: wrong" { "{" } else { r#"{ "type": "object" }"# };
        lifecycle::PluginInfo {
            name: "probe".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            description: "does what its message says".into(),
            config_schema: config_schema.into(),
            attributes: Vec::new(),
        }
    }

    /// The config is looked at as text: `fail` is refused, and `fail-long` at length; `panic` panics, `spin` computes for
    /// ever, `block` waits for ever, `log` writes a line, `http` calls what it must not, `many` needs more than any
    /// config. `endpoint:NAME` and `store:NAME` are bound, in place of `files` and `cache`.
    fn configure(config_json: String) -> Result<lifecycle::Binding, String> {
        let says = |word: &str| config_json.contains(&format!("\"{word}\""));
        if says("fail") {
            return Err("field `fail`: not like this".into());
        }
        if says("fail-long") {
            return Err("no\n".repeat(1 << 20));
        }
        if says("panic") {
            panic!("cannot be configured");
        }
        if says("spin") {
            commands::spin();
        }
        if says("block") {
            std::thread::sleep(std::time::Duration::from_secs(u64::from(u32::MAX)));
        }
        if says("log") {
            log::log(log::Level::Info, "configured", &[]);
        }
        if says("http") {
            wit_bindgen::block_on(http::send(http::Request {
                method: "GET".into(),
                endpoint: "files".into(),
                target: "/".into(),
                headers: Vec::new(),
                body: None,
            }))
            .ok();
        }
        let named = |prefix: &str, default: &str| {
            let words = config_json.split('"').filter_map(|word| word.strip_prefix(prefix));
            let named: Vec<String> = words.map(Into::into).collect();
            if named.is_empty() { vec![default.into()] } else { named }
        };
        let (endpoints, stores) = (named("endpoint:", "files"), named("store:", "cache"));
        let outputs = vec!["out".into(); if says("many") { 1_000_000 } else { 1 }];
        insight::keep(config_json);
        Ok(lifecycle::Binding { outputs, endpoints, stores, keyvalues: Vec::new() })
    }
}

impl processor::Guest for Probe {
    async fn process(ctx: Context, msg: Message) -> Outcome {
        commands::run(ctx, msg).await
    }
}
