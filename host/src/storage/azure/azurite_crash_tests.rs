//! A host that ends at every request of a put, before the service has it and after the service has done it: a proxy in
//! front of the emulator keeps the request or its answer, and the put is dropped. Ignored where no emulator runs.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, Request};
use axum::http::Response;
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use object_store::ObjectStore;
use tokio::sync::Notify;

use super::Azure;
use super::azurite_tests::Container;
use super::tests::path;
use crate::model::{Clock, Progress, Timestamp};
use crate::storage::config::Config;
use crate::storage::{BlobPath, BlobStore, PutOptions, Replace, StoreError};

/// When the host ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum End {
    Never,
    Before(usize),
    After(usize),
}

/// What stands between a store and the emulator.
struct Proxy {
    upstream: String,
    client: reqwest::Client,
    asked: Mutex<Vec<String>>,
    end: End,
    ended: Notify,
}

impl Proxy {
    /// Starts one in front of a container, and opens the store through it.
    async fn start(container: &Container, end: End) -> (Arc<Self>, Arc<Azure>) {
        let mut config = container.config.clone();
        let Config::Azure { endpoint: Some(endpoint), .. } = &mut config else { panic!("no emulator") };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (upstream, account) = endpoint.rsplit_once('/').unwrap();
        let (upstream, client) = (upstream.to_owned(), reqwest::Client::builder().no_proxy().build().unwrap());
        *endpoint = format!("http://{}/{account}", listener.local_addr().unwrap());
        let proxy = Arc::new(Self { upstream, client, asked: Mutex::default(), end, ended: Notify::new() });
        let behind = Arc::clone(&proxy);
        let service = Router::new().fallback(move |request: Request| async move { behind.pass(request).await });
        tokio::spawn(async move { axum::serve(listener, service.layer(DefaultBodyLimit::disable())).await });
        let store = Azure::open("lake", &config, &container.secrets, |_: &str| None).unwrap();
        (proxy, Arc::new(store))
    }

    async fn pass(&self, request: Request) -> Response<Body> {
        let nth = {
            let mut asked = self.asked.lock().unwrap();
            asked.push(format!("{} {}", request.method(), request.uri()));
            asked.len() - 1
        };
        self.end_at(End::Before(nth)).await;
        let (mut parts, body) = request.into_parts();
        parts.headers.remove("host");
        let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
        let url = format!("{}{}", self.upstream, parts.uri);
        let answer = self.client.request(parts.method, url).headers(parts.headers).body(body).send().await.unwrap();
        let (status, headers) = (answer.status(), answer.headers().clone());
        let body = answer.bytes().await.unwrap();
        self.end_at(End::After(nth)).await;
        let mut response = Response::new(body.into());
        (*response.status_mut(), *response.headers_mut()) = (status, headers);
        response
    }

    async fn end_at(&self, here: End) {
        if self.end == here {
            self.ended.notify_one();
            std::future::pending::<()>().await;
        }
    }
}

async fn put(store: &Azure, at: &BlobPath, body: &Bytes, replace: Replace) -> Result<(), StoreError> {
    let options = PutOptions { replace, ..PutOptions::default() };
    store.put(at, stream::iter([Ok(body.clone())]).boxed(), &options, &Progress::new()).await.map(|_| ())
}

async fn read(store: &Azure, at: &BlobPath) -> Option<Bytes> {
    match store.open(at).await {
        Ok((_, source)) => Some(source.try_collect::<Vec<_>>().await.unwrap().concat().into()),
        Err(StoreError::NotFound(_)) => None,
        Err(error) => panic!("{at}: {error}"),
    }
}

/// A put whose host ends so, and the requests that it came to.
async fn ended_put(container: &Container, end: End, at: &BlobPath, body: &Bytes, replace: Replace) -> Vec<String> {
    let (proxy, store) = Proxy::start(container, end).await;
    let task = tokio::spawn({
        let (store, at, body) = (Arc::clone(&store), at.clone(), body.clone());
        async move { put(&store, &at, &body, replace).await }
    });
    if end == End::Never {
        task.await.unwrap().unwrap();
    } else {
        proxy.ended.notified().await;
        task.abort();
        assert!(task.await.unwrap_err().is_cancelled());
    }
    proxy.asked.lock().unwrap().clone()
}

#[tokio::test]
#[ignore = "needs the blob emulator, which `cargo xtask test` starts"]
async fn a_host_that_ends_at_any_request_of_a_put_leaves_whole_blobs_only_and_nothing_for_ever() {
    let container = Container::new().await;
    let store = container.store();
    let old = Bytes::from(vec![b'o'; 1000]);
    for (length, replace) in [
        (1000, Replace::Refuse),
        (1000, Replace::Overwrite),
        ((4 << 20) + 1, Replace::Refuse),
        ((4 << 20) + 1, Replace::Overwrite),
    ] {
        let new = Bytes::from(vec![b'n'; length]);
        let prepared = async |name: String| {
            let at = path(&format!("{replace:?}/{length}/{name}"));
            if replace == Replace::Overwrite {
                put(&store, &at, &old, Replace::Refuse).await.unwrap();
            }
            at
        };
        let whole = prepared("whole".to_owned()).await;
        let requests = ended_put(&container, End::Never, &whole, &new, replace).await;
        for end in (0..requests.len()).flat_map(|nth| [End::Before(nth), End::After(nth)]) {
            let at = prepared(format!("{end:?}")).await;
            ended_put(&container, end, &at, &new, replace).await;
            let what = format!("{replace:?} of {length} bytes ended {end:?} of {requests:?}");
            let before = (replace == Replace::Overwrite).then(|| old.clone());
            let stands = read(&store, &at).await;
            assert!(stands == before || stands.as_ref() == Some(&new), "{what}: half a blob, or none where one stood");
            put(&store, &at, &new, replace).await.unwrap_or_else(|error| panic!("{what}: {error}"));
            assert!(read(&store, &at).await == Some(new.clone()), "{what}: it goes on");
        }
    }
    store.sweep(Timestamp(Clock::system().wall().0 + 25 * 60 * 60 * 1000)).await;
    let hidden = store.place(".lockgate").unwrap();
    assert_eq!(store.objects.list(Some(&hidden)).count().await, 0, "something is left for ever");
}
