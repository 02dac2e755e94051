//! What every store promises, as a suite that each of them passes. Compiled for tests and with the feature `testing`.
//!
//! A case panics where a promise is broken; its place names the promise. Each run works in a folder of its own, so
//! a store may be used again.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a broken promise is meant to panic")]

mod concurrent;
pub mod names;
mod puts;

use std::sync::Arc;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use sha2::{Digest, Sha256};

pub use super::azure::create_container;
use super::{BlobPath, BlobStore, Opened, PutOptions, Replace, Source, StoreError, Stored};
use crate::model::Progress;

/// A body of several parts, for stores that move parts.
const LARGE: usize = 9 << 20;

/// Checks a store against every promise.
pub async fn run(store: &Arc<dyn BlobStore>) {
    run_on_two(store, store).await;
}

/// Checks a store against every promise, where `other` is the same store opened once more, as another host has it.
pub async fn run_on_two(store: &Arc<dyn BlobStore>, other: &Arc<dyn BlobStore>) {
    let suite = Suite { other: Arc::clone(other), ..Suite::on(store) };
    suite.what_is_put_is_found().await;
    suite.nothing_is_found_where_nothing_is().await;
    suite.paths_may_hold_any_text().await;
    suite.an_empty_blob_is_a_blob().await;
    suite.a_large_body_arrives_whole_from_odd_chunks().await;
    suite.identical_content_is_already_there().await;
    suite.different_content_is_a_conflict().await;
    suite.overwrite_replaces().await;
    suite.a_failing_source_leaves_what_stood_there().await;
    suite.a_body_above_the_limit_is_refused_early().await;
    suite.a_body_of_another_size_is_refused().await;
    suite.what_is_deleted_is_gone_and_may_be_deleted_again().await;
    suite.names_of_messages_are_blobs_of_their_own().await;
    suite.names_of_messages_are_deleted_by_their_names().await;
    suite.a_blob_shows_when_it_is_whole().await;
    suite.a_put_that_is_dropped_leaves_what_stood_there().await;
    suite.puts_of_the_same_content_at_once_all_succeed().await;
    suite.of_puts_of_different_content_at_once_one_wins().await;
    suite.puts_that_overwrite_at_once_leave_one_of_them().await;
    suite.puts_that_overwrite_beside_ones_that_do_not_leave_one_of_them().await;
    suite.a_reader_beside_writers_sees_one_of_them_whole().await;
}

struct Suite {
    store: Arc<dyn BlobStore>,
    /// The same store as another host has it.
    other: Arc<dyn BlobStore>,
    folder: String,
}

impl Suite {
    fn on(store: &Arc<dyn BlobStore>) -> Self {
        let folder = format!("contract/{:016x}", rand::random::<u64>());
        Self { store: Arc::clone(store), other: Arc::clone(store), folder }
    }

    fn path(&self, name: &str) -> BlobPath {
        BlobPath::parse(&format!("{}/{name}", self.folder)).unwrap()
    }

    async fn put(&self, path: &BlobPath, source: Source, options: &PutOptions) -> Result<Stored, StoreError> {
        self.store.put(path, source, options, &Progress::new()).await
    }

    async fn put_bytes(&self, path: &BlobPath, bytes: &Bytes, replace: Replace) -> Result<Stored, StoreError> {
        self.put(path, whole(bytes), &PutOptions { replace, ..PutOptions::default() }).await
    }

    async fn stat(&self, path: &BlobPath) -> Result<Stored, StoreError> {
        self.store.stat(path, &Progress::new()).await
    }

    async fn read(&self, path: &BlobPath) -> (Opened, Bytes) {
        let (opened, source) = self.store.open(path).await.unwrap_or_else(|error| panic!("open {path}: {error}"));
        let chunks: Vec<Bytes> = source.try_collect().await.unwrap();
        (opened, chunks.concat().into())
    }

    /// What stands at a path is exactly this, by every way to look at it.
    async fn stands(&self, path: &BlobPath, bytes: &Bytes) {
        let (opened, body) = self.read(path).await;
        assert!(body == *bytes, "{path} has other content: {} bytes for {}", body.len(), bytes.len());
        let stat = self.stat(path).await.unwrap();
        let Opened { size, etag, content_type } = opened;
        assert_eq!((&stat.size, &stat.etag, &stat.content_type), (&size, &etag, &content_type), "{path}");
        assert_eq!((stat.size, stat.sha256), (bytes.len() as u64, sha256(bytes)), "{path}");
    }

    async fn nothing_stands(&self, path: &BlobPath) {
        assert_eq!(self.stat(path).await, Err(StoreError::NotFound(path.clone())));
        match self.store.open(path).await {
            Err(error) => assert_eq!(error, StoreError::NotFound(path.clone())),
            Ok((opened, _)) => panic!("{path} is found: {opened:?}"),
        }
    }
}

fn sha256(bytes: &[u8]) -> String {
    format!("{:x}", Sha256::digest(bytes))
}

/// Bytes without a pattern that parts could hide, different for each seed.
fn noise(seed: u64, length: usize) -> Bytes {
    let blocks =
        (0..length.div_ceil(32) as u64).map(|block| Sha256::digest([seed, block].map(u64::to_be_bytes).concat()));
    let mut bytes = blocks.flatten().collect::<Vec<u8>>();
    bytes.truncate(length);
    bytes.into()
}

fn whole(bytes: &Bytes) -> Source {
    stream::iter([Ok(bytes.clone())]).boxed()
}

/// The bytes in chunks of these lengths, over and over.
fn chunked(bytes: &Bytes, lengths: &'static [usize]) -> Source {
    let mut rest = bytes.clone();
    let chunks = lengths.iter().cycle().map_while(move |length| {
        let chunk = rest.split_to(rest.len().min(*length));
        (*length == 0 || !chunk.is_empty()).then_some(Ok(chunk))
    });
    stream::iter(chunks).boxed()
}
