//! What all connections share.

use std::num::NonZeroUsize;
use std::time::Duration;

use jiff::Timestamp;

use crate::auth::Authority;
use crate::config::Config;
use crate::faults::Switchboard;
use crate::hub::Hubs;

/// The hubs, who may use them, and what goes wrong.
pub(crate) struct Namespace {
    pub(crate) hubs: Hubs,
    pub(crate) authority: Authority,
    pub(crate) switchboard: Switchboard,
    pub(crate) max_message_size: u64,
    pub(crate) receivers_per_group: NonZeroUsize,
    pub(crate) idle_timeout_ms: u32,
    /// How much later than it comes anything is settled, at least.
    pub(crate) settle: Duration,
}

impl Namespace {
    /// The one that is configured.
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            hubs: Hubs::new(config, Timestamp::now()),
            authority: Authority::new(config),
            switchboard: Switchboard::default(),
            max_message_size: config.max_message_size.get(),
            receivers_per_group: config.receivers_per_group,
            idle_timeout_ms: config.idle_timeout_ms.get(),
            settle: Duration::from_millis(config.settle_ms),
        }
    }
}
