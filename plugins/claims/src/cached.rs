//! A file that was fetched, of either domain.

use lockgate_plugin::{Emission, Message, json};

use crate::{Domain, Task, claimx, emission, verisk};

/// This file was fetched.
#[derive(Clone, PartialEq, Debug)]
pub enum Cached {
    /// Of ClaimX.
    Claimx(claimx::Cached),
    /// Of Verisk.
    Verisk(verisk::Cached),
}

impl Cached {
    /// Reads one.
    pub fn parse(domain: Domain, message: &Message) -> Result<Self, json::Error> {
        match domain {
            Domain::Claimx => message.json().map(Self::Claimx),
            Domain::Verisk => message.json().map(Self::Verisk),
        }
    }

    /// Which event it came from.
    pub fn trace_id(&self) -> &str {
        match self {
            Self::Claimx(cached) => &cached.trace_id,
            Self::Verisk(cached) => &cached.trace_id,
        }
    }

    /// The attachment's id.
    pub fn media_id(&self) -> &str {
        match self {
            Self::Claimx(cached) => &cached.media_id,
            Self::Verisk(cached) => &cached.media_id,
        }
    }

    /// Where it is to go, without the media id.
    pub fn destination_path(&self) -> &str {
        match self {
            Self::Claimx(cached) => &cached.destination_path,
            Self::Verisk(cached) => &cached.destination_path,
        }
    }

    /// Where it lies in the cache store.
    pub fn local_cache_path(&self) -> &str {
        match self {
            Self::Claimx(cached) => &cached.local_cache_path,
            Self::Verisk(cached) => &cached.local_cache_path,
        }
    }

    /// Its size.
    pub fn bytes(&self) -> u64 {
        match self {
            Self::Claimx(cached) => cached.bytes_downloaded,
            Self::Verisk(cached) => cached.bytes_downloaded,
        }
    }

    /// SHA-256 of its content, in lower-case hex.
    pub fn sha256(&self) -> &str {
        match self {
            Self::Claimx(cached) => &cached.sha256,
            Self::Verisk(cached) => &cached.sha256,
        }
    }

    /// Its media type.
    pub fn content_type(&self) -> Option<&str> {
        match self {
            Self::Claimx(cached) => cached.content_type.as_deref(),
            Self::Verisk(cached) => cached.content_type.as_deref(),
        }
    }

    /// The task that it came from.
    pub fn to_task(&self) -> Task {
        match self {
            Self::Claimx(cached) => Task::Claimx(cached.to_task()),
            Self::Verisk(cached) => Task::Verisk(cached.to_task()),
        }
    }

    /// The message that it was fetched.
    pub fn to_emission(&self, output: &str) -> Result<Emission, json::Error> {
        match self {
            Self::Claimx(cached) => emission(output, cached, self.trace_id()),
            Self::Verisk(cached) => emission(output, cached, self.trace_id()),
        }
    }
}
