//! Bodies into the container: whole, or in parts to the hidden folder and from there to their place.

use std::time::Duration;

use bytes::Bytes;
use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{CopyMode, CopyOptions, ObjectStore, PutMode, PutMultipartOptions, PutOptions, WriteMultipart};
use sha2::{Digest, Sha256};

use super::failure::{Refusal, failed, text};
use super::standing::Standing;
use super::{Azure, PART, attributes};
use crate::model::{Progress, Timestamp};
use crate::storage::intake::{Intake, same_or_conflict};
use crate::storage::path::RESERVED;
use crate::storage::{BlobPath, Replace, StoreError, Stored};

/// Parts of one body under way at once. With what is gathered behind them a put holds 20 MiB, and what the source
/// hands out in one chunk above a part.
const PARTS_AT_ONCE: usize = 3;
/// Parts that one blob may have.
const PARTS: u64 = 50_000;
/// How long to wait for a copy that the service finishes later.
const COPY_WAITS: [u64; 8] = [100, 200, 400, 800, 1600, 3200, 6400, 12_800];
/// Milliseconds after which what lies in the hidden folder belongs to nobody.
const LEFTOVER_AGE: i64 = 24 * 60 * 60 * 1000;
/// Leftovers cleared at most at once.
const LEFTOVERS: usize = 1000;

/// A body that lies in the hidden folder.
pub(super) struct Parts {
    pub(super) place: Path,
    pub(super) hasher: Sha256,
}

/// Whether an upload is still read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Upload {
    /// Nobody needs it any more.
    Spent,
    /// The service may still copy it; whoever clears leftovers finds it a day later.
    Needed,
}

impl Azure {
    /// Puts a body of one part.
    pub(super) async fn put_whole(
        &self,
        path: &BlobPath,
        place: &Path,
        body: Bytes,
        wanted: Stored,
        replace: Replace,
        progress: &Progress,
    ) -> Result<Stored, StoreError> {
        let mode = match replace {
            Replace::Refuse => PutMode::Create,
            Replace::Overwrite => PutMode::Overwrite,
        };
        let attributes = attributes(wanted.content_type.as_deref().unwrap_or_default(), Some(&wanted.sha256));
        let options = PutOptions { mode, attributes, ..PutOptions::default() };
        match self.objects.put_opts(place, body.into(), options).await {
            Ok(put) => Ok(Stored { etag: put.e_tag, ..wanted }),
            Err(error) if replace == Replace::Refuse && Refusal::of(&error).is_some_and(Refusal::is_taken) => {
                self.compare(path, place, &wanted, progress).await
            }
            Err(error) => Err(failed("write", path, &error)),
        }
    }

    /// Puts a body part by part to a place of its own.
    pub(super) async fn put_parts(
        &self,
        path: &BlobPath,
        first: Bytes,
        intake: &mut Intake<'_>,
        media_type: &str,
        progress: &Progress,
    ) -> Result<Parts, StoreError> {
        let write = |error| failed("write", path, &error);
        let place = self.place(&format!("{RESERVED}/{:032x}", rand::random::<u128>()))?;
        let options =
            PutMultipartOptions { attributes: attributes(media_type, None), ..PutMultipartOptions::default() };
        let upload = self.objects.put_multipart_opts(&place, options).await.map_err(write)?;
        let mut parts = WriteMultipart::new_with_chunk_size(upload, PART);
        let mut hasher = Sha256::new();
        let mut batch = Some(first);
        while let Some(mut bytes) = batch {
            within_azure(intake.size())?;
            hasher.update(&bytes);
            while !bytes.is_empty() {
                parts.wait_for_capacity(PARTS_AT_ONCE).await.map_err(write)?;
                parts.put(bytes.split_to(bytes.len().min(PART)));
                progress.touch();
            }
            batch = intake.gather(PART).await?;
        }
        for under_way in (1..=PARTS_AT_ONCE).rev() {
            parts.wait_for_capacity(under_way).await.map_err(write)?;
            progress.touch();
        }
        parts.finish().await.map_err(write)?;
        progress.touch();
        Ok(Parts { place, hasher })
    }

    /// Copies a body from the hidden folder to its place, and removes it there.
    pub(super) async fn put_in_place(
        &self,
        path: &BlobPath,
        place: &Path,
        from: &Path,
        wanted: Stored,
        replace: Replace,
        progress: &Progress,
    ) -> Result<Stored, StoreError> {
        // `object_store` takes metadata when an upload begins, and the hash is known when it ends.
        let marked = self.requests.mark(from, &wanted.sha256).await.map_err(|error| failed("write", path, &error));
        progress.touch();
        let (answer, upload) = match marked {
            Ok(()) => self.copy(path, place, from, wanted, replace, progress).await,
            Err(error) => (Err(error), Upload::Spent),
        };
        if upload == Upload::Spent
            && let Err(error) = self.requests.delete(from).await
        {
            tracing::warn!(%path, place = %from, reason = %text(&error), "upload stays in the hidden folder");
        }
        answer
    }

    async fn copy(
        &self,
        path: &BlobPath,
        place: &Path,
        from: &Path,
        wanted: Stored,
        replace: Replace,
        progress: &Progress,
    ) -> (Result<Stored, StoreError>, Upload) {
        let mode = match replace {
            Replace::Refuse => CopyMode::Create,
            Replace::Overwrite => CopyMode::Overwrite,
        };
        let copied = self.objects.copy_opts(from, place, CopyOptions::new().with_mode(mode)).await;
        match copied.as_ref().map_err(|error| (error, Refusal::of(error))) {
            Ok(()) => match self.arrived(path, place, wanted, progress).await {
                Ok(stored) => (Ok(stored), Upload::Spent),
                Err(error) => (Err(error), Upload::Needed),
            },
            Err((_, Some(refusal))) if replace == Replace::Refuse && refusal.is_taken() => {
                (self.compare(path, place, &wanted, progress).await, Upload::Spent)
            }
            Err((error, Some(_))) => (Err(failed("write", path, error)), Upload::Spent),
            Err((error, None)) => (Err(failed("write", path, error)), Upload::Needed),
        }
    }

    /// Waits until a copy is whole. Something else that stands there by now has come after it.
    async fn arrived(
        &self,
        path: &BlobPath,
        place: &Path,
        wanted: Stored,
        progress: &Progress,
    ) -> Result<Stored, StoreError> {
        match self.settled(path, place, progress).await? {
            Standing::Blob(stored) if stored.sha256 == wanted.sha256 => Ok(stored),
            _ => Ok(wanted),
        }
    }

    /// Answers a put that found its place taken.
    async fn compare(
        &self,
        path: &BlobPath,
        place: &Path,
        wanted: &Stored,
        progress: &Progress,
    ) -> Result<Stored, StoreError> {
        match self.settled(path, place, progress).await? {
            Standing::Blob(stored) => same_or_conflict(path, stored, wanted),
            _ => Err(StoreError::Other(format!("what stood at {path} is gone"))),
        }
    }

    async fn settled(&self, path: &BlobPath, place: &Path, progress: &Progress) -> Result<Standing, StoreError> {
        for wait in COPY_WAITS {
            match self.standing(path, place, progress).await? {
                Standing::Arriving => tokio::time::sleep(Duration::from_millis(wait)).await,
                settled => return Ok(settled),
            }
            progress.touch();
        }
        Err(StoreError::Other(format!("a copy to {path} is not finished yet")))
    }

    /// Clears what killed processes left in the hidden folder, as far as it can.
    pub(super) async fn clear_leftovers(&self) {
        match self.requests.time().await {
            Ok(now) => self.sweep(now).await,
            Err(error) => tracing::warn!(reason = %text(&error), "leftovers of uploads cannot be looked for"),
        }
    }

    /// Clears what lies in the hidden folder for so long that its put has ended, one way or another: from there it is
    /// a copy away from its place. `now` is the service's own time.
    pub(super) async fn sweep(&self, now: Timestamp) {
        let Ok(hidden) = self.place(RESERVED) else { return };
        let now = i64::try_from(now.0).unwrap_or(i64::MAX);
        let leftovers = self.objects.list(Some(&hidden)).try_filter(|found| {
            std::future::ready(now.saturating_sub(found.last_modified.timestamp_millis()) > LEFTOVER_AGE)
        });
        let cleared = futures::StreamExt::take(leftovers, LEFTOVERS)
            .try_for_each(|found| async move { self.requests.delete(&found.location).await })
            .await;
        if let Err(error) = cleared {
            tracing::warn!(reason = %text(&error), "leftovers of uploads cannot be cleared");
        }
    }
}

fn within_azure(size: u64) -> Result<(), StoreError> {
    let limit = PARTS * PART as u64;
    if size > limit { Err(StoreError::TooLarge { limit }) } else { Ok(()) }
}
