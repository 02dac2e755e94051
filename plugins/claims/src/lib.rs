//! What the plugins of the claims pipelines share: the messages of both domains, where files lie, and what a failure
//! ends as. Pure but for the types of the SDK.
//!
//! A file goes through three messages: a [`Task`] says where to fetch it, a [`Cached`] where it was laid, and an
//! [`AttachmentResult`](claimx::AttachmentResult) how it ended. The two domains name things differently and carry
//! different fields along; here they are one enum each.

mod cached;
pub mod claimx;
mod failure;
mod field;
mod metadata;
mod name;
pub mod paths;
mod task;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod text;
pub mod verisk;

#[cfg(test)]
mod shapes_tests;

use lockgate_plugin::{Context, Emission, json};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use cached::Cached;
pub use failure::{Failure, Next};
pub use field::NonBlank;
pub use metadata::Metadata;
pub use task::{File, Task};
pub use text::{instant, without_query};

/// Whose attachments they are.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Domain {
    /// ClaimX: media of claim projects, whose links can be asked for again.
    Claimx,
    /// Verisk: attachments of assignments, whose links are presigned once.
    Verisk,
}

impl Domain {
    /// Its name in paths.
    pub fn name(self) -> &'static str {
        match self {
            Self::Claimx => "claimx",
            Self::Verisk => "verisk",
        }
    }
}

/// How an attachment ended. Results in between are not sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// It stands at its destination.
    Completed,
    /// It never will.
    FailedPermanent,
}

/// The header that counts how often a file was fetched again because its cached copy was gone.
pub const REDOWNLOADS: &str = "redownloads";

/// Longest text of an error in a result, in characters.
const ERROR_LIMIT: usize = 500;

/// The end of an attachment, as results tell it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct End {
    /// How it ended.
    pub status: Status,
    /// Where it stands, or was to stand.
    pub path: String,
    /// Bytes that stand there.
    pub bytes: u64,
    /// What was wrong.
    pub error: Option<String>,
    /// The status that its origin answered, where that was what was wrong.
    pub http_status: Option<u16>,
    /// Attempts before this one.
    pub retries: u32,
    /// When.
    pub at: String,
}

impl End {
    /// It stands at its destination.
    pub fn completed(path: &str, bytes: u64, context: &Context) -> Self {
        Self { status: Status::Completed, bytes, ..Self::now(path, context) }
    }

    /// It never will.
    pub fn failed(path: &str, failure: &Failure, context: &Context) -> Self {
        let error = Some(text::shortened(&failure.reason, ERROR_LIMIT));
        Self { error, http_status: failure.http_status, ..Self::now(path, context) }
    }

    fn now(path: &str, context: &Context) -> Self {
        Self {
            status: Status::FailedPermanent,
            path: path.to_owned(),
            bytes: 0,
            error: None,
            http_status: None,
            retries: context.attempt().saturating_sub(1),
            at: instant(context.now()),
        }
    }
}

/// A message of the claims pipelines: its key and a header are the trace id, so that whoever looks into a topic finds
/// the way back.
pub fn emission<T: Serialize>(output: &str, value: &T, trace_id: &str) -> Result<Emission, json::Error> {
    Ok(Emission::json(output, value)?.key(trace_id).header("trace_id", trace_id))
}
