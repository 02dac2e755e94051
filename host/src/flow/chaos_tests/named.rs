//! The promises that the design spells out one by one, each in a run of its own in which only that happens; and what
//! seeds have found.

use std::time::Duration;

use tokio::time::sleep;

use super::driver::{Driver, GROUP, WORK};
use super::fate::LETTERS;
use super::script::{Failing, Made, OUTPUTS, Script};
use super::setup::Setup;
use crate::flow::config::Order;
use crate::flow::snapshot::State;
use crate::model::{Partition, Position};
use crate::transport::Transport;

async fn stored(driver: &Driver) -> String {
    format!("{:?}", driver.memory.checkpoints(WORK, GROUP).await.unwrap()[0].1)
}

/// How often each message was called.
fn calls(driver: &Driver) -> Vec<u32> {
    driver.shared.look().oracle.fates.iter().map(|fate| fate.calls).collect()
}

async fn records(driver: &Driver, topic: &str) -> usize {
    driver.memory.read(&Partition::new(topic, 0), Position(0), 1_000).await.unwrap().len()
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Everything leaves as it was to, and the oracle has nothing to say.
async fn ends_well(driver: &mut Driver) {
    driver.drain().await;
    let verdict = driver.verdict();
    assert_eq!(verdict, Ok(()), "{}", driver.shared.look().oracle.trace());
}

#[tokio::test(start_paused = true)]
async fn of_a_batch_of_twenty_two_fail_and_eighteen_never_run_again_though_the_host_is_killed() {
    for killed in [false, true] {
        let checkpoint_every = Duration::from_millis(20);
        let mut driver = Driver::new(Setup { checkpoint_every, ..Setup::wide(1) }, 0);
        driver.start().await;
        for index in 0..20 {
            driver.send(0, None, if [5, 12].contains(&index) { Script::failing(2) } else { Script::done() }).await;
        }
        sleep(Duration::from_millis(50)).await;
        assert_eq!(stored(&driver).await, "base 4, settled above to 19 but [5, 12]", "stored before the two are done");
        if killed {
            driver.crash().await;
            driver.start().await;
        }
        ends_well(&mut driver).await;
        let called = |index| if [5, 12].contains(&index) { 3 + u32::from(killed) } else { 1 };
        assert_eq!(calls(&driver), (0..20).map(called).collect::<Vec<_>>());
        assert_eq!((records(&driver, OUTPUTS[0]).await, stored(&driver).await.as_str()), (20, "base 19"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_stuck_key_or_partition_uses_its_share_while_the_others_flow_at_full_rate() {
    for order in [Order::Key, Order::Partition, Order::None] {
        let mut driver = Driver::new(Setup { order: order.clone(), ..Setup::wide(2) }, 0);
        driver.start().await;
        for index in 0..40 {
            driver.send(0, Some("stuck"), Script { takes: seconds(600), ..Script::done() }).await;
            let one_after_another = order == Order::Partition;
            let takes = if one_after_another { Duration::from_millis(100) } else { seconds(1) };
            driver.send(1, Some(&format!("key {index}")), Script { takes, ..Script::done() }).await;
        }
        // Forty that take a second each, ten at a time; or a tenth of it, one at a time.
        sleep(Duration::from_millis(4_500)).await;
        let snapshot = driver.snapshot().await.unwrap();
        let unsettled: Vec<usize> = snapshot.partitions.iter().map(|state| state.unsettled).collect();
        assert_eq!((unsettled, snapshot.counts.done), (vec![10, 0], 40), "{order:?}");
        assert_eq!(snapshot.partitions[0].oldest.as_ref().map(|oldest| oldest.position), Some(Position(0)));
    }
}

#[tokio::test(start_paused = true)]
async fn a_failing_sink_stops_admission_and_says_so_and_nothing_is_skipped() {
    let mut driver = Driver::new(Setup::wide(1), 0);
    driver.start().await;
    driver.shared.look().chaos.down.insert(OUTPUTS[0]);
    for _ in 0..50 {
        driver.send(0, None, Script::done()).await;
    }
    sleep(seconds(60)).await;
    let blocked = driver.snapshot().await.unwrap();
    assert!(matches!(&blocked.state, State::Blocked { reason } if reason.contains(OUTPUTS[0])), "{:?}", blocked.state);
    assert_eq!((blocked.counts.admitted, blocked.counts.done, blocked.counts.dead.len()), (20, 0, 0));
    assert_eq!((calls(&driver).iter().sum::<u32>(), stored(&driver).await.as_str()), (20, "base -1"));
    driver.shared.look().chaos.down.clear();
    sleep(seconds(10)).await;
    let back = driver.snapshot().await.unwrap();
    assert_eq!((back.state, back.counts.done), (State::Running, 50));
    ends_well(&mut driver).await;
    assert_eq!(calls(&driver), [1; 50]);
}

#[tokio::test(start_paused = true)]
async fn a_dead_letter_topic_that_refuses_stops_admission_and_nothing_is_skipped() {
    let mut driver = Driver::new(Setup { attempts: 1, ..Setup::wide(1) }, 0);
    driver.start().await;
    driver.shared.look().chaos.refusing.insert(LETTERS);
    for _ in 0..50 {
        driver.send(0, None, Script::failing(1)).await;
    }
    sleep(seconds(60)).await;
    let blocked = driver.snapshot().await.unwrap();
    assert!(matches!(&blocked.state, State::Blocked { reason } if reason.contains(LETTERS)), "{:?}", blocked.state);
    assert_eq!(
        (blocked.counts.admitted, blocked.counts.dead.len(), stored(&driver).await.as_str()),
        (20, 0, "base -1")
    );
    driver.shared.look().chaos.refusing.clear();
    ends_well(&mut driver).await;
    assert_eq!(records(&driver, LETTERS).await, 50);
}

#[tokio::test(start_paused = true)]
async fn a_refused_record_hits_only_its_own_message() {
    let mut driver = Driver::new(Setup::wide(1), 0);
    driver.start().await;
    for index in 0..20 {
        let emissions = vec![Made { output: OUTPUTS[0], refused: index == 7 }];
        driver.send(0, None, Script { emissions, ..Script::done() }).await;
    }
    sleep(seconds(1)).await;
    let snapshot = driver.snapshot().await.unwrap();
    assert_eq!(
        (snapshot.state, snapshot.counts.done, snapshot.counts.dead.get("refused")),
        (State::Running, 19, Some(&1))
    );
    assert_eq!((records(&driver, OUTPUTS[0]).await, records(&driver, LETTERS).await), (19, 1));
    ends_well(&mut driver).await;
    assert_eq!(calls(&driver), [1; 20]);
}

#[tokio::test(start_paused = true)]
async fn a_hold_uses_no_attempt_says_why_and_ends_by_itself() {
    let mut driver = Driver::new(Setup { concurrency: 1, ..Setup::wide(1) }, 0);
    driver.start().await;
    // The second of its holds is a plugin that cannot be started, whose wait is the pipeline's own: 20 s by then.
    driver.send(0, None, Script { holds: 3, hold_after: Some(seconds(1)), ..Script::failing(2) }).await;
    for _ in 0..9 {
        driver.send(0, None, Script::done()).await;
    }
    sleep(seconds(15)).await;
    let held = driver.snapshot().await.unwrap();
    assert!(matches!(&held.state, State::Held { reason } if reason.contains("cannot be started")), "{:?}", held.state);
    assert_eq!((calls(&driver)[0], calls(&driver)[1..].iter().sum::<u32>(), held.counts.retried), (2, 0, 0));
    ends_well(&mut driver).await;
    assert_eq!(calls(&driver), [6, 1, 1, 1, 1, 1, 1, 1, 1, 1], "three holds, and the three attempts that it has");
    assert_eq!(records(&driver, LETTERS).await, 0);
}

#[tokio::test(start_paused = true)]
async fn a_checkpoint_that_nears_its_limit_stops_its_partition_until_it_is_shorter() {
    let mut driver =
        Driver::new(Setup { checkpoint_limit: Some(60), window: 1_000, concurrency: 1_000, ..Setup::wide(2) }, 0);
    driver.start().await;
    for index in 0..200 {
        // Every other one is stuck: each adds to the checkpoint.
        let takes = seconds(if index % 2 == 0 { 60 } else { 0 });
        driver.send(0, None, Script { takes, ..Script::done() }).await;
        driver.send(1, None, Script::done()).await;
    }
    sleep(seconds(30)).await;
    let waits = driver.snapshot().await.unwrap();
    let unsettled: Vec<usize> = waits.partitions.iter().map(|state| state.unsettled).collect();
    assert!((10..=40).contains(&unsettled[0]) && unsettled[1] == 0, "{unsettled:?} of a window of 1000");
    ends_well(&mut driver).await;
    assert_eq!(calls(&driver), [1; 400]);
}

#[tokio::test(start_paused = true)]
async fn a_partition_that_is_lost_while_a_write_is_repeated_leaves_no_trouble_behind() {
    let mut driver = Driver::new(Setup::wide(1), 0);
    driver.start().await;
    {
        let mut world = driver.shared.look();
        world.chaos.down.insert(OUTPUTS[0]);
        world.chaos.writes_take = seconds(1);
    }
    driver.send(0, None, Script::done()).await;
    // Unavailable after a second; repeated a tenth of a second later.
    sleep(Duration::from_millis(1_500)).await;
    driver.memory.lose(WORK, GROUP, &[0]);
    driver.shared.look().chaos.down.clear();
    sleep(seconds(1)).await;
    assert_eq!(driver.snapshot().await.unwrap().state, State::Starting, "nothing waits for a topic");
    driver.memory.assign(WORK, GROUP, &[0]);
    sleep(seconds(5)).await;
    assert_eq!(driver.snapshot().await.unwrap().counts.done, 1);
}

#[tokio::test(start_paused = true)]
async fn a_trial_that_is_due_while_a_topic_is_away_waits_for_it() {
    let mut driver = Driver::new(Setup::wide(1), 0);
    driver.start().await;
    driver.shared.look().chaos.down.insert(OUTPUTS[0]);
    driver.send(0, None, Script::done()).await;
    driver.send(0, None, Script { holds: 1, hold_after: Some(seconds(1)), ..Script::done() }).await;
    // Time passes only while the loop rests.
    sleep(seconds(60)).await;
    assert_eq!(calls(&driver), [1, 1]);
    ends_well(&mut driver).await;
    assert_eq!(calls(&driver), [1, 2]);
}

#[tokio::test(start_paused = true)]
async fn what_is_parked_outlives_a_killed_host_comes_back_when_it_is_due_and_may_be_passed_meanwhile() {
    let (order, delays) = (Order::Key, vec![seconds(2), seconds(4)]);
    let setup = Setup { attempts: 2, order, delays, retry_partitions: 3, ..Setup::wide(1) };
    let mut driver = Driver::new(setup, 0);
    driver.start().await;
    driver.send_strange().await;
    for script in [Script::failing(5), Script::failing(9), Script::done()] {
        driver.send(0, Some("key"), script).await;
    }
    driver.send(0, None, Script { failing: vec![Failing::Trap; 9], ..Script::done() }).await;
    sleep(Duration::from_millis(1_500)).await;
    assert_eq!(calls(&driver), [2, 2, 1, 2, 0, 0], "two are parked; what the plugin itself failed on is not");
    driver.crash().await;
    driver.start().await;
    ends_well(&mut driver).await;
    assert_eq!(calls(&driver), [2, 2, 1, 2, 2, 2, 2, 2], "three rounds of two attempts, none of them twice");
    assert_eq!((records(&driver, OUTPUTS[0]).await, records(&driver, LETTERS).await), (2, 2));
}
