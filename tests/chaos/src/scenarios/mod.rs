//! The scenarios. Adding one is a file here and a line in [`all`]; a kind of fault that goes along with
//! others belongs into [`mixed`], too.

use std::sync::Arc;

use crate::faults;
use crate::scenario::{Fault, Scenario};

mod churn;
mod environment;
mod kill;
mod mixed;
mod pause;
mod schedule;
mod steal;
mod stop;

/// All of them, the longest first.
pub fn all() -> Vec<Arc<dyn Scenario>> {
    let process: Vec<Arc<dyn Scenario>> = vec![
        Arc::new(mixed::Mixed),
        Arc::new(churn::Churn),
        Arc::new(pause::Pause),
        Arc::new(kill::Kill),
        Arc::new(steal::Steal),
        Arc::new(stop::Stop),
    ];
    process.into_iter().chain(environment::all()).collect()
}

/// What `mixed` may do.
pub fn mixed() -> Vec<Box<dyn Fault>> {
    faults::all().into_iter().chain(environment::faults()).collect()
}
