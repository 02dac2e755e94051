//! Overlays: what a later text says on top of an earlier one, and `defaults:` below each pipeline.
//!
//! | base | overlay | result |
//! |---|---|---|
//! | map | map | both, key by key |
//! | anything | list, scalar | the overlay |
//! | anything | `null` | the key is gone |
//! | one alternative | another alternative | the overlay's; keys beside the alternatives stay |

use super::diagnostic::Diagnostic;
use super::limits::{Room, Weight};
use super::node::{Entry, Node, Value};

/// Where keys are alternatives: exactly one of them is meant, so that naming another one takes the place of the first.
/// `*` stands for any key. Without names, all keys there are alternatives.
const ALTERNATIVES: &[(&[&str], &[&str])] = &[
    (&["secrets", "*"], &[]),
    (&["transports", "*"], &["log", "memory", "kafka", "event_hubs"]),
    (&["transports", "*", "event_hubs"], &["connection_string", "namespace"]),
    (&["transports", "*", "event_hubs", "auth"], &[]),
    (&["transports", "*", "event_hubs", "proxy", "auth"], &[]),
    (&["stores", "*"], &[]),
    (&["stores", "*", "azure", "auth"], &[]),
    (&["endpoints", "*", "auth"], &[]),
    (&["endpoints", "*", "proxy", "auth"], &[]),
];

/// Puts `overlay` on top of `base`.
pub(super) fn merge(base: Node, overlay: Node) -> Node {
    merge_at(base, overlay, &mut Vec::new())
}

/// Puts each pipeline on top of `defaults:`. The places of values stay those where they were written. Fails where the
/// spec would grow too much by that.
pub(super) fn apply_defaults(root: &mut Node, room: &mut Room) -> Result<(), Box<Diagnostic>> {
    let Some(entry) = root.entry("defaults").filter(|entry| matches!(entry.node.value, Value::Map(_))) else {
        return Ok(());
    };
    let copies = root.get("pipelines").map_or(0, |pipelines| pipelines.entries().len());
    room.take(Weight::of(&entry.node).times(copies)).map_err(|full| Box::new(full.at(entry.place)))?;
    let defaults = entry.node.clone();
    let Value::Map(sections) = &mut root.value else { return Ok(()) };
    let pipelines = sections.iter_mut().filter(|entry| entry.key == "pipelines");
    for pipeline in pipelines.flat_map(|entry| entries_mut(&mut entry.node)) {
        let own = std::mem::replace(&mut pipeline.node, Node::new(pipeline.place, Value::Null));
        pipeline.node = match own.value {
            Value::Null => defaults.clone(),
            Value::Map(_) => merge_at(defaults.clone(), own, &mut vec!["pipelines".to_owned(), pipeline.key.clone()]),
            _ => own,
        };
    }
    Ok(())
}

/// Whether a path has the shape of a pattern, in which `*` stands for any key.
pub(super) fn matches_pattern<S: AsRef<str>>(pattern: &[&str], path: &[S]) -> bool {
    pattern.len() == path.len()
        && pattern.iter().zip(path).all(|(expected, key)| *expected == "*" || *expected == key.as_ref())
}

fn entries_mut(node: &mut Node) -> &mut [Entry] {
    match &mut node.value {
        Value::Map(entries) => entries,
        _ => &mut [],
    }
}

fn merge_at(mut base: Node, overlay: Node, path: &mut Vec<String>) -> Node {
    let (Value::Map(below), Value::Map(above)) = (&mut base.value, &overlay.value) else { return overlay };
    drop_other_alternatives(below, above, path);
    let Value::Map(above) = overlay.value else { return base };
    for entry in above {
        put(below, entry, path);
    }
    base
}

fn put(below: &mut Vec<Entry>, entry: Entry, path: &mut Vec<String>) {
    let position = below.iter().position(|other| other.key == entry.key);
    match position {
        Some(position) if entry.node.value == Value::Null => {
            below.remove(position);
        }
        None if entry.node.value == Value::Null => {}
        Some(position) => {
            let old = below.remove(position);
            below.insert(position, merged_entry(old, entry, path));
        }
        None => below.push(entry),
    }
}

fn merged_entry(old: Entry, new: Entry, path: &mut Vec<String>) -> Entry {
    let both_maps = matches!((&old.node.value, &new.node.value), (Value::Map(_), Value::Map(_)));
    // A map that came together keeps the place where it was first named: what it lacks is lacking there.
    let place = if both_maps { old.place } else { new.place };
    path.push(new.key.clone());
    let node = merge_at(old.node, new.node, path);
    path.pop();
    Entry { key: new.key, place, node }
}

fn drop_other_alternatives(below: &mut Vec<Entry>, above: &[Entry], path: &[String]) {
    let Some((_, names)) = ALTERNATIVES.iter().find(|(pattern, _)| matches_pattern(pattern, path)) else { return };
    let is_alternative = |key: &str| names.is_empty() || names.contains(&key);
    let mut named = above.iter().filter(|entry| is_alternative(&entry.key) && entry.node.value != Value::Null);
    let Some(first) = named.next() else { return };
    let named: Vec<&str> = std::iter::once(first).chain(named).map(|entry| entry.key.as_str()).collect();
    below.retain(|entry| !is_alternative(&entry.key) || named.contains(&entry.key.as_str()));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value as Json, json};

    use super::*;
    use crate::spec::parse::parse;
    use crate::spec::read::read;

    fn node(source: usize, text: &str) -> Node {
        parse(source, text, &mut Room::default(), &mut Vec::new()).unwrap()
    }

    fn json(node: &Node) -> Json {
        read::<Json>(node).0.unwrap()
    }

    fn check(base: &str, overlay: &str, expected: Json) {
        assert_eq!(json(&merge(node(0, base), node(1, overlay))), expected, "{base:?} under {overlay:?}");
    }

    #[test]
    fn maps_merge_lists_replace_and_null_removes() {
        check("a: { b: 1, c: 2 }", "a: { c: 3, d: 4 }", json!({"a": {"b": 1, "c": 3, "d": 4}}));
        check("a: [1, 2]", "a: [3]", json!({"a": [3]}));
        check("a: { b: 1, c: 2 }", "a: { b: null }", json!({"a": {"c": 2}}));
        check("a: 1", "b: ~", json!({"a": 1}));
        check("a: { b: 1 }", "a: 2", json!({"a": 2}));
        check("a: 2", "a: { b: 1 }", json!({"a": {"b": 1}}));
    }

    #[test]
    fn an_overlay_that_names_another_alternative_removes_the_first() {
        check(
            "transports: { bus: { log: { path: x }, topics: { t: {} } } }",
            "transports: { bus: { memory: {} } }",
            json!({"transports": {"bus": {"topics": {"t": {}}, "memory": {}}}}),
        );
        check(
            "stores: { s: { directory: { path: x } } }",
            "stores: { s: { memory: {} } }",
            json!({"stores": {"s": {"memory": {}}}}),
        );
        check(
            "stores: { s: { azure: { account: a, auth: { key: k } } } }",
            "stores: { s: { azure: { auth: { sas: s } } } }",
            json!({"stores": {"s": {"azure": {"account": "a", "auth": {"sas": "s"}}}}}),
        );
        check(
            "endpoints: { e: { base_url: u, auth: { bearer: { token: t } } } }",
            "endpoints: { e: { auth: { basic: { encoded: t } } } }",
            json!({"endpoints": {"e": {"base_url": "u", "auth": {"basic": {"encoded": "t"}}}}}),
        );
        check(
            "endpoints: { e: { proxy: { url: u, auth: { bearer: { token: t } } } } }",
            "endpoints: { e: { proxy: { auth: { basic: { encoded: t } } } } }",
            json!({"endpoints": {"e": {"proxy": {"url": "u", "auth": {"basic": {"encoded": "t"}}}}}}),
        );
        check("secrets: { s: { env: A } }", "secrets: { s: { file: f } }", json!({"secrets": {"s": {"file": "f"}}}));
        check(
            "pipelines: { p: { to: { o: discard } } }",
            "pipelines: { p: { to: { o: { topic: t } } } }",
            json!({"pipelines": {"p": {"to": {"o": {"topic": "t"}}}}}),
        );
    }

    #[test]
    fn an_overlay_that_names_the_same_alternative_changes_it() {
        check(
            "transports: { bus: { log: { path: x, b: 1 } } }",
            "transports: { bus: { log: { path: y } } }",
            json!({"transports": {"bus": {"log": {"path": "y", "b": 1}}}}),
        );
    }

    #[test]
    fn defaults_lie_below_each_pipeline() {
        let mut root = node(
            0,
            "defaults: { retry: { attempts: 3, max: 1s }, order: key }\npipelines: { a: { retry: { attempts: 5 } }, b: { order: null }, c: }",
        );
        apply_defaults(&mut root, &mut Room::default()).unwrap();
        let pipelines = json(root.get("pipelines").unwrap());
        assert_eq!(
            pipelines,
            json!({
                "a": {"retry": {"attempts": 5, "max": "1s"}, "order": "key"},
                "b": {"retry": {"attempts": 3, "max": "1s"}},
                "c": {"retry": {"attempts": 3, "max": "1s"}, "order": "key"},
            })
        );
    }

    #[test]
    fn every_value_keeps_its_own_place() {
        let merged = merge(node(0, "a:\n  b: 1\n  c: 2\n"), node(1, "a:\n  c: 3\n"));
        let a = merged.entry("a").unwrap();
        let sources = [a.place, a.node.get("b").unwrap().place, a.node.get("c").unwrap().place].map(|p| p.source());
        assert_eq!(sources, [0, 0, 1]);
    }

    /// The obvious model: RFC 7396 merge patch, which is the same rule where nothing is an alternative.
    fn model(base: Json, patch: Json) -> Json {
        match (base, patch) {
            (Json::Object(mut base), Json::Object(patch)) => {
                for (key, value) in patch {
                    let old = base.remove(&key);
                    match (old, value) {
                        (_, Json::Null) => {}
                        (Some(old), value) => drop(base.insert(key, model(old, value))),
                        (None, value) => drop(base.insert(key, value)),
                    }
                }
                Json::Object(base)
            }
            (_, patch) => patch,
        }
    }

    fn tree() -> impl Strategy<Value = Json> {
        let leaf = prop_oneof![Just(Json::Null), (0..5i64).prop_map(Json::from), "[a-c]{1,2}".prop_map(Json::from)];
        leaf.prop_recursive(3, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..3).prop_map(Json::from),
                prop::collection::btree_map("[a-d]", inner, 0..4)
                    .prop_map(|map| Json::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn merging_is_a_merge_patch(
            base in prop::collection::btree_map("[a-d]", tree(), 0..4),
            patch in prop::collection::btree_map("[a-d]", tree(), 0..4),
        ) {
            let (base, patch): (Json, Json) =
                (Json::Object(base.into_iter().collect()), Json::Object(patch.into_iter().collect()));
            // JSON is YAML.
            let merged = merge(node(0, &base.to_string()), node(1, &patch.to_string()));
            prop_assert_eq!(json(&merged), model(base, patch));
        }
    }
}
