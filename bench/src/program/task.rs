//! Tasks as they lie in `claimx-downloads-pending`, and what is read off those that were fetched.

use anyhow::{Context, ensure};
use lockgate::model::Message;
use serde::Deserialize;
use serde_json::json;

/// The task to fetch a file.
pub(crate) fn task(number: usize, url: &str) -> Vec<u8> {
    let project = 6_120_457 + number / 50;
    json!({
        "media_id": format!("{}", 81_530_000 + number), "project_id": format!("{project}"), "download_url": url,
        "blob_path": format!("{project}/media/file-{number}.pdf"), "file_type": "pdf",
        "file_name": format!("file-{number}.pdf"), "trace_id": format!("trace-{number}"), "retry_count": 0,
    })
    .to_string()
    .into_bytes()
}

/// Fails unless every message says that a file of this size and hash was laid.
pub(crate) fn check_cached<'a>(
    cached: impl IntoIterator<Item = &'a Message>,
    bytes: u64,
    sha256: &str,
) -> anyhow::Result<()> {
    #[derive(Deserialize)]
    struct Cached {
        bytes_downloaded: u64,
        sha256: String,
        local_cache_path: String,
    }
    for message in cached {
        let cached: Cached = serde_json::from_slice(&message.payload).context("cannot read a cached message")?;
        let place = cached.local_cache_path;
        ensure!(cached.bytes_downloaded == bytes, "{place} has {} bytes instead of {bytes}", cached.bytes_downloaded);
        ensure!(cached.sha256 == sha256, "{place} is another file than the origin's");
    }
    Ok(())
}
