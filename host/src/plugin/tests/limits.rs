//! Each limit of a call, against a guest that does not keep it.

use std::time::Duration;

use futures::future::join;

use super::doubles::LONG;
use super::*;
use crate::model::{Period, Size};
use crate::plugin::Fault;

const STALL: Duration = Duration::from_secs(100);

async fn bench(change: impl FnOnce(&mut Limits)) -> Bench {
    let mut limits = Limits { stall: Period(STALL), ..Limits::default() };
    change(&mut limits);
    Bench::new(Wanted { limits, concurrency: 2, ..Wanted::default() }).await
}

#[tokio::test]
async fn a_guest_that_computes_for_ever_is_ended_and_holds_nobody_up() {
    let bench = bench(|limits| limits.cpu = Period::from_millis(50)).await;
    let (spun, done) = join(bench.call("spin"), bench.call("done")).await;
    assert_eq!(spun, Err(CallError::Cpu { plugin: "probe".into(), limit: Duration::from_millis(50) }));
    assert_eq!(done, Ok(Outcome::of(Verdict::Done)));
}

#[tokio::test]
async fn every_call_starts_with_its_whole_budget() {
    let bench = bench(|limits| limits.cpu = Period::from_millis(50)).await;
    for _ in 0..3 {
        assert!(matches!(bench.call("spin").await, Err(CallError::Cpu { .. })));
        assert_eq!(bench.call("done").await, Ok(Outcome::of(Verdict::Done)));
    }
}

#[tokio::test]
async fn a_guest_that_wants_too_much_memory_is_ended() {
    let bench = bench(|limits| limits.memory = Size(16 << 20)).await;
    assert_eq!(bench.call("grow").await, Err(CallError::Memory { plugin: "probe".into(), limit: 16 << 20 }));
    assert_eq!(bench.count().await, "1");
}

#[tokio::test]
async fn a_component_that_needs_more_than_its_memory_says_so() {
    let limits = Limits { memory: Size(64 << 10), ..Limits::default() };
    let error = ENGINE.load("probe", &Config { limits, ..config() }).await.unwrap_err().to_string();
    assert!(error.contains("cannot describe itself: it needs more than `limits.memory`"), "{error}");
}

/// R27: what stands still ends.
#[tokio::test(start_paused = true)]
async fn a_host_call_in_which_nothing_moves_is_stalled() {
    let bench = bench(|_| {}).await;
    for command in ["get files /never", "get files /stuck", "store files /stuck cache stuck"] {
        let error = bench.call(command).await.unwrap_err();
        assert_eq!(error, CallError::Stalled { plugin: "probe".into(), limit: STALL }, "{command}");
        assert_eq!(error.fault(), Fault::World);
    }
    assert_eq!(bench.cache.content("stuck"), None);
}

/// R27: a large file has no timeout in all.
#[tokio::test(start_paused = true)]
async fn what_moves_may_take_as_long_as_it_wants() {
    let bench = bench(|_| {}).await;
    assert_eq!(bench.said("get files /slow").await, "ok \"200 one two three four \"");
    assert!(bench.said("store files /slow cache slow").await.starts_with("ok"));
}

/// R28: a limit of a host may be as narrow as it has to be.
#[tokio::test(start_paused = true)]
async fn the_hosts_own_waits_and_sleeps_are_no_stall() {
    let bench = bench(|_| {}).await;
    assert_eq!(bench.said("get files /throttled").await, "ok \"200 at last\"");
    let long = format!("sleep {}", LONG.as_millis());
    assert_eq!(bench.call(&long).await, Ok(Outcome::of(Verdict::Done)));
}

#[tokio::test(start_paused = true)]
async fn a_guest_that_waits_on_nothing_breaks_the_contract() {
    let bench = bench(|_| {}).await;
    let error = bench.call("wait").await.unwrap_err();
    assert_eq!(error.fault(), Fault::Guest);
    assert_eq!(
        error.to_string(),
        "plugin probe broke the contract: it waited 1m 40s on nothing that the host knows of"
    );
    assert_eq!(bench.count().await, "1");
}

#[tokio::test(start_paused = true)]
async fn a_call_has_a_bounded_number_of_host_calls_under_way() {
    let bench = bench(|_| {}).await;
    assert_eq!(bench.said("many files /hello 64").await, "ok 64");
    let error = bench.call("many files /never 65").await.unwrap_err();
    assert_eq!(error.fault(), Fault::Guest);
    assert_eq!(error.to_string(), "plugin probe broke the contract: it has more than 64 host calls under way at once");
}

#[tokio::test(start_paused = true)]
async fn host_calls_together_hold_at_most_twice_the_guests_memory() {
    let bench = bench(|limits| limits.memory = Size(6 << 20)).await;
    let said = bench.said("many files /crawl 16").await;
    assert!(said.contains("hold 12582912 bytes already, twice the plugin's memory"), "{said}");
}

#[tokio::test(start_paused = true)]
async fn a_deadline_ends_even_what_moves() {
    let deadline = Period(LONG / 10);
    let bench = bench(|limits| limits.deadline = Some(deadline)).await;
    for command in ["get files /slow", "naps 1000 1000"] {
        let error = bench.call(command).await.unwrap_err();
        assert_eq!(error, CallError::Deadline { plugin: "probe".into(), limit: deadline.0 }, "{command}");
    }
    assert!(bench.said("context").await.starts_with("1 4 Some(true)"), "the guest sees what remains");
}

#[tokio::test]
async fn a_guest_that_never_ends_its_start_is_ended() {
    let limits = Limits { cpu: Period::from_millis(50), ..Limits::default() };
    let bench = Bench::new(Wanted { limits, config_json: r#"{ "spin": true }"#, ..Wanted::default() }).await;
    let error = bench.call("done").await.unwrap_err().to_string();
    assert_eq!(error, "plugin probe cannot be started: it computed for longer than `limits.cpu`");
}
