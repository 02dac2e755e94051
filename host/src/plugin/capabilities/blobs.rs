//! `blobs`: the stores that the pipeline was granted. A body goes from its origin into a store without entering the
//! guest. Streams run in a task of their own, so that what the host computes for them (hashes, above all) is not
//! charged to the guest; the task ends with the call.

use std::sync::Arc;

use bytes::Bytes;
use futures::stream::{self, StreamExt, TryStreamExt};
use tokio::task::JoinSet;
use tracing::Instrument;
use wasmtime::component::{Accessor, HasSelf, Resource};

use super::http::{Incoming, Response};
use super::{Call, HoldsTooMuch, State, call_of, granted};
use crate::plugin::bindings::blobs::{self, Error};
use crate::storage::{BlobPath, BlobStore, PutOptions, Replace, Source, StoreError, Stored};

/// A blob in a store that the pipeline was granted.
struct Place {
    store: Arc<dyn BlobStore>,
    path: BlobPath,
}

impl Call {
    fn place(&self, store: &str, path: &str) -> Result<Place, Error> {
        granted("store", &self.lent.grants.stores, store).map_err(Error::Denied)?;
        let Some(open) = self.lent.stores.get(store) else {
            return Err(Error::Denied(format!("store `{store}` is not open in this host")));
        };
        let path = BlobPath::parse(path).map_err(|error| Error::Denied(error.to_string()))?;
        Ok(Place { store: open.clone(), path })
    }

    async fn put(self: &Arc<Self>, place: Place, source: Source, options: PutOptions) -> Result<blobs::Stored, Error> {
        let call = self.clone();
        let source = source.inspect_ok(move |bytes: &Bytes| call.moved(bytes.len())).boxed();
        let progress = self.progress.clone();
        let put = async move { place.store.put(&place.path, source, &options, &progress).await };
        Ok(self.aside(put).await?.into())
    }

    async fn get(self: &Arc<Self>, place: Place, limit: u64) -> Result<Vec<u8>, Error> {
        let (call, mut holding) = (Arc::clone(self), self.holding([])?);
        let get = async move {
            let (opened, mut source) = place.store.open(&place.path).await?;
            let mut whole = Vec::new();
            if opened.size > limit {
                return Err(StoreError::TooLarge { limit });
            }
            while let Some(bytes) = source.next().await.transpose().map_err(StoreError::Other)? {
                call.progress.touch();
                holding.grow(bytes.len())?;
                if (whole.len() + bytes.len()) as u64 > limit {
                    return Err(StoreError::TooLarge { limit });
                }
                whole.extend_from_slice(&bytes);
            }
            Ok(whole)
        };
        Ok(self.aside(get).await?)
    }

    async fn copy(self: &Arc<Self>, from: Place, to: Place, mut options: PutOptions) -> Result<blobs::Stored, Error> {
        let open = async move { from.store.open(&from.path).await };
        let (opened, source) = self.aside(open).await?;
        options.content_type = options.content_type.or(opened.content_type);
        self.put(to, source, options).await
    }

    /// Runs work on a store in a task that ends with this future.
    async fn aside<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, StoreError>> + Send + 'static,
    ) -> Result<T, StoreError> {
        let mut task = JoinSet::new();
        task.spawn(work.instrument(self.span().clone()));
        match self.wait(task.join_next()).await {
            Some(Ok(done)) => done,
            Some(Err(error)) => Err(StoreError::Other(format!("it ended without an answer: {error}"))),
            None => Err(StoreError::Other("it was never started".into())),
        }
    }
}

/// The rest of a response's body, from its first byte.
fn body_of(incoming: Incoming) -> Source {
    stream::try_unfold(incoming, |mut incoming| async move {
        let received = incoming.next().await.map_err(|error| error.to_string())?;
        Ok(received.map(|bytes| (bytes, incoming)))
    })
    .boxed()
}

/// Bytes that options hold.
fn kept(options: &blobs::PutOptions) -> usize {
    options.content_type.as_ref().map_or(0, String::len)
}

impl From<blobs::PutOptions> for PutOptions {
    fn from(options: blobs::PutOptions) -> Self {
        let blobs::PutOptions { content_type, replace, max_bytes, expected_bytes } = options;
        let replace = if replace { Replace::Overwrite } else { Replace::Refuse };
        Self { content_type, replace, max_bytes, expected_bytes }
    }
}

impl From<Stored> for blobs::Stored {
    fn from(stored: Stored) -> Self {
        let Stored { size, sha256, etag, content_type } = stored;
        Self { size, sha256, etag, content_type }
    }
}

impl From<HoldsTooMuch> for StoreError {
    fn from(error: HoldsTooMuch) -> Self {
        Self::Other(error.to_string())
    }
}

impl From<HoldsTooMuch> for Error {
    fn from(error: HoldsTooMuch) -> Self {
        StoreError::from(error).into()
    }
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::NotFound(_) => Self::NotFound,
            StoreError::Conflict { stored, .. } => Self::Conflict(stored.into()),
            StoreError::TooLarge { limit } => Self::TooLarge(limit),
            StoreError::Source(reason) => Self::Source(reason),
            StoreError::Unavailable(reason) => Self::Unavailable(reason),
            StoreError::Other(reason) => Self::Other(reason),
        }
    }
}

type Answer<T> = wasmtime::Result<Result<T, Error>>;

impl blobs::Host for State {}

impl blobs::HostWithStore<State> for HasSelf<State> {
    async fn put_response(
        accessor: &Accessor<State, Self>,
        store: String,
        path: String,
        source: Resource<Response>,
        options: blobs::PutOptions,
    ) -> Answer<blobs::Stored> {
        let call = call_of(accessor, "blobs.put-response")?;
        let response = accessor.with(|mut access| access.get().table.delete(source))?;
        let Some(body) = response.into_body() else {
            return Ok(Err(Error::Source("the body was read already".into())));
        };
        let put = async {
            let _sent = call.holding([store.len(), path.len(), kept(&options)])?;
            call.put(call.place(&store, &path)?, body_of(body), options.into()).await
        };
        Ok(put.await)
    }

    async fn put_bytes(
        accessor: &Accessor<State, Self>,
        store: String,
        path: String,
        data: Vec<u8>,
        options: blobs::PutOptions,
    ) -> Answer<blobs::Stored> {
        let call = call_of(accessor, "blobs.put-bytes")?;
        let put = async {
            let _sent = call.holding([store.len(), path.len(), data.len(), kept(&options)])?;
            let place = call.place(&store, &path)?;
            let source = stream::iter([Ok(Bytes::from(data))]).boxed();
            call.put(place, source, options.into()).await
        };
        Ok(put.await)
    }

    async fn get(accessor: &Accessor<State, Self>, store: String, path: String, max: u32) -> Answer<Vec<u8>> {
        let call = call_of(accessor, "blobs.get")?;
        let get = async {
            let _sent = call.holding([store.len(), path.len()])?;
            call.get(call.place(&store, &path)?, call.value_limit(max)).await
        };
        Ok(get.await)
    }

    async fn stat(accessor: &Accessor<State, Self>, store: String, path: String) -> Answer<blobs::Stored> {
        let call = call_of(accessor, "blobs.stat")?;
        let stat = async {
            let _sent = call.holding([store.len(), path.len()])?;
            let Place { store, path } = call.place(&store, &path)?;
            let progress = call.progress.clone();
            Ok(call.aside(async move { store.stat(&path, &progress).await }).await?.into())
        };
        Ok(stat.await)
    }

    async fn copy(
        accessor: &Accessor<State, Self>,
        source_store: String,
        source_path: String,
        store: String,
        path: String,
        options: blobs::PutOptions,
    ) -> Answer<blobs::Stored> {
        let call = call_of(accessor, "blobs.copy")?;
        let copy = async {
            let sent = [&source_store, &source_path, &store, &path].map(String::len);
            let _sent = call.holding(sent.into_iter().chain([kept(&options)]))?;
            let (from, to) = (call.place(&source_store, &source_path)?, call.place(&store, &path)?);
            call.copy(from, to, options.into()).await
        };
        Ok(copy.await)
    }

    async fn delete(accessor: &Accessor<State, Self>, store: String, path: String) -> Answer<()> {
        let call = call_of(accessor, "blobs.delete")?;
        let delete = async {
            let _sent = call.holding([store.len(), path.len()])?;
            let Place { store, path } = call.place(&store, &path)?;
            Ok(call.aside(async move { store.delete(&path).await }).await?)
        };
        Ok(delete.await)
    }
}
