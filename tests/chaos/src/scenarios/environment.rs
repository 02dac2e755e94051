//! Faults of what hosts stand on.

use std::sync::Arc;

use crate::scenario::{Fault, Scenario};

/// The scenarios.
pub(super) fn all() -> Vec<Arc<dyn Scenario>> {
    Vec::new()
}

/// Those of their faults that go along with others.
pub(super) fn faults() -> Vec<Box<dyn Fault>> {
    Vec::new()
}
