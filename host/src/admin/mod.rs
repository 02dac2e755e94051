//! What a running host tells of itself over HTTP, and what it can be told there. Never a payload, never a secret; a web
//! page can tell it nothing. It asks the pipelines' loops when it is asked, and keeps nothing.
//!
//! | path | is for |
//! |---|---|
//! | `GET /live` | whether every pipeline answers |
//! | `GET /ready` | whether every pipeline takes messages, else why not |
//! | `GET /metrics` | Prometheus |
//! | `GET /status` | everything, as JSON |
//! | `POST /pipelines/{name}/pause`, `…/resume` | one pipeline |
//!
//! | file | is for |
//! |---|---|
//! | [`config`] | the spec's `admin:` |
//! | `server` | connections, bounded in number, time and size |
//! | `routes` | what is asked and told where |
//! | `guard` | who may ask |
//! | [`status`] | the JSON of `/status` |
//! | `metrics` | the text of `/metrics` |

pub mod config;
mod guard;
mod metrics;
mod routes;
mod server;
pub mod status;

use std::sync::Arc;

use crate::flow::remote::Remote;

pub use server::{BindError, Listener, Server};

/// A pipeline that is served.
#[derive(Clone)]
pub struct Served {
    /// What asks and tells it.
    pub remote: Remote,
    /// What does not change of it.
    pub about: About,
}

/// What is known of a pipeline before it runs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct About {
    /// The kind of messaging system that it reads, in the words of the OpenTelemetry conventions.
    pub system: &'static str,
    /// The topic that it reads.
    pub topic: Arc<str>,
    /// Its consumer group.
    pub group: Arc<str>,
}

#[cfg(test)]
mod tests;
