//! Faults of what hosts stand on.

use std::sync::Arc;

use crate::scenario::{Fault, Scenario};

mod clock;
mod disk_full;
mod origin;
mod poison;
mod sink;
mod stuck;
mod writer;

/// The scenarios.
pub(super) fn all() -> Vec<Arc<dyn Scenario>> {
    vec![
        Arc::new(stuck::Stuck),
        Arc::new(poison::Poison),
        Arc::new(writer::Writer),
        Arc::new(disk_full::DiskFull::default()),
        Arc::new(sink::Sink),
        Arc::new(origin::Origin),
        Arc::new(clock::Clock),
    ]
}

/// Those of their faults that go along with others.
pub(super) fn faults() -> Vec<Box<dyn Fault>> {
    vec![Box::new(writer::Held), Box::new(sink::Storm), Box::new(clock::Jump)]
}
