//! Blobs as files in a folder of this machine. A body is written to a file in the store's own hidden folder, hashed
//! on the way and made durable, then given its name in one step that never replaces anything unless told; the folder
//! is made durable before the put answers, and so is every one above it that is new.
//!
//! What the file system does not give: a file where a folder stands (`a` and `a/b` cannot both be blobs), a media type,
//! a version mark, and a hash kept beside the content. The hash of a blob that stands is computed by reading it, so
//! [`BlobStore::stat`] costs one pass over the file. Links that lead out of the store are never followed, and a link is
//! never a blob. Folders that a delete leaves empty go with the blob.

#[cfg(test)]
mod crash_tests;
mod disk;
mod draft;
mod failure;
mod flush;
mod fresh;
mod names;
mod place;
mod scratch;
#[cfg(test)]
mod sweep_tests;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures::future::try_join_all;
use futures::{StreamExt, stream};
use tokio::task::JoinHandle;

use self::disk::Disk;
use self::draft::{Draft, Named};
use self::flush::Flush;
use self::names::Names;
use self::place::Root;
use self::scratch::{SHOW_EVERY, Scratch};
use super::intake::Intake;
use super::{BlobPath, BlobStore, Opened, PutOptions, Source, StoreError, Stored};
use crate::model::Progress;

/// Bytes gathered before they are written.
const BATCH: usize = 1 << 20;
/// Bytes of a chunk that is read.
const CHUNK: usize = 256 << 10;

/// Keeps blobs below one folder.
pub(super) struct Directory {
    root: Arc<Root>,
    scratch: Arc<Scratch>,
}

impl Directory {
    /// Opens a store, making its folder where it is missing. Blocks.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        Self::open_on(Disk::default(), path)
    }

    fn open_on(disk: Disk, path: &Path) -> io::Result<Self> {
        let path = Root::make(path)?;
        let scratch = Scratch::open(&path, disk.clone())?;
        let names = scratch.names()?;
        if matches!(names, Names::Folded(_)) {
            tracing::warn!(folder = %path.display(), "its file system takes names for one that differ in case or accents only; \
                the second of two such blobs is refused");
        }
        Ok(Self { root: Arc::new(Root::new(path, names, disk)), scratch: Arc::new(scratch) })
    }

    /// The next bytes of a body. While none come, other hosts are shown that this one lives.
    async fn gather(&self, intake: &mut Intake<'_>) -> Result<Option<Bytes>, StoreError> {
        let mut gather = pin!(intake.gather(BATCH));
        loop {
            match tokio::time::timeout(SHOW_EVERY, &mut gather).await {
                Ok(batch) => return batch,
                Err(_) => {
                    let scratch = Arc::clone(&self.scratch);
                    blocking(move || {
                        scratch.show_life();
                        Ok(())
                    })
                    .await?;
                }
            }
        }
    }

    /// Makes the name of a blob in this folder durable, and the folders that are new above it. All at once: those that
    /// are made durable together, by this put or others, mostly cost the disk no more than one.
    async fn make_durable(&self, folder: &Path, path: &BlobPath) -> Result<(), StoreError> {
        let unsynced = self.root.unsynced(folder);
        let syncs = unsynced.folders.iter().cloned().map(|folder| {
            let (root, path) = (Arc::clone(&self.root), path.clone());
            blocking(move || root.sync(&folder, &path))
        });
        try_join_all(syncs).await?;
        self.root.synced(&unsynced);
        Ok(())
    }

    /// Does something with a blob's file.
    async fn find<T: Send + 'static>(
        &self,
        path: &BlobPath,
        look: impl FnOnce(File, &BlobPath) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (root, path) = (Arc::clone(&self.root), path.clone());
        blocking(move || look(root.find(&path)?, &path)).await
    }
}

#[async_trait]
impl BlobStore for Directory {
    /// A put that is dropped leaves nothing but, for a moment, a file in the hidden folder.
    async fn put(
        &self,
        path: &BlobPath,
        source: Source,
        options: &PutOptions,
        progress: &Progress,
    ) -> Result<Stored, StoreError> {
        let mut intake = Intake::new(source, options, progress)?;
        let (scratch, owned) = (Arc::clone(&self.scratch), path.clone());
        let mut draft = blocking(move || Draft::new(&scratch, owned)).await?;
        let mut flush = Flush::default();
        let mut next = self.gather(&mut intake).await?;
        while let Some(batch) = next {
            // One batch is written and hashed while the next one comes.
            let write = blocking(move || draft.write(&batch));
            (draft, next) = tokio::try_join!(write, self.gather(&mut intake))?;
            flush.go_on(&mut draft).await?;
            progress.touch();
        }
        flush.end().await?;
        let (root, replace, progress) = (Arc::clone(&self.root), options.replace, progress.clone());
        let Named { folder, stored } = blocking(move || draft.name(&root, replace, &progress)).await?;
        self.make_durable(&folder, path).await?;
        Ok(stored)
    }

    async fn stat(&self, path: &BlobPath, progress: &Progress) -> Result<Stored, StoreError> {
        let progress = progress.clone();
        self.find(path, move |mut file, path| draft::describe(&mut file, path, &progress)).await
    }

    async fn open(&self, path: &BlobPath) -> Result<(Opened, Source), StoreError> {
        let opened = self.find(path, |file, path| {
            let size = file.metadata().map_err(|error| failure::failed("read", path, &error))?.len();
            Ok((Opened { size, etag: None, content_type: None }, file))
        });
        let (opened, file) = opened.await?;
        Ok((opened, chunks(file, path.clone())))
    }

    async fn delete(&self, path: &BlobPath) -> Result<(), StoreError> {
        let (root, path) = (Arc::clone(&self.root), path.clone());
        blocking(move || root.remove(&path)).await
    }
}

/// The content of a file from where it stands, read off the async threads.
fn chunks(file: File, path: BlobPath) -> Source {
    stream::try_unfold((file, path), |(mut file, path)| async move {
        let read = blocking(move || {
            let mut chunk = BytesMut::zeroed(CHUNK);
            let length = file.read(&mut chunk).map_err(|error| failure::failed("read", &path, &error))?;
            chunk.truncate(length);
            Ok((chunk.freeze(), (file, path)))
        });
        let (chunk, rest) = read.await.map_err(|error| error.to_string())?;
        Ok((!chunk.is_empty()).then_some((chunk, rest)))
    })
    .boxed()
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    joined(start(work)).await
}

/// Starts what blocks, off the async threads.
fn start<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> JoinHandle<Result<T, StoreError>> {
    tokio::task::spawn_blocking(work)
}

async fn joined<T>(work: JoinHandle<Result<T, StoreError>>) -> Result<T, StoreError> {
    match work.await {
        Ok(answer) => answer,
        Err(_) => Err(StoreError::Unavailable("its work was cut short, for the host is stopping".to_owned())),
    }
}
