//! Blobs in this process only, for trials and tests. A body is gathered whole before it shows; nothing bounds the
//! blobs together but the machine's memory.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures::{StreamExt, stream};
use sha2::{Digest, Sha256};

use super::intake::{self, Intake};
use super::{BlobPath, BlobStore, Opened, PutOptions, Replace, Source, StoreError, Stored};
use crate::model::Progress;

/// Bytes of a chunk that is read.
const CHUNK: usize = 256 << 10;

/// Keeps blobs in memory.
#[derive(Default)]
pub(super) struct Memory {
    blobs: Mutex<HashMap<BlobPath, Blob>>,
}

#[derive(Clone)]
struct Blob {
    body: Bytes,
    stored: Stored,
}

impl Memory {
    fn blobs(&self) -> MutexGuard<'_, HashMap<BlobPath, Blob>> {
        self.blobs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn find(&self, path: &BlobPath) -> Result<Blob, StoreError> {
        self.blobs().get(path).cloned().ok_or_else(|| StoreError::NotFound(path.clone()))
    }
}

#[async_trait]
impl BlobStore for Memory {
    async fn put(
        &self,
        path: &BlobPath,
        source: Source,
        options: &PutOptions,
        progress: &Progress,
    ) -> Result<Stored, StoreError> {
        let mut intake = Intake::new(source, options, progress)?;
        let mut body = BytesMut::new();
        while let Some(batch) = intake.gather(1).await? {
            body.extend_from_slice(&batch);
        }
        let hasher = Sha256::new_with_prefix(&body);
        let stored = Stored { content_type: options.content_type.clone(), ..intake::stored(intake.size(), hasher) };
        let mut blobs = self.blobs();
        match blobs.get(path) {
            Some(standing) if options.replace == Replace::Refuse => {
                intake::same_or_conflict(path, standing.stored.clone(), &stored)
            }
            _ => {
                blobs.insert(path.clone(), Blob { body: body.freeze(), stored: stored.clone() });
                Ok(stored)
            }
        }
    }

    async fn stat(&self, path: &BlobPath, _: &Progress) -> Result<Stored, StoreError> {
        Ok(self.find(path)?.stored)
    }

    async fn open(&self, path: &BlobPath) -> Result<(Opened, Source), StoreError> {
        let Blob { mut body, stored: Stored { size, etag, content_type, .. } } = self.find(path)?;
        let chunks = std::iter::from_fn(move || {
            let chunk = body.split_to(body.len().min(CHUNK));
            (!chunk.is_empty()).then_some(Ok(chunk))
        });
        Ok((Opened { size, etag, content_type }, stream::iter(chunks).boxed()))
    }

    async fn delete(&self, path: &BlobPath) -> Result<(), StoreError> {
        self.blobs().remove(path);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[tokio::test]
    async fn it_keeps_the_contract() {
        let store: Arc<dyn BlobStore> = Arc::new(Memory::default());
        crate::storage::contract::run(&store).await;
    }

    #[tokio::test]
    async fn a_name_of_a_message_is_the_blobs_name() {
        let memory = Arc::new(Memory::default());
        let store: Arc<dyn BlobStore> = memory.clone();
        let put = crate::storage::contract::names::put_all(&store).await;
        let kept = memory.blobs().keys().map(|path| path.as_str().to_owned()).collect();
        assert_eq!(put, kept);
    }
}
