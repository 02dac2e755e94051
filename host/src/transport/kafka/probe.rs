//! Whether a cluster answers. Connections come and go, also when nothing is wrong: brokers close those that are idle. So
//! what a client says of them is only a suspicion, and a failure is one when the cluster does not answer either. From then
//! on it is asked again and again, and it is said when it does.

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::Instant;

use super::cluster::Cluster;
use crate::transport::{SourceEvent, TransportError};

/// How often a cluster that does not answer is asked.
const AGAIN: Duration = Duration::from_secs(1);

pub(super) struct Probe {
    cluster: Arc<Cluster>,
    physical: Arc<str>,
    /// Asks; says why there is no answer.
    asking: Option<JoinHandle<Result<(), String>>>,
    /// When it is asked next.
    next: Option<Instant>,
    /// Whether it was told that it does not answer.
    told: bool,
}

impl Probe {
    pub(super) fn new(cluster: Arc<Cluster>, physical: Arc<str>) -> Self {
        Self { cluster, physical, asking: None, next: None, told: false }
    }

    /// Something speaks for it that the cluster does not answer.
    pub(super) fn suspect(&mut self, reason: String, now: Instant) {
        tracing::debug!(target: "lockgate::kafka", transport = %self.cluster.name, reason, "the cluster may be away");
        if self.asking.is_none() && self.next.is_none() {
            self.next = Some(now);
        }
    }

    /// When to look again.
    pub(super) fn due(&self) -> Option<Instant> {
        match &self.asking {
            Some(_) => Some(self.cluster.clock.now() + Duration::from_millis(100)),
            None => self.next,
        }
    }

    /// What is to be told, if anything. Nothing is told twice.
    pub(super) fn next(&mut self, now: Instant) -> Option<SourceEvent> {
        if self.asking.is_none() && self.next.is_some_and(|next| next <= now) {
            self.next = None;
            let (cluster, physical) = (self.cluster.clone(), self.physical.clone());
            self.asking = Some(spawn_blocking(move || cluster.answers(&physical)));
        }
        let answered = self.asking.as_mut()?.now_or_never()?;
        self.asking = None;
        match answered {
            Ok(Ok(())) => {
                self.next = None;
                std::mem::take(&mut self.told).then(|| SourceEvent::Assigned(Vec::new()))
            }
            Ok(Err(reason)) => {
                self.next = Some(now + AGAIN);
                let transport = self.cluster.name.clone();
                let told = std::mem::replace(&mut self.told, true);
                (!told).then_some(SourceEvent::Failed(TransportError::Unavailable { transport, reason }))
            }
            Err(_) => None,
        }
    }
}
