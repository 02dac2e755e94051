//! Gates with paused time: nothing here opens a connection.

use std::num::NonZeroUsize;

use futures::poll;
use tokio::time::{Instant as TokioInstant, advance};

use super::*;
use crate::model::Period;

fn gate(config: &Config) -> Arc<Gate> {
    Arc::new(Gate::new("e".into(), "a.example", Limits::new(config), Clock::system()))
}

fn breaker(failures: u32) -> config::Breaker {
    config::Breaker { failures: NonZeroU32::new(failures).unwrap(), ..config::Breaker::default() }
}

/// R28.
#[tokio::test(start_paused = true)]
async fn no_more_than_max_concurrent_are_under_way_and_the_next_is_admitted_when_one_ends() {
    let gate = gate(&Config { max_concurrent: NonZeroUsize::new(2), ..Config::default() });
    let progress = Progress::new();
    let first = gate.admit(&progress).await.unwrap();
    let _second = gate.admit(&progress).await.unwrap();
    let mut third = Box::pin(gate.admit(&progress));
    assert!(poll!(&mut third).is_pending());
    drop(first);
    assert!(third.await.is_ok());
}

/// R28.
#[tokio::test(start_paused = true)]
async fn the_rate_is_kept_after_a_burst_of_one_second() {
    let gate = gate(&Config { rate: Some("10/s".parse().unwrap()), ..Config::default() });
    let start = TokioInstant::now();
    let progress = Progress::new();
    for nth in 1..=30_u32 {
        drop(gate.admit(&progress).await.unwrap());
        let due = Duration::from_millis(100) * nth.saturating_sub(10);
        let passed = start.elapsed();
        assert!(due <= passed && passed <= due + Duration::from_millis(10), "{nth}: {passed:?}");
    }
}

#[test]
fn a_slow_rate_has_no_burst() {
    for (rate, interval, burst) in
        [("10/s", 100, 10), ("600/m", 100, 10), ("1/s", 1000, 1), ("5/h", 720_000, 1), ("90/m", 666, 1)]
    {
        let quota = quota(rate.parse().unwrap()).unwrap();
        assert_eq!(quota.replenish_interval().as_millis(), interval, "{rate}");
        assert_eq!(quota.burst_size().get(), burst, "{rate}");
    }
}

#[tokio::test(start_paused = true)]
async fn waiting_for_a_place_and_for_the_rate_stops_the_stall_clock() {
    let one = Config { max_concurrent: NonZeroUsize::new(1), ..Config::default() };
    let slow = Config { rate: Some("1/h".parse().unwrap()), ..Config::default() };
    for config in [one, slow] {
        let gate = gate(&config);
        let first = gate.admit(&Progress::new()).await.unwrap();
        let progress = Progress::new();
        let mut second = Box::pin(gate.admit(&progress));
        assert!(poll!(&mut second).is_pending());
        advance(Duration::from_secs(600)).await;
        assert_eq!(progress.idle(), Duration::ZERO);
        drop(first);
        advance(Duration::from_secs(3600)).await;
        let _second = second.await.unwrap();
        advance(Duration::from_secs(5)).await;
        assert_eq!(progress.idle(), Duration::from_secs(5));
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_waits_for_a_place_while_it_holds_one_is_not_excused() {
    let gate = gate(&Config { max_concurrent: NonZeroUsize::new(1), ..Config::default() });
    let progress = Progress::new();
    let _first = gate.admit(&progress).await.unwrap();
    let mut second = Box::pin(gate.admit(&progress));
    assert!(poll!(&mut second).is_pending());
    advance(Duration::from_secs(600)).await;
    assert_eq!(progress.idle(), Duration::from_secs(600));
}

#[tokio::test(start_paused = true)]
async fn an_open_breaker_refuses_even_those_who_wait_for_a_place() {
    let gate = gate(&Config { max_concurrent: NonZeroUsize::new(1), breaker: breaker(1), ..Config::default() });
    let progress = Progress::new();
    let mut first = gate.admit(&progress).await.unwrap();
    let mut second = Box::pin(gate.admit(&progress));
    assert!(poll!(&mut second).is_pending());
    first.failed();
    assert_eq!(gate.admit(&progress).await.err(), Some(Duration::from_secs(60)));
    drop(first);
    assert_eq!(second.await.err(), Some(Duration::from_secs(60)));
}

#[tokio::test(start_paused = true)]
async fn a_breaker_opens_for_its_time_and_closes_after_trials() {
    let gate = gate(&Config { breaker: breaker(2), ..Config::default() });
    let progress = Progress::new();
    for _ in 0..2 {
        gate.admit(&progress).await.unwrap().failed();
    }
    advance(Duration::from_secs(10)).await;
    assert_eq!(gate.admit(&progress).await.err(), Some(Duration::from_secs(50)));
    advance(Duration::from_secs(50)).await;
    let mut trials = Vec::new();
    for _ in 0..3 {
        trials.push(gate.admit(&progress).await.unwrap());
    }
    assert!(gate.admit(&progress).await.is_err());
    for trial in &mut trials {
        trial.answered();
    }
    for _ in 0..10 {
        gate.admit(&progress).await.unwrap().answered();
    }
}

#[tokio::test(start_paused = true)]
async fn stalls_in_a_row_open_a_breaker_although_their_heads_came_and_broken_bodies_do_not() {
    let gate = gate(&Config { breaker: breaker(2), ..Config::default() });
    let progress = Progress::new();
    for _ in 0..5 {
        let mut broken = gate.admit(&progress).await.unwrap();
        broken.answered();
        broken.broke();
    }
    for _ in 0..2 {
        let mut stalled = gate.admit(&progress).await.unwrap();
        stalled.answered();
        stalled.failed();
    }
    assert!(gate.admit(&progress).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_trial_that_is_given_up_frees_its_place() {
    let gate = gate(&Config {
        breaker: config::Breaker { trials: NonZeroU32::MIN, open_for: Period::from_secs(1), ..breaker(1) },
        ..Config::default()
    });
    let progress = Progress::new();
    gate.admit(&progress).await.unwrap().failed();
    advance(Duration::from_secs(1)).await;
    let trial = gate.admit(&progress).await.unwrap();
    assert!(gate.admit(&progress).await.is_err());
    drop(trial);
    assert!(gate.admit(&progress).await.is_ok());
}
