//! How a host ends and what stands beside it: signals, kills, commands meanwhile, a second host.

use std::time::Duration;

use e2e::simulators::file_origin::Behaviour;
use e2e::support::host::{Host, Signal};

use crate::scene::{CACHED, PENDING, Scene};

/// Longer than any test: what is late by this is late until the end.
const FOR_EVER: Duration = Duration::from_secs(24 * 60 * 60);

#[tokio::test]
async fn sigterm_lets_what_runs_finish_and_nothing_runs_again() {
    let scene = Scene::new(Duration::from_secs(1)).await;
    let late = scene.ask_for(1, Behaviour::Late).await;
    let fine = scene.ask_for(2, Behaviour::Fine).await;
    let mut host = Host::start(&scene.lockgate, &[]).unwrap();
    host.until(scene.origin.until_asked(2)).await.unwrap();
    host.signal(Signal::Terminate).await.unwrap();
    host.until_logged("told to stop").await.unwrap();
    let answer = host.end().await.unwrap();
    assert_eq!(answer.code, Some(0), "{}", answer.errors);
    assert_eq!(scene.fetched().await, ["1", "2"]);
    scene.cache_is_as_the_origin(&[&late, &fine]);

    let summary = scene.lockgate.run_until_idle().await.unwrap();
    assert_eq!(summary.pipelines[0].admitted, 0, "{summary:?}");
    assert_eq!((scene.origin.requests(&late), scene.origin.requests(&fine)), (1, 1));
}

#[tokio::test]
async fn a_second_ctrl_c_ends_at_once_and_loses_nothing() {
    let scene = Scene::new(FOR_EVER).await;
    let path = scene.ask_for(1, Behaviour::Late).await;
    let mut host = Host::start(&scene.lockgate, &[]).unwrap();
    host.until(scene.origin.until_asked(1)).await.unwrap();
    host.signal(Signal::Interrupt).await.unwrap();
    host.until_logged("told to stop").await.unwrap();
    host.signal(Signal::Interrupt).await.unwrap();
    assert_eq!(host.end().await.unwrap().code, Some(130));
    assert_eq!(scene.fetched().await, [""; 0]);

    scene.lockgate.run_until_idle().await.unwrap();
    assert_eq!(scene.fetched().await, ["1"]);
    scene.cache_is_as_the_origin(&[&path]);
}

#[tokio::test]
async fn a_kill_loses_nothing_and_leaves_no_half_file() {
    let scene = Scene::new(FOR_EVER).await;
    let paths = [scene.ask_for(1, Behaviour::Late).await, scene.ask_for(2, Behaviour::Fine).await];
    let mut host = Host::start(&scene.lockgate, &[]).unwrap();
    host.until(scene.origin.until_asked(2)).await.unwrap();
    assert_eq!(host.kill().await.unwrap().code, None);

    scene.lockgate.run_until_idle().await.unwrap();
    assert_eq!(scene.fetched().await, ["1", "2"]);
    scene.cache_is_as_the_origin(&[&paths[0], &paths[1]]);
}

#[tokio::test]
async fn commands_work_beside_a_running_host() {
    let scene = Scene::new(Duration::ZERO).await;
    let host = Host::start(&scene.lockgate, &[]).unwrap();
    for count in 1..=3 {
        scene.ask_for(count, Behaviour::Fine).await;
        let cached = crate::commands::eventually(async || scene.lockgate.first(CACHED, count).await.ok()).await;
        assert_eq!(cached.len(), count);
    }
    let topics = scene.lockgate.output(&["topics", "--json"]).await.unwrap();
    for topic in [PENDING, CACHED, "dlq"] {
        assert!(topics.contains(&format!("\"{topic}\"")), "{topics}");
    }
    let rows = crate::commands::eventually(async || {
        let rows = crate::commands::status(&scene.lockgate).await;
        rows.iter().all(|row| row["lag"] == 0).then_some(rows)
    });
    let settled: i64 = rows.await.iter().filter_map(|row| row["base"].as_i64()).map(|base| base + 1).sum();
    assert_eq!(settled, 3);
    host.signal(Signal::Terminate).await.unwrap();
    assert_eq!(host.end().await.unwrap().code, Some(0));
}

#[tokio::test]
async fn a_host_goes_on_where_another_of_its_group_stopped() {
    let scene = Scene::new(Duration::ZERO).await;
    scene.ask_for(1, Behaviour::Fine).await;
    let mut first = Host::start(&scene.lockgate, &[]).unwrap();
    first.until(scene.origin.until_asked(1)).await.unwrap();
    let mut second = Host::start(&scene.lockgate, &[]).unwrap();
    first.signal(Signal::Terminate).await.unwrap();
    assert_eq!(first.end().await.unwrap().code, Some(0));
    scene.ask_for(2, Behaviour::Fine).await;
    second.until(scene.origin.until_asked(2)).await.unwrap();
    assert_eq!(scene.lockgate.first(CACHED, 2).await.unwrap().len(), 2);
    second.signal(Signal::Terminate).await.unwrap();
    let answer = second.end().await.unwrap();
    assert_eq!(answer.code, Some(0), "{}", answer.errors);
    assert_eq!(scene.fetched().await, ["1", "2"]);
}
