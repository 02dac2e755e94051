//! An endpoint whose answers depend on the path, and a store in memory: what the engine's tests put in the place of
//! the real ones.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{self, StreamExt, TryStreamExt};
use sha2::{Digest, Sha256};
use tokio::sync::Barrier;
use tokio::time::sleep;

use crate::egress::{Body, EgressError, Http, Request, Response};
use crate::model::Progress;
use crate::storage::{BlobPath, BlobStore, Opened, PutOptions, Replace, Source, StoreError, Stored};

/// Longer than any stall limit of a test.
pub(super) const LONG: Duration = Duration::from_secs(1000);

/// Answers by path; see [`Http::send`].
pub(super) struct Endpoints {
    /// Requests to `/together` are answered once this many wait.
    pub(super) together: Barrier,
    /// Requests that are being answered.
    pub(super) waiting: AtomicUsize,
    /// Bodies that somebody holds.
    pub(super) bodies: Arc<AtomicUsize>,
    /// Requests so far.
    pub(super) requests: Mutex<Vec<(String, Request)>>,
}

/// Calls that wait together at `/together`.
pub(super) const TOGETHER: usize = 20;

impl Default for Endpoints {
    fn default() -> Self {
        Self {
            together: Barrier::new(TOGETHER),
            waiting: AtomicUsize::new(0),
            bodies: Arc::default(),
            requests: Mutex::default(),
        }
    }
}

/// Counts a request as waiting until it is answered or given up.
struct Waiting<'a>(&'a AtomicUsize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

#[async_trait]
impl Http for Endpoints {
    async fn send(&self, endpoint: &str, request: Request, progress: &Progress) -> Result<Response, EgressError> {
        self.waiting.fetch_add(1, Ordering::SeqCst);
        let _waiting = Waiting(&self.waiting);
        self.requests.lock().unwrap().push((endpoint.to_owned(), request.clone()));
        let body =
            |chunks: &[&'static str]| chunks.iter().map(|chunk| Ok(Bytes::from_static(chunk.as_bytes()))).collect();
        let mut pace = Duration::ZERO;
        let chunks: VecDeque<Result<Bytes, EgressError>> = match request.target.as_str() {
            "/hello" => body(&["hel", "lo ", "world"]),
            "/empty" => body(&[]),
            "/large" => (0..64).map(|_| Ok(Bytes::from(vec![b'x'; 64 << 10]))).collect(),
            "/broken" => [Ok(Bytes::from_static(b"hello")), Err(EgressError::Interrupted { received: 5 })].into(),
            "/slow" => {
                pace = LONG / 20;
                body(&["one ", "two ", "three ", "four "])
            }
            "/crawl" => {
                pace = Duration::from_secs(1);
                (0..64).map(|_| Ok(Bytes::from(vec![b'x'; 64 << 10]))).collect()
            }
            "/stuck" => {
                pace = LONG * 10;
                body(&["never"])
            }
            "/never" => std::future::pending().await,
            "/throttled" => {
                let _paused = progress.pause();
                sleep(LONG).await;
                body(&["at last"])
            }
            "/together" => {
                self.together.wait().await;
                body(&["together"])
            }
            "/denied" => return Err(EgressError::Denied("no".into())),
            "/unavailable" => {
                let retry_after = Duration::from_millis(1500);
                return Err(EgressError::Unavailable { endpoint: "files".into(), retry_after, one_system: true });
            }
            "/elsewhere" | "https://files.example/elsewhere" => {
                let retry_after = Duration::from_millis(1500);
                return Err(EgressError::Unavailable { endpoint: "media".into(), retry_after, one_system: false });
            }
            "/timeout" => return Err(EgressError::Timeout("first byte".into())),
            "/connect" => return Err(EgressError::Connect("refused".into())),
            _ => return Err(EgressError::Other("no such path".into())),
        };
        self.bodies.fetch_add(1, Ordering::SeqCst);
        Ok(Response {
            status: 200,
            headers: vec![("content-type".into(), "text/plain".into()), ("etag".into(), "\"1\"".into())],
            final_url: format!("https://files.example{}", request.target),
            body: Box::new(Chunks { chunks, pace, progress: progress.clone(), bodies: self.bodies.clone() }),
        })
    }
}

struct Chunks {
    chunks: VecDeque<Result<Bytes, EgressError>>,
    pace: Duration,
    progress: Progress,
    bodies: Arc<AtomicUsize>,
}

impl Drop for Chunks {
    fn drop(&mut self) {
        self.bodies.fetch_sub(1, Ordering::SeqCst);
    }
}

#[async_trait]
impl Body for Chunks {
    async fn chunk(&mut self) -> Result<Option<Bytes>, EgressError> {
        if !self.pace.is_zero() {
            sleep(self.pace).await;
        }
        self.progress.touch();
        self.chunks.pop_front().transpose()
    }
}

/// Keeps blobs in a map.
#[derive(Default)]
pub(super) struct MemoryStore(Mutex<BTreeMap<String, (Stored, Bytes)>>);

impl MemoryStore {
    /// What stands at a path.
    pub(super) fn content(&self, path: &str) -> Option<Bytes> {
        self.0.lock().unwrap().get(path).map(|blob| blob.1.clone())
    }

    fn find(&self, path: &BlobPath) -> Result<(Stored, Bytes), StoreError> {
        self.0.lock().unwrap().get(path.as_str()).cloned().ok_or_else(|| StoreError::NotFound(path.clone()))
    }
}

#[async_trait]
impl BlobStore for MemoryStore {
    async fn put(
        &self,
        path: &BlobPath,
        source: Source,
        options: &PutOptions,
        _: &Progress,
    ) -> Result<Stored, StoreError> {
        let chunks: Vec<Bytes> = source.try_collect().await.map_err(StoreError::Source)?;
        let content = Bytes::from(chunks.concat());
        if let Some(limit) = options.max_bytes.filter(|limit| content.len() as u64 > *limit) {
            return Err(StoreError::TooLarge { limit });
        }
        let sha256 = format!("{:x}", Sha256::digest(&content));
        let content_type = options.content_type.clone();
        let stored = Stored { size: content.len() as u64, sha256, etag: None, content_type };
        match self.find(path) {
            Ok((there, _)) if there.sha256 == stored.sha256 => return Ok(there),
            Ok((stored, _)) if options.replace == Replace::Refuse => {
                return Err(StoreError::Conflict { path: path.clone(), stored });
            }
            _ => {}
        }
        self.0.lock().unwrap().insert(path.as_str().to_owned(), (stored.clone(), content));
        Ok(stored)
    }

    async fn stat(&self, path: &BlobPath, _: &Progress) -> Result<Stored, StoreError> {
        Ok(self.find(path)?.0)
    }

    async fn open(&self, path: &BlobPath) -> Result<(Opened, Source), StoreError> {
        let (Stored { size, etag, content_type, .. }, content) = self.find(path)?;
        Ok((Opened { size, etag, content_type }, stream::iter([Ok(content)]).boxed()))
    }

    async fn delete(&self, path: &BlobPath) -> Result<(), StoreError> {
        self.0.lock().unwrap().remove(path.as_str());
        Ok(())
    }
}
