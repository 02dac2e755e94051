//! Names to addresses, once a connection: what is judged here is what is connected to, so a name that changes its
//! address between the two gains nothing. Addresses that stand in a URL do not come here.

use std::sync::Arc;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::address::Vetting;

/// Asks the system, and passes on only addresses that an endpoint may connect to.
pub(super) struct VettedResolver(pub(super) Arc<Vetting>);

impl Resolve for VettedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let vetting = self.0.clone();
        Box::pin(async move {
            // The connector fills the port in.
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let kept = vetting.keep(found)?;
            Ok(Box::new(kept.into_iter()) as Addrs)
        })
    }
}
