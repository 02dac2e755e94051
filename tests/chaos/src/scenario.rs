//! What a scenario is, and what a fault is: whoever writes one needs no more than this and [`Stage`].

use std::time::Duration;

use async_trait::async_trait;
use rand_chacha::ChaCha8Rng;

use crate::setting::Setting;
use crate::stage::Stage;

/// Faults of one kind or of several while messages flow. What became of the messages is judged by the frame, in the same
/// way for all: a scenario only acts.
#[async_trait]
pub trait Scenario: Send + Sync {
    /// A short word, by which it is chosen.
    fn name(&self) -> &'static str;

    /// What it does and what has to hold, in one line.
    fn about(&self) -> &'static str;

    /// How long it is.
    fn extents(&self) -> Extents;

    /// What the hosts run. No host is started and no message sent when [`Scenario::run`] begins.
    fn setting(&self) -> Setting {
        Setting::default()
    }

    /// The same, where it is left to chance.
    fn setting_by(&self, _random: &mut ChaCha8Rng) -> Setting {
        self.setting()
    }

    /// Which broker it needs, where it runs on one.
    fn broker(&self) -> Whose {
        Whose::Shared
    }

    /// Starts hosts, sends messages, does faults. When it returns nothing more goes wrong: the frame waits until
    /// everything has drained, with the hosts that are there and with one at least. An error is a failure.
    async fn run(&self, stage: &mut Stage) -> anyhow::Result<()>;
}

/// One fault, which can be done again and again.
#[async_trait]
pub trait Fault: Send + Sync {
    /// A short word, by which it is counted.
    fn name(&self) -> &'static str;

    /// Whether there is now what it needs.
    fn is_possible(&self, _stage: &Stage) -> bool {
        true
    }

    /// Does it, and undoes what would keep hosts from going on. Whatever it lets run again it has to
    /// [allow](Stage::allow_repeats) before.
    async fn inflict(&self, stage: &mut Stage) -> anyhow::Result<()>;
}

/// Whose the broker is that a scenario runs on. A namespace of Event Hubs is always its own.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Whose {
    /// That of other scenarios too.
    Shared,
    /// Its own: it does something to it.
    Own,
}

/// How long a scenario is, at both ends of what is asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Extents {
    /// Where all together have ninety seconds.
    pub short: Extent,
    /// Where all together have ten minutes.
    pub long: Extent,
}

/// How long a scenario is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Extent {
    /// Messages, at least.
    pub messages: usize,
    /// Faults.
    pub faults: usize,
}

/// What all scenarios together may take when nothing is said, in seconds.
pub const LONG: u64 = 600;
/// What they take at least, in seconds.
pub const SHORT: u64 = 90;

impl Extents {
    /// The extent when all together have so long: between both ends in proportion.
    pub fn within(self, budget: Duration) -> Extent {
        let over = budget.as_secs().clamp(SHORT, LONG) - SHORT;
        let between = |short: usize, long: usize| {
            let more = long.saturating_sub(short) as u64 * over / (LONG - SHORT);
            short + usize::try_from(more).unwrap_or(usize::MAX)
        };
        Extent {
            messages: between(self.short.messages, self.long.messages),
            faults: between(self.short.faults, self.long.faults),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_extent_grows_with_the_time_and_stays_within_both_ends() {
        let extent = |messages, faults| Extent { messages, faults };
        let extents = Extents { short: extent(1000, 5), long: extent(200_000, 50) };
        let within = |seconds| extents.within(Duration::from_secs(seconds));
        assert_eq!([within(1), within(90)], [extents.short; 2]);
        assert_eq!(within(345), extent(100_500, 27));
        assert_eq!([within(600), within(9000)], [extents.long; 2]);
    }
}
