//! The messages of Verisk. Fields that are not known are passed over.

use serde::{Deserialize, Serialize};

use crate::{End, File, Metadata, NonBlank, Status, field, without_query};

/// Fetch this file. Lies in `verisk-downloads-pending`.
#[derive(Clone, PartialEq, Debug, Deserialize, Serialize)]
pub struct Task {
    /// Which event it came from.
    #[serde(deserialize_with = "field::id")]
    pub trace_id: NonBlank,
    /// The attachment's id, made of trace id and URL.
    #[serde(deserialize_with = "field::id")]
    pub media_id: NonBlank,
    /// Where the file is; presigned, once.
    #[serde(deserialize_with = "field::url")]
    pub attachment_url: NonBlank,
    /// Where it is to go, without the media id.
    pub blob_path: NonBlank,
    /// What happened, such as `estimatePackageReceived`.
    pub status_subtype: NonBlank,
    /// The upper-case extension, such as `PDF`, or `UNKNOWN`.
    pub file_type: NonBlank,
    /// The assignment's number.
    #[serde(deserialize_with = "field::id")]
    pub assignment_id: NonBlank,
    /// Of an estimate, its version.
    #[serde(default, deserialize_with = "field::optional_id")]
    pub estimate_version: Option<String>,
    /// Attempts before this message was written.
    #[serde(default, deserialize_with = "field::or_default")]
    pub retry_count: u32,
    /// The domain.
    pub event_type: NonBlank,
    /// What happened, again.
    pub event_subtype: NonBlank,
    /// When it happened.
    #[serde(deserialize_with = "field::moment")]
    pub original_timestamp: NonBlank,
    /// Whatever the writer added.
    #[serde(default, deserialize_with = "field::or_default")]
    pub metadata: Metadata,
}

/// This file was fetched. Lies in `verisk-downloads-cached`.
#[derive(Clone, PartialEq, Debug, Deserialize, Serialize)]
pub struct Cached {
    /// As in the task.
    #[serde(deserialize_with = "field::id")]
    pub trace_id: NonBlank,
    /// As in the task.
    #[serde(deserialize_with = "field::id")]
    pub media_id: NonBlank,
    /// As in the task: it takes the link to fetch the file again.
    #[serde(deserialize_with = "field::url")]
    pub attachment_url: NonBlank,
    /// The task's `blob_path`.
    pub destination_path: NonBlank,
    /// Where the file lies in the cache store.
    #[serde(deserialize_with = "field::filled")]
    pub local_cache_path: String,
    /// Its size.
    pub bytes_downloaded: u64,
    /// SHA-256 of its content, in lower-case hex.
    #[serde(deserialize_with = "field::sha256")]
    pub sha256: String,
    /// Its media type.
    #[serde(default, deserialize_with = "field::media_type")]
    pub content_type: Option<String>,
    /// As in the task.
    pub event_type: NonBlank,
    /// As in the task.
    pub event_subtype: NonBlank,
    /// As in the task.
    pub status_subtype: NonBlank,
    /// As in the task.
    pub file_type: NonBlank,
    /// As in the task.
    #[serde(deserialize_with = "field::id")]
    pub assignment_id: NonBlank,
    /// As in the task.
    #[serde(deserialize_with = "field::moment")]
    pub original_timestamp: NonBlank,
    /// When.
    #[serde(deserialize_with = "field::moment")]
    pub downloaded_at: String,
    /// As in the task.
    #[serde(default, deserialize_with = "field::or_default")]
    pub metadata: Metadata,
    /// As in the task, for the case that the file must be fetched again.
    #[serde(default, deserialize_with = "field::optional_id", skip_serializing_if = "Option::is_none")]
    pub estimate_version: Option<String>,
}

/// How an attachment ended. Lies in `verisk-downloads-results`.
#[derive(Clone, PartialEq, Debug, Deserialize, Serialize)]
pub struct AttachmentResult {
    /// As in the task.
    pub trace_id: NonBlank,
    /// As in the task.
    pub media_id: NonBlank,
    /// The task's, without its query: a presigned URL is a secret.
    pub attachment_url: String,
    /// Where the file stands in truth, the media id included.
    pub blob_path: String,
    /// As in the task.
    pub status_subtype: NonBlank,
    /// As in the task.
    pub file_type: NonBlank,
    /// As in the task.
    pub assignment_id: NonBlank,
    /// How it ended.
    pub status: Status,
    /// What its origin answered, where that was what was wrong.
    pub http_status: Option<u16>,
    /// Bytes that stand there.
    pub bytes_downloaded: u64,
    /// Attempts before the last, those before the task was written included.
    pub retry_count: u32,
    /// What was wrong, at most 500 characters.
    pub error_message: Option<String>,
    /// When.
    pub created_at: String,
    /// Never set; readers expect the field.
    pub expires_at: Option<String>,
    /// Never set; readers expect the field.
    pub expired_at_ingest: Option<bool>,
}

impl Task {
    /// The file was fetched.
    pub(crate) fn into_cached(self, file: File, downloaded_at: String) -> Cached {
        Cached {
            trace_id: self.trace_id,
            media_id: self.media_id,
            attachment_url: self.attachment_url,
            destination_path: self.blob_path,
            local_cache_path: file.path,
            bytes_downloaded: file.bytes,
            sha256: file.sha256,
            content_type: file.content_type,
            event_type: self.event_type,
            event_subtype: self.event_subtype,
            status_subtype: self.status_subtype,
            file_type: self.file_type,
            assignment_id: self.assignment_id,
            original_timestamp: self.original_timestamp,
            downloaded_at,
            metadata: self.metadata,
            estimate_version: self.estimate_version,
        }
    }

    /// How it ended.
    pub(crate) fn to_result(&self, end: End) -> AttachmentResult {
        AttachmentResult {
            trace_id: self.trace_id.clone(),
            media_id: self.media_id.clone(),
            attachment_url: without_query(&self.attachment_url),
            blob_path: end.path,
            status_subtype: self.status_subtype.clone(),
            file_type: self.file_type.clone(),
            assignment_id: self.assignment_id.clone(),
            status: end.status,
            http_status: end.http_status,
            bytes_downloaded: end.bytes,
            retry_count: self.retry_count.saturating_add(end.retries),
            error_message: end.error,
            created_at: end.at,
            expires_at: None,
            expired_at_ingest: None,
        }
    }
}

impl Cached {
    /// The task that it came from.
    pub(crate) fn to_task(&self) -> Task {
        Task {
            trace_id: self.trace_id.clone(),
            media_id: self.media_id.clone(),
            attachment_url: self.attachment_url.clone(),
            blob_path: self.destination_path.clone(),
            status_subtype: self.status_subtype.clone(),
            file_type: self.file_type.clone(),
            assignment_id: self.assignment_id.clone(),
            estimate_version: self.estimate_version.clone(),
            retry_count: 0,
            event_type: self.event_type.clone(),
            event_subtype: self.event_subtype.clone(),
            original_timestamp: self.original_timestamp.clone(),
            metadata: self.metadata.clone(),
        }
    }
}
