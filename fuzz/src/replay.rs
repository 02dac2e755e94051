//! Runs every target with the inputs that are kept of it: seeds by hand, and what a fuzzer found. An input that breaks
//! a property is named.

use std::collections::BTreeSet;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use crate::{TARGETS, Verdict, target};

macro_rules! replayed {
    ($($test:ident: $name:literal,)*) => {
        $(#[test] fn $test() { replay($name); })*
        const REPLAYED: &[&str] = &[$($name),*];
    };
}

replayed! {
    spec_text: "spec",
    interpolation: "interpolation",
    checkpoint_encoding: "checkpoint",
    outcome_conversion: "outcome",
    url_vetting: "url",
    path_vetting: "path",
    log_records: "log-record",
    parked_messages_and_letters: "parked",
    lines_of_records: "line",
    redaction: "redaction",
}

/// Runs what is kept of a target. Some of it is taken and some refused, so that neither half goes untried.
fn replay(name: &str) {
    let target = target(name).unwrap();
    let (mut verdicts, mut broken) = (BTreeSet::new(), Vec::new());
    for file in kept(name) {
        let input = fs::read(&file).unwrap();
        match catch_unwind(AssertUnwindSafe(|| (target.run)(&input))) {
            Ok(verdict) => drop(verdicts.insert(verdict)),
            Err(_) => broken.push(file),
        }
    }
    assert!(broken.is_empty(), "properties of `{name}` are broken, as said above, by {broken:#?}");
    assert_eq!(verdicts, [Verdict::Taken, Verdict::Refused].into(), "what is kept of `{name}` shows one half only");
}

fn kept(name: &str) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> =
        fs::read_dir(corpus().join(name)).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus")
}

#[test]
fn every_target_is_replayed_and_has_a_corpus() {
    let names = BTreeSet::from(TARGETS.map(|target| target.name.to_owned()));
    assert_eq!(names, REPLAYED.iter().map(|name| (*name).to_owned()).collect());
    let folders = fs::read_dir(corpus()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    assert_eq!(names, folders.collect());
}

/// An input that is kept is read by people, and its name says why it is kept.
#[test]
fn what_is_kept_is_small_and_has_a_name() {
    for file in TARGETS.iter().flat_map(|target| kept(target.name)) {
        let name = file.file_name().unwrap().to_str().unwrap();
        let is_name = name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
        assert!(is_name && !name.starts_with("crash-"), "{name} says not what it is");
        assert!(fs::metadata(&file).unwrap().len() <= 8 << 10, "{} is large", file.display());
    }
}
