//! A server that repeats what it was sent, wherever it can: what systems do that help their users too much.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{LOCATION, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::Response;
use futures::stream;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// What it says besides.
pub(crate) const OWN_WORDS: &str = "the hostile origin repeats";

/// A running server; dropped, it stops.
pub(crate) struct Hostile {
    pub(crate) address: SocketAddr,
    /// Everything that it was sent.
    asked: Arc<Mutex<String>>,
    _server: JoinSet<()>,
}

impl Hostile {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::<Mutex<String>>::default();
        let router = Router::new().fallback(answer).with_state(asked.clone());
        let mut server = JoinSet::new();
        server.spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { address, asked, _server: server }
    }

    /// Whether somebody sent it this.
    pub(crate) fn was_sent(&self, text: &str) -> bool {
        self.asked.lock().unwrap().contains(text)
    }
}

/// Answers by the last part of the path; what is of a storage account is refused as Azure does.
async fn answer(State(asked): State<Arc<Mutex<String>>>, request: Request) -> Response {
    let sent = sent(request.headers());
    let told = format!("{OWN_WORDS} {} {} {sent}", request.method(), request.uri());
    asked.lock().unwrap().push_str(&told);
    let path = request.uri().path();
    let response = Response::builder();
    match path.rsplit('/').next().unwrap_or_default() {
        _ if path.starts_with("/account") => response
            .status(StatusCode::FORBIDDEN)
            .header("x-ms-error-code", "AuthenticationFailed")
            .body(Body::from(format!("<Error><Message>{told}</Message></Error>"))),
        "moved" => response
            .status(StatusCode::FOUND)
            .header(LOCATION, format!("echo?token={}", url(&sent)))
            .body(Body::empty()),
        "away" => {
            let away = format!("https://me:{0}@elsewhere.example/{0}?sig={0}", url(&sent));
            response.status(StatusCode::FOUND).header(LOCATION, away).body(Body::empty())
        }
        "broken" => {
            let pieces = [Ok(told), Err(std::io::Error::other("it breaks"))];
            response.body(Body::from_stream(stream::iter(pieces)))
        }
        _ => response
            .status(StatusCode::UNAUTHORIZED)
            .header(WWW_AUTHENTICATE, HeaderValue::from_bytes(sent.as_bytes()).unwrap())
            .header("x-sent", HeaderValue::from_bytes(sent.as_bytes()).unwrap())
            .body(Body::from(format!("{told} {}", serde_json::json!({ "sent": sent, "url": url(&sent) })))),
    }
    .unwrap()
}

/// What of a request may be a credential.
fn sent(headers: &HeaderMap) -> String {
    let values = ["authorization", "x-api-key", "proxy-authorization"].into_iter().filter_map(|name| headers.get(name));
    values.map(|value| String::from_utf8_lossy(value.as_bytes())).collect::<Vec<_>>().join(" ")
}

fn url(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}
