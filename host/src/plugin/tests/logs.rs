//! What guests say becomes log lines that can be told apart.

use std::cell::RefCell;
use std::io::{self, Write};
use std::sync::Once;

use serde_json::Value;

use super::*;

thread_local! {
    /// What this thread logs, while somebody collects it.
    static LINES: RefCell<Option<Vec<u8>>> = const { RefCell::new(None) };
}

/// Has every thread log to its own [`LINES`]. One subscriber for the whole process, set before anything logs: one a
/// test would race with what other threads log for the first time.
pub(super) fn set_up() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let logs = tracing_subscriber::fmt().json().flatten_event(true).with_span_list(false);
        let logs = logs.with_max_level(tracing::Level::DEBUG).with_writer(|| ToThread).finish();
        tracing::subscriber::set_global_default(logs).unwrap();
    });
}

struct ToThread;

impl Write for ToThread {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        LINES.with_borrow_mut(|lines| lines.iter_mut().for_each(|lines| lines.extend_from_slice(bytes)));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What this thread logs while `work` runs.
pub(super) async fn lines_while<T>(work: impl Future<Output = T>) -> (T, Vec<Value>) {
    set_up();
    LINES.set(Some(Vec::new()));
    let done = work.await;
    let bytes = LINES.take().unwrap();
    let text = String::from_utf8(bytes).unwrap();
    (done, text.lines().map(|line| serde_json::from_str(line).unwrap()).collect())
}

/// What guests said while `work` ran.
async fn said_while<T>(work: impl Future<Output = T>) -> Vec<Value> {
    let (_, lines) = lines_while(work).await;
    lines.into_iter().filter(|line| line["target"] == "lockgate::guest").collect()
}

async fn lines_of(command: &str) -> Vec<Value> {
    let bench = Bench::new(Wanted::default()).await;
    said_while(bench.call(command)).await
}

#[tokio::test]
async fn a_line_says_of_which_pipeline_and_message_it_is() {
    let lines = lines_of("log careful https://files.example/f?sig=SENTINEL").await;
    let line = &lines[0];
    assert_eq!((line["level"].as_str(), line["fields"].as_str()), (Some("WARN"), Some("colour=red")));
    assert_eq!(line["message"], "careful https://files.example/f?…");
    let span = &line["span"];
    assert_eq!(span["pipeline"], "copies");
    assert_eq!(span["plugin"], "probe");
    assert_eq!(span["partition"], "tasks/3");
    assert_eq!(span["offset"], 42);
    assert_eq!(span["message_id"], "m-1");
    assert_eq!(span["trace_id"], "4bf92f3577b34da6a3ce929d0e0e4736");
}

#[tokio::test]
async fn standard_streams_become_lines() {
    let out = &lines_of("print hello there").await[0];
    assert_eq!((out["message"].as_str(), out["stream"].as_str()), (Some("hello there"), Some("stdout")));
    let error = &lines_of("eprint oh no").await[0];
    assert_eq!((error["message"].as_str(), error["stream"].as_str()), (Some("oh no"), Some("stderr")));
    assert_eq!(error["span"]["message_id"], "m-1");
    let panic = lines_of("panic the sky fell").await;
    assert!(panic.iter().any(|line| line["message"] == "the sky fell" && line["level"] == "WARN"), "{panic:?}");
    assert!(panic.iter().all(|line| !line["message"].as_str().unwrap().contains("RUST_BACKTRACE")), "{panic:?}");
    let open = &lines_of("eprint-trap no end of line").await[0];
    assert_eq!(open["message"], "no end of line");
}

#[tokio::test]
async fn a_call_writes_a_thousand_lines_and_what_is_dropped_is_counted() {
    let lines = lines_of("lines 1234").await;
    let (last, kept) = lines.split_last().unwrap();
    assert_eq!((kept.len(), &kept[999]["message"]), (1000, &"line 999".into()));
    assert_eq!((&last["dropped"], &last["limit"]), (&234.into(), &1000.into()));
}

#[tokio::test]
async fn a_text_is_cut_at_eight_kibibytes() {
    let line = lines_of("long-line 10000").await[0]["message"].as_str().unwrap().to_owned();
    assert_eq!(line, format!("{} … (cut)", "é".repeat(4096)));
}

#[tokio::test]
async fn a_plugin_may_log_while_it_is_configured() {
    let bench = Bench::new(Wanted { config_json: r#"{ "log": true }"#, ..Wanted::default() }).await;
    let line = &said_while(bench.call("done")).await[0];
    assert_eq!((&line["message"], &line["span"]["pipeline"]), (&"configured".into(), &"copies".into()));
}
