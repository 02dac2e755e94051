//! An emulator as tests have it, and what waits for something.

use std::num::NonZeroUsize;
use std::time::Duration;

use eventhubs_emulator::Emulator;
use eventhubs_emulator::config::{Config, DEFAULT_KEY, Hub};

/// What the key of every scene is signed with.
pub(crate) const SECRET: &str = "SAS_KEY_VALUE";
/// How long anything may take. Nothing is measured by it: it only ends a test that would hang.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A hub with so many partitions.
pub(crate) fn hub(partitions: usize) -> Hub {
    Hub::new(NonZeroUsize::new(partitions).unwrap())
}

/// A configuration with one hub, `hub`, which has two partitions and a group of its own.
pub(crate) fn config() -> Config {
    let hub = Hub { groups: vec!["other".to_owned()], ..hub(2) };
    // The client that these tests use takes settlements however soon they come.
    let config = Config { settle_ms: 0, ..Config::default() };
    config.with_key(DEFAULT_KEY, SECRET).with_hub("hub", hub)
}

/// An emulator with that hub.
pub(crate) async fn emulator() -> Emulator {
    Emulator::start(config()).await.unwrap()
}

/// Waits for a condition, and fails when it does not come.
pub(crate) async fn until(what: &str, condition: impl Fn() -> bool) {
    let waited = tokio::time::timeout(PATIENCE, async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    assert!(waited.await.is_ok(), "{what} does not come");
}

/// Waits for something, and fails when it does not come.
pub(crate) async fn in_time<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, future).await {
        Ok(done) => done,
        Err(_) => panic!("{what} does not come"),
    }
}

/// The sequence number of a partition's last event.
pub(crate) fn last(emulator: &Emulator, partition: &str) -> i64 {
    emulator.extent("hub", partition).unwrap().last_sequence
}
