//! A file to fetch, of either domain.

use std::time::SystemTime;

use lockgate_plugin::{Emission, Message, json};

use crate::{Cached, Domain, End, claimx, emission, instant, verisk};

/// Fetch this file.
#[derive(Clone, PartialEq, Debug)]
pub enum Task {
    /// Of ClaimX.
    Claimx(claimx::Task),
    /// Of Verisk.
    Verisk(verisk::Task),
}

/// A file that was fetched.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct File {
    /// Where it lies in the cache store.
    pub path: String,
    /// Its size.
    pub bytes: u64,
    /// SHA-256 of its content, in lower-case hex.
    pub sha256: String,
    /// Its media type.
    pub content_type: Option<String>,
}

impl Task {
    /// Reads a task.
    pub fn parse(domain: Domain, message: &Message) -> Result<Self, json::Error> {
        match domain {
            Domain::Claimx => message.json().map(Self::Claimx),
            Domain::Verisk => message.json().map(Self::Verisk),
        }
    }

    /// Whose it is.
    pub fn domain(&self) -> Domain {
        match self {
            Self::Claimx(_) => Domain::Claimx,
            Self::Verisk(_) => Domain::Verisk,
        }
    }

    /// Which event it came from.
    pub fn trace_id(&self) -> &str {
        match self {
            Self::Claimx(task) => &task.trace_id,
            Self::Verisk(task) => &task.trace_id,
        }
    }

    /// The attachment's id.
    pub fn media_id(&self) -> &str {
        match self {
            Self::Claimx(task) => &task.media_id,
            Self::Verisk(task) => &task.media_id,
        }
    }

    /// Where the file is. May be presigned: not for reasons, logs and results.
    pub fn url(&self) -> &str {
        match self {
            Self::Claimx(task) => &task.download_url,
            Self::Verisk(task) => &task.attachment_url,
        }
    }

    /// Where it is to go, without the media id.
    pub fn blob_path(&self) -> &str {
        match self {
            Self::Claimx(task) => &task.blob_path,
            Self::Verisk(task) => &task.blob_path,
        }
    }

    /// The file was fetched.
    pub fn into_cached(self, file: File, at: SystemTime) -> Cached {
        match self {
            Self::Claimx(task) => Cached::Claimx(task.into_cached(file, instant(at))),
            Self::Verisk(task) => Cached::Verisk(task.into_cached(file, instant(at))),
        }
    }

    /// The message how it ended.
    pub fn to_result(&self, output: &str, end: End) -> Result<Emission, json::Error> {
        match self {
            Self::Claimx(task) => emission(output, &task.to_result(end), self.trace_id()),
            Self::Verisk(task) => emission(output, &task.to_result(end), self.trace_id()),
        }
    }

    /// The message to fetch it.
    pub fn to_emission(&self, output: &str) -> Result<Emission, json::Error> {
        match self {
            Self::Claimx(task) => emission(output, task, self.trace_id()),
            Self::Verisk(task) => emission(output, task, self.trace_id()),
        }
        .map(|emission| emission.header("media_id", self.media_id()))
    }
}
