//! What is judged of a target and of a redirect before anything is sent, without a client: for the fuzz targets. It
//! calls what a client calls and decides nothing itself.

use std::net::IpAddr;

use reqwest::header::HeaderValue;
use reqwest::{Method, StatusCode};
use url::Url;

use super::address::Vetting;
use super::config::Config;
use super::reach::Reach;
use super::redirect::redirect;

/// The judgement of one endpoint.
#[derive(Clone, Debug)]
pub struct Judge {
    reach: Reach,
    vetting: Vetting,
}

impl Judge {
    /// None where the spec would be refused.
    pub fn new(config: &Config) -> Option<Self> {
        let reach = Reach::new(config).ok()?;
        Some(Self { reach, vetting: Vetting::new(config.allow_addresses.clone()) })
    }

    /// The URL that a caller's target means, or why it is refused.
    pub fn target(&self, target: &str) -> Result<Url, String> {
        self.reach.resolve(target).map_err(|refusal| refusal.to_string())
    }

    /// The URL that an answer from `from` redirects to, or why it is not followed by this endpoint.
    pub fn redirect(&self, from: &Url, location: &[u8]) -> Result<Url, String> {
        let location = HeaderValue::from_bytes(location).map_err(|error| error.to_string())?;
        let hop = redirect(StatusCode::FOUND, Some(&location), &Method::GET, from);
        let hop = hop.and_then(Result::ok).ok_or("it redirects to no URL")?;
        self.reach.admits(&hop.url).map_err(|refusal| refusal.to_string())?;
        Ok(hop.url)
    }

    /// Whether the endpoint's credential would go to this URL.
    pub fn signs(&self, url: &Url) -> bool {
        self.reach.is_own_origin(url)
    }

    /// Whether an address may be connected to.
    pub fn connects(&self, address: IpAddr) -> bool {
        self.vetting.vet(address).is_ok()
    }
}
