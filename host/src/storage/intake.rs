//! Bytes on their way into a store: what every store does with a source, whatever it keeps the bytes in. Limits are
//! checked as chunks arrive, before they are written, and each chunk counts as progress. Never writes anything itself.

use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use futures::stream::Fuse;
use sha2::{Digest, Sha256};

use super::{BlobPath, PutOptions, Source, StoreError, Stored};
use crate::model::Progress;

/// A source under its limits.
pub(super) struct Intake<'a> {
    source: Fuse<Source>,
    progress: &'a Progress,
    size: u64,
    max: Option<u64>,
    expected: Option<u64>,
}

impl<'a> Intake<'a> {
    /// Starts an intake; refuses at once what is announced as too large.
    pub(super) fn new(source: Source, options: &PutOptions, progress: &'a Progress) -> Result<Self, StoreError> {
        let (max, expected) = (options.max_bytes, options.expected_bytes);
        match (max, expected) {
            (Some(limit), Some(expected)) if expected > limit => Err(StoreError::TooLarge { limit }),
            _ => Ok(Self { source: source.fuse(), progress, size: 0, max, expected }),
        }
    }

    /// Bytes taken so far.
    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// The next bytes, gathered until there are at least `least` of them or the source ends; `None` at the end, where
    /// the whole size has been checked.
    pub(super) async fn gather(&mut self, least: usize) -> Result<Option<Bytes>, StoreError> {
        let Some(first) = self.next().await? else { return Ok(None) };
        if first.len() >= least {
            return Ok(Some(first));
        }
        let mut batch = BytesMut::from(first);
        while batch.len() < least {
            match self.next().await? {
                Some(chunk) => batch.extend_from_slice(&chunk),
                None => break,
            }
        }
        Ok(Some(batch.freeze()))
    }

    async fn next(&mut self) -> Result<Option<Bytes>, StoreError> {
        while let Some(chunk) = self.source.next().await {
            let chunk = chunk.map_err(StoreError::Source)?;
            self.progress.touch();
            if !chunk.is_empty() {
                self.admit(chunk.len())?;
                return Ok(Some(chunk));
            }
        }
        match self.expected {
            Some(expected) if self.size != expected => Err(wrong_size(format_args!("{} bytes", self.size), expected)),
            _ => Ok(None),
        }
    }

    fn admit(&mut self, bytes: usize) -> Result<(), StoreError> {
        self.size = self.size.saturating_add(u64::try_from(bytes).unwrap_or(u64::MAX));
        match (self.max, self.expected) {
            (Some(limit), _) if self.size > limit => Err(StoreError::TooLarge { limit }),
            (_, Some(expected)) if self.size > expected => Err(wrong_size(format_args!("more bytes"), expected)),
            _ => Ok(()),
        }
    }
}

fn wrong_size(had: std::fmt::Arguments<'_>, expected: u64) -> StoreError {
    StoreError::Source(format!("the body had {had}, where {expected} were expected"))
}

/// A hash as it is kept: lower-case hex.
pub(super) fn hex(hasher: Sha256) -> String {
    format!("{:x}", hasher.finalize())
}

/// What a body is, for a store that keeps nothing else.
pub(super) fn stored(size: u64, hasher: Sha256) -> Stored {
    Stored { size, sha256: hex(hasher), etag: None, content_type: None }
}

/// Answers a put that found a blob in its place: already there, or a conflict.
pub(super) fn same_or_conflict(path: &BlobPath, standing: Stored, wanted: &Stored) -> Result<Stored, StoreError> {
    if standing.size == wanted.size && standing.sha256 == wanted.sha256 {
        Ok(standing)
    } else {
        Err(StoreError::Conflict { path: path.clone(), stored: standing })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures::stream;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn each_chunk_is_progress() {
        let progress = Progress::new();
        let chunks = stream::iter([Ok(Bytes::from_static(b"ab")), Ok(Bytes::new()), Ok(Bytes::from_static(b"c"))]);
        let mut intake = Intake::new(chunks.boxed(), &PutOptions::default(), &progress).unwrap();
        for (size, chunk) in [(2, Some("ab")), (3, Some("c")), (3, None)] {
            tokio::time::advance(Duration::from_secs(7)).await;
            assert_eq!(intake.gather(1).await.unwrap().as_deref(), chunk.map(str::as_bytes));
            assert_eq!(intake.size(), size);
            assert_eq!(progress.idle().is_zero(), chunk.is_some());
        }
    }

    #[tokio::test]
    async fn bytes_are_gathered_up_to_what_is_asked_for() {
        let progress = Progress::new();
        let chunks = ["a", "bc", "defghi", "j"].map(|chunk| Ok(Bytes::from(chunk)));
        let mut intake = Intake::new(stream::iter(chunks).boxed(), &PutOptions::default(), &progress).unwrap();
        for batch in [Some("abc"), Some("defghi"), Some("j"), None, None] {
            assert_eq!(intake.gather(2).await.unwrap().as_deref(), batch.map(str::as_bytes));
        }
    }
}
