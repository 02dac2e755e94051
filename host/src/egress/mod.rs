//! HTTP out of the host: one client an endpoint, with allow-list and address vetting, credentials, breaker, rate and
//! concurrency. Never asks who the caller is: grants are the caller's business.

mod address;
mod body;
mod breaker;
mod client;
pub mod config;
mod connector;
mod covered;
#[cfg(test)]
mod covered_tests;
mod credential;
mod endpoint;
mod failure;
#[cfg(test)]
mod flood_tests;
#[cfg(test)]
mod forms_tests;
mod gate;
mod headers;
mod hosts;
#[cfg(feature = "testing")]
pub mod judging;
#[cfg(test)]
mod proxy_tests;
mod reach;
mod redirect;
mod resolver;
mod resume;
#[cfg(test)]
mod secrets_tests;
mod setup;
#[cfg(test)]
mod test_canary;
#[cfg(test)]
mod test_proxy;
#[cfg(test)]
mod test_server;
#[cfg(test)]
mod tls_tests;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

pub use client::Client;
pub use setup::{Fault, Problem, SetupError};

use crate::model::{Progress, without_queries};

/// A request to an endpoint.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Request {
    /// `GET`, `POST`, …
    pub method: String,
    /// A path below the endpoint's base URL, or an absolute URL that the endpoint allows.
    pub target: String,
    /// Headers without credentials.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Option<Bytes>,
}

impl fmt::Debug for Request {
    /// Shows nothing that may be a secret: of the target no query, of headers the names, of the body its length.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let target = without_queries(&self.target);
        let path = target.split(['?', '#']).next().unwrap_or_default();
        let names: Vec<_> = self.headers.iter().map(|(name, _)| name).collect();
        let length = self.body.as_ref().map(Bytes::len);
        f.debug_struct("Request")
            .field("method", &self.method)
            .field("target", &path)
            .field("headers", &names)
            .field("body", &length)
            .finish()
    }
}

/// The head of a response; the body follows.
pub struct Response {
    /// The status code, after allowed redirects.
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// Where the body came from after redirects, without query, fragment and user.
    pub final_url: String,
    /// The body.
    pub body: Box<dyn Body>,
}

/// A body that is still coming.
#[async_trait]
pub trait Body: Send {
    /// The next bytes; `None` at a proper end. A broken body is resumed by range where the origin allows it, so an
    /// error is final.
    async fn chunk(&mut self) -> Result<Option<Bytes>, EgressError>;
}

/// Why there is no response, or no more of it. No text holds a query or a credential.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum EgressError {
    /// Refused by policy.
    #[error("denied: {0}")]
    Denied(String),
    /// The endpoint's breaker is open.
    #[error("endpoint {endpoint} is unavailable: its breaker is open for another {retry_after:?}")]
    Unavailable {
        /// Which endpoint.
        endpoint: Arc<str>,
        /// Until the next trial.
        retry_after: Duration,
        /// Whether the endpoint is one system (`base_url`) rather than many hosts (`allow`).
        one_system: bool,
    },
    /// Nothing came in time.
    #[error("timeout: {0}")]
    Timeout(String),
    /// No connection.
    #[error("cannot connect: {0}")]
    Connect(String),
    /// The body ended early.
    #[error("the body ended early, after {received} bytes")]
    Interrupted {
        /// Bytes that came.
        received: u64,
    },
    /// Anything else.
    #[error("{0}")]
    Other(String),
}

/// Sends requests to the endpoints of the spec.
#[async_trait]
pub trait Http: Send + Sync {
    /// Sends a request through `endpoint` and waits for the head of the response. `progress` is touched when bytes
    /// move and paused while the call waits for the endpoint's own rate and concurrency.
    async fn send(&self, endpoint: &str, request: Request, progress: &Progress) -> Result<Response, EgressError>;
}

/// The endpoints of the spec by name.
pub type Configs = BTreeMap<String, config::Config>;
