//! The systems that claims files come from, on loopback: one that misbehaves by path, a mirror that redirects may lead
//! to, and a place that nothing may ever reach. It keeps no file: what it serves follows from the path.
//!
//! Paths are `/{behaviour}/{size}/{name}`; a name without an extension has one in the query's `filename`, as some
//! links have. Which behaviours there are, and what follows from each, is in [`Behaviour`].

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context;
use axum::Router;
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

mod answer;
mod behaviour;
mod path;
#[cfg(test)]
mod tests;

pub use behaviour::Behaviour;
pub use path::FilePath;

/// Where the origin listens.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize, Serialize)]
pub struct Ports {
    /// Where files are asked for.
    pub origin: u16,
    /// Where a redirect may lead to.
    pub mirror: u16,
    /// Where no redirect may lead to.
    pub forbidden: u16,
}

impl Ports {
    /// Any that are free.
    pub const ANY: Self = Self { origin: 0, mirror: 0, forbidden: 0 };
}

/// A running origin; dropped, it stops.
pub struct FileOrigin {
    ports: Ports,
    counts: Arc<Counts>,
    _servers: JoinSet<()>,
}

impl FileOrigin {
    /// Listens. `late` is how long a slow file waits for its first byte.
    pub async fn start(ports: Ports, late: Duration) -> anyhow::Result<Self> {
        let (origin, mirror, forbidden) =
            (listen(ports.origin).await?, listen(ports.mirror).await?, listen(ports.forbidden).await?);
        let port = |listener: &TcpListener| listener.local_addr().map(|address| address.port());
        let ports = Ports { origin: port(&origin)?, mirror: port(&mirror)?, forbidden: port(&forbidden)? };
        let counts = Arc::new(Counts::default());
        let mut servers = JoinSet::new();
        for (role, listener) in [(Role::Origin, origin), (Role::Mirror, mirror), (Role::Forbidden, forbidden)] {
            let site = Arc::new(Site { role, ports, late, counts: counts.clone() });
            let router = Router::new().fallback(answer::answer).with_state(site);
            servers.spawn(async move {
                // Ends only when it is aborted.
                let _ = axum::serve(listener, router).await;
            });
        }
        Ok(Self { ports, counts, _servers: servers })
    }

    /// Where it listens.
    pub fn ports(&self) -> Ports {
        self.ports
    }

    /// The URL of a path, without a query.
    pub fn url(&self, path: &FilePath) -> String {
        url(self.ports.origin, path)
    }

    /// How often a file was asked for, at the origin and at the mirror.
    pub fn requests(&self, path: &FilePath) -> u32 {
        self.counts.of(&path.to_string())
    }

    /// Waits until so many requests have come, for whatever file.
    pub async fn until_asked(&self, requests: u32) {
        let mut total = self.counts.total.subscribe();
        // The sender is ours: it cannot be gone.
        let _ = total.wait_for(|total| *total >= requests).await;
    }

    /// How many requests reached what nothing may reach.
    pub fn strayed(&self) -> u32 {
        self.counts.of(STRAYED)
    }
}

/// The URL of a path at a port of the loopback.
pub(crate) fn url(port: u16, path: &FilePath) -> String {
    format!("http://{}:{port}{path}", Ipv4Addr::LOCALHOST)
}

async fn listen(port: u16) -> anyhow::Result<TcpListener> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    TcpListener::bind(address).await.with_context(|| format!("the file origin cannot listen on {address}"))
}

/// Under which name strays are counted; no path looks like it.
const STRAYED: &str = "strayed";

/// One of the places that listen.
struct Site {
    role: Role,
    ports: Ports,
    late: Duration,
    counts: Arc<Counts>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Role {
    Origin,
    Mirror,
    Forbidden,
}

/// Requests by path.
#[derive(Default)]
struct Counts {
    paths: Mutex<HashMap<String, u32>>,
    total: watch::Sender<u32>,
}

impl Counts {
    /// Counts one, and says the how manieth it is.
    fn count(&self, path: &str) -> u32 {
        self.total.send_modify(|total| *total += 1);
        let mut counts = self.paths.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(path.to_owned()).or_default();
        *count += 1;
        *count
    }

    fn of(&self, path: &str) -> u32 {
        self.paths.lock().unwrap_or_else(PoisonError::into_inner).get(path).copied().unwrap_or(0)
    }
}
