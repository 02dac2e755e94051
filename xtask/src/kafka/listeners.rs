//! Where a broker listens.

use std::net::TcpListener;
use std::ops::Range;

use anyhow::Context;
use rand::Rng;

/// Below the ports that systems give to whoever asks for any: so nobody who asks gets ours between our look and the
/// broker's.
const PORTS: Range<u16> = 10_000..30_000;
/// How often a free port is looked for.
const LOOKS: usize = 1_000;

/// The addresses of a broker, as `host:port`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Listeners {
    pub(super) plaintext: String,
    pub(super) tls: String,
    pub(super) sasl: String,
    pub(super) controller: String,
}

impl Listeners {
    pub(super) fn at(ports: [u16; 4]) -> Self {
        let [plaintext, tls, sasl, controller] = ports.map(|port| format!("127.0.0.1:{port}"));
        Self { plaintext, tls, sasl, controller }
    }

    /// On ports that are free now.
    pub(super) fn free() -> anyhow::Result<Self> {
        let (mut held, mut ports) = (Vec::new(), [0; 4]);
        for port in &mut ports {
            let (listener, free) = free_port()?;
            *port = free;
            // None is found twice.
            held.push(listener);
        }
        Ok(Self::at(ports))
    }
}

fn free_port() -> anyhow::Result<(TcpListener, u16)> {
    let looks = std::iter::repeat_with(|| rand::rng().random_range(PORTS)).take(LOOKS);
    let mut free = looks.filter_map(|port| Some((TcpListener::bind(("127.0.0.1", port)).ok()?, port)));
    free.next().with_context(|| format!("no port of 127.0.0.1 between {} and {} is free", PORTS.start, PORTS.end))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_addresses_are_free_and_differ() {
        let Listeners { plaintext, tls, sasl, controller } = Listeners::free().unwrap();
        let addresses = BTreeSet::from([plaintext, tls, sasl, controller]);
        assert_eq!(addresses.len(), 4);
        let held: Vec<_> = addresses.iter().map(|address| TcpListener::bind(address).unwrap()).collect();
        assert!(held.iter().all(|listener| PORTS.contains(&listener.local_addr().unwrap().port())));
    }
}
