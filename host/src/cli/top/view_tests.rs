//! What stands on the screen, as text.

use ratatui::Terminal;
use ratatui::backend::TestBackend;
use serde_json::{Value, json};

use super::*;

/// A pipeline after so many messages, of which each moved a megabyte and took 60 ms.
fn pipeline(name: &str, state: &str, done: u64) -> Value {
    let durations = |count: u64| {
        let buckets = [(Some(0.05), 0), (Some(0.1), count), (None, 0)];
        let buckets = buckets.map(|(up_to, count)| json!({ "up_to_seconds": up_to, "count": count }));
        json!({ "count": count, "sum_seconds": 1.0, "p50_seconds": null, "p95_seconds": null, "buckets": buckets })
    };
    json!({
        "name": name, "system": "lockgate_log", "topic": "t", "group": "g", "state": state, "reason": null,
        "counts": {
            "in": done + 2, "done": done, "skipped": {}, "retried": 0, "parked": 0, "dead": {"bad": done / 10},
            "bytes": done * 1_000_000,
        },
        "running": 2, "unsettled": 2, "lag": 42,
        "in_plugin": durations(0), "latency": durations(done), "partitions": [],
    })
}

fn status(now_ms: u64, pipelines: &[Value]) -> Status {
    serde_json::from_value(json!({ "lockgate": "0.1.0", "now_ms": now_ms, "pipelines": pipelines })).unwrap()
}

fn screen(before: Option<&Status>, now: Option<&Status>) -> String {
    let mut terminal = Terminal::new(TestBackend::new(116, 8)).unwrap();
    terminal.draw(|frame| draw(frame, "127.0.0.1:9600", before, now)).unwrap();
    let buffer = terminal.backend().buffer();
    let width = usize::from(buffer.area.width);
    let cells: Vec<&str> = buffer.content.iter().map(|cell| cell.symbol()).collect();
    cells.chunks(width).map(|line| line.concat().trim_end().to_owned() + "\n").collect::<String>().trim_end().to_owned()
}

#[test]
fn rates_are_those_between_two_answers() {
    let before = status(1_000, &[pipeline("claimx-download", "running", 100)]);
    let now = status(3_000, &[pipeline("claimx-download", "running", 150)]);
    let shown = screen(Some(&before), Some(&now));
    let lines: Vec<Vec<&str>> = shown.lines().map(|line| line.split_whitespace().collect()).collect();
    let names = COLUMNS.map(|(name, _)| name);
    assert_eq!(lines[2], names, "{shown}");
    let row = ["claimx-download", "running", "25.0", "25.0", "2.5", "25.0", "1500", "2", "42"];
    assert_eq!(lines[3][..9], row, "{shown}");
}

#[test]
fn one_answer_gives_no_rate() {
    let shown = screen(None, Some(&status(1_000, &[pipeline("p", "running", 100)])));
    assert!(shown.lines().nth(3).is_some_and(|line| line.matches(" -").count() >= 5), "{shown}");
}

#[test]
fn why_a_pipeline_does_not_run_and_its_oldest_message_are_told_below() {
    let mut held = pipeline("p", "held", 100);
    let text = "held at 812 by key K, attempt 4, next try in 40 s";
    held["reason"] = "401 from claimx".into();
    held["partitions"] = json!([{
        "topic": "t", "partition": 3, "base": 811, "settled_above": 7, "unsettled": 2, "lag": 42,
        "oldest": {
            "offset": 812, "key": "K", "message_id": "m", "attempt": 4, "admitted_ms": 5, "waits_for": "again",
            "wait_seconds": 40.0, "text": text,
        },
    }]);
    let shown = screen(None, Some(&status(1_000, &[held, pipeline("q", "running", 1)])));
    let lines: Vec<&str> = shown.lines().collect();
    assert_eq!(lines[0], "lockgate 0.1.0 on 127.0.0.1:9600 · 2 pipelines, 1 not running · q ends");
    assert_eq!(lines[5..], ["p held: 401 from claimx", &format!("p t/3: {text}")]);
}

#[test]
fn a_host_that_is_gone_is_told() {
    assert_eq!(screen(None, None), "no host answers on 127.0.0.1:9600; it is asked again. q ends");
}
