//! How often a member does what. Pure.

use std::time::Duration;

use crate::transport::config::Ownership;

/// The least that a call of the store may take, and the most.
const PATIENCE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(10));

/// Everything follows from the lease, in which others see that this member lives, and the poll.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Timing {
    /// How long others let an ownership stand that is not renewed.
    pub(super) lease: Duration,
    /// For how long this member holds it after it began to renew it: it needs the rest to stop.
    pub(super) hold: Duration,
    /// How often it renews: twice may fail.
    pub(super) renew: Duration,
    /// How often it looks at the group.
    pub(super) poll: Duration,
    /// How often while it waits for what it has asked for.
    pub(super) quick: Duration,
    /// How long one call of the store may take.
    pub(super) patience: Duration,
    /// The wait before the first try after a failure.
    pub(super) again: Duration,
}

impl Timing {
    pub(super) fn of(Ownership { lease, poll }: Ownership) -> Self {
        // Others are seen to be gone after three looks at least.
        let poll = poll.min(lease / 3);
        Self {
            lease,
            hold: lease / 6 * 5,
            renew: lease / 3,
            poll,
            quick: poll / 5,
            patience: (lease / 6).clamp(PATIENCE.0, PATIENCE.1),
            again: lease / 30,
        }
    }
}
