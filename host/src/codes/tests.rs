//! The table is held to the code that uses its words, its examples to the real checker, the page to the table.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::json;

use super::*;
use crate::plugin::{Binding, Description};
use crate::spec::{self, Descriptions, Diagnostics, Loaded};

fn crate_root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: impl AsRef<Path>) -> String {
    let path = crate_root().join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The Rust files below a folder, but tests.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let is_test = |path: &Path| path.file_stem().is_some_and(|stem| stem.to_string_lossy().ends_with("tests"));
    let product = entries.filter(|path| !is_test(path));
    product
        .flat_map(|path| match path.is_dir() {
            true => sources(&path),
            false if path.extension().is_some_and(|end| end == "rs") => vec![path],
            false => Vec::new(),
        })
        .collect()
}

/// A file without the tests at its end.
fn product(text: &str) -> &str {
    text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default()
}

/// The words that a function of a file gives: every literal in it that is one.
fn words_of(file: &str, function: &str) -> BTreeSet<String> {
    let text = read(file);
    let (_, body) = text.split_once(&format!("fn {function}(")).unwrap_or_else(|| panic!("{file}: no {function}"));
    let end = body.find("\n    }\n").unwrap_or(body.len());
    let literals = body[..end].split('"').skip(1).step_by(2).map(str::to_owned);
    let words: BTreeSet<String> = literals.filter(|literal| is_word(literal)).collect();
    assert!(!words.is_empty(), "{file}: {function} gives no word");
    words
}

fn is_word(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_lowercase() || c == '-')
}

/// The literal that an argument list begins with.
fn first_literal(arguments: &str) -> Option<&str> {
    arguments.trim_start().strip_prefix('"')?.split('"').next()
}

fn table(kind: Kind) -> BTreeSet<String> {
    all().filter(|code| code.kind == kind).map(|code| code.word.to_owned()).collect()
}

fn set(words: &[&str]) -> BTreeSet<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

#[test]
fn every_code_that_the_checker_writes_is_explained_and_every_explained_one_is_written() {
    let mut written = words_of("src/spec/interpolate.rs", "code");
    for file in sources(&crate_root().join("src/spec")) {
        let text = read(&file);
        for call in ["::error(", "::warning(", "::nowhere(", ".error(", ".warning("] {
            let codes = product(&text).split(call).skip(1).filter_map(first_literal);
            written.extend(codes.filter(|code| is_word(code)).map(str::to_owned));
        }
    }
    let explained: BTreeSet<String> = findings().iter().map(|code| code.word.to_owned()).collect();
    assert_eq!(written, explained);
}

#[test]
fn a_warning_of_the_checker_is_explained_as_one() {
    let mut written = BTreeSet::new();
    for file in sources(&crate_root().join("src/spec")) {
        let text = read(&file);
        let codes = product(&text).split("::warning(").skip(1).filter_map(first_literal);
        written.extend(codes.map(str::to_owned));
    }
    assert_eq!(written, table(Kind::Warning));
}

#[test]
fn every_class_of_dead_letters_is_explained() {
    assert_eq!(words_of("src/flow/triage.rs", "as_str"), table(Kind::Class));
}

#[test]
fn every_code_of_dead_letters_that_the_host_gives_is_explained() {
    let mut given = words_of("src/plugin/mod.rs", "code");
    // No instance can be made: the pipeline is held, and no message is given up for it.
    assert!(given.remove("start"));
    for file in sources(&crate_root().join("src/flow")) {
        let text = read(&file);
        let codes = product(&text).split("code: \"").skip(1).filter_map(|rest| rest.split('"').next());
        given.extend(codes.map(str::to_owned));
    }
    // What this file's own tests and those of its neighbours make up stands behind `mod tests`.
    let mut sdk = BTreeSet::new();
    for file in ["http", "blobs", "keyvalue", "json"] {
        sdk.extend(words_of(&format!("../plugins/sdk-rust/src/{file}.rs"), "code"));
    }
    let rejected = set(&["denied", "too-large", "not-found", "conflict", "payload-invalid", "emission-invalid"]);
    assert!(rejected.is_subset(&sdk), "{sdk:?}");
    assert_eq!(given.union(&rejected).cloned().collect::<BTreeSet<_>>(), table(Kind::Letter));
}

#[test]
fn every_state_and_every_wait_is_explained() {
    assert_eq!(words_of("src/admin/status.rs", "as_str"), table(Kind::State));
    assert_eq!(words_of("src/flow/status.rs", "word"), table(Kind::Wait));
}

#[test]
fn no_word_is_explained_twice_as_the_same_and_none_is_left_empty() {
    let mut seen = BTreeSet::new();
    for code in all() {
        assert!(seen.insert((code.kind, code.word)), "{}", code.word);
        assert!(is_word(code.word), "{}", code.word);
        assert!(!code.title.ends_with('.') && !code.title.starts_with(char::is_uppercase), "{}", code.title);
        for text in [code.meaning, code.why, code.mend] {
            assert!(text.ends_with('.') && !text.contains("  "), "{}: {text}", code.word);
        }
        // An example of too many findings would be too long to read.
        let has_examples = matches!(code.kind, Kind::Error | Kind::Warning) && code.word != "too-many";
        assert_eq!(code.examples.is_some(), has_examples, "{}", code.word);
    }
}

#[test]
fn a_word_of_two_kinds_is_explained_as_both() {
    let kinds: Vec<Kind> = explain("refused").map(|code| code.kind).collect();
    assert_eq!(kinds, [Kind::Class, Kind::Letter]);
    assert_eq!(explain("no-such-word").count(), 0);
}

/// What the checker finds in an example.
fn found(example: Example) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    std::fs::write(file("pipelines.yaml"), SPEC).unwrap();
    let (mut files, mut sets) = (vec![file("pipelines.yaml")], Vec::new());
    match example {
        Example::Overlay(text) => {
            std::fs::write(file("example.yaml"), text).unwrap();
            files.push(file("example.yaml"));
        }
        Example::Arguments(arguments) => match arguments.split_once(' ').unwrap() {
            ("-f", name) => files = vec![file(name)],
            ("--set", assignment) => sets.push(assignment.to_owned()),
            _ => panic!("{arguments}"),
        },
    }
    let plan = spec::load(&files, &sets, &|_| None).and_then(|loaded| spec::check(&loaded, &described(&loaded)));
    let codes = |findings: &Diagnostics| findings.iter().map(|finding| finding.code.to_owned()).collect();
    plan.map_or_else(|findings| codes(&findings), |plan| codes(&plan.warnings))
}

/// What the components of an example say of themselves: one file is there, which has one output.
fn described(loaded: &Loaded) -> Descriptions {
    let description = Description {
        name: "download".to_owned(),
        version: "0.1.0".to_owned(),
        description: "fetches files".to_owned(),
        config_schema: json!({
            "properties": { "store": { "type": "string" }, "attempts": { "type": "integer" } },
            "additionalProperties": false,
        }),
        sha256: "00".repeat(32),
        contract: "lockgate:plugin@0.1.0".to_owned(),
        imports: Vec::new(),
    };
    let plugins = loaded.plugins().map(|(name, plugin)| {
        let is_there = plugin.component == Path::new("plugins/download.wasm");
        let gone = || format!("component {} cannot be read: no such file", plugin.component.display());
        (name.to_owned(), is_there.then(|| description.clone()).ok_or_else(gone))
    });
    let bindings = loaded.configurations().map(|(pipeline, _, config)| {
        let stores = config["store"].as_str().map(str::to_owned).into_iter().collect();
        (pipeline.to_owned(), Ok(Binding { outputs: vec!["cached".to_owned()], stores, ..Binding::default() }))
    });
    Descriptions { plugins: plugins.collect(), bindings: bindings.collect() }
}

#[test]
fn the_wrong_example_of_a_finding_gives_that_finding_alone_and_the_right_one_none() {
    for (code, examples) in findings().iter().filter_map(|code| Some((code, code.examples?))) {
        let Examples { wrong, right } = examples;
        assert_eq!(found(wrong), [code.word], "the wrong example of {}", code.word);
        assert_eq!(found(right), [""; 0], "the right example of {}", code.word);
    }
}

#[test]
fn the_page_is_made_of_the_table() {
    assert_eq!(
        read("../docs/errors.md").trim_end(),
        page(),
        "run `cargo run -p lockgate -- explain --markdown > docs/errors.md`"
    );
}
