//! The plugin boundary: what a plugin is to the rest of the host, and the WASM engine behind it.
//!
//! | part | is for |
//! |---|---|
//! | `engine` | the one engine, and its pool |
//! | `ticker` | its epoch, by which guests that compute for long are noticed |
//! | `artifact` | a component's file |
//! | `component` | from a file to a component that is fit to be a plugin |
//! | `nesting` | how often its parts instantiate one another |
//! | `imports` | what a component may import, and must export |
//! | `cache` | compiled components on disk |
//! | `described` | what a guest says of itself and of its needs, within bounds |
//! | `bindings` | the contract as Rust, and from its shapes to the host's |
//! | `wasm` | a pipeline's slots as a [`Plugin`] |
//! | `slots` | one instance: calls, limits, why they failed |
//! | `limits` | memory, computing, stalls, deadlines |
//! | `capabilities` | what a guest may call |

#[cfg(all(feature = "wasm", feature = "testing"))]
pub mod answer;
#[cfg(feature = "wasm")]
mod artifact;
#[cfg(feature = "wasm")]
mod bindings;
#[cfg(feature = "wasm")]
mod cache;
#[cfg(feature = "wasm")]
mod capabilities;
#[cfg(feature = "wasm")]
mod component;
pub mod config;
#[cfg(feature = "wasm")]
mod described;
#[cfg(feature = "wasm")]
mod engine;
#[cfg(feature = "wasm")]
mod error;
#[cfg(feature = "wasm")]
mod imports;
#[cfg(feature = "wasm")]
mod limits;
#[cfg(feature = "wasm")]
mod nesting;
#[cfg(feature = "wasm")]
mod slots;
#[cfg(test)]
#[cfg(feature = "wasm")]
mod tests;
#[cfg(feature = "wasm")]
mod ticker;
#[cfg(feature = "wasm")]
mod wasm;

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::model::{Message, Outcome};

#[cfg(feature = "wasm")]
pub use component::Component;
#[cfg(feature = "wasm")]
pub use engine::{Engine, EngineSettings};
#[cfg(feature = "wasm")]
pub use error::LoadError;
#[cfg(feature = "wasm")]
pub use wasm::PoolSettings;

/// Takes one message and says what should happen to it.
#[async_trait]
pub trait Plugin: Send + Sync {
    /// Runs one message. Waits for a free slot first. Dropping the future ends the call, and the slot with it.
    async fn call(&self, message: Arc<Message>, attempt: Attempt) -> Result<Outcome, CallError>;

    /// Bytes that calls moved between origins and stores so far.
    fn bytes_moved(&self) -> u64;
}

/// Which try of a message this is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Attempt {
    /// 1 for the first.
    pub number: NonZeroU32,
    /// Calls left after this one.
    pub left: u32,
}

/// Why a call gave no outcome. [`CallError::fault`] says whose fault it is, and with that what follows.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum CallError {
    /// The guest trapped, panicked, or ran out of stack.
    #[error("plugin {plugin} trapped: {reason}")]
    Trap {
        /// Which plugin.
        plugin: Arc<str>,
        /// The trap, and the last line that the guest wrote to its standard error.
        reason: String,
    },
    /// Over `limits.cpu`.
    #[error("plugin {plugin} computed for more than {limit:?}")]
    Cpu {
        /// Which plugin.
        plugin: Arc<str>,
        /// The limit.
        limit: Duration,
    },
    /// Over `limits.memory`.
    #[error("plugin {plugin} needed more than {limit} bytes of memory")]
    Memory {
        /// Which plugin.
        plugin: Arc<str>,
        /// The limit in bytes.
        limit: u64,
    },
    /// The outcome is not one that the contract allows, or the guest waits on nothing.
    #[error("plugin {plugin} broke the contract: {reason}")]
    Contract {
        /// Which plugin.
        plugin: Arc<str>,
        /// How.
        reason: String,
    },
    /// Nothing moved for `limits.stall` while the guest waited on the host.
    #[error("plugin {plugin} stalled: nothing moved for {limit:?}")]
    Stalled {
        /// Which plugin.
        plugin: Arc<str>,
        /// The limit.
        limit: Duration,
    },
    /// Over `limits.deadline`.
    #[error("plugin {plugin} took longer than its deadline of {limit:?}")]
    Deadline {
        /// Which plugin.
        plugin: Arc<str>,
        /// The limit.
        limit: Duration,
    },
    /// No instance could be made.
    #[error("plugin {plugin} cannot be started: {reason}")]
    Start {
        /// Which plugin.
        plugin: Arc<str>,
        /// Why.
        reason: String,
    },
}

/// Whose fault a failed call is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// The guest's: again in place on a fresh slot until the round is used up, then dead letter.
    Guest,
    /// The world's: like a `retry` verdict.
    World,
    /// The host's: no instance can be made. The pipeline waits, and no attempt is used.
    Host,
}

impl CallError {
    /// Whose fault it is.
    pub fn fault(&self) -> Fault {
        match self {
            Self::Trap { .. } | Self::Cpu { .. } | Self::Memory { .. } | Self::Contract { .. } => Fault::Guest,
            Self::Stalled { .. } | Self::Deadline { .. } => Fault::World,
            Self::Start { .. } => Fault::Host,
        }
    }

    /// A short stable word to count by.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Trap { .. } => "trap",
            Self::Cpu { .. } => "cpu",
            Self::Memory { .. } => "memory",
            Self::Contract { .. } => "contract",
            Self::Stalled { .. } => "stalled",
            Self::Deadline { .. } => "deadline",
            Self::Start { .. } => "start",
        }
    }
}

/// What a component says of itself, and what the host found out about it.
#[derive(Clone, PartialEq, Debug, serde::Serialize)]
pub struct Description {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// What it is for.
    pub description: String,
    /// JSON Schema 2020-12 of its config.
    pub config_schema: serde_json::Value,
    /// SHA-256 of the component, in hex.
    pub sha256: String,
    /// The contract it was built against, such as `lockgate:plugin@0.1.0`.
    pub contract: String,
    /// The interfaces it imports.
    pub imports: Vec<String>,
}

/// What one configuration of a plugin needs.
#[derive(Clone, PartialEq, Eq, Debug, Default, serde::Serialize)]
pub struct Binding {
    /// Outputs that emissions may name.
    pub outputs: Vec<String>,
    /// Endpoints that requests may name.
    pub endpoints: Vec<String>,
    /// Stores that blob calls may name.
    pub stores: Vec<String>,
    /// Key-value stores that calls may name.
    pub keyvalues: Vec<String>,
}
