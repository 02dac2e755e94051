//! Guests that fail: what becomes of their message, and that nothing becomes of the others.

use std::collections::BTreeMap;

use e2e::support::built;
use e2e::support::host::{Host, Signal};
use e2e::support::lockgate::{Answer, Lockgate, Outgoing, Seen, Summary, summary};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::scene::lockgate;

/// Another pipeline, with the same plugin.
const OTHER: &str = "
  other:
    from: { topic: beside, group: other, start: earliest }
    plugin: faulty
    to: { out: { topic: made-beside } }
    dead_letter: { topic: dlq-beside }
";

/// A pipeline that does what its messages say.
struct Work {
    lockgate: Lockgate,
    _folder: TempDir,
}

impl Work {
    async fn new() -> Self {
        Self::beside("").await
    }

    /// With more of a spec's pipelines.
    async fn beside(others: &str) -> Self {
        let component = tokio::task::spawn_blocking(built::guests).await.unwrap().unwrap().faulty;
        let folder = tempfile::tempdir().unwrap();
        let component = component.display();
        let spec = format!(
            r#"
lockgate: 1
transports: {{ bus: {{ log: {{ path: bus }} }} }}
plugins: {{ faulty: {{ component: "{component}", limits: {{ memory: 32MiB, cpu: 500ms }} }} }}
pipelines:
  work:
    from: {{ topic: commands, group: work, start: earliest }}
    plugin: faulty
    to: {{ out: {{ topic: made }} }}
    concurrency: 4
    retry: {{ in_place: {{ attempts: 2, first: 10ms, max: 50ms }} }}
    dead_letter: {{ topic: dlq }}
{others}"#
        );
        Self { lockgate: lockgate(folder.path(), &spec).await, _folder: folder }
    }

    /// Sends commands, keyed by what they do and their number, and runs them all.
    async fn run(&self, commands: &[Value]) -> Ran {
        let message = |(number, command): (usize, &Value)| Outgoing {
            key: format!("{} {number}", command["do"].as_str().unwrap()),
            headers: BTreeMap::new(),
            payload: command.clone(),
        };
        let messages: Vec<Outgoing> = commands.iter().enumerate().map(message).collect();
        self.lockgate.send("commands", &messages).await.unwrap();
        let Answer { code, output, errors } =
            self.lockgate.answer(&["run", "--until-idle", "--format", "json", "--log", "json"]).await.unwrap();
        assert_eq!(code, Some(0), "{errors}");
        let summary = summary(&output).unwrap();
        let (made, dead) = (self.lockgate.tail("made").await.unwrap(), self.lockgate.tail("dlq").await.unwrap());
        Ran { summary, made, dead, log: errors }
    }
}

/// What came of commands.
struct Ran {
    summary: Summary,
    made: Vec<Seen>,
    dead: Vec<Seen>,
    log: String,
}

/// Holds that a command is dead-lettered under a code, as it was, and that the ones around it pass.
async fn check(command: Value, code: &str) {
    let emit = json!({ "do": "emit" });
    let commands = [emit.clone(), emit.clone(), command.clone(), emit.clone(), emit];
    let ran = Work::new().await.run(&commands).await;
    assert_eq!(ran.made.len(), 4, "{command}: {}", ran.log);
    let [letter] = &ran.dead[..] else { panic!("{command}: {:?}", ran.dead) };
    assert_eq!(
        (&letter.headers["lockgate-class"], &letter.headers["lockgate-code"]),
        (&"guest-fault".into(), &code.into())
    );
    assert_eq!((&letter.headers["lockgate-attempts"], &letter.payload), (&"2".into(), &command));
    assert_eq!(letter.headers["lockgate-plugin"], "faulty");
    let pipeline = &ran.summary.pipelines[0];
    assert_eq!((pipeline.admitted, pipeline.done, pipeline.dead[code]), (5, 4, 1), "{pipeline:?}");
}

#[tokio::test]
async fn a_trap_costs_its_message_alone() {
    check(json!({ "do": "trap" }), "trap").await;
}

#[tokio::test]
async fn a_panic_costs_its_message_alone() {
    check(json!({ "do": "panic", "text": "boom" }), "trap").await;
}

#[tokio::test]
async fn endless_computing_costs_its_message_alone() {
    check(json!({ "do": "spin" }), "cpu").await;
}

#[tokio::test]
async fn too_much_memory_costs_its_message_alone() {
    check(json!({ "do": "allocate" }), "memory").await;
}

#[tokio::test]
async fn an_unknown_output_costs_its_message_alone() {
    check(json!({ "do": "unknown-output" }), "contract").await;
}

#[tokio::test]
async fn a_header_of_the_hosts_costs_its_message_alone() {
    check(json!({ "do": "reserved-header" }), "contract").await;
}

#[tokio::test]
async fn faults_of_every_kind_at_once_cost_their_messages_alone_and_no_other_pipeline() {
    let faults = [
        (json!({ "do": "trap" }), "trap"),
        (json!({ "do": "exit" }), "trap"),
        (json!({ "do": "recurse" }), "trap"),
        (json!({ "do": "spin" }), "cpu"),
        (json!({ "do": "allocate" }), "memory"),
        (json!({ "do": "emit", "count": 4, "bytes": 100 << 20 }), "memory"),
        (json!({ "do": "emit", "count": 20_000 }), "contract"),
        (json!({ "do": "unknown-output" }), "contract"),
    ];
    let emit = json!({ "do": "emit" });
    let commands: Vec<Value> = faults.iter().flat_map(|(fault, _)| [emit.clone(), fault.clone()]).collect();
    let work = Work::beside(OTHER).await;
    let beside = |number: usize| Outgoing { key: number.to_string(), headers: BTreeMap::new(), payload: emit.clone() };
    work.lockgate.send("beside", &(0..20).map(beside).collect::<Vec<_>>()).await.unwrap();
    let ran = work.run(&commands).await;
    let ends = |seen: &Seen| {
        (seen.payload.clone(), seen.headers["lockgate-class"].clone(), seen.headers["lockgate-code"].clone())
    };
    let dead: Vec<_> = ran.dead.iter().map(ends).collect();
    for (fault, code) in &faults {
        assert!(dead.contains(&(fault.clone(), "guest-fault".into(), (*code).into())), "{fault}: {dead:?}");
    }
    let done = |name: &str| ran.summary.pipelines.iter().find(|pipeline| pipeline.name == name).unwrap().done;
    assert_eq!((dead.len(), done("work"), done("other")), (faults.len(), 8, 20), "{}", ran.log);
}

/// Two hundred times the memory that an instance may have, twice each: all of it is the machine's again.
#[tokio::test]
async fn memory_that_was_eaten_returns_however_often_it_is() {
    let work = Work::new().await;
    let mut host = Host::start(&work.lockgate, &[]).unwrap();
    // It has made its topics then.
    host.until_logged("\"assigned\"").await.unwrap();
    let eat = |number: usize| Outgoing {
        key: number.to_string(),
        headers: BTreeMap::new(),
        payload: json!({ "do": "allocate" }),
    };
    let mut resident = Vec::new();
    for (more, all) in [(20, 20), (200, 220)] {
        work.lockgate.send("commands", &(0..more).map(eat).collect::<Vec<_>>()).await.unwrap();
        assert_eq!(work.lockgate.first("dlq", all).await.unwrap().len(), all);
        resident.push(resident_bytes(host.process().unwrap()));
    }
    host.signal(Signal::Terminate).await.unwrap();
    assert_eq!(host.end().await.unwrap().code, Some(0));
    // Four slots may hold an instance each or none when it is looked at.
    assert!(resident[1] < resident[0] + 5 * (32 << 20), "{resident:?}");
}

/// Memory of a process that lies in RAM.
fn resident_bytes(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
}

#[tokio::test]
async fn what_fails_once_passes_on_the_next_attempt() {
    let ran = Work::new().await.run(&[json!({ "do": "trap", "times": 1 }), json!({ "do": "retry", "times": 1 })]).await;
    assert!(ran.dead.is_empty(), "{:?}", ran.dead);
    let attempts: Vec<&Value> = ran.made.iter().map(|seen| &seen.payload["attempt"]).collect();
    assert_eq!(attempts, [2, 2]);
    assert_eq!(ran.summary.pipelines[0].retried, 2);
}

#[tokio::test]
async fn every_verdict_ends_as_it_says() {
    let commands = [
        json!({ "do": "done" }),
        json!({ "do": "skip", "reason": "old" }),
        json!({ "do": "reject", "code": "bad", "reason": "it is bad", "count": 2 }),
        json!({ "do": "retry", "reason": "down" }),
    ];
    let ran = Work::new().await.run(&commands).await;
    let pipeline = &ran.summary.pipelines[0];
    assert_eq!((pipeline.done, &pipeline.skipped), (1, &BTreeMap::from([("old".into(), 1)])));
    let mut codes: Vec<&str> = ran.dead.iter().map(|letter| letter.headers["lockgate-code"].as_str()).collect();
    codes.sort_unstable();
    assert_eq!(codes, ["bad", "retry"]);
    assert_eq!(ran.made.len(), 2, "what comes with a rejection is published");
}

#[tokio::test]
async fn a_held_message_uses_up_no_attempt() {
    let at = (jiff::Timestamp::now().as_millisecond() + 1_500) as u64;
    let ran = Work::new().await.run(&[json!({ "do": "hold-until", "at": at })]).await;
    assert!(ran.dead.is_empty(), "{:?}", ran.dead);
    assert_eq!(ran.made[0].payload["attempt"], 1);
}

#[tokio::test]
async fn what_a_guest_prints_is_in_the_log_with_its_pipeline_and_message() {
    let ran = Work::new().await.run(&[json!({ "do": "print", "text": "a word from inside" })]).await;
    let id = ran.made[0].payload["id"].as_str().unwrap();
    let line = ran.log.lines().find(|line| line.contains("a word from inside"));
    let line = line.unwrap_or_else(|| panic!("not in the log:\n{}", ran.log));
    assert!(line.contains(r#""pipeline":"work""#) && line.contains(id), "{line}");
}
