//! Letters of two pipelines in one dead-letter topic in memory: `fetch` parks, `plain` does not.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use clap::Parser;

use super::topics::{Topic, Transports};
use super::*;
use crate::flow::dead_letter::{Maker, dead_letter};
use crate::flow::letters::{Address, mark};
use crate::flow::retry::Tries;
use crate::flow::triage::{Cause, Class};
use crate::model::{Headers, Message, MessageId, Origin, Partition, Position, Record};
use crate::spec::Plan;
use crate::transport::Transport;
use crate::transport::memory::Memory;

mod listing;
mod redriving;
mod showing;

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    dead: Dead,
}

fn dead(arguments: &[&str]) -> Command {
    Line::parse_from(["dead"].iter().chain(arguments)).dead.command
}

const SPEC: &str = "
lockgate: 1
transports: { bus: { memory: {} } }
plugins: { worker: { component: worker.wasm } }
pipelines:
  fetch:
    from: { topic: claims }
    plugin: worker
    retry: { later: { topic: parked, delays: [5m, 10m] } }
    dead_letter: { topic: dlq }
  plain:
    from: { topic: files }
    plugin: worker
    dead_letter: { topic: dlq }
";

fn plan() -> Plan {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pipelines.yaml");
    std::fs::write(&file, SPEC).unwrap();
    crate::assemble::plan(&[file], &[]).unwrap_or_else(|errors| panic!("{}", errors.to_json()))
}

/// A bus whose every record is a millisecond younger than the one before; the first is of the first second of 1970.
struct Bus {
    memory: Memory,
}

impl Bus {
    fn new() -> Self {
        let now = AtomicU64::new(1000);
        let clock = Clock::from_fn(move || Timestamp(now.fetch_add(1, Ordering::Relaxed)));
        Self { memory: Memory::new("bus", [].into(), clock) }
    }

    fn transports(&self) -> Transports {
        [("bus".to_owned(), Arc::new(self.memory.clone()) as Arc<dyn Transport>)].into()
    }

    async fn write(&self, topic: &str, record: Record) {
        for answer in self.memory.sink(topic).await.unwrap().write(vec![record]).await {
            answer.unwrap();
        }
    }

    async fn topic(&self) -> Topic {
        Topic::open(Arc::new(self.memory.clone()), "dlq").await.unwrap().unwrap()
    }

    /// Everything in a topic; nothing where there is no such topic.
    async fn read(&self, topic: &str) -> Vec<Message> {
        let mut all = Vec::new();
        for index in 0..4 {
            let partition = Partition::new(topic, index);
            all.extend(self.memory.read(&partition, Position(0), 100).await.unwrap_or_default());
        }
        all
    }
}

/// A letter in partition 1 of the dead-letter topic.
fn letter(pipeline: &str, id: &str, class: Class, code: &str) -> Record {
    let mut headers = Headers::default();
    headers.push("trace_id", "t-1");
    headers.push("link", "https://s3/a.pdf?X-Amz-Signature=SENTINEL");
    let partition = Partition::new("claims", 3);
    let message = Message {
        id: MessageId::given(id),
        origin: Origin { transport: "bus".into(), partition, position: Position(812), enqueued: Timestamp(7) },
        key: Some(Bytes::from_static(b"insured person")),
        headers,
        payload: Bytes::from_static(br#"{"url":"https://s3/a.pdf?X-Amz-Signature=SENTINEL","name":"insured person"}"#),
    };
    let maker = Maker { pipeline: pipeline.into(), plugin: "g".into(), version: "1".into(), sha256: "ab".into() };
    let reason = "403 from https://s3/a.pdf?X-Amz-Signature=SENTINEL".to_owned();
    let cause = Cause { class, code: code.into(), reason };
    let record = dead_letter(&message, &cause, &Tries::default(), &maker, Timestamp(9));
    Record { partition: Some(1), ..record }
}

fn at(text: &str) -> Address {
    text.parse().unwrap()
}

#[test]
fn an_age_or_a_time_says_since_when() {
    let now = Timestamp(10_000_000);
    let from = |text: &str| text.parse::<Since>().map(|since| since.from(now));
    assert_eq!(from("2h"), Ok(Timestamp(2_800_000)));
    assert_eq!(from("900d"), Ok(Timestamp(0)));
    assert_eq!(from("1970-01-01T01:00:00Z"), Ok(Timestamp(3_600_000)));
    assert_eq!(from("1970-01-01T02:00:00+01:00"), Ok(Timestamp(3_600_000)));
    for wrong in ["", "yesterday", "-2h", "1969-01-01T00:00:00Z"] {
        assert!(from(wrong).is_err(), "{wrong}");
    }
}
