//! The messages of ClaimX. Fields that are not known are passed over.

use serde::{Deserialize, Serialize};

use crate::{End, File, Metadata, NonBlank, Status, field, without_query};

/// Fetch this file. Lies in `claimx-downloads-pending`.
#[derive(Clone, PartialEq, Debug, Deserialize, Serialize)]
pub struct Task {
    /// The medium's number.
    #[serde(deserialize_with = "field::id")]
    pub media_id: NonBlank,
    /// The project's.
    #[serde(deserialize_with = "field::id")]
    pub project_id: NonBlank,
    /// Where the file is; the link expires.
    #[serde(deserialize_with = "field::url")]
    pub download_url: NonBlank,
    /// Where it is to go, without the media id.
    pub blob_path: NonBlank,
    /// As its event named it, such as `jpg`.
    #[serde(default, deserialize_with = "field::text")]
    pub file_type: String,
    /// As its event named it.
    #[serde(default, deserialize_with = "field::text")]
    pub file_name: String,
    /// Which event it came from.
    #[serde(deserialize_with = "field::id")]
    pub trace_id: NonBlank,
    /// Attempts before this message was written.
    #[serde(default, deserialize_with = "field::or_default")]
    pub retry_count: u32,
    /// When the link expires.
    #[serde(default, deserialize_with = "field::optional_text")]
    pub expires_at: Option<String>,
    /// How often the link was asked for again.
    #[serde(default, deserialize_with = "field::or_default")]
    pub refresh_count: u32,
    /// Whatever the writer added.
    #[serde(default)]
    pub metadata: Option<Metadata>,
}

/// This file was fetched. Lies in `claimx-downloads-cached`.
#[derive(Clone, PartialEq, Debug, Deserialize, Serialize)]
pub struct Cached {
    /// As in the task.
    #[serde(deserialize_with = "field::id")]
    pub media_id: NonBlank,
    /// As in the task.
    #[serde(deserialize_with = "field::id")]
    pub project_id: NonBlank,
    /// As in the task: it takes the link to fetch the file again.
    #[serde(deserialize_with = "field::url")]
    pub download_url: NonBlank,
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
    #[serde(default, deserialize_with = "field::text")]
    pub file_type: String,
    /// As in the task.
    #[serde(default, deserialize_with = "field::text")]
    pub file_name: String,
    /// As in the task.
    #[serde(deserialize_with = "field::id")]
    pub trace_id: NonBlank,
    /// When.
    #[serde(deserialize_with = "field::moment")]
    pub downloaded_at: String,
    /// As in the task, for the case that the file must be fetched again.
    #[serde(default, deserialize_with = "field::optional_text", skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<String>,
    /// As in the task, for the case that the file must be fetched again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Metadata>,
}

/// How an attachment ended. Lies in `claimx-downloads-results`.
#[derive(Clone, PartialEq, Debug, Deserialize, Serialize)]
pub struct AttachmentResult {
    /// As in the task.
    pub media_id: NonBlank,
    /// As in the task.
    pub project_id: NonBlank,
    /// The task's, without its query: a presigned URL is a secret.
    pub download_url: String,
    /// Where the file stands in truth, the media id included.
    pub blob_path: String,
    /// As in the task.
    pub file_type: String,
    /// As in the task.
    pub file_name: String,
    /// As in the task.
    pub trace_id: NonBlank,
    /// How it ended.
    pub status: Status,
    /// Bytes that stand there.
    pub bytes_uploaded: u64,
    /// What was wrong, at most 500 characters.
    pub error_message: Option<String>,
    /// When.
    pub created_at: String,
}

impl Task {
    /// The file was fetched.
    pub(crate) fn into_cached(self, file: File, downloaded_at: String) -> Cached {
        Cached {
            media_id: self.media_id,
            project_id: self.project_id,
            download_url: self.download_url,
            destination_path: self.blob_path,
            local_cache_path: file.path,
            bytes_downloaded: file.bytes,
            sha256: file.sha256,
            content_type: file.content_type,
            file_type: self.file_type,
            file_name: self.file_name,
            trace_id: self.trace_id,
            downloaded_at,
            expires_at: self.expires_at,
            metadata: self.metadata,
        }
    }

    /// How it ended.
    pub(crate) fn to_result(&self, end: End) -> AttachmentResult {
        AttachmentResult {
            media_id: self.media_id.clone(),
            project_id: self.project_id.clone(),
            download_url: without_query(&self.download_url),
            blob_path: end.path,
            file_type: self.file_type.clone(),
            file_name: self.file_name.clone(),
            trace_id: self.trace_id.clone(),
            status: end.status,
            bytes_uploaded: end.bytes,
            error_message: end.error,
            created_at: end.at,
        }
    }
}

impl Cached {
    /// The task that it came from.
    pub(crate) fn to_task(&self) -> Task {
        Task {
            media_id: self.media_id.clone(),
            project_id: self.project_id.clone(),
            download_url: self.download_url.clone(),
            blob_path: self.destination_path.clone(),
            file_type: self.file_type.clone(),
            file_name: self.file_name.clone(),
            trace_id: self.trace_id.clone(),
            retry_count: 0,
            expires_at: self.expires_at.clone(),
            refresh_count: 0,
            metadata: self.metadata.clone(),
        }
    }
}
