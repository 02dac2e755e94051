//! HTTP out of the host: one client an endpoint, with allow-list and address vetting, credentials, breaker, rate and
//! concurrency. Never asks who the caller is: grants are the caller's business.

mod address;
mod breaker;
pub mod config;
mod credential;
mod failure;
mod gate;
mod headers;
mod hosts;
mod reach;
mod redirect;
mod resume;
mod setup;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

pub use setup::{Fault, Problem, SetupError};

use crate::model::Progress;

/// A request to an endpoint.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
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
