//! Texts that mean harm: each ends in an error or in the right value, on a small stack. That none takes long or grows
//! large follows from the bounds in `limits`, which are held before anything is made.

use serde_json::{Value, json};

use super::{Descriptions, Diagnostics, Loaded, check, described_with, loaded};
use crate::spec::limits::{DEEPEST, ENOUGH, MOST_BYTES, MOST_NODES, MOST_SHOWN};
use crate::spec::load_texts;

/// A thread as small as this one bears whatever a spec makes the host do.
const STACK: usize = 512 << 10;

fn on_a_small_stack<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    std::thread::Builder::new().stack_size(STACK).spawn(work).unwrap().join().unwrap()
}

/// What is wrong with a text, as `code: message`; its whole rendering is made as well.
fn faults(text: String) -> Vec<String> {
    on_a_small_stack(move || {
        let found = |loaded: Loaded| match check(&loaded, &Descriptions::default()) {
            Ok(plan) => plan.warnings,
            Err(diagnostics) => diagnostics,
        };
        let diagnostics: Diagnostics = loaded(&[("hostile.yaml", &text)], &[]).map_or_else(|wrong| wrong, found);
        let rendered = diagnostics.to_string();
        assert!(rendered.len() < 1 << 20, "{} bytes are nothing that anybody reads", rendered.len());
        assert!(diagnostics.len() <= MOST_SHOWN + 1);
        diagnostics.iter().map(|one| format!("{}: {}", one.code, one.message)).collect()
    })
}

#[track_caller]
fn refused(text: impl Into<String>, expected: &str) {
    let found = faults(text.into());
    assert!(matches!(found.as_slice(), [one] if one.contains(expected)), "{found:#?}");
}

/// The value that a plugin gets for an unquoted scalar.
fn value(written: &str) -> Value {
    let text = format!("pipelines: {{ p: {{ plugin: q, config: {{ v: {written} }} }} }}\n");
    let loaded = loaded(&[("hostile.yaml", &text)], &[]).unwrap();
    let config = loaded.configurations().next().unwrap().2;
    config["v"].clone()
}

const TOO_DEEP: &str = "yaml: this lies deeper than 64 lists and maps in each other";

#[test]
fn nesting_of_ten_thousand_levels_is_refused_in_every_style() {
    let block: String = (0..700).map(|level| format!("{}a:\n", " ".repeat(level))).collect();
    refused(block, TOO_DEEP);
    for unit in ["[", "{a: ", "[{a: "] {
        refused(format!("a: {}", unit.repeat(10_000)), TOO_DEEP);
    }
    refused(format!("a:\n  {}x\n", "- ".repeat(10_000)), TOO_DEEP);
    refused(format!("a:\n  {}x\n", "? ".repeat(10_000)), "yaml: ");
}

#[test]
fn aliases_neither_multiply_without_measure_nor_contain_themselves() {
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..20 {
        bomb += &format!("a{level}: &a{level} [{}]\n", vec![format!("*a{}", level - 1); 10].join(", "));
    }
    refused(bomb, "yaml: the spec has more than 20000 values, copies by aliases and `defaults` included");
    refused("a: &a [*a]\n", "yaml: this alias stands inside the value that it names");
    let long = format!("a: &a {}\nb: [{}]\n", "x".repeat(MOST_BYTES / 2), vec!["*a"; 1000].join(", "));
    refused(long, "yaml: the spec grows by more than 1 MiB through its aliases");
    // Each alias is fine by itself, and all of them together lie deep.
    let deep: String = (0..DEEPEST).map(|level| format!("b{}: &b{} [*b{level}]\n", level + 1, level + 1)).collect();
    refused(format!("b0: &b0 x\n{deep}"), TOO_DEEP);
}

#[test]
fn merge_keys_bring_in_neither_keys_nor_duplicates() {
    let found = faults("a: &a { x: 1 }\nb: { <<: *a, x: 2 }\n".to_owned());
    let expected = "yaml: YAML 1.2 has no merge keys, and `<<` is not read as one";
    assert!(found.iter().any(|one| one == expected), "{found:?}");
    assert!(!found.iter().any(|one| one.contains("duplicate")), "{found:?}");
}

#[test]
fn defaults_do_not_multiply_without_measure() {
    let defaults: String = (0..200).map(|key| format!("    k{key}: 1\n")).collect();
    let pipelines: String = (0..1000).map(|name| format!("  p{name}:\n")).collect();
    let text = format!("lockgate: 1\ndefaults:\n  config:\n{defaults}pipelines:\n{pipelines}");
    refused(text, "yaml: the spec has more than 20000 values, copies by aliases and `defaults` included");
}

#[test]
fn a_scalar_or_keys_of_fifty_megabytes_are_refused_before_they_are_looked_at() {
    let keys: String = (0..50 << 17).map(|key| format!("{key:06}:\n")).collect();
    for text in [format!("a: {}", "x".repeat(50 << 20)), keys, "- [".repeat(20 << 20)] {
        assert!(text.len() >= 50 << 20);
        refused(text, "file: the spec is longer than 1 MiB, with all its files (hostile.yaml)");
    }
    let half = "#".repeat(MOST_BYTES / 2 + 1);
    let texts = ["a.yaml", "b.yaml"].map(|name| (name.to_owned(), half.clone()));
    assert!(load_texts(&texts, &[], &|_| None).is_err(), "both together are too much");
}

#[test]
fn files_without_end_are_refused_and_of_long_ones_no_more_than_the_bound_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let long = folder.path().join("long.yaml");
    // Fifty megabytes that take no room on the disk.
    std::fs::File::create(&long).unwrap().set_len(50 << 20).unwrap();
    for (file, expected) in [
        (long.as_path(), "the spec is longer than 1 MiB"),
        (folder.path(), "it is a folder"),
        (std::path::Path::new("/dev/zero"), "it is no regular file"),
    ] {
        let diagnostics = crate::spec::load(&[file.to_owned()], &[], &|_| None).unwrap_err();
        assert!(diagnostics.to_string().contains(expected), "{diagnostics}");
    }
}

#[test]
fn values_beyond_measure_are_refused() {
    refused(format!("a: [{}]\n", vec!["1"; MOST_NODES].join(",")), "yaml: the spec has more than 20000 values");
    let many: String = (0..MOST_NODES).map(|key| format!("k{key}: 1\n")).collect();
    refused(many, "yaml: the spec has more than 20000 values");
}

#[test]
fn of_very_many_errors_the_first_are_shown_and_all_that_were_found_are_counted() {
    let duplicates = "a: 1\n".repeat(19_000);
    let found = faults(duplicates);
    assert_eq!(found.len(), MOST_SHOWN + 1);
    assert!(found.last().unwrap().starts_with("too-many: 188"), "{:?}", found.last());
    // Errors of the shape and of the meaning are no longer looked for once there are enough.
    let unknown: String = (0..19_000).map(|key| format!("k{key}: 1\n")).collect();
    let last = faults(unknown).pop().unwrap();
    assert!(last.starts_with("too-many: "), "{last}");
    let pipelines: String = (0..6000).map(|name| format!("  p{name}: {{ plugin: nome }}\n")).collect();
    let text = format!(
        "lockgate: 1\ntransports: {{ bus: {{ memory: {{}} }} }}\nplugins: {{ name: {{ component: a.wasm }} }}\npipelines:\n{pipelines}"
    );
    let found = faults(text);
    assert_eq!(found.len(), MOST_SHOWN + 1);
    let more: usize = found[MOST_SHOWN].split_whitespace().nth(1).unwrap().parse().unwrap();
    assert!(more < 2 * ENOUGH, "{more} are more than is enough");
    assert!(!found.iter().any(|one| one.contains("lacks the key `lockgate`")), "what was not read is not missing");
}

#[test]
fn variables_neither_nest_nor_expand_themselves_nor_multiply_without_measure() {
    let environment = |name: &str| match name {
        "SELF" => Some("${SELF}${SELF}".to_owned()),
        "LONG" => Some("x".repeat(100_000)),
        "A" => Some("a".to_owned()),
        _ => None,
    };
    let config = |written: &str| {
        let text = format!("pipelines: {{ p: {{ plugin: q, config: {{ v: \"{written}\" }} }} }}\n");
        let loaded = load_texts(&[("hostile.yaml".to_owned(), text)], &[], &environment)?;
        if !loaded.diagnostics().is_empty() {
            return Err(loaded.diagnostics());
        }
        let value = loaded.configurations().next().map(|(_, _, config)| config["v"].clone());
        Ok::<_, Diagnostics>(value)
    };
    assert_eq!(config("${A}${A}").unwrap(), Some(json!("aa")));
    assert_eq!(config("${SELF}").unwrap(), Some(json!("${SELF}${SELF}")));
    for (written, expected) in [
        ("${LONG}".repeat(20), "the spec grows by more than 1 MiB through its aliases, `defaults` and variables"),
        ("${".repeat(100_000), "a `${` is never closed"),
        (format!("{}A{}", "${".repeat(1000), "}".repeat(1000)), "a variable's default cannot hold another variable"),
        ("${A:-${A}}".to_owned(), "a variable's default cannot hold another variable"),
    ] {
        let diagnostics = config(&written).unwrap_err().to_string();
        assert!(diagnostics.contains(expected), "{diagnostics}");
    }
}

#[test]
fn a_set_of_very_many_keys_is_refused() {
    let deep = format!("{}=1", vec!["a"; 10_000].join("."));
    let diagnostics = on_a_small_stack(move || loaded(&[("a.yaml", "")], &[&deep]).unwrap_err().to_string());
    assert!(diagnostics.contains("no key lies deeper than 64 others"), "{diagnostics}");
}

#[test]
fn nothing_behind_a_character_that_ends_the_parser_is_left_out_in_silence() {
    refused("lockgate: 1\n\0pipelines: {}\n", "yaml: the control character U+0000 has no place in YAML (byte 13)");
    refused("lockgate: 1\nplugins: {}\u{1b}[2J\n", "yaml: the control character U+001B has no place in YAML (byte 24)");
    refused("a: 1\n\u{feff}b: 1\n", "yaml: a byte order mark stands in the midst of the file, at byte 6");
    refused("lockgate: 1\n---\nplugins: {}\n", "yaml: a file holds one document, and here a second one starts");
    refused("a:\n\tb: 1\n", "yaml: this is no YAML: ");
}

#[test]
fn bytes_that_are_no_text_are_named_with_their_place() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.yaml");
    let said = |bytes: &[u8]| {
        std::fs::write(&file, bytes).unwrap();
        let diagnostics = crate::spec::load(std::slice::from_ref(&file), &[], &|_| None).unwrap_err();
        let one = diagnostics.iter().next().unwrap();
        (one.message.clone(), diagnostics.position(one).map(|at| (at.line, at.column)))
    };
    let message = "this is no UTF-8, from byte 19 of the file on, which is 0xE9".to_owned();
    assert_eq!(said(b"lockgate: 1\nname: \xe9\n"), (message, Some((2, 7))));
    for bytes in [&b"\xff\xfel\0o\0"[..], b"\xfe\xff\0l\0o", b"l\0o\0"] {
        let (message, place) = said(bytes);
        assert!(message.ends_with("it is UTF-16, not UTF-8") && place.is_none(), "{message}");
    }
}

#[test]
fn an_empty_file_is_an_empty_spec_and_not_a_panic() {
    for text in ["", "\n\n", "# nothing\n", "---\n", "\u{feff}", "--- ~\n...\n"] {
        refused(text, "missing-key: the spec lacks the key `lockgate`");
    }
}

#[test]
fn line_ends_of_every_system_are_counted_alike() {
    for end in ["\n", "\r\n", "\r"] {
        let text = ["lockgate: 1", "plugins: {}", "oops: 1", ""].join(end);
        let diagnostics = loaded(&[("a.yaml", &text)], &[]).unwrap().diagnostics();
        let one = diagnostics.iter().next().unwrap();
        let at = diagnostics.position(one).unwrap();
        assert_eq!((at.line, at.column, at.end_column), (3, 1, 5), "{end:?}");
        assert!(diagnostics.to_string().contains("3 | oops: 1\n"), "{diagnostics}");
    }
}

#[test]
fn tags_are_refused_whatever_they_would_make() {
    for tag in
        ["!!binary aGk=", "!!python/object/apply:os.system [ls]", "!local x", "!!str 5", "!<tag:yaml.org,2002:int> 5"]
    {
        let found = faults(format!("lockgate: 1\nplugins: {{ a: {{ component: {tag} }} }}\n"));
        assert!(found.iter().any(|one| one.starts_with("yaml: tags (`!…`) are not read")), "{tag}: {found:?}");
    }
}

#[test]
fn numbers_words_and_dates_are_what_yaml_1_2_says() {
    for (written, expected) in [
        ("0x1F", json!(31)),
        ("0o17", json!(15)),
        ("017", json!(17)),
        ("1e3", json!(1000.0)),
        (".5", json!(0.5)),
        // Neither JSON nor a plugin has a number for these.
        (".inf", json!(".inf")),
        ("-.inf", json!("-.inf")),
        (".nan", json!(".nan")),
        ("1e999", json!("1e999")),
        ("1_000", json!("1_000")),
        ("0b11", json!("0b11")),
        ("yes", json!("yes")),
        ("no", json!("no")),
        ("on", json!("on")),
        ("off", json!("off")),
        ("2026-11-25", json!("2026-11-25")),
        ("12:30:45", json!("12:30:45")),
        ("18446744073709551615", json!(u64::MAX)),
    ] {
        assert_eq!(value(written), expected, "{written}");
    }
    for written in [".inf", ".nan", "1e999", "1_000", "-1", "1e3", "99999999999999999999999", "yes", "2026-11-25"] {
        let found = faults(format!("lockgate: 1\npipelines: {{ p: {{ concurrency: {written} }} }}\n"));
        assert!(found.iter().any(|one| one.starts_with("wrong-value: `concurrency` takes")), "{written}: {found:?}");
    }
}

#[test]
fn names_and_values_of_half_a_megabyte_are_cut_where_they_are_told() {
    let long = "x".repeat(MOST_BYTES / 3);
    for text in [
        format!("{{ \"{long}\": 1 }}"),
        format!("lockgate: 1\npipelines: {{ p: {{ plugin: {long} }} }}\nplugins: {{ {long}y: {{ component: a }} }}\n"),
        format!("lockgate: 1\npipelines: {{ p: {{ drain_for: {long} }} }}\n"),
        format!("lockgate: 1\npipelines: {{ p: {{ drain_for: \"${{{long}}}\" }} }}\n"),
    ] {
        let found = faults(text);
        assert!(!found.is_empty() && found.iter().all(|one| one.chars().count() <= 520), "{}", found.len());
    }
}

/// What is wrong with a plugin's config, where the plugin has this schema.
fn misfits(schema: Value, config: &str) -> Vec<String> {
    let text = format!(
        "lockgate: 1\ntransports: {{ bus: {{ memory: {{}} }} }}\nplugins: {{ q: {{ component: q.wasm }} }}\npipelines:\n  p: {{ from: {{ topic: t }}, plugin: q, dead_letter: {{ topic: d }}, to: {{ cached: discard }}, config: {config} }}\n"
    );
    on_a_small_stack(move || {
        let loaded = loaded(&[("hostile.yaml", &text)], &[]).unwrap();
        match check(&loaded, &described_with(&loaded, schema)) {
            Ok(_) => Vec::new(),
            Err(diagnostics) => diagnostics.iter().map(|one| format!("{}: {}", one.code, one.message)).collect(),
        }
    })
}

#[test]
fn a_plugins_schema_neither_runs_in_circles_nor_fetches_anything() {
    let list = json!({ "properties": { "next": { "$ref": "#" } }, "additionalProperties": false });
    assert_eq!(misfits(list.clone(), "{ next: { next: {} } }"), Vec::<String>::new(), "recursion ends with the value");
    assert_eq!(misfits(list, "{ next: { nxt: {} } }").len(), 1);
    for (schema, expected) in [
        (json!({ "$ref": "#" }), "leads back to itself"),
        (json!({ "allOf": [{ "anyOf": [{ "$ref": "#" }] }] }), "leads back to itself"),
        (json!({ "$ref": "http://127.0.0.1:9/schema.json" }), "nothing is fetched"),
        (json!({ "enum": vec![1; 200_000] }), "it is too large"),
        (json!({ "type": 5 }), "it is no JSON Schema"),
        (json!({ "pattern": "(" }), "it is no JSON Schema"),
    ] {
        let found = misfits(schema, "{}");
        assert!(
            matches!(found.as_slice(), [one] if one.starts_with("component: ") && one.contains(expected)),
            "{found:?}"
        );
    }
}

#[test]
fn a_pattern_without_end_refuses_what_it_cannot_judge() {
    let written = format!("{{ name: {} }}", "a".repeat(5000));
    for pattern in [r"^(a+)+$", r"^(?=(a|aa)+b)a*$", r"^(\w+\s?)*\1!$"] {
        let found = misfits(json!({ "properties": { "name": { "pattern": pattern } } }), &written);
        assert!(found.len() <= 1 && found.iter().all(|one| one.starts_with("plugin-config: ")), "{pattern}: {found:?}");
    }
    let huge = json!({ "properties": { "name": { "pattern": "((a{1000}){1000}){1000}" } } });
    assert!(matches!(misfits(huge, &written).as_slice(), [one] if one.starts_with("component: ")));
}
