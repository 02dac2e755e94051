//! What is asked of the service for a blob, and what the service's own clock says about leftovers.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::http::{Method, Response, Uri};
use bytes::Bytes;

use super::Azure;
use super::tests::{EMULATOR_KEY, config, key, put, secrets};
use crate::model::Progress;
use crate::storage::BlobStore;
use crate::storage::contract::names;

/// A store in front of a service that answers so, and what it was asked: method and path as they came.
async fn store(answer: impl Fn(&Method, &Uri) -> Response<Body> + Clone + Send + Sync + 'static) -> (Azure, Asked) {
    let asked = Asked::default();
    let seen = asked.clone();
    let service = Router::new().fallback(move |method: Method, uri: Uri| async move {
        seen.0.lock().unwrap().push((method.clone(), uri.path().to_owned()));
        answer(&method, &uri)
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}/devstoreaccount1", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, service).await });
    (Azure::open("lake", &config(Some(&endpoint), key()), &secrets(EMULATOR_KEY), |_: &str| None).unwrap(), asked)
}

#[derive(Clone, Default)]
struct Asked(Arc<Mutex<Vec<(Method, String)>>>);

impl Asked {
    fn take(&self) -> Vec<(Method, String)> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

fn blob(_: &Method, _: &Uri) -> Response<Body> {
    let headers = [("etag", "\"1\""), ("last-modified", "Mon, 02 Mar 2026 14:05:11 GMT"), ("content-length", "0")];
    headers
        .iter()
        .fold(Response::builder(), |builder, (name, value)| builder.header(*name, *value))
        .body(Body::empty())
        .unwrap()
}

/// The text that a server reads in a segment of a path: decoded once, and no more.
fn decoded(segment: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = segment;
    while let Some(first) = rest.chars().next() {
        let escaped = rest.strip_prefix('%').map(|after| after.split_at(2));
        match escaped {
            Some((digits, after)) => {
                bytes.push(u8::from_str_radix(digits, 16).unwrap());
                rest = after;
            }
            None => {
                assert!(first.is_ascii_graphic(), "{segment} is no part of a URL");
                bytes.push(first as u8);
                rest = &rest[1..];
            }
        }
    }
    String::from_utf8(bytes).unwrap()
}

#[tokio::test]
async fn a_name_of_a_message_is_asked_for_as_it_is_below_the_prefix_by_every_request() {
    let (store, asked) = store(blob).await;
    for path in names::paths() {
        put(&store, &path, Bytes::from_static(b"x")).await.unwrap();
        store.stat(&path, &Progress::new()).await.unwrap();
        drop(store.open(&path).await.unwrap());
        store.delete(&path).await.unwrap();
        let asked = asked.take();
        let methods: Vec<_> = asked.iter().map(|(method, _)| method.as_str()).collect();
        assert_eq!(methods, ["PUT", "HEAD", "GET", "HEAD", "GET", "DELETE"], "{path:?}");
        for (_, asked) in asked {
            let segments: Vec<String> = asked.split('/').map(decoded).collect();
            let lie = ["", "devstoreaccount1", "lake", "some", "prefix"].into_iter().chain(path.segments());
            assert_eq!(segments, lie.collect::<Vec<_>>(), "{path:?} was asked for as {asked}");
        }
    }
}

/// A host whose clock is wrong by years would take for left what another writes now.
#[tokio::test]
async fn what_is_left_is_so_by_the_clock_of_the_service() {
    let listing = |_: &Method, uri: &Uri| {
        let blob = |name: &str, modified: &str| {
            format!(
                "<Blob><Name>some/prefix/.lockgate/{name}</Name><Properties><Last-Modified>{modified}</Last-Modified>\
                 <Content-Length>1</Content-Length><Content-Type>a/b</Content-Type><Etag>1</Etag></Properties></Blob>"
            )
        };
        let blobs = [
            blob("living", "Thu, 02 Mar 2000 14:05:11 GMT"),
            blob("a-day-old", "Wed, 01 Mar 2000 14:05:11 GMT"),
            blob("older", "Tue, 29 Feb 2000 14:05:10 GMT"),
        ];
        let is_list = uri.query().is_some_and(|query| query.contains("comp=list"));
        let body = format!("<EnumerationResults><Blobs>{}</Blobs><NextMarker/></EnumerationResults>", blobs.concat());
        let body = if is_list { body } else { String::new() };
        Response::builder().header("date", "Thu, 02 Mar 2000 14:05:11 GMT").body(body.into()).unwrap()
    };
    let (store, asked) = store(listing).await;
    store.clear_leftovers().await;
    let deleted: Vec<_> = asked.take().into_iter().filter(|(method, _)| method == Method::DELETE).collect();
    assert_eq!(deleted, [(Method::DELETE, "/devstoreaccount1/lake/some/prefix/.lockgate/older".to_owned())]);
}
