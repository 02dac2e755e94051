//! The JSON Schema takes what the reader takes.

use jsonschema::{Validator, validator_for};
use serde_json::{Value, json};

use super::RIGHT;
use crate::spec::limits::Room;
use crate::spec::parse::parse;
use crate::spec::read::read;
use crate::spec::schema;

fn validator() -> Validator {
    validator_for(&schema()).unwrap()
}

/// A spec as an editor sees it: nothing is interpolated.
fn seen(text: &str) -> Value {
    let tree = parse(0, text, &mut Room::default(), &mut Vec::new()).unwrap();
    read::<Value>(&tree).0.unwrap()
}

fn faults(value: &Value) -> Vec<String> {
    validator().iter_errors(value).map(|error| format!("{}: {error}", error.instance_path())).collect()
}

#[test]
fn a_right_spec_with_variables_in_it_is_valid() {
    assert_eq!(faults(&seen(RIGHT)), Vec::<String>::new());
}

#[test]
fn every_scalar_takes_a_variable_but_a_secret() {
    for (old, new) in [
        ("max_concurrent: 20", "max_concurrent: ${N}"),
        ("isolation: exclusive", "isolation: ${I}"),
        ("start: latest", "start: \"${S}\""),
        ("rate: 10/s", "rate: ${R}/s"),
        ("drain_for: 30s", "drain_for: ${D}"),
        ("order: { header: project-id }", "order: ${O}"),
        ("lockgate: 1", "lockgate: ${L:-1}"),
        ("attempts: 3", "attempts: \"${A}\""),
        ("delays: [5m,", "delays: [\"${D}\","),
        ("overtake: allowed", "overtake: \"${O}\""),
        ("spill: lake", "spill: none"),
    ] {
        assert!(RIGHT.contains(old), "{old}");
        assert_eq!(faults(&seen(&RIGHT.replace(old, new))), Vec::<String>::new(), "{new}");
    }
    assert_eq!(faults(&seen(&RIGHT.replace("${secrets.claimx_token}", "${TOKEN}"))).len(), 1);
}

#[test]
fn what_the_reader_refuses_is_refused() {
    for (old, new) in [
        ("concurrency:", "concurency:"),
        ("attempts: 3", "attempts: lots"),
        ("attempts: 3", "attempts: 0"),
        ("scratch: { memory: {} }", "scratch: { memory: {}, directory: {} }"),
        ("order: { header: project-id }", "order: keys"),
        ("overtake: allowed", "overtake: forbidden"),
        ("delays: [5m,", "delays: [soon,"),
        ("later: { topic", "later: { topics"),
        ("spill: lake", "spil: lake"),
        ("cached: { topic: cached }", "cached: drop"),
        ("lockgate: 1", "lockgate: 2"),
    ] {
        assert!(RIGHT.contains(old), "{old}");
        assert!(!faults(&seen(&RIGHT.replace(old, new))).is_empty(), "{new}");
    }
}

#[test]
fn defaults_and_overlays_may_be_in_pieces() {
    let pieces = json!({ "pipelines": { "fetch": { "concurrency": 5, "to": { "cached": { "topic": "t" } } } }, "defaults": { "from": { "start": "latest" }, "concurrency": 5 } });
    assert_eq!(faults(&pieces), Vec::<String>::new());
    let wrong = json!({ "lockgate": 1, "defaults": { "concurency": 5 } });
    assert_eq!(faults(&wrong).len(), 1);
}
