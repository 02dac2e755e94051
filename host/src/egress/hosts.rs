//! The gates of an endpoint, one a host name. Messages name hosts, so their number is bounded.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::gate::{Gate, Limits};
use crate::model::Clock;

/// So many hosts are remembered. At the bound the one that was longest unused is forgotten, with its breaker and rate;
/// those with requests under way are kept, and the plugins' slots bound their number.
const REMEMBERED: usize = 1024;

/// The gates of one endpoint.
pub(super) struct Hosts {
    endpoint: Arc<str>,
    limits: Limits,
    clock: Clock,
    gates: Mutex<Gates>,
}

#[derive(Default)]
struct Gates {
    by_host: HashMap<Box<str>, Known>,
    /// Counts the uses so far.
    uses: u64,
}

struct Known {
    gate: Arc<Gate>,
    used: u64,
}

impl Hosts {
    /// No host is known yet.
    pub(super) fn new(endpoint: Arc<str>, limits: Limits, clock: Clock) -> Self {
        Self { endpoint, limits, clock, gates: Mutex::default() }
    }

    /// The gate of a host.
    pub(super) fn gate(&self, host: &str) -> Arc<Gate> {
        let mut gates = self.gates.lock().unwrap_or_else(PoisonError::into_inner);
        gates.uses += 1;
        let used = gates.uses;
        if let Some(known) = gates.by_host.get_mut(host) {
            known.used = used;
            return known.gate.clone();
        }
        gates.make_room();
        let gate = Arc::new(Gate::new(self.endpoint.clone(), host, self.limits, self.clock.clone()));
        gates.by_host.insert(host.into(), Known { gate: gate.clone(), used });
        gate
    }
}

impl Gates {
    fn make_room(&mut self) {
        while self.by_host.len() >= REMEMBERED {
            let idle = self.by_host.iter().filter(|(_, known)| Arc::strong_count(&known.gate) == 1);
            let Some(oldest) = idle.min_by_key(|(_, known)| known.used).map(|(host, _)| host.clone()) else {
                return;
            };
            self.by_host.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::egress::config::Config;

    fn hosts() -> Hosts {
        Hosts::new("e".into(), Limits::new(&Config::default()), Clock::system())
    }

    /// R28: limits are those of each host.
    #[test]
    fn each_host_has_one_gate() {
        let hosts = hosts();
        assert!(Arc::ptr_eq(&hosts.gate("a.example"), &hosts.gate("a.example")));
        assert!(!Arc::ptr_eq(&hosts.gate("a.example"), &hosts.gate("b.example")));
    }

    #[test]
    fn the_number_of_hosts_is_bounded_and_the_longest_unused_goes_first() {
        let hosts = hosts();
        let held = hosts.gate("held.example");
        let _ = hosts.gate("old.example");
        for nth in 0..REMEMBERED * 2 {
            let _ = hosts.gate("used.example");
            let _ = hosts.gate(&format!("{nth}.example"));
        }
        let gates = hosts.gates.lock().unwrap();
        assert_eq!(gates.by_host.len(), REMEMBERED);
        assert!(Arc::ptr_eq(&gates.by_host["held.example"].gate, &held));
        assert!(gates.by_host.contains_key("used.example"));
        assert!(!gates.by_host.contains_key("old.example"));
    }
}
