//! Several files and `--set`: what comes out, and that every value keeps its own file and line.

use super::{RIGHT, checked, loaded, said};
use crate::spec::plan::TransportKind;

#[test]
fn overlays_change_what_they_name() {
    let production = "transports: { bus: { memory: {} } }\npipelines: { fetch: { concurrency: 50, order: null, to: { cached: discard } } }\n";
    let plan = checked(&[("base.yaml", RIGHT), ("production.yaml", production)], &[]).unwrap();
    let bus = &plan.transports["bus"];
    assert!(matches!(bus.kind, TransportKind::Memory(_)));
    assert!(bus.topics.contains_key("pending"), "siblings of the kind stay");
    let fetch = &plan.pipelines["fetch"];
    assert_eq!((fetch.concurrency.get(), &fetch.order), (50, &crate::flow::config::Order::None));
}

#[test]
fn set_comes_on_top_and_the_last_one_wins() {
    let sets = ["pipelines.fetch.concurrency=40", "pipelines.fetch.concurrency=50", "pipelines.fetch.drain_for=5s"];
    let plan = checked(&[("pipelines.yaml", RIGHT)], &sets).unwrap();
    let fetch = &plan.pipelines["fetch"];
    assert_eq!((fetch.concurrency.get(), fetch.drain_for.as_secs()), (50, 5));
}

#[test]
fn each_value_keeps_its_own_file_and_line() {
    let production = "stores:\n  cache: { directory: { pth: x } }\npipelines:\n  fetch:\n    concurrency: lots\n";
    let sets = ["pipelines.fetch.plugin=dwnload", "pipelines.fetch.grants.stores=cache"];
    let base = RIGHT.replace("drain_for: 30s", "drain_for: soon");
    let diagnostics = checked(&[("base.yaml", &base), ("production.yaml", production)], &sets).unwrap_err();
    assert_eq!(
        said(&diagnostics),
        [
            "base.yaml:50:16 `soon` wrong-value: `drain_for`: `soon` is not a duration: write a number and a unit, such as `200ms`, `30s`, `5m` or `1h30m`",
            "production.yaml:2:25 `pth` unknown-key: unknown key `pth` (did you mean `path`?)",
            "production.yaml:5:18 `lots` wrong-value: `concurrency` takes a number, not a string",
            "--set:1:24 `dwnload` unknown-name: no plugin is called `dwnload` (did you mean `download`?)",
            "--set:1:31 `cache` wrong-value: `stores` takes a list, not a string",
        ]
    );
}

#[test]
fn a_misspelt_pipeline_in_an_overlay_or_a_set_is_said_once() {
    let over = "pipelines:\n  ftech: { drain_for: 5s }\n";
    let diagnostics = checked(&[("base.yaml", RIGHT), ("over.yaml", over)], &["pipelines.fetsh.concurrency=5"]);
    assert_eq!(
        said(&diagnostics.unwrap_err()),
        [
            "over.yaml:2:3 `ftech` unknown-name: no pipeline is called `ftech` (did you mean `fetch`?)",
            "--set:1:11 `fetsh` unknown-name: no pipeline is called `fetsh` (did you mean `fetch`?)",
        ]
    );
}

#[test]
fn what_is_no_spec_at_all_is_said_for_all_files() {
    let diagnostics = loaded(&[("a.yaml", "a: \"b\n"), ("b.yaml", "- x\n")], &["oops"]).unwrap_err();
    let files: Vec<_> = diagnostics.iter().map(|one| diagnostics.position(one).unwrap().file).collect();
    assert_eq!(files, ["a.yaml", "b.yaml", "--set"]);
}

#[test]
fn files_are_read_and_those_that_cannot_be_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pipelines.yaml");
    std::fs::write(&file, RIGHT).unwrap();
    assert!(crate::spec::load(std::slice::from_ref(&file), &[], &super::environment).is_ok());
    let missing = folder.path().join("missing.yaml");
    let diagnostics = crate::spec::load(&[file, missing], &[], &super::environment).unwrap_err();
    let messages: Vec<_> = diagnostics.iter().map(|one| one.message.as_str()).collect();
    assert!(matches!(messages[..], [message] if message.contains("missing.yaml")), "{messages:?}");
}
