//! What is logged where there is no terminal, and what is shown where there is one.

use std::io;
use std::sync::{Arc, Mutex};

use indicatif::ProgressDrawTarget;
use serde_json::{Value, json};
use tracing::Dispatch;
use tracing::subscriber::NoSubscriber;

use super::*;
use crate::flow::in_flight::PartitionState;
use crate::flow::snapshot::Counts;
use crate::model::{Clock, Partition};

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The fields of what is logged meanwhile, one object a line.
fn logged(work: impl FnOnce()) -> Vec<Value> {
    let lines = Lines::default();
    let writer = lines.clone();
    let subscriber = tracing_subscriber::fmt().json().with_writer(move || writer.clone()).finish();
    // With only one dispatcher, `tracing` lets any thread decide for all whether an event is wanted.
    let _second = Dispatch::new(NoSubscriber::new());
    tracing::subscriber::with_default(subscriber, work);
    let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["fields"].take()).collect()
}

/// A pipeline that moved 3 MB in two seconds.
fn tracked(now: Instant, state: State) -> Tracked {
    let partition = |index, unsettled, lag| PartitionState {
        partition: Partition::new("t", index),
        checkpoint: None,
        unsettled,
        oldest: None,
        lag,
        due: None,
    };
    let counts = Counts {
        admitted: 12,
        done: 5,
        skipped: [("old".into(), 1), ("known".into(), 1)].into(),
        retried: 4,
        parked: 3,
        dead: [("gone".into(), 2)].into(),
        bytes: 3_000_000,
    };
    let partitions = vec![partition(0, 2, Some(7)), partition(1, 1, Some(3)), partition(2, 0, None)];
    let mut tracked = Tracked::new(now);
    let snapshot = Snapshot { counts, running: 2, partitions, ..Snapshot::empty("p".into(), state) };
    tracked.update(snapshot, now + Duration::from_secs(2));
    tracked
}

fn display(now: Instant) -> Display {
    let hidden = MultiProgress::with_draw_target(ProgressDrawTarget::hidden());
    Display::new(&hidden, ["p"].into_iter(), now)
}

#[test]
fn progress_is_logged_as_numbers_with_their_names() {
    let now = Clock::system().now();
    let (mut display, tracked) = (display(now), tracked(now, State::Held { reason: "401".into() }));
    let lines = logged(|| display.show([("p", &tracked)].into_iter(), now + LOG_EVERY));
    let expected = json!({
        "message": "progress", "pipeline": "p", "state": "held", "reason": "401", "admitted": 12, "done": 5,
        "skipped": 2, "retried": 4, "parked": 3, "dead": 2, "running": 2, "unsettled": 3, "lag": 10, "bytes_per_second": 1_500_000,
    });
    assert_eq!(lines, [expected]);
}

#[test]
fn progress_is_logged_now_and_then_and_of_a_pipeline_that_told_nothing_too() {
    let now = Clock::system().now();
    let (mut display, tracked) = (display(now), Tracked::new(now));
    let mut show = |at| logged(|| display.show([("p", &tracked)].into_iter(), at));
    assert_eq!(show(now + LOG_EVERY / 2), [Value::Null; 0]);
    let first = show(now + LOG_EVERY);
    assert_eq!((&first[0]["state"], &first[0]["admitted"]), (&"starting".into(), &0.into()));
    assert_eq!(first[0].get("reason"), None, "what is not there is not told");
    assert_eq!(show(now + LOG_EVERY * 3 / 2), [Value::Null; 0]);
    assert_eq!(show(now + LOG_EVERY * 2).len(), 1);
}

#[test]
fn a_failed_pipeline_is_logged_with_why() {
    let now = Clock::system().now();
    let (mut display, mut tracked) = (display(now), tracked(now, State::Running));
    tracked.failure = Some("page 7".into());
    let lines = logged(|| display.show([("p", &tracked)].into_iter(), now + LOG_EVERY));
    assert_eq!((&lines[0]["state"], &lines[0]["reason"]), (&"failed".into(), &"page 7".into()));
}

#[test]
fn a_terminal_shows_one_sentence() {
    let tracked = tracked(Clock::system().now(), State::Blocked { reason: "no route".into() });
    assert_eq!(
        text(&tracked),
        "12 in · 5 done · 2 skipped · 4 retried · 3 parked · 2 dead · 2 running · 3 in flight · 10 behind · 1.5 MB/s · \
         waits: no route"
    );
}
