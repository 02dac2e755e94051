//! How diagnostics look, that many come at once, and that no secret is among them.

use super::{RIGHT, checked, environment, loaded};
use crate::spec::{Colour, load_str};

fn rendered(text: &str) -> String {
    checked(&[("pipelines.yaml", text)], &[]).unwrap_err().render(Colour::Never)
}

#[test]
fn a_diagnostic_shows_file_line_column_snippet_and_help() {
    let text = RIGHT.replace("concurrency:", "concurency:");
    assert_eq!(
        rendered(&text),
        "\
error[unknown-key]: unknown key `concurency`
  --> pipelines.yaml:43:5
   |
43 |     concurency: ${CONCURRENCY:-25}
   |     ^^^^^^^^^^
   |
   = help: did you mean `concurrency`?

"
    );
}

#[test]
fn what_belongs_together_is_shown_together() {
    let text = RIGHT.replace("plugin: download\n", "plugin: download\n    plugin: download\n");
    assert_eq!(
        rendered(&text),
        "\
error[duplicate-key]: the key `plugin` stands here a second time
  --> pipelines.yaml:39:5
   |
38 |     plugin: download
   |     ------ first here
39 |     plugin: download
   |     ^^^^^^
   |
   = help: keep one of the two

"
    );
}

#[test]
fn colour_is_asked_for() {
    let diagnostics = checked(&[("pipelines.yaml", "lockgate: 2\n")], &[]).unwrap_err();
    assert!(!diagnostics.render(Colour::Never).contains('\u{1b}'));
    assert!(diagnostics.render(Colour::Always).contains('\u{1b}'));
}

#[test]
fn machines_get_objects() {
    let diagnostics = checked(&[("pipelines.yaml", "lockgate: 2\n")], &[]).unwrap_err();
    assert_eq!(
        diagnostics.to_json(),
        serde_json::json!([{
            "severity": "error",
            "code": "wrong-value",
            "message": "this is format 2",
            "help": "this version reads format 1: `lockgate: 1`",
            "file": "pipelines.yaml",
            "line": 1,
            "column": 11,
            "end_line": 1,
            "end_column": 12,
        }])
    );
}

#[test]
fn many_errors_of_every_kind_come_at_once() {
    let text = "\
lockgate: 1
transports: { bus: { event_hubs: {} } }
stores: { cache: { directory: {} } }
endpoints: { media: { allow: [a/b], timeouts: { conect: 1s } } }
plugins: { download: { component: d.wasm, limits: { cpu: fast } } }
pipelines:
  one: { from: { topic: a }, plugin: downlod, dead_letter: { topic: a }, concurrency: 0 }
  two: { plugin: download, dead_letter: { topic: d }, drain_for: \"${MISSING}\", colour: red }
  two: {}
";
    let diagnostics = checked(&[("pipelines.yaml", text)], &[]).unwrap_err();
    let lines: Vec<_> = diagnostics.iter().map(|one| (diagnostics.position(one).unwrap().line, one.code)).collect();
    assert_eq!(
        lines,
        [
            (2, "missing-key"),
            (3, "missing-key"),
            (4, "wrong-value"),
            (4, "unknown-key"),
            (5, "wrong-value"),
            (7, "unknown-name"),
            (7, "wrong-value"),
            (7, "wrong-value"),
            (8, "missing-key"),
            (8, "missing-variable"),
            (8, "unknown-key"),
            (9, "duplicate-key"),
        ],
        "{diagnostics}"
    );
}

/// Wherever somebody may write a secret by mistake, and whatever else is wrong on that line.
#[test]
fn no_secret_is_ever_shown() {
    for text in [
        "endpoints: { e: { base_url: \"https://x\", auth: { bearer: { token: hunter2 } } } }",
        "endpoints: { e: { base_url: \"https://x\", auth: { bearer: { tokn: hunter2 } } } }",
        "endpoints: { e: { base_url: \"https://x\", auth: { bearer: hunter2 } } }",
        "endpoints: { e: { base_url: \"https://x\", auth: { beer: hunter2 } } }",
        "endpoints: { e: { base_url: \"https://x\", auth: hunter2 } }",
        "endpoints: { e: { base_url: \"https://x\", auth: { header: { name: K, value: [hunter2] } } } }",
        "endpoints: { e: { base_url: \"https://me:hunter2@x\" } }",
        "endpoints: { e: { base_url: \"https://x/?sig=hunter2\" } }",
        "endpoints: { e: { allow: [\"x/?sig=hunter2\"] } }",
        "stores: { s: { azure: { account: a, container: c, auth: { key: hunter2 } } } }",
        "stores: { s: { azure: { account: a, container: c, endpoint: \"https://x/?sig=hunter2\", oops: 1 } } }",
        "pipelines: { p: { oops: 1, config: { url: \"https://x/?sig=hunter2\", oops: 1 }, from: \"ftp://x?hunter2\" } }",
        "endpoints: { e: { auht: { bearer: { token: hunter2 } } } }",
        "endpoints: { e: { auht: hunter2 } }",
        "endpoints: { e: { api_key: hunter2, oops: 1 } }",
        "endpoints: { e: { auth: { bearer: { hunter2-SECRET } } } }",
        "endpoints: { e: { rate: \"${HUNTER}\", base_url: \"https://x\", timeouts: { connect: \"${HUNTER}\" } } }",
        "endpoints: { e: { base_url: \"https://x\", max_concurrent: \"${HUNTER}\", auth: \"${HUNTER}\" } }",
        "pipelines: { p: { order: \"${HUNTER}\", from: { start: \"${HUNTER}\" } } }",
        "admin: { listen: \"${HUNTER}\" }",
        "pipelines: { p: { plugin: \"${HUNTER}\", grants: { stores: [\"${HUNTER}\"] }, dead_letter: { topic: d, spill: \"x${HUNTER}\" } } }",
        "endpoints: { e: { base_url: \"https://x/${HUNTER}?\", redirects: [\"${HUNTER}\"], allow: [\"${HUNTER}/\"] } }",
        "pipelines: { p: { config: { client_secret: hunter2, oops: \"${secrets.s}\" } } }",
        "secrets:\n  s:\n    - hunter2\n    x: [\n",
        "endpoints:\n  e:\n    auth:\n      bearer:\n        x: \"hunter2\n",
        "endpoints:\n  e:\n    auth:\n      - hunter2\n      x: [\n",
        "secrets: { s: hunter2 }",
        "secrets: { s: { value: hunter2 } }",
        "endpoints: { e: { auth: { bearer: { token: \"${TOKEN:-hunter2}\" } } } }",
        "endpoints: { e: { auth: { bearer: { token: \"Bearer hunter2 ${secrets.s}\" } } } }",
        "endpoints: { e: { auth: { bearer: { token: \"hunter2 } } } }",
        "endpoints:\n  e:\n    token: hunter2: x\n",
        "secrets: { s: { env: BEHIND } }\nendpoints: { e: { base_url: \"${BEHIND}\" } }",
    ] {
        let environment = |name: &str| {
            if matches!(name, "BEHIND" | "HUNTER") { Some("hunter2".to_owned()) } else { environment(name) }
        };
        let diagnostics = match load_str(text, &environment) {
            Ok(loaded) => crate::spec::check(&loaded, &Default::default()).unwrap_err(),
            Err(diagnostics) => diagnostics,
        };
        let shown = format!("{diagnostics} {} {diagnostics:?}", diagnostics.to_json());
        assert!(!shown.contains("hunter2"), "{text}\n{shown}");
    }
}

#[test]
fn a_secret_that_an_overlay_replaced_or_set_is_not_shown_either() {
    let base = "endpoints: { e: { auth: { bearer: { token: hunter2 } }, oops: 1 } }\n";
    let over = "endpoints: { e: { auth: { bearer: { token: \"${secrets.s}\" } } } }\n";
    for sets in [&[][..], &["endpoints.e.auth.bearer.token=hunter2"]] {
        let loaded = loaded(&[("base.yaml", base), ("over.yaml", over)], sets).unwrap();
        let diagnostics = crate::spec::check(&loaded, &Default::default()).unwrap_err();
        let shown = format!("{diagnostics} {diagnostics:?}");
        assert!(shown.contains("oops") && !shown.contains("hunter2"), "{shown}");
    }
}

proptest::proptest! {
    /// Whatever is cut out of a spec or put into it, reading ends, and what is wrong can be shown.
    #[test]
    fn any_spec_is_read_to_its_end(
        at in 0..RIGHT.len(), length in 0usize..60, new in "[ \\n\\[\\]{}:,\"'a-z0-9$é&*-]{0,6}",
    ) {
        let end = (at + length).min(RIGHT.len());
        let text = format!("{}{new}{}", &RIGHT[..at], &RIGHT[end..]);
        match checked(&[("pipelines.yaml", &text)], &["pipelines.fetch.drain_for=5s"]) {
            Ok(plan) => proptest::prop_assert!(!plan.warnings.has_errors()),
            Err(diagnostics) => {
                proptest::prop_assert!(diagnostics.has_errors());
                proptest::prop_assert!(!diagnostics.render(Colour::Always).is_empty());
                proptest::prop_assert!(diagnostics.to_json().is_array());
            }
        }
    }
}
