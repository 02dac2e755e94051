//! What a host takes from outside of its spec. The program's own surroundings are the machine's; in tests they may
//! misbehave.

use std::fmt;
use std::sync::Arc;

use crate::model::Clock;
use crate::transport::Transport;

/// What a transport of the spec is as pipelines see it, by its name and from what the spec says it is.
type Seen = dyn Fn(&str, Arc<dyn Transport>) -> Arc<dyn Transport> + Send + Sync;

/// What a host takes from outside of its spec. Cheap to clone.
#[derive(Clone)]
pub struct Surroundings {
    /// Tells the time to pipelines, plugins and transports.
    pub(crate) clock: Clock,
    seen: Option<Arc<Seen>>,
}

impl Default for Surroundings {
    /// The machine's clock, and transports as they are.
    fn default() -> Self {
        Self { clock: Clock::system(), seen: None }
    }
}

impl fmt::Debug for Surroundings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Surroundings").field("clock", &self.clock).finish_non_exhaustive()
    }
}

impl Surroundings {
    /// The same with another clock.
    #[cfg(feature = "testing")]
    #[must_use]
    pub fn with_clock(self, clock: Clock) -> Self {
        Self { clock, ..self }
    }

    /// The same, where something stands between the pipelines and each transport: it is given the transport's name in
    /// the spec and what was opened.
    #[cfg(feature = "testing")]
    #[must_use]
    pub fn seeing(self, seen: impl Fn(&str, Arc<dyn Transport>) -> Arc<dyn Transport> + Send + Sync + 'static) -> Self {
        Self { seen: Some(Arc::new(seen)), ..self }
    }

    /// A transport that was opened, as pipelines see it.
    pub(super) fn transport(&self, name: &str, opened: Arc<dyn Transport>) -> Arc<dyn Transport> {
        match &self.seen {
            Some(seen) => seen(name, opened),
            None => opened,
        }
    }
}
