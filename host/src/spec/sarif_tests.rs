use std::path::{Path, PathBuf};

use jsonschema::{ValidationError, Validator};
use serde_json::{Value, json};

use super::artifact;
use crate::spec::{Descriptions, Diagnostics, check, load, load_texts};

/// The schema of the standard; `testdata/README.md` says where it is from.
const SCHEMA: &str = include_str!("../../testdata/sarif-schema-2.1.0.json");

/// What is wrong with texts of these names, which stand in `/repo`, and with arguments of `--set`.
fn scanned(texts: &[(&str, &str)], sets: &[&str]) -> Value {
    let files: Vec<PathBuf> = texts.iter().map(|(name, _)| name.into()).collect();
    let texts: Vec<_> = texts.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
    let sets: Vec<_> = sets.iter().map(|set| (*set).to_owned()).collect();
    let loaded = load_texts(&texts, &sets, &|_| None);
    let checked = loaded.and_then(|loaded| check(&loaded, &Descriptions::default()));
    log(&checked.map_or_else(|findings| findings, |plan| plan.warnings), &files)
}

/// The log, which the schema takes.
fn log(findings: &Diagnostics, files: &[PathBuf]) -> Value {
    let log = findings.to_sarif(files, Path::new("/repo"));
    let fault = |fault: ValidationError<'_>| format!("{}: {fault}", fault.instance_path());
    let faults: Vec<String> = validator().iter_errors(&log).map(fault).collect();
    assert_eq!(faults, [""; 0], "{log:#}");
    log
}

fn validator() -> Validator {
    let mut schema: Value = serde_json::from_str(SCHEMA).unwrap();
    // The pattern of languages has a bracket too many, so that it is no regular expression; a log of ours has none.
    for definition in ["run", "toolComponent"] {
        let language = schema.pointer_mut(&format!("/definitions/{definition}/properties/language")).unwrap();
        assert!(language.as_object_mut().unwrap().remove("pattern").is_some());
    }
    jsonschema::options().should_validate_formats(true).build(&schema).unwrap()
}

fn results(log: &Value) -> &[Value] {
    log["runs"][0]["results"].as_array().unwrap()
}

#[test]
fn the_schema_refuses_what_is_no_log() {
    let validator = validator();
    let mut log = scanned(&[("a.yaml", "lockgate: 2\n")], &[]);
    for (pointer, wrong) in [
        ("/runs/0/columnKind", json!("bytes")),
        ("/runs/0/results/0/level", json!("fatal")),
        ("/runs/0/results/0/locations/0/physicalLocation/region/startLine", json!(0)),
        ("/runs/0/results/0/locations/0/physicalLocation/artifactLocation/uri", json!("a b.yaml")),
        ("/runs/0/tool/driver/rules/0/shortDescription", json!("text")),
    ] {
        let right = std::mem::replace(log.pointer_mut(pointer).unwrap(), wrong);
        assert!(!validator.is_valid(&log), "{pointer}");
        *log.pointer_mut(pointer).unwrap() = right;
    }
    assert!(validator.is_valid(&log));
}

#[test]
fn a_finding_is_a_result_with_rule_level_message_and_region() {
    let log = scanned(&[("deploy/pipelines.yaml", "lockgate: 1\nadmin: { lisen: 1 }\n")], &[]);
    let result = &results(&log)[0];
    assert_eq!((&result["ruleId"], &result["level"]), (&json!("unknown-key"), &json!("error")));
    assert_eq!(result["message"]["text"], "unknown key `lisen`\nhelp: did you mean `listen`?");
    assert_eq!(
        result["locations"],
        json!([{ "physicalLocation": {
            "artifactLocation": { "uri": "deploy/pipelines.yaml", "uriBaseId": "%SRCROOT%" },
            "region": { "startLine": 2, "startColumn": 10, "endLine": 2, "endColumn": 15 },
        } }])
    );
    let index = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
    assert_eq!(log["runs"][0]["tool"]["driver"]["rules"][index]["id"], "unknown-key");
}

#[test]
fn every_code_is_a_rule_with_its_help() {
    let log = scanned(&[("a.yaml", "lockgate: 1\n")], &[]);
    assert_eq!(results(&log), [Value::Null; 0], "a right spec has a log, too, so that old findings are closed");
    let rules = log["runs"][0]["tool"]["driver"]["rules"].as_array().unwrap();
    assert_eq!(rules.len(), crate::codes::findings().len());
    for (rule, code) in rules.iter().zip(crate::codes::findings()) {
        assert_eq!((&rule["id"], &rule["shortDescription"]["text"]), (&json!(code.word), &json!(code.title)));
        let help = rule["help"]["markdown"].as_str().unwrap();
        assert!(help.contains("What to do") && help.contains("Right:") == code.examples.is_some(), "{rule}");
        assert!(rule.get("helpUri").is_none());
    }
}

#[test]
fn a_warning_is_no_error() {
    let log = scanned(&[("a.yaml", "lockgate: 1\nadmin: { listen: \"0.0.0.0:9600\" }\n")], &[]);
    let result = &results(&log)[0];
    assert_eq!((&result["ruleId"], &result["level"]), (&json!("open-admin"), &json!("warning")));
    let index = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
    assert_eq!(log["runs"][0]["tool"]["driver"]["rules"][index]["defaultConfiguration"]["level"], "warning");
}

/// Neither bytes nor UTF-16 code units: the unit that the log says.
#[test]
fn columns_count_characters() {
    let log = scanned(&[("a.yaml", "lockgate: 1\nadmin: { \"\u{1F512}é\": 1, lisen: 1 }\n")], &[]);
    assert_eq!(log["runs"][0]["columnKind"], "unicodeCodePoints");
    let regions: Vec<_> = results(&log).iter().map(|one| &one["locations"][0]["physicalLocation"]["region"]).collect();
    assert_eq!(regions[0], &json!({ "startLine": 2, "startColumn": 10, "endLine": 2, "endColumn": 14 }));
    assert_eq!(regions[1], &json!({ "startLine": 2, "startColumn": 19, "endLine": 2, "endColumn": 24 }));
}

#[test]
fn what_belongs_to_a_finding_is_a_related_location_in_its_own_file() {
    let base = "lockgate: 1\ntransports: { bus: { memory: {} } }\nplugins: { p: { component: p.wasm } }\npipelines: { a: { plugin: p, from: { topic: t }, dead_letter: { topic: d } } }\n";
    let over = "pipelines:\n  a:\n    dead_letter: { topic: t }\n";
    let log = scanned(&[("base.yaml", base), ("over.yaml", over)], &[]);
    let result = &results(&log)[0];
    let place = |location: &Value| {
        let place = &location["physicalLocation"];
        (place["artifactLocation"]["uri"].clone(), place["region"]["startLine"].clone())
    };
    assert_eq!(place(&result["locations"][0]), (json!("over.yaml"), json!(3)));
    let related = &result["relatedLocations"][0];
    assert_eq!(place(related), (json!("base.yaml"), json!(4)));
    assert_eq!((&related["id"], &related["message"]["text"]), (&json!(1), &json!("read here")));
}

#[test]
fn uris_are_relative_escaped_and_with_forward_slashes() {
    for (file, uri) in [
        ("pipelines.yaml", "pipelines.yaml"),
        ("./deploy/../deploy/a.yaml", "deploy/a.yaml"),
        ("/repo/deploy/a.yaml", "deploy/a.yaml"),
        ("my specs/é#1?.yaml", "my%20specs/%C3%A9%231%3F.yaml"),
        ("a:b/100%.yaml", "a%3Ab/100%25.yaml"),
        ("back\\slash.yaml", "back%5Cslash.yaml"),
    ] {
        assert_eq!(artifact(Path::new(file), Path::new("/repo")), json!({ "uri": uri, "uriBaseId": "%SRCROOT%" }));
    }
    for (file, uri) in [("/etc/a b.yaml", "file:///etc/a%20b.yaml"), ("../other/a.yaml", "file:///other/a.yaml")] {
        assert_eq!(artifact(Path::new(file), Path::new("/repo")), json!({ "uri": uri }));
    }
}

#[test]
fn a_finding_in_a_set_is_shown_at_the_first_file_and_names_its_keys() {
    let log = scanned(&[("a.yaml", "lockgate: 1\n"), ("b.yaml", "{}\n")], &["admin.lisen=hunter2", "hunter2"]);
    let log = log.to_string();
    assert!(log.contains("\"ruleId\":\"set\"") && !log.contains("hunter2"), "{log}");
    let log = scanned(&[("a.yaml", "lockgate: 1\n"), ("b.yaml", "{}\n")], &["admin.lisen=1"]);
    assert_eq!(
        results(&log)[0]["locations"],
        json!([{
            "physicalLocation": { "artifactLocation": { "uri": "a.yaml", "uriBaseId": "%SRCROOT%" } },
            "logicalLocations": [{ "fullyQualifiedName": "--set admin.lisen" }],
        }])
    );
}

#[test]
fn a_file_that_cannot_be_read_is_its_own_place() {
    let files = ["Cargo.toml", "no-such.yaml"].map(PathBuf::from);
    let findings = load(&files, &[], &|_| None).err().unwrap();
    let log = log(&findings, &files);
    let place = &results(&log)[0]["locations"][0]["physicalLocation"];
    assert_eq!(place["artifactLocation"]["uri"], "no-such.yaml");
}

#[test]
fn braces_of_a_message_are_no_placeholders() {
    let log = scanned(&[("a.yaml", "lockgate: 1\nstores: { s: { directory: { path: \"${secrets.s}\" } } }\n")], &[]);
    let text = results(&log)[0]["message"]["text"].as_str().unwrap();
    assert!(text.contains("${{secrets."), "{text}");
}

/// Nothing of a file is in a log, whatever stands there.
#[test]
fn no_secret_is_in_a_log() {
    for text in [
        "endpoints: { e: { base_url: \"https://x\", auth: { bearer: { token: hunter2 } } } }",
        "endpoints: { e: { base_url: \"https://me:hunter2@x\" } }",
        "endpoints: { e: { base_url: \"https://x/?sig=hunter2\", oops: 1 } }",
        "endpoints: { e: { auth: { bearer: { token: \"hunter2 } } } }",
        "secrets: { s: hunter2 }",
    ] {
        let log = scanned(&[("a.yaml", text)], &[]);
        assert!(!results(&log).is_empty());
        assert!(!log.to_string().contains("hunter2"), "{text}\n{log}");
    }
}
