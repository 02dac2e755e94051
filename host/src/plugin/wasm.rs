//! A pipeline's slots as a [`Plugin`]. At most `concurrency` calls run at once, each in a slot of its own; a slot goes
//! back only after a call that ended well, so that a call that failed or was given up takes nothing but its own slot
//! with it.

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use tokio::sync::Semaphore;
use tracing::Instrument;

use super::capabilities::{Call, Lent};
use super::component::Loaded;
use super::config::{Grants, Isolation};
use super::slots::Slot;
use super::{Attempt, CallError, Plugin};
use crate::egress::Http;
use crate::model::{Clock, Message, Outcome, Verdict};
use crate::storage::Stores;

/// What a pipeline gives its plugin.
#[derive(Clone)]
pub struct PoolSettings {
    /// The pipeline's name.
    pub pipeline: Arc<str>,
    /// The plugin's config, as JSON.
    pub config_json: String,
    /// What of the following the plugin may use.
    pub grants: Grants,
    /// Messages in the plugin at once.
    pub concurrency: NonZeroUsize,
    /// The endpoints.
    pub http: Arc<dyn Http>,
    /// The stores.
    pub stores: Stores,
    /// Time.
    pub clock: Clock,
}

/// The slots of one pipeline.
pub(super) struct Pool {
    loaded: Arc<Loaded>,
    config_json: String,
    lent: Arc<Lent>,
    /// One permit a running call; calls beyond wait here, in order.
    permits: Semaphore,
    /// At most one a permit.
    idle: Mutex<Vec<Slot>>,
}

impl Pool {
    pub(super) fn new(loaded: Arc<Loaded>, settings: PoolSettings) -> Self {
        let PoolSettings { pipeline, config_json, grants, concurrency, http, stores, clock } = settings;
        let (value_limit, bytes_moved) = (loaded.limits.memory.0, AtomicU64::new(0));
        let plugin = loaded.plugin.clone();
        let lent = Arc::new(Lent { pipeline, plugin, grants, http, stores, clock, value_limit, bytes_moved });
        let permits = Semaphore::new(concurrency.get().min(Semaphore::MAX_PERMITS));
        Self { loaded, config_json, lent, permits, idle: Mutex::default() }
    }

    async fn run(&self, message: Arc<Message>, attempt: Attempt) -> Result<Outcome, CallError> {
        if let Some(refusal) = self.refusal(&message) {
            return Ok(refusal);
        }
        let _permit = self.permits.acquire().await.map_err(|error| self.unstarted(error.to_string()))?;
        let call = Arc::new(Call::new(self.lent.clone(), message));
        let taken = self.idle().pop();
        let mut slot = match taken {
            Some(slot) => slot,
            None => self.open().instrument(call.span().clone()).await?,
        };
        let outcome = slot.call(call.clone(), attempt).await?;
        if self.loaded.isolation == Isolation::Exclusive && slot.is_reusable(&call) {
            self.idle().push(slot);
        }
        Ok(outcome)
    }

    /// A message that would fill an instance is refused before any instance traps on it: the other half of the memory
    /// is for the guest, and what it makes of a message.
    fn refusal(&self, message: &Message) -> Option<Outcome> {
        let (size, most) = (message.size(), self.loaded.limits.memory.0 / 2);
        (size > most).then(|| {
            let plugin = &self.loaded.plugin;
            let reason = format!(
                "the message has {size} bytes, where half of `limits.memory` of plugin {plugin}, {most}, is the most"
            );
            Outcome::of(Verdict::Reject { code: "too-large".into(), reason })
        })
    }

    async fn open(&self) -> Result<Slot, CallError> {
        let mut slot = Slot::open(self.loaded.clone()).await.map_err(|reason| self.unstarted(reason))?;
        slot.configure(&self.config_json).await.map_err(|reason| self.unstarted(reason))?;
        Ok(slot)
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Slot>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn unstarted(&self, reason: String) -> CallError {
        CallError::Start { plugin: self.loaded.plugin.clone(), reason }
    }
}

#[async_trait]
impl Plugin for Pool {
    async fn call(&self, message: Arc<Message>, attempt: Attempt) -> Result<Outcome, CallError> {
        self.run(message, attempt).await
    }

    fn bytes_moved(&self) -> u64 {
        self.lent.bytes_moved.load(Ordering::Relaxed)
    }
}
