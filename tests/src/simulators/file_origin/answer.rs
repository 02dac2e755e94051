//! From a request to an answer: status, headers, and a body that may end early.

use std::io;
use std::ops::Range;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::{Stream, StreamExt, stream};

use super::{Behaviour, FilePath, Role, STRAYED, Site, url};
use crate::simulators::content::{CHUNK, Content};

/// Answers one request.
pub(super) async fn answer(State(site): State<Arc<Site>>, method: Method, uri: Uri, headers: HeaderMap) -> Response {
    let Some(path) = FilePath::parse(uri.path()) else { return StatusCode::NOT_FOUND.into_response() };
    if method != Method::GET && method != Method::HEAD {
        return StatusCode::METHOD_NOT_ALLOWED.into_response();
    }
    if site.role == Role::Forbidden {
        site.counts.count(STRAYED);
    }
    // Only what asks for the body counts; a look at the head meets what the next request will.
    let place = path.to_string();
    let request = if method == Method::GET { site.counts.count(&place) } else { site.counts.of(&place) + 1 };
    match path.behaviour {
        Behaviour::Missing => StatusCode::NOT_FOUND.into_response(),
        Behaviour::Expired => StatusCode::FORBIDDEN.into_response(),
        Behaviour::UnavailableTwice if request <= 2 => StatusCode::SERVICE_UNAVAILABLE.into_response(),
        Behaviour::Redirect if site.role == Role::Origin => redirect(site.ports.mirror, &path, uri.query()),
        Behaviour::RedirectForbidden if site.role == Role::Origin => redirect(site.ports.forbidden, &path, uri.query()),
        Behaviour::Late if request == 1 => {
            tokio::time::sleep(site.late).await;
            file(&path, uri.query(), &headers, request)
        }
        _ => file(&path, uri.query(), &headers, request),
    }
}

fn redirect(port: u16, path: &FilePath, query: Option<&str>) -> Response {
    let query = query.map(|query| format!("?{query}")).unwrap_or_default();
    (StatusCode::FOUND, [(header::LOCATION, format!("{}{query}", url(port, path)))]).into_response()
}

fn file(path: &FilePath, query: Option<&str>, headers: &HeaderMap, request: u32) -> Response {
    let file_name = query.and_then(file_name);
    let Some(content) = path.content(file_name.as_deref(), request) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let behaviour = path.behaviour;
    let etag = format!("\"{}-{}\"", path.name, behaviour.version(request));
    let size = if behaviour == Behaviour::Empty { 0 } else { content.size() };
    let range = if behaviour.knows_ranges() { asked(headers, &etag, size) } else { None };
    if range.as_ref().is_some_and(|range| range.is_empty()) {
        return (StatusCode::RANGE_NOT_SATISFIABLE, [(header::CONTENT_RANGE, format!("bytes */{size}"))])
            .into_response();
    }
    let whole = range.clone().unwrap_or(0..size);
    let media_type = match (behaviour, content.format().media_type) {
        (Behaviour::WrongType, "text/html") => "image/png",
        (Behaviour::WrongType, _) => "text/html",
        (_, media_type) => media_type,
    };
    let mut response = Response::builder()
        .header(header::CONTENT_TYPE, media_type)
        .header(header::CONTENT_LENGTH, whole.end - whole.start);
    if behaviour.knows_ranges() {
        response = response.header(header::ACCEPT_RANGES, "bytes").header(header::ETAG, etag);
    }
    if let Some(Range { start, end }) = range {
        let part = format!("bytes {start}-{}/{size}", end - 1);
        response = response.status(StatusCode::PARTIAL_CONTENT).header(header::CONTENT_RANGE, part);
    }
    let body = Body::from_stream(body(content, whole, behaviour.cuts(request)));
    response.body(body).unwrap_or_else(|_| StatusCode::INTERNAL_SERVER_ERROR.into_response())
}

/// The bytes of a part; where it is cut, half of them and then an error, which ends the connection.
fn body(content: Content, whole: Range<u64>, cut: bool) -> impl Stream<Item = io::Result<Bytes>> {
    let end = if cut { whole.start + (whole.end - whole.start) / 2 } else { whole.end };
    let pieces = stream::unfold(whole.start, move |at| {
        let piece = content.read(at, CHUNK.min(end.saturating_sub(at)));
        let next = at + piece.len() as u64;
        std::future::ready((!piece.is_empty()).then_some((Ok(piece), next)))
    });
    let broken = cut.then_some(async {
        // What is in the server's buffer is written when the body has nothing at hand, and dropped when it fails.
        tokio::task::yield_now().await;
        Err(io::Error::from(io::ErrorKind::ConnectionReset))
    });
    pieces.chain(stream::iter(broken).then(|broken| broken))
}

/// The part asked for, if one is: `bytes=5-` or `bytes=5-9`, and, with `If-Range`, of the version that stands here.
/// Empty where it begins behind the end.
fn asked(headers: &HeaderMap, etag: &str, size: u64) -> Option<Range<u64>> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    if text(header::IF_RANGE).is_some_and(|version| version != etag) {
        return None;
    }
    let (first, last) = text(header::RANGE)?.strip_prefix("bytes=")?.split_once('-')?;
    let first: u64 = first.parse().ok()?;
    let end = if last.is_empty() { size } else { last.parse::<u64>().ok()?.saturating_add(1).min(size) };
    Some(first.min(end)..end)
}

/// The query's `filename`, as it is: the names used here need no decoding.
fn file_name(query: &str) -> Option<String> {
    let parameters = url::form_urlencoded::parse(query.as_bytes());
    parameters.into_iter().find(|(name, _)| name == "filename").map(|(_, value)| value.into_owned())
}
