//! Several hosts in one group of Kafka's, while messages come.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use e2e::support::host::Host;
use tokio::task::JoinHandle;

use super::copying;
use crate::hosts::{Copying, IN_FLIGHT, stopped};

/// Messages that are sent at once.
const BATCH: usize = 400;

/// Messages that are sent until they are enough.
struct Load {
    enough: Arc<AtomicBool>,
    sending: JoinHandle<usize>,
}

impl Load {
    /// Sends numbers from `first` on.
    fn start(copying: &Arc<Copying>, first: usize) -> Self {
        let enough = Arc::new(AtomicBool::new(false));
        let (until, copying) = (enough.clone(), copying.clone());
        let sending = tokio::spawn(async move {
            let mut next = first;
            while !until.load(Ordering::Relaxed) {
                copying.send_these(next..next + BATCH).await;
                next += BATCH;
            }
            next
        });
        Self { enough, sending }
    }

    /// Sends no more, and says how many there are.
    async fn end(self) -> usize {
        self.enough.store(true, Ordering::Relaxed);
        self.sending.await.unwrap()
    }
}

async fn joined(copying: &Copying) -> Host {
    let mut host = Host::start(&copying.lockgate, &[]).unwrap();
    host.until_logged("\"assigned\"").await.unwrap();
    host
}

#[tokio::test]
async fn of_three_hosts_under_load_one_is_added_one_stopped_and_one_killed_and_only_the_killed_one_repeats() {
    let (copying, _) = copying("three").await;
    let copying = Arc::new(copying);
    let load = Load::start(&copying, 0);
    let first = joined(&copying).await;
    let second = joined(&copying).await;
    copying.until_settled(1).await;
    let third = joined(&copying).await;
    stopped(first).await;
    let sent = load.end().await;
    copying.until_settled(sent as i64).await;
    let made = copying.made().await;
    assert_eq!((made.len(), made.values().sum::<usize>()), (sent, sent), "none is lost and none repeated");

    let load = Load::start(&copying, sent);
    copying.until_settled((sent + BATCH) as i64).await;
    second.kill().await.unwrap();
    copying.until_settled((sent + 2 * BATCH) as i64).await;
    let sent = load.end().await;
    copying.until_settled(sent as i64).await;
    stopped(third).await;
    let made = copying.made().await;
    assert_eq!(made.len(), sent, "none is lost");
    let repeats = made.values().sum::<usize>() - sent;
    assert!(repeats <= 2 * IN_FLIGHT, "{repeats} repeats");
}
