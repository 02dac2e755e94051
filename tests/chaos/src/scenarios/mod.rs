//! The scenarios. Adding one is a file here and a line in [`all`]; a kind of fault that goes along with
//! others belongs into [`mixed`], too.

use std::sync::Arc;

use crate::faults;
use crate::on::On;
use crate::scenario::{Fault, Scenario};

mod churn;
mod environment;
mod kill;
mod mixed;
mod namespace;
mod outage;
mod pause;
mod schedule;
mod steal;
mod stop;
mod store_outage;

/// All of them, the longest first.
pub fn all() -> Vec<Arc<dyn Scenario>> {
    let process: Vec<Arc<dyn Scenario>> = vec![
        Arc::new(mixed::Mixed),
        Arc::new(churn::Churn),
        Arc::new(pause::Pause),
        Arc::new(kill::Kill),
        Arc::new(steal::Steal),
        Arc::new(outage::Outage),
        Arc::new(namespace::Namespace),
        Arc::new(store_outage::StoreOutage),
        Arc::new(stop::Stop),
    ];
    process.into_iter().chain(environment::all()).collect()
}

/// What `mixed` may do on one system of topics.
pub fn mixed(on: On) -> Vec<Box<dyn Fault>> {
    let all = faults::all().into_iter().chain(environment::faults());
    all.filter(|fault| why_not(fault.name(), on).is_none()).collect()
}

/// Why a scenario or a fault is not done on one system of topics; none where it is.
pub fn why_not(name: &str, on: On) -> Option<&'static str> {
    ONLY.iter().find(|(only, there, _)| *only == name && !there.contains(&on)).map(|(.., why)| *why)
}

/// What is done on some systems of topics only, and why not on the others: scenarios first, then faults.
const ONLY: [(&str, &[On], &str); 12] = [
    ("steal", &[On::Log], "it says in the log that a host is dead"),
    ("writer", &[On::Log], "it holds the database of the log"),
    ("disk-full", &[On::Log], "it fills the disk of the log"),
    ("origin", &[On::Log], "its files are fetched over logs, whatever the hosts beside run on"),
    ("outage", &[On::Kafka], "it ends the broker"),
    ("namespace", &[On::EventHubs], "it does what a namespace of Event Hubs may do"),
    ("store-outage", &[On::EventHubs], "it stops the store of ownership and checkpoints"),
    (
        "freeze",
        &[On::Log, On::EventHubs],
        "one that stands still holds its whole group up until its session ends, longer than a stop may take",
    ),
    ("clock", &[On::Log, On::Kafka], "what a host signs whose clock is wrong by hours has expired"),
    ("clock set", &[On::Log, On::Kafka], "what a host signs whose clock is wrong by hours has expired"),
    ("bury", &[On::Log], "it says in the log that a host is dead"),
    ("writer held", &[On::Log], "it holds the database of the log"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_done_on_one_system_only_is_there() {
        let scenarios: Vec<&str> = all().iter().map(|scenario| scenario.name()).collect();
        let faults: Vec<&str> = faults::all().iter().chain(&environment::faults()).map(|fault| fault.name()).collect();
        for (name, ..) in ONLY {
            assert!(scenarios.contains(&name) || faults.contains(&name), "{name}");
        }
    }

    #[test]
    fn what_is_done_on_a_log_only_is_not_mixed_into_what_a_broker_sees() {
        let names = |on| mixed(on).iter().map(|fault| fault.name()).collect::<Vec<_>>();
        assert!(names(On::Log).contains(&"bury") && names(On::Log).contains(&"writer held"));
        assert!(!names(On::Kafka).contains(&"bury") && !names(On::Kafka).contains(&"writer held"));
        assert!(names(On::Kafka).contains(&"kill") && !names(On::Kafka).contains(&"freeze"));
        assert!(names(On::EventHubs).contains(&"kill") && names(On::EventHubs).contains(&"freeze"));
    }
}
