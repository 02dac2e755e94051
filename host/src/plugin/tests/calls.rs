//! Calls, outcomes, slots.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures::future::{join, join_all};

use super::doubles::TOGETHER;
use super::logs::lines_while;
use super::*;
use crate::plugin::Fault;

#[tokio::test]
async fn every_verdict_reaches_the_host() {
    let bench = Bench::new(Wanted::default()).await;
    for (command, verdict) in [
        ("done", Verdict::Done),
        ("skip not for us", Verdict::Skip { reason: "not for us".into() }),
        ("retry 1500", Verdict::Retry { after: Some(Duration::from_millis(1500)), reason: "later".into() }),
        ("reject bad url", Verdict::Reject { code: "bad".into(), reason: "url".into() }),
        ("hold refused", Verdict::Hold { after: None, reason: "refused".into() }),
    ] {
        assert_eq!(bench.call(command).await, Ok(Outcome::of(verdict)), "{command}");
    }
}

#[tokio::test]
async fn a_message_arrives_whole_and_headers_come_back_as_they_were() {
    let bench = Bench::new(Wanted::default()).await;
    let outcome = bench.call("echo").await.unwrap();
    assert_eq!(outcome.emit[0].payload, r#"m-1 tasks 3 42 1600000000000 Some("k-1")"#);
    assert_eq!(outcome.emit[0].headers, message("echo").headers);
}

#[tokio::test]
async fn a_call_knows_its_attempt_its_trace_and_the_time() {
    let bench = Bench::new(Wanted::default()).await;
    let attempt = Attempt { number: NonZeroU32::new(3).unwrap(), left: 2 };
    let outcome = bench.plugin.call(Arc::new(message("context")), attempt).await.unwrap();
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    assert_eq!(outcome.emit[0].payload, format!("3 2 None Some(\"{trace}\") 1700000000000"));
}

#[tokio::test]
async fn an_exclusive_instance_is_used_again() {
    let bench = Bench::new(Wanted::default()).await;
    assert_eq!([bench.count().await, bench.count().await, bench.count().await], ["1", "2", "3"]);
}

#[tokio::test]
async fn calls_leave_no_memory_behind() {
    let bench = Bench::new(Wanted::default()).await;
    let calls = async |calls: u32| {
        for _ in 0..calls {
            bench.call("echo").await.unwrap();
        }
        bench.said("memory").await
    };
    // What it needs for one it has after a few; a leak of one word a call would show.
    let few = calls(200).await;
    assert_eq!(calls(20_000).await, few, "pages");
}

#[tokio::test]
async fn an_instance_that_has_filled_its_memory_is_not_used_again() {
    let bench = Bench::new(Wanted::default()).await;
    let most = Limits::default().memory.0;
    assert_eq!(bench.count().await, "1");
    bench.call(&format!("litter {}", most / 2)).await.unwrap();
    assert_eq!(bench.count().await, "3", "half of it is left");
    bench.call(&format!("litter {}", most / 3)).await.unwrap();
    assert_eq!(bench.count().await, "1");
}

#[tokio::test]
async fn a_response_that_outlives_its_call_holds_nothing_at_its_endpoint() {
    let bench = Bench::new(Wanted::default()).await;
    assert_eq!(bench.said("keep files /hello").await, "ok ()");
    assert_eq!(bench.endpoints.bodies.load(Ordering::SeqCst), 0);
    let said = bench.said("kept").await;
    assert_eq!(said, r#"error Error::Other("the body was read already, or is being read")"#);
    assert_eq!(bench.count().await, "3", "it is the same instance");
}

#[tokio::test]
async fn an_instance_that_leaks_handles_is_replaced_before_it_runs_out_of_them() {
    let bench = Bench::new(Wanted::default()).await;
    for call in ["1", "2"] {
        assert_eq!(bench.said("leak files /empty 200").await, "ok ()", "{call}");
    }
    assert_eq!(bench.said("leak files /empty 200").await, "ok ()");
    assert_eq!(bench.count().await, "1");
}

#[tokio::test(start_paused = true)]
async fn work_that_goes_on_after_the_answer_never_runs_in_another_messages_call() {
    let bench = Bench::new(Wanted::default()).await;
    let (_, lines) = lines_while(async {
        assert_eq!(bench.call("tail").await, Ok(Outcome::of(Verdict::Done)));
        assert_eq!(bench.call("sleep 5000").await, Ok(Outcome::of(Verdict::Done)));
        assert_eq!(bench.count().await, "2", "the instance with the tail is gone");
    })
    .await;
    assert!(lines.iter().all(|line| line["message"] != "the tail goes on"), "{lines:?}");
}

#[tokio::test]
async fn a_fresh_instance_is_used_once() {
    let bench = Bench::new(Wanted { isolation: Isolation::Fresh, ..Wanted::default() }).await;
    assert_eq!([bench.count().await, bench.count().await], ["1", "1"]);
}

#[tokio::test]
async fn a_trap_says_what_happened_and_takes_the_slot_with_it() {
    let bench = Bench::new(Wanted::default()).await;
    for (command, reason) in [
        ("trap", "wasm `unreachable` instruction executed"),
        ("panic the sky fell", "it last wrote: the sky fell"),
        ("eprint-trap no end of line", "it last wrote: no end of line"),
        ("exit", "exit status 1"),
        ("recurse", "call stack exhausted"),
    ] {
        assert_eq!(bench.count().await, "1", "before {command}");
        match bench.call(command).await {
            Err(CallError::Trap { reason: found, .. }) if found.contains(reason) => {}
            other => panic!("{command}: {other:?}"),
        }
    }
    assert_eq!(bench.count().await, "1");
}

#[tokio::test]
async fn a_reason_holds_no_query_of_a_url() {
    let bench = Bench::new(Wanted::default()).await;
    let error = bench.call("panic https://files.example/f?sig=SENTINEL").await.unwrap_err().to_string();
    assert!(error.contains("https://files.example/f?…") && !error.contains("SENTINEL"), "{error}");
}

#[tokio::test]
async fn a_trap_leaves_the_neighbours_alone() {
    let bench = Bench::new(Wanted { concurrency: TOGETHER + 1, ..Wanted::default() }).await;
    let waiting = join_all((0..TOGETHER - 1).map(|_| bench.said("get files /together")));
    let trapping = async {
        while bench.endpoints.waiting.load(Ordering::SeqCst) < TOGETHER - 1 {
            tokio::task::yield_now().await;
        }
        let trapped = bench.call("trap").await;
        assert!(matches!(trapped, Err(CallError::Trap { .. })), "{trapped:?}");
        bench.said("get files /together").await
    };
    let (waited, last) = join(waiting, trapping).await;
    assert!(waited.iter().chain([&last]).all(|said| said == "ok \"200 together\""), "{waited:?} {last}");
}

#[tokio::test]
async fn as_many_calls_wait_at_once_as_there_are_slots() {
    let bench = Bench::new(Wanted { concurrency: TOGETHER, ..Wanted::default() }).await;
    let said = join_all((0..TOGETHER).map(|_| bench.said("get files /together"))).await;
    assert!(said.iter().all(|said| said == "ok \"200 together\""), "{said:?}");
}

#[tokio::test(start_paused = true)]
async fn calls_beyond_the_concurrency_wait_for_a_slot() {
    let bench = Bench::new(Wanted { concurrency: 2, ..Wanted::default() }).await;
    let stuck = join_all((0..5).map(|_| bench.call("get files /never")));
    assert!(tokio::time::timeout(Duration::from_secs(60), stuck).await.is_err());
    assert_eq!(bench.endpoints.requests.lock().unwrap().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_given_up_frees_its_slot_and_the_instance_is_gone() {
    let bench = Bench::new(Wanted::default()).await;
    assert_eq!(bench.count().await, "1");
    let given_up = tokio::time::timeout(Duration::from_secs(1), bench.call("get files /never")).await;
    assert!(given_up.is_err());
    assert_eq!(bench.endpoints.waiting.load(Ordering::SeqCst), 0, "its host work is aborted");
    assert_eq!(bench.count().await, "1");
}

#[tokio::test]
async fn an_outcome_outside_the_contract_is_refused_and_the_slot_dropped() {
    let bench = Bench::new(Wanted::default()).await;
    for (command, reason) in [
        ("emit elsewhere hello", "it emits to `elsewhere`, which is none of its outputs (out)"),
        ("header lockgate-id", "it sets header `lockgate-id`"),
        ("header Lockgate-For", "it sets header `Lockgate-For`"),
    ] {
        assert_eq!(bench.count().await, "1", "before {command}");
        let error = bench.call(command).await.unwrap_err();
        assert!(matches!(error, CallError::Contract { .. }) && error.to_string().contains(reason), "{error}");
    }
    assert_eq!(bench.count().await, "1");
}

#[tokio::test]
async fn a_config_that_the_plugin_refuses_starts_nothing() {
    let bench = Bench::new(Wanted { config_json: r#"{ "fail": true }"#, ..Wanted::default() }).await;
    let error = bench.call("done").await.unwrap_err();
    assert_eq!(error.fault(), Fault::Host);
    assert_eq!(error.to_string(), "plugin probe cannot be started: field `fail`: not like this");
}

#[tokio::test(start_paused = true)]
async fn a_pool_that_is_used_up_is_the_hosts_own_limit() {
    let engine = Engine::new(EngineSettings::default()).unwrap();
    let component = engine.load("probe", &config()).await.unwrap();
    let bench = Bench::of(&component, &Wanted { concurrency: 100, ..Wanted::default() });
    let calls = join_all((0..100).map(|_| tokio::time::timeout(Duration::from_secs(1), bench.call("sleep 100000"))));
    let refused: Vec<CallError> = calls.await.into_iter().filter_map(|ended| ended.ok()?.err()).collect();
    assert!(!refused.is_empty() && refused.iter().all(|error| error.fault() == Fault::Host), "{refused:?}");
    assert_eq!(bench.call("done").await, Ok(Outcome::of(Verdict::Done)), "it passes");
}
