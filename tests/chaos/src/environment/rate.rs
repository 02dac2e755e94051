//! How quickly messages end: when each of those that are watched was made, as another reader of the topic sees it.

use std::ops::Range;
use std::time::Duration;

use anyhow::{Context, bail};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

use crate::setting::MADE;
use crate::stage::Stage;

/// The group that reads along.
pub const GROUP: &str = "rate";

/// When messages were made.
#[derive(Debug)]
pub struct Rate {
    moments: watch::Receiver<Vec<Instant>>,
    task: JoinHandle<()>,
}

impl Rate {
    /// Watches messages whose keys begin with this, from now on.
    pub fn of(stage: &Stage, prefix: &'static str) -> Self {
        let (bus, (sender, moments)) = (stage.bus().clone(), watch::channel(Vec::new()));
        let task = tokio::spawn(async move {
            let followed = bus.follow_as(GROUP, MADE, |message| {
                if message.key.is_some_and(|key| key.starts_with(prefix.as_bytes())) {
                    sender.send_modify(|moments| moments.push(Instant::now()));
                }
            });
            // Whoever waits sees that nothing comes any more.
            drop(followed.await);
        });
        Self { moments, task }
    }

    /// Waits until so many were made; fails when none is for so long.
    pub async fn until(&mut self, count: usize, patience: Duration) -> anyhow::Result<()> {
        loop {
            let made = self.moments.borrow_and_update().len();
            if made >= count {
                return Ok(());
            }
            match timeout(patience, self.moments.changed()).await {
                Ok(changed) => changed.context("the topic cannot be followed")?,
                Err(_) => bail!("no watched message was made for {patience:?}, after {made} of {count}"),
            }
        }
    }

    /// How many were made a second, of those with these ordinals, from the first to the last.
    pub fn per_second(&self, ordinals: Range<usize>) -> Option<f64> {
        per_second(self.moments.borrow().get(ordinals)?)
    }
}

impl Drop for Rate {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn per_second(moments: &[Instant]) -> Option<f64> {
    let took = moments.last()?.saturating_duration_since(*moments.first()?).as_secs_f64();
    (took > 0.0).then(|| (moments.len() - 1) as f64 / took)
}

/// The middle one of some ratios; the lower one of two.
pub fn median(mut ratios: Vec<f64>) -> Option<f64> {
    ratios.sort_by(f64::total_cmp);
    let middle = ratios.len().checked_sub(1)? / 2;
    ratios.get(middle).copied()
}

/// The part of a phase of so many messages that is measured: neither its beginning nor its end, where slots are free.
pub fn measured(phase: Range<usize>) -> Range<usize> {
    let edge = phase.len() / 10;
    phase.start + edge..phase.end - edge
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_of_the_time_between_the_first_and_the_last() {
        let start = Instant::now();
        let at = |milliseconds: &[u64]| -> Vec<Instant> {
            milliseconds.iter().map(|after| start + Duration::from_millis(*after)).collect()
        };
        assert_eq!(per_second(&at(&[100, 150, 300, 600])), Some(6.0));
        assert_eq!(per_second(&at(&[100])), None);
        assert_eq!(per_second(&[]), None);
    }

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(median(vec![0.9, 0.5, 1.1]), Some(0.9));
        assert_eq!(median(vec![0.9, 0.8]), Some(0.8));
        assert_eq!(median(Vec::new()), None);
    }

    #[test]
    fn the_edges_of_a_phase_are_not_measured() {
        assert_eq!(measured(100..200), 110..190);
    }
}
