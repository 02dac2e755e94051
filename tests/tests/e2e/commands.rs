//! Commands that run no pipeline: checks, exit codes, the schema, what comes back of what was sent.

use std::time::Duration;

use e2e::support::lockgate::{Lockgate, lines};
use serde_json::Value;

use crate::scene::lockgate;

/// How long anything may take. No test passes by waiting it out.
const PATIENCE: Duration = Duration::from_secs(120);
/// How often another process is asked again.
const LOOK: Duration = Duration::from_millis(50);

/// Asks until there is an answer.
pub(crate) async fn eventually<T>(ask: impl AsyncFn() -> Option<T>) -> T {
    let asked = async {
        loop {
            if let Some(answer) = ask().await {
                return answer;
            }
            tokio::time::sleep(LOOK).await;
        }
    };
    tokio::time::timeout(PATIENCE, asked).await.unwrap_or_else(|_| panic!("nothing came in {PATIENCE:?}"))
}

/// The rows of `lockgate status`.
pub(crate) async fn status(lockgate: &Lockgate) -> Vec<Value> {
    lines(&lockgate.output(&["status", "--json"]).await.unwrap()).unwrap()
}

/// A spec with mistakes of several kinds, at known places.
const WRONG: &str = "\
lockgate: 1
transports:
  bus: { log: { path: bus } }
stores:
  cache: { directory: { path: cache } }
plugins:
  download: { component: download.wasm }
pipelines:
  fetch:
    from: { topic: pending, group: fetch }
    plugin: donwload
    concurency: 25
    drain_for: soon
    grants: { stores: [cash] }
    dead_letter: { topic: dlq }
";

#[tokio::test]
async fn every_error_of_a_spec_is_told_at_once_and_nothing_starts() {
    let folder = tempfile::tempdir().unwrap();
    let lockgate = lockgate(folder.path(), WRONG).await;
    for command in ["check", "run"] {
        let answer = lockgate.answer(&[command]).await.unwrap();
        assert_eq!(answer.code, Some(2), "{}", answer.errors);
        for place in ["pipelines.yaml:11:", "pipelines.yaml:12:", "pipelines.yaml:13:", "pipelines.yaml:14:"] {
            assert!(answer.errors.contains(place), "{place} is not in\n{}", answer.errors);
        }
        for near in ["download", "concurrency", "cache"] {
            assert!(answer.errors.contains(&format!("`{near}`")), "{near} is not offered in\n{}", answer.errors);
        }
    }
    assert!(!folder.path().join("bus").exists(), "a check makes nothing");
}

#[tokio::test]
async fn errors_of_a_spec_can_be_had_as_json() {
    let folder = tempfile::tempdir().unwrap();
    let answer = lockgate(folder.path(), WRONG).await.answer(&["check", "--format", "json"]).await.unwrap();
    assert_eq!(answer.code, Some(2));
    let findings: Vec<Value> = serde_json::from_str(&answer.output).unwrap();
    assert!(findings.len() >= 4, "{findings:?}");
}

#[tokio::test]
async fn errors_of_a_spec_can_be_had_as_sarif_and_are_explained_once_at_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let lockgate = lockgate(folder.path(), WRONG).await;
    let answer = lockgate.answer(&["check", "--format", "sarif"]).await.unwrap();
    assert_eq!(answer.code, Some(2), "{}", answer.errors);
    let log: Value = serde_json::from_str(&answer.output).unwrap();
    let results = log["runs"][0]["results"].as_array().unwrap();
    let unknown = results.iter().find(|result| result["ruleId"] == "unknown-key").unwrap();
    let place = &unknown["locations"][0]["physicalLocation"];
    assert_eq!(
        (&place["artifactLocation"]["uri"], &place["region"]["startLine"]),
        (&"pipelines.yaml".into(), &12.into())
    );
    let told = lockgate.answer(&["check"]).await.unwrap();
    assert_eq!(told.errors.matches("lockgate explain").count(), 1, "{}", told.errors);
    assert!(told.errors.trim_end().lines().last().unwrap().contains("unknown-key"), "{}", told.errors);
}

#[tokio::test]
async fn a_right_spec_has_a_log_without_results() {
    let folder = tempfile::tempdir().unwrap();
    let answer = lockgate(folder.path(), "lockgate: 1\n").await.answer(&["check", "--format", "sarif"]).await.unwrap();
    assert_eq!(answer.code, Some(0), "{}", answer.errors);
    let log: Value = serde_json::from_str(&answer.output).unwrap();
    assert_eq!(log["runs"][0]["results"], serde_json::json!([]));
}

#[tokio::test]
async fn a_code_is_explained_without_a_spec_and_an_unknown_one_ends_with_2() {
    let folder = tempfile::tempdir().unwrap();
    let program = lockgate(folder.path(), "").await.program;
    let explain = async |codes: &[&str]| {
        let mut command = tokio::process::Command::new(&program);
        command.arg("explain").args(codes).current_dir("/").output().await.unwrap()
    };
    let explained = explain(&["guest-fault"]).await;
    assert_eq!(explained.status.code(), Some(0));
    assert!(String::from_utf8_lossy(&explained.stdout).contains("What to do"));
    let unknown = explain(&["guest-falt"]).await;
    assert_eq!((unknown.status.code(), unknown.stdout.len()), (Some(2), 0));
    assert!(String::from_utf8_lossy(&unknown.stderr).contains("`guest-fault`"));
}

#[tokio::test]
async fn a_wrong_command_line_is_no_failure_of_a_run() {
    let folder = tempfile::tempdir().unwrap();
    let lockgate = lockgate(folder.path(), "lockgate: 1\n").await;
    for arguments in [&["run", "--no-such-flag"][..], &["no-such-command"], &["tail"]] {
        let answer = lockgate.answer(arguments).await.unwrap();
        assert_eq!(answer.code, Some(2), "{arguments:?}: {}", answer.errors);
    }
}

#[tokio::test]
async fn the_schema_is_json() {
    let folder = tempfile::tempdir().unwrap();
    let lockgate = lockgate(folder.path(), "lockgate: 1\n").await;
    let output = tokio::process::Command::new(&lockgate.program).arg("schema").output().await.unwrap();
    let schema: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(schema["properties"]["pipelines"].is_object(), "{schema}");
}

#[tokio::test]
async fn what_is_sent_comes_back_as_it_was() {
    const SPEC: &str = "lockgate: 1\ntransports: { bus: { log: { path: bus } } }\n";
    let folder = tempfile::tempdir().unwrap();
    let lockgate = lockgate(folder.path(), SPEC).await;
    let raw: Vec<u8> = (0..=255).collect();
    std::fs::write(folder.path().join("raw"), &raw).unwrap();
    std::fs::write(folder.path().join("lines"), "{\"b\":1, \"a\":2}\n\n[3]\n").unwrap();
    lockgate.output(&["send", "things", "--create", "--key", "k", "--header", "from=x=y", "lines"]).await.unwrap();
    lockgate.output(&["send", "things", "--key", "k", "--raw", "raw"]).await.unwrap();
    let seen: Vec<Value> = lines(&lockgate.output(&["tail", "things", "--json"]).await.unwrap()).unwrap();
    assert_eq!(seen.len(), 3);
    assert_eq!(seen[0]["payload_text"], "{\"b\":1, \"a\":2}", "it is not written compactly");
    assert_eq!((&seen[0]["key"], &seen[0]["headers"]["from"]), (&Value::from("k"), &Value::from("x=y")));
    assert_eq!(seen[1]["payload"], serde_json::json!([3]));
    assert!(seen[2]["payload_base64"].as_str().unwrap().starts_with("AAECAwQF"), "{}", seen[2]);
    assert_eq!(seen[0]["partition"], seen[2]["partition"], "one key, one partition");
}
