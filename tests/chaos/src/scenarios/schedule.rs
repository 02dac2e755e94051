//! When faults happen: at random moments of the work, so that they meet hosts that are busy, however quick the machine is.

use std::time::Duration;

use anyhow::bail;
use rand::Rng;
use rand::seq::IndexedRandom;

use crate::fleet::LOST;
use crate::load::{Pace, Until};
use crate::scenario::Fault;
use crate::stage::Stage;

/// Messages of each pipeline that wait for hosts, at least.
const AHEAD: usize = 400;
/// How often, and how many times, hosts are asked whether they have lost something.
const TELL: Duration = Duration::from_millis(50);
const TELLS: usize = 40;
/// A fault comes so long after its moment, at most.
const JITTER: Duration = Duration::from_millis(100);

/// Starts hosts, and gives every pipeline more to do than its hosts may hold at once.
pub(super) fn begin(stage: &mut Stage, hosts: usize) -> anyhow::Result<()> {
    (0..hosts).try_for_each(|seat| stage.fleet.start(seat))?;
    let ahead = AHEAD.max(2 * stage.setting.in_flight);
    stage.load(Pace::Ahead(ahead), Until::Enough(stage.extent.messages));
    Ok(())
}

/// Does as many faults as the stage's extent says, any of these, spread at random over the time in which its messages end.
pub(super) async fn throughout(stage: &mut Stage, faults: &[Box<dyn Fault>]) -> anyhow::Result<()> {
    let (messages, count) = (stage.extent.messages as u64, stage.extent.faults);
    let mut moments: Vec<u64> = (0..count).map(|_| stage.random.random_range(0..messages.max(1))).collect();
    moments.sort_unstable();
    for moment in moments {
        stage.until_ended(moment).await?;
        stage.breathe(JITTER).await;
        let possible: Vec<&dyn Fault> =
            faults.iter().map(|fault| &**fault).filter(|it| it.is_possible(stage)).collect();
        if let Some(fault) = possible.choose(&mut stage.random) {
            stage.inflict(*fault).await?;
        }
    }
    Ok(())
}

/// Fails when no host has lost a partition: nothing was tried then.
pub(super) async fn proves_something(stage: &mut Stage) -> anyhow::Result<()> {
    stage.fleet.until_gone().await?;
    // The last one may hear of it only now.
    for _ in 0..TELLS {
        if stage.fleet.logged(LOST)? > 0 {
            return Ok(());
        }
        tokio::time::sleep(TELL).await;
    }
    bail!("no host has lost a partition, so this proves nothing")
}
