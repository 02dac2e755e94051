//! When faults happen: at random moments of the work, so that they meet hosts that are busy, however quick the machine is.

use std::time::Duration;

use rand::Rng;
use rand::seq::IndexedRandom;

use crate::scenario::Fault;
use crate::stage::Stage;

/// A fault comes so long after its moment, at most.
const JITTER: Duration = Duration::from_millis(100);

/// Does as many faults as the stage's extent says, any of these, spread at random over the time in which its messages end.
pub(super) async fn throughout(stage: &mut Stage, faults: &[Box<dyn Fault>]) -> anyhow::Result<()> {
    let (messages, count) = (stage.extent.messages as u64, stage.extent.faults);
    let mut moments: Vec<u64> = (0..count).map(|_| stage.random.random_range(0..messages.max(1))).collect();
    moments.sort_unstable();
    for moment in moments {
        stage.until_ended(moment).await?;
        stage.breathe(JITTER).await;
        let Some(fault) = faults.choose(&mut stage.random) else { break };
        stage.inflict(&**fault).await?;
    }
    Ok(())
}
