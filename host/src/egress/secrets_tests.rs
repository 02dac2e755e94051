//! No query, user or credential comes out again: each way in which a request can fail is tried with a sentinel in all of
//! them, and the sentinel is looked for in everything that a person may read.

use std::io;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex};

use tracing::Dispatch;
use tracing::subscriber::{DefaultGuard, NoSubscriber};
use tracing_subscriber::fmt::MakeWriter;

use super::config::{Auth, Breaker, Config, Timeouts};
use super::test_server::{Reply, SENTINEL, Server, client, client_with_file, get, loopback, read_body, send, system};
use super::{Client, EgressError, Request};
use crate::model::{Period, SecretRef};

/// Everything that is logged on this thread while it lives.
struct Logged {
    bytes: Arc<Mutex<Vec<u8>>>,
    /// With only one dispatcher, `tracing` lets any thread decide for all whether an event is wanted.
    _second: Dispatch,
    _logging: DefaultGuard,
}

#[derive(Clone)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Log;

    fn make_writer(&'a self) -> Log {
        self.clone()
    }
}

impl Logged {
    fn start() -> Self {
        let bytes = Arc::new(Mutex::new(Vec::new()));
        let subscriber =
            tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(Log(bytes.clone())).finish();
        let _second = Dispatch::new(NoSubscriber::new());
        Self { bytes, _second, _logging: tracing::subscriber::set_default(subscriber) }
    }

    fn text(&self) -> String {
        String::from_utf8(self.bytes.lock().unwrap().clone()).unwrap()
    }
}

fn signed(base_url: &str) -> Config {
    let timeouts =
        Timeouts { first_byte: Period::from_millis(50), stall: Period::from_millis(50), ..Timeouts::default() };
    let breaker = Breaker { failures: NonZeroU32::MIN, ..Breaker::default() };
    Config { auth: Auth::Bearer { token: SecretRef("token".into()) }, timeouts, breaker, ..system(base_url) }
}

/// Sends with the sentinel wherever a caller can put it, and gives the error of the head or of the body.
async fn error_of(client: &Client, target: &str) -> EgressError {
    let mut request = get(target);
    request.headers.push(("x-own".into(), SENTINEL.into()));
    request.body = Some(SENTINEL.into());
    match send(client, request).await {
        Err(error) => error,
        Ok(mut response) => {
            assert_clean(&response.final_url);
            read_body(&mut *response.body).await.1.unwrap()
        }
    }
}

fn assert_clean(text: &str) {
    assert!(!text.contains(SENTINEL), "{text}");
}

const QUERY: &str = "f?sig=SENTINEL#SENTINEL";

#[tokio::test]
async fn no_way_of_failing_shows_a_query_a_user_or_a_credential() {
    let logged = Logged::start();
    let silent = Server::start(|_| Reply::silence()).await;
    let mute = Server::start(|_| Reply::hang_up()).await;
    let down = Server::start(|_| Reply::new(503, "")).await;
    let gone = Server::start(|_| Reply::new(200, "")).await.url("");
    let short = Server::start(|_| Reply::new(200, "SENTINEL").header("etag", "\"1\"").cut_after(1)).await;
    let slow = Server::start(|_| Reply::new(200, "SENTINEL").hang_after(1)).await;
    let astray = Server::start(|_| Reply::redirect(302, "https://SENTINEL:SENTINEL@b.example/x?SENTINEL")).await;
    let lost = Server::start(|_| Reply::redirect(302, "https://[SENTINEL")).await;
    let circle = Server::start(|_| Reply::redirect(302, "/f?SENTINEL")).await;
    let nonsense = Server::start(|_| Reply::new(200, "").header("content-length", "SENTINEL")).await;

    let mut errors = Vec::new();
    for server in [&silent, &mute, &short, &slow, &astray, &lost, &circle, &nonsense] {
        errors.push(error_of(&client([("e", signed(&server.url("")))]), QUERY).await);
    }
    errors.push(error_of(&client([("e", signed(&gone))]), QUERY).await);
    errors.push(error_of(&client([("e", signed("http://unknown.invalid"))]), QUERY).await);
    errors.push(error_of(&client([("e", Config { allow_addresses: vec![], ..signed(&gone) })]), QUERY).await);

    let broken = client([("e", signed(&down.url("")))]);
    send(&broken, get(QUERY)).await.unwrap();
    errors.push(error_of(&broken, QUERY).await);

    let listed = client([("e", Config { allow: vec!["a.example".into()], ..loopback() })]);
    for target in [
        "https://b.example/?SENTINEL",
        "https://SENTINEL:SENTINEL@a.example/",
        "https://SENTINEL@b.example/",
        "https://[SENTINEL",
        "SENTINEL",
        "SENTINEL://SENTINEL",
    ] {
        errors.push(error_of(&listed, target).await);
    }
    for target in ["../SENTINEL?SENTINEL", "https://b.example/?SENTINEL", "x\n?SENTINEL"] {
        errors.push(error_of(&client([("e", signed(&gone))]), target).await);
    }
    for error in &errors {
        assert_clean(&format!("{error} {error:?}"));
    }
    let kinds: std::collections::HashSet<_> = errors.iter().map(std::mem::discriminant).collect();
    assert_eq!(kinds.len(), 6, "each kind of error was seen: {errors:#?}");

    let text = logged.text();
    for line in ["breaker opened", "following a redirect", "resuming a broken body"] {
        assert!(text.contains(line), "{line}: {text}");
    }
    assert_clean(&text);
}

#[tokio::test]
async fn the_final_url_and_a_printed_request_hold_no_secret() {
    let server = Server::start(|asked| match asked.target.as_str() {
        "/f?sig=SENTINEL" => Reply::redirect(302, "/g?sig=SENTINEL"),
        _ => Reply::new(200, ""),
    })
    .await;
    let response = send(&client([("e", signed(&server.url("")))]), get(QUERY)).await.unwrap();
    assert_eq!(response.final_url, server.url("/g"));
    let request = Request { headers: vec![("a".into(), SENTINEL.into())], ..get("https://SENTINEL@h/p?SENTINEL") };
    let shown = r#"Request { method: "GET", target: "https://…@h/p", headers: ["a"], body: None }"#;
    assert_eq!(format!("{request:?}"), shown);
}

#[tokio::test]
async fn the_next_request_after_a_secrets_file_has_changed_carries_the_new_credential() {
    let logged = Logged::start();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, "first-SENTINEL\n").unwrap();
    let server = Server::start(|_| Reply::new(200, "")).await;
    let client = client_with_file(signed(&server.url("")), &file);
    let sent = async || {
        send(&client, get("f")).await.unwrap();
        server.asked().last().unwrap().header("authorization").unwrap().to_owned()
    };
    assert_eq!(sent().await, "Bearer first-SENTINEL");
    let beside = folder.path().join("beside");
    std::fs::write(&beside, "other-SENTINEL\n").unwrap();
    std::fs::rename(&beside, &file).unwrap();
    assert_eq!(sent().await, "Bearer other-SENTINEL");
    std::fs::write(&file, "no header:\nSENTINEL").unwrap();
    assert_eq!(sent().await, "Bearer other-SENTINEL", "what no header can hold is not sent");
    std::fs::remove_file(&file).unwrap();
    assert_eq!(sent().await, "Bearer other-SENTINEL");
    std::fs::write(&file, "last-SENTINEL").unwrap();
    assert_eq!(sent().await, "Bearer last-SENTINEL");
    let text = logged.text();
    assert!(text.contains("new value cannot be used") && text.contains("cannot be read again"), "{text}");
    assert_clean(&text);
}
