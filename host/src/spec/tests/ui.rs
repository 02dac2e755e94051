//! What `lockgate check` prints for a spec that is wrong, word for word. A case is a file `ui/NAME.yaml`, or a folder
//! `ui/NAME` of files with the command line's `arguments`; beside it stands `NAME.txt`, the text. To write the texts
//! anew, run with `LOCKGATE_UPDATE_UI=1`, and read what has changed as somebody does who knows nothing of the code.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use super::{described, environment};
use crate::spec::{Colour, Diagnostics, check, load};

const UPDATE: &str = "LOCKGATE_UPDATE_UI";

fn sources() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/spec")
}

fn folder() -> PathBuf {
    sources().join("tests/ui")
}

/// The cases: by name, files and `--set`s.
fn cases() -> BTreeMap<String, (Vec<PathBuf>, Vec<String>)> {
    let mut cases = BTreeMap::new();
    for entry in fs::read_dir(folder()).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        if path.is_dir() {
            cases.insert(name, arguments(&path));
        } else if path.extension().is_some_and(|extension| extension == "yaml") {
            cases.insert(name, (vec![path], Vec::new()));
        }
    }
    cases
}

/// The command line of a case, one argument a line.
fn arguments(folder: &Path) -> (Vec<PathBuf>, Vec<String>) {
    let (mut files, mut sets) = (Vec::new(), Vec::new());
    let lines = fs::read_to_string(folder.join("arguments")).unwrap();
    for line in lines.lines() {
        match line.split_once(' ').unwrap() {
            ("-f", file) => files.push(folder.join(file)),
            ("--set", set) => sets.push(set.to_owned()),
            other => panic!("{other:?}"),
        }
    }
    (files, sets)
}

fn found(files: &[PathBuf], sets: &[String]) -> Diagnostics {
    let checked = load(files, sets, &environment).and_then(|loaded| check(&loaded, &described(&loaded)));
    match checked {
        Ok(plan) => plan.warnings,
        Err(diagnostics) => diagnostics,
    }
}

/// As if the command ran in the folder of the files.
fn printed(files: &[PathBuf], sets: &[String]) -> String {
    let text = found(files, sets).render(Colour::Never);
    let beside = files.first().and_then(|file| file.parent()).unwrap();
    text.replace(&format!("{}/", beside.display()), "")
}

#[test]
fn every_case_prints_its_text_word_for_word() {
    let update = std::env::var_os(UPDATE).is_some();
    let mut differing = Vec::new();
    for (name, (files, sets)) in cases() {
        let (text, expected) = (printed(&files, &sets), folder().join(format!("{name}.txt")));
        if update {
            fs::write(&expected, &text).unwrap();
        } else if fs::read_to_string(&expected).unwrap_or_default() != text {
            differing.push(format!("{name} prints now:\n{text}"));
        }
    }
    assert!(differing.is_empty(), "{}\nif that is meant: {UPDATE}=1 cargo test ui", differing.join("\n"));
}

#[test]
fn every_case_finds_something_and_every_text_belongs_to_a_case() {
    let cases = cases();
    for (name, (files, sets)) in &cases {
        assert!(!found(files, sets).is_empty(), "{name} finds nothing");
    }
    let texts = fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path());
    let texts = texts.filter(|path| path.extension().is_some_and(|extension| extension == "txt"));
    let orphans: Vec<PathBuf> =
        texts.filter(|text| !cases.contains_key(text.file_stem().unwrap().to_str().unwrap())).collect();
    assert_eq!(orphans, Vec::<PathBuf>::new());
}

#[test]
fn every_code_that_check_can_print_has_a_case() {
    let mut shown = BTreeSet::new();
    for (files, sets) in cases().values() {
        shown.extend(found(files, sets).iter().map(|one| one.code.to_owned()));
    }
    let codes = codes_of_sources();
    assert!(codes.len() >= 17, "the sources are read wrongly: {codes:?}");
    let missing: Vec<&String> = codes.difference(&shown).collect();
    assert_eq!(missing, Vec::<&String>::new(), "codes without a case in {}", folder().display());
}

/// Every word that stands where a diagnostic is made, and in every `fn code`.
fn codes_of_sources() -> BTreeSet<String> {
    let mut codes = BTreeSet::new();
    for path in rust_files(&sources()) {
        let text = fs::read_to_string(&path).unwrap();
        let production = text.split("#[cfg(test)]").next().unwrap();
        for call in
            ["Diagnostic::error(", "Diagnostic::warning(", "Diagnostic::nowhere(", "self.error(", "checker.error("]
        {
            let behind = production.split(call).skip(1).map(str::trim_start);
            codes.extend(behind.filter_map(literal));
        }
        if let Some((_, function)) = production.split_once("fn code(") {
            let body = function.split("\n    }").next().unwrap();
            codes.extend(body.split("=>").skip(1).map(str::trim_start).filter_map(literal));
        }
    }
    codes
}

fn literal(text: &str) -> Option<String> {
    Some(text.strip_prefix('"')?.split_once('"')?.0.to_owned())
}

/// The sources, tests left out.
fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if path.is_dir() && name != "tests" {
            files.extend(rust_files(&path));
        } else if name.ends_with(".rs") && !name.ends_with("tests.rs") {
            files.push(path);
        }
    }
    files
}
