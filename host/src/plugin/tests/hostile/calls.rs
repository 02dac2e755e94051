//! A guest made by a compiler misbehaves on one message.

use std::time::Duration;

use super::super::logs::lines_while;
use super::*;
use crate::model::{Period, Size};

/// What a guest does, under which limits, and how it ends.
struct Row {
    command: &'static str,
    limits: Limits,
    code: &'static str,
    reason: &'static str,
}

fn row(command: &'static str, code: &'static str, reason: &'static str) -> Row {
    let limits = Limits { memory: Size(16 << 20), cpu: Period::from_millis(200), ..Limits::default() };
    Row { command, limits, code, reason }
}

/// As much as a guest needs to hand over what no host should take.
fn rich(command: &'static str, code: &'static str, reason: &'static str) -> Row {
    let limits = Limits { memory: Size(512 << 20), cpu: Period::from_secs(60), ..Limits::default() };
    Row { command, limits, code, reason }
}

fn rows() -> Vec<Row> {
    let deadline = Limits { deadline: Some(Period::from_secs(10)), ..Limits::default() };
    vec![
        row("spin", "cpu", "plugin probe computed for more than 200ms"),
        row("grow", "memory", "plugin probe needed more than 16777216 bytes of memory"),
        row("trap", "trap", "plugin probe trapped: wasm trap: wasm `unreachable` instruction executed"),
        row(
            "panic the sky fell",
            "trap",
            "plugin probe trapped: wasm trap: wasm `unreachable` instruction executed; it last wrote: the sky fell",
        ),
        row("exit", "trap", "plugin probe trapped: Exited with i32 exit status 1"),
        row("recurse", "trap", "plugin probe trapped: wasm trap: call stack exhausted"),
        row("bulk 1 104857600", "memory", "plugin probe needed more than 16777216 bytes of memory"),
        rich(
            "bulk 1000000 0",
            "contract",
            "plugin probe broke the contract: it emits 1000000 messages at once; 10000 are the most",
        ),
        row(
            "emit elsewhere x",
            "contract",
            "plugin probe broke the contract: it emits to `elsewhere`, which is none of its outputs (out)",
        ),
        row(
            "header lockgate-id",
            "contract",
            "plugin probe broke the contract: it sets header `lockgate-id`; names that begin with `lockgate-` are the host's",
        ),
        row(
            "leak files /empty 2000",
            "contract",
            "plugin probe broke the contract: it holds more than 1024 handles of the host",
        ),
        row(
            "many files /never 65",
            "contract",
            "plugin probe broke the contract: it has more than 64 host calls under way at once",
        ),
        row("get files /never", "stalled", "plugin probe stalled: nothing moved for 120s"),
        row("wait", "contract", "plugin probe broke the contract: it waited 2m on nothing that the host knows of"),
        row(
            "block 4000000000",
            "contract",
            "plugin probe broke the contract: it waited 2m on nothing that the host knows of",
        ),
        Row {
            limits: deadline,
            ..row("naps 1000 1000", "deadline", "plugin probe took longer than its deadline of 10s")
        },
    ]
}

#[tokio::test(start_paused = true)]
async fn each_fault_costs_its_message_alone_and_gives_back_what_it_took() {
    let mut differences = Differences::default();
    for Row { command, limits, code, reason } in rows() {
        let house = House::of(probe(), limits).await;
        differences.compare(command, house.failure(command).await, (code, reason));
        house.leave(command);
    }
    differences.none();
}

#[tokio::test(start_paused = true)]
async fn faults_use_up_no_instances_however_often_they_come() {
    for Row { command, limits, code, .. } in rows().into_iter().filter(|row| !row.command.starts_with("bulk 1000000")) {
        let limits = Limits { cpu: Period::from_millis(50), ..limits };
        let house = House::of(probe(), limits).await;
        for _ in 0..OFTEN {
            assert_eq!(house.failure(command).await.0, code, "{command}");
        }
        house.leave(command);
    }
}

#[tokio::test]
async fn a_flood_of_lines_is_cut_off_and_said_and_costs_nobody_anything() {
    for (command, last) in [("lines 100000", "line 999"), ("print-lines 100000", "line 999")] {
        let house = House::of(probe(), Limits::default()).await;
        let (ended, lines) = lines_while(house.failure(command)).await;
        assert_eq!(ended, ("none", "Done and 0 emissions".into()), "{command}");
        let said: Vec<_> = lines.iter().filter(|line| line["target"] == "lockgate::guest").collect();
        assert_eq!(said.len(), 1001, "{command}");
        assert_eq!((&said[999]["message"], &said[1000]["dropped"]), (&last.into(), &99_000.into()), "{command}");
        house.leave(command);
    }
}

#[tokio::test]
async fn a_huge_reason_is_one_line_and_cut() {
    let bench = Bench::new(Wanted::default()).await;
    let Verdict::Reject { code, reason } = bench.call("long-reject 1000000").await.unwrap().verdict else { panic!() };
    assert!(code.len() < 300 && code.starts_with(r"c\nc\n") && code.ends_with(" … (cut)"), "{code}");
    assert!(reason.len() < 4200 && reason.ends_with(" … (cut)") && !reason.contains('\n'), "{}", reason.len());
}

#[tokio::test]
async fn what_a_guest_may_hand_over_at_all_is_bounded_by_its_memory() {
    let limits = Limits { memory: Size(512 << 20), cpu: Period::from_secs(60), ..Limits::default() };
    let bench = Bench::new(Wanted { limits, ..Wanted::default() }).await;
    let outcome = bench.call("bulk 1 104857600").await.unwrap();
    assert_eq!(
        outcome.emit[0].payload.len(),
        100 << 20,
        "who grants the memory gets the message; a topic may refuse it"
    );
}

#[tokio::test(start_paused = true)]
async fn a_guest_that_only_sleeps_is_ended_by_a_deadline_alone() {
    let bench = Bench::new(Wanted::default()).await;
    let waited = tokio::time::timeout(Duration::from_secs(86_400), bench.call("naps 1000000 1000")).await;
    assert!(waited.is_err(), "{waited:?}");
}
