//! Names to addresses, once a connection: what is judged here is what is connected to, so a name that changes its
//! address between the two gains nothing. Addresses that stand in a URL do not come here.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use async_trait::async_trait;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::address::Vetting;

/// Finds what a name leads to.
#[async_trait]
pub(super) trait Lookup: Send + Sync {
    /// All addresses of a name, unjudged. Their ports do not count.
    async fn addresses(&self, name: &str) -> io::Result<Vec<SocketAddr>>;
}

/// Asks the system.
pub(super) struct System;

#[async_trait]
impl Lookup for System {
    async fn addresses(&self, name: &str) -> io::Result<Vec<SocketAddr>> {
        Ok(tokio::net::lookup_host((name, 0)).await?.collect())
    }
}

/// Passes on only addresses that an endpoint may connect to.
pub(super) struct VettedResolver {
    /// What may be connected to.
    pub(super) vetting: Arc<Vetting>,
    /// Whom to ask.
    pub(super) lookup: Arc<dyn Lookup>,
}

impl Resolve for VettedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let (vetting, lookup) = (self.vetting.clone(), self.lookup.clone());
        Box::pin(async move {
            let found = lookup.addresses(name.as_str()).await?;
            // The connector fills the port in.
            let found = found.into_iter().map(|mut address| {
                address.set_port(0);
                address
            });
            let kept = vetting.keep(found)?;
            Ok(Box::new(kept.into_iter()) as Addrs)
        })
    }
}

/// Looks up a proxy, whose address the spec's author answers for, and nothing else: behind it, the proxy resolves.
pub(super) struct ProxyResolver {
    /// The proxy's own name.
    pub(super) proxy: String,
    /// Whom to ask.
    pub(super) lookup: Arc<dyn Lookup>,
}

impl Resolve for ProxyResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let lookup = self.lookup.clone();
        let is_proxy = name.as_str() == self.proxy;
        Box::pin(async move {
            if !is_proxy {
                return Err("only the proxy looks up names".into());
            }
            let found = lookup.addresses(name.as_str()).await?;
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}
