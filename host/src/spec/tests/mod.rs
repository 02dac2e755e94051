//! Specs in, diagnostics out. `RIGHT` is a spec that uses everything; each case is an edit of it and what is then said.

mod failures;
mod handbook;
mod hostile;
mod meaning;
mod overlays;
mod rendering;
mod schema;
mod shape;
mod ui;

use serde_json::{Value, json};

use super::{Descriptions, Diagnostics, Loaded, Plan, check, load_texts};
use crate::plugin::{Binding, Description};

pub(super) const RIGHT: &str = r#"
lockgate: 1
secrets:
  claimx_token: { env: CLAIMX_API_TOKEN }
  lake_key: { file: /run/secrets/lake }
transports:
  bus:
    log: { path: data/bus }
    topics:
      pending: { name: prod-pending, create: { partitions: 8, retention: { age: 7d, size: 10GiB } } }
      parked: { create: { partitions: 8, retention: { age: 25h } } }
stores:
  cache: { directory: { path: data/cache } }
  lake: { azure: { account: acme, container: lake, auth: { key: "${secrets.lake_key}" } } }
  scratch: { memory: {} }
endpoints:
  claimx:
    base_url: "${CLAIMX_API_URL}"
    auth: { basic: { encoded: "${secrets.claimx_token}" } }
    timeouts: { connect: 10s, first_byte: 30s, stall: 60s }
    max_concurrent: 20
    rate: 10/s
    breaker: { failures: 5, successes: 2, open_for: 60s, trials: 3 }
    redirects: [media]
  media:
    allow: ["files.example.com", "*.example.org"]
    allow_addresses: ["127.0.0.0/8"]
plugins:
  download:
    component: plugins/download.wasm
    limits: { memory: 64MiB, cpu: 2s, stall: 120s }
    isolation: exclusive
defaults:
  dead_letter: { topic: letters, spill: lake }
pipelines:
  fetch:
    from: { topic: pending, start: latest, on_lost_position: earliest }
    plugin: download
    grants: { endpoints: [media], stores: [cache] }
    config: { domain: claimx, endpoint: media, store: cache }
    to:
      cached: { topic: cached }
    concurrency: ${CONCURRENCY:-25}
    in_flight: { messages: 1000, bytes: 64MiB }
    order: { header: project-id }
    retry:
      in_place: { attempts: 3, first: 200ms, max: 5s }
      later: { topic: parked, delays: [5m, 10m, 10m, 40m], overtake: allowed }
    checkpoint_every: 1s
    drain_for: 30s
"#;

pub(super) const SHA256: &str = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";

pub(super) fn environment(name: &str) -> Option<String> {
    match name {
        "CLAIMX_API_URL" => Some("https://api.example.com/v1".to_owned()),
        "CLAIMX_API_TOKEN" => Some("c2VjcmV0OnRva2Vu".to_owned()),
        "WORD" => Some("word".to_owned()),
        _ => None,
    }
}

pub(super) fn loaded(texts: &[(&str, &str)], sets: &[&str]) -> Result<Loaded, Diagnostics> {
    let texts: Vec<_> = texts.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
    let sets: Vec<_> = sets.iter().map(|set| (*set).to_owned()).collect();
    load_texts(&texts, &sets, &environment)
}

/// Loads and checks with a plugin `download` that behaves as ours does.
pub(super) fn checked(texts: &[(&str, &str)], sets: &[&str]) -> Result<Plan, Diagnostics> {
    let loaded = loaded(texts, sets)?;
    let descriptions = described(&loaded);
    check(&loaded, &descriptions)
}

pub(super) fn described(loaded: &Loaded) -> Descriptions {
    described_with(
        loaded,
        json!({
            "type": "object",
            "properties": {
                "domain": { "enum": ["claimx", "verisk"] },
                "endpoint": { "type": "string" },
                "store": { "type": "string" },
                "sizes": { "type": "array", "items": { "type": "integer" } },
                "mode": { "oneOf": [
                    { "type": "string" },
                    { "type": "object", "properties": { "depth": { "type": "integer" } }, "required": ["depth"] },
                ] },
                "shade": { "oneOf": [{ "const": "light", "description": "bright" }, { "const": "dark" }] },
                "refuse": { "type": "boolean" },
                "quiet": { "type": "boolean" },
                "seen": { "type": "string" },
            },
            "required": ["domain", "endpoint", "store"],
            "additionalProperties": false,
        }),
    )
}

/// What the plugin says of itself, with a schema of its config.
pub(super) fn described_with(loaded: &Loaded, config_schema: Value) -> Descriptions {
    let description = Description {
        name: "download".to_owned(),
        version: "0.1.0".to_owned(),
        description: "fetches files".to_owned(),
        config_schema,
        sha256: SHA256.to_owned(),
        contract: "lockgate:plugin@0.1.0".to_owned(),
        imports: Vec::new(),
    };
    let plugins = loaded.plugins().map(|(name, plugin)| {
        let told = match plugin.component.file_name().and_then(|name| name.to_str()) {
            Some("broken.wasm") => Err("it imports `wasi:sockets/tcp`".to_owned()),
            Some("remote.wasm") => Ok(Description {
                config_schema: json!({ "$ref": "https://example.com/a.json" }),
                ..description.clone()
            }),
            _ => Ok(description.clone()),
        };
        (name.to_owned(), told)
    });
    let plugins: std::collections::BTreeMap<_, _> = plugins.collect();
    let usable = |plugin: &str| matches!(plugins.get(plugin), Some(Ok(_)));
    let bindings = loaded.configurations().filter(|(_, plugin, _)| usable(plugin));
    let bindings = bindings.map(|(pipeline, _, config)| (pipeline.to_owned(), configured(&config))).collect();
    Descriptions { plugins, bindings }
}

fn configured(config: &Value) -> Result<Binding, String> {
    if config["refuse"] == json!(true) {
        return Err("refusing was asked for".to_owned());
    }
    let name = |key: &str| config[key].as_str().map(str::to_owned).into_iter().collect::<Vec<_>>();
    let outputs = if config["quiet"] == json!(true) { vec![] } else { vec!["cached".to_owned()] };
    Ok(Binding { outputs, endpoints: name("endpoint"), stores: name("store"), keyvalues: name("seen") })
}

/// Each diagnostic as `` line:column `what stands there` code: message (help) ``.
pub(super) fn said(diagnostics: &Diagnostics) -> Vec<String> {
    let one = |diagnostic: &super::Diagnostic| {
        let help = diagnostic.help.as_ref().map(|help| format!(" ({help})")).unwrap_or_default();
        let place = diagnostic.place.unwrap();
        let at = diagnostics.position(diagnostic).unwrap();
        let shown = &diagnostics.sources().shown(place)[place.range()];
        let file = if at.file == "pipelines.yaml" { String::new() } else { format!("{}:", at.file) };
        format!("{file}{}:{} `{shown}` {}: {}{help}", at.line, at.column, diagnostic.code, diagnostic.message)
    };
    diagnostics.iter().map(one).collect()
}

/// Edits the right spec and says what is wrong with it then.
pub(super) fn edited(edits: &[(&str, &str)]) -> Vec<String> {
    let mut text = RIGHT.to_owned();
    for (old, new) in edits {
        assert!(text.contains(old), "the spec has no {old:?}");
        text = text.replacen(old, new, 1);
    }
    match checked(&[("pipelines.yaml", &text)], &[]) {
        Ok(plan) => said(&plan.warnings),
        Err(diagnostics) => said(&diagnostics),
    }
}

#[track_caller]
pub(super) fn wrong(old: &str, new: &str, expected: &[&str]) {
    let said = edited(&[(old, new)]);
    // Line numbers are for people; the text at the place says more to a test.
    let without_lines: Vec<&str> = said.iter().map(|line| line.split_once(' ').unwrap().1).collect();
    assert_eq!(without_lines, expected, "{new:?} for {old:?}");
}
