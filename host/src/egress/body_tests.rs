//! Bodies that break, hang and change, against servers on loopback.

use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::atomic::{AtomicU32, Ordering};

use super::super::config::{Auth, Breaker, Config, Timeouts};
use super::super::test_server::{Asked, Reply, Server, client, get, hosts, read_body, send, system};
use super::*;
use crate::egress::{Http, Request, Response};
use crate::model::SecretRef;

const TAG: &str = "\"v1\"";

/// Bytes that differ wherever they are joined wrongly.
fn entity() -> Vec<u8> {
    (0..200_000_u32).flat_map(u32::to_le_bytes).collect()
}

/// Answers the first request with the entity cut short, later ones by `later`.
async fn cut_at(bytes: usize, later: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> Server {
    Server::start(move |asked| match asked.header("range") {
        None => Reply::new(200, entity()).header("etag", TAG).cut_after(bytes),
        Some(_) => later(asked),
    })
    .await
}

async fn fetch(server: &Server) -> (Vec<u8>, Option<EgressError>) {
    let mut response = send(&client([("e", hosts([server]))]), get(&server.url("/f?sig=1"))).await.unwrap();
    read_body(&mut *response.body).await
}

/// R27: what broke off is resumed by range, and it is the same file.
#[tokio::test]
async fn a_body_that_breaks_off_is_resumed_and_its_bytes_are_equal() {
    let server = cut_at(100_001, |asked| Reply::part(asked, &entity()).header("etag", TAG)).await;
    let (bytes, error) = fetch(&server).await;
    assert_eq!(error, None);
    assert!(bytes == entity());
    let again = &server.asked()[1];
    assert_eq!((again.method.as_str(), again.target.as_str()), ("GET", "/f?sig=1"));
    assert_eq!(again.header("range"), Some("bytes=100001-"));
    assert_eq!(again.header("if-range"), Some(TAG));
    assert_eq!(again.header("accept-encoding"), Some("identity"));
}

/// R27.
#[tokio::test]
async fn a_body_that_breaks_off_again_and_again_is_resumed_as_long_as_it_gets_on() {
    let server = cut_at(70_000, |asked| Reply::part(asked, &entity()).header("etag", TAG).cut_after(70_000)).await;
    let (bytes, error) = fetch(&server).await;
    assert_eq!(error, None);
    assert!(bytes == entity());
    assert_eq!(server.asked().len(), entity().len().div_ceil(70_000));
}

#[tokio::test]
async fn a_body_that_does_not_get_on_is_given_up() {
    let server = cut_at(1000, |asked| Reply::part(asked, &entity()).cut_after(10)).await;
    let (bytes, error) = fetch(&server).await;
    assert_eq!(error, Some(EgressError::Interrupted { received: 1050 }));
    assert!(bytes == entity()[..1050]);
    assert_eq!(server.asked().len(), 1 + 5);
}

/// R27.
#[tokio::test]
async fn a_resumed_body_survives_an_origin_that_is_down_for_a_moment() {
    let asked_again = AtomicU32::new(0);
    let server = cut_at(1000, move |asked| match asked_again.fetch_add(1, Ordering::Relaxed) {
        0 => Reply::new(503, ""),
        1 => Reply::hang_up(),
        _ => Reply::part(asked, &entity()),
    })
    .await;
    let (bytes, error) = fetch(&server).await;
    assert_eq!(error, None);
    assert!(bytes == entity());
}

/// R27: a file is never made of two.
#[tokio::test]
async fn an_entity_that_changed_is_never_glued_to_the_old_one() {
    type Later = fn(&Asked) -> Reply;
    let laters: [Later; 6] = [
        |_| Reply::new(200, entity()).header("etag", "\"v2\""),
        |asked| Reply::part(asked, &entity()).header("etag", "\"v2\""),
        |asked| Reply::part(asked, &[entity(), vec![1]].concat()),
        |_| Reply::new(206, &entity()[999..]).header("content-range", "bytes 999-799999/800000"),
        |_| Reply::new(206, &entity()[1000..]),
        |_| Reply::new(416, ""),
    ];
    for (nth, later) in laters.into_iter().enumerate() {
        let server = cut_at(1000, later).await;
        let (bytes, error) = fetch(&server).await;
        assert_eq!(error, Some(EgressError::Interrupted { received: 1000 }), "{nth}");
        assert!(bytes == entity()[..1000], "{nth}");
        assert_eq!(server.asked().len(), 2, "{nth}");
    }
}

/// R27.
#[tokio::test]
async fn a_part_that_brings_more_than_the_whole_is_not_taken_for_it() {
    let later = |_: &Asked| {
        let rest = [&entity()[1000..], b"more"].concat();
        Reply::new(206, rest).header("content-range", "bytes 1000-799999/800000").header("etag", TAG)
    };
    let server = cut_at(1000, later).await;
    let (bytes, error) = fetch(&server).await;
    assert!(matches!(error, Some(EgressError::Interrupted { .. })), "{error:?}");
    assert!(bytes.len() <= entity().len());
}

/// R27.
#[tokio::test]
async fn a_body_without_a_strong_validator_is_not_resumed() {
    for headers in [vec![], vec![("etag", "W/\"v1\"")], vec![("etag", TAG), ("accept-ranges", "none")]] {
        let named = headers.clone();
        let server = Server::start(move |_| {
            let reply = Reply::new(200, entity()).cut_after(1000);
            named.iter().fold(reply, |reply, (name, value)| reply.header(name, value))
        })
        .await;
        assert_eq!(fetch(&server).await.1, Some(EgressError::Interrupted { received: 1000 }), "{headers:?}");
        assert_eq!(server.asked().len(), 1, "{headers:?}");
    }
}

#[tokio::test]
async fn a_body_is_resumed_by_its_time_of_change_too() {
    let (changed, now) = ("Sun, 01 Mar 2026 09:00:00 GMT", "Sun, 01 Mar 2026 10:00:00 GMT");
    let server = Server::start(move |asked| match asked.header("range") {
        None => Reply::new(200, entity()).header("last-modified", changed).header("date", now).cut_after(5),
        Some(_) => Reply::part(asked, &entity()),
    })
    .await;
    let (bytes, error) = fetch(&server).await;
    assert_eq!(error, None);
    assert!(bytes == entity());
    assert_eq!(server.asked()[1].header("if-range"), Some(changed));
}

/// R27.
#[tokio::test]
async fn only_a_get_that_asked_for_the_whole_is_resumed() {
    let range = vec![("range".to_owned(), "bytes=0-".to_owned())];
    for (method, headers) in [("POST", vec![]), ("GET", range)] {
        let server = Server::start(|_| Reply::new(200, entity()).header("etag", TAG).cut_after(1000)).await;
        let request = Request { method: method.into(), headers, ..get(&server.url("/")) };
        let mut response = send(&client([("e", hosts([&server]))]), request).await.unwrap();
        let (_, error) = read_body(&mut *response.body).await;
        assert_eq!(error, Some(EgressError::Interrupted { received: 1000 }), "{method}");
        assert_eq!(server.asked().len(), 1, "{method}");
    }
}

#[tokio::test]
async fn a_body_behind_a_redirect_is_resumed_where_it_came_from_with_the_credential_of_that_place() {
    let server = Server::start(|asked| match (asked.target.as_str(), asked.header("range")) {
        ("/v1/a", _) => Reply::redirect(302, "/v1/b?sig=1"),
        (_, None) => Reply::new(200, entity()).header("etag", TAG).cut_after(1000),
        (_, Some(_)) => Reply::part(asked, &entity()),
    })
    .await;
    let auth = Auth::Bearer { token: SecretRef("token".into()) };
    let client = client([("e", Config { auth, ..system(&server.url("/v1")) })]);
    let headers = vec![("accept".to_owned(), "a/b".to_owned()), ("if-none-match".to_owned(), "\"v0\"".to_owned())];
    let mut response = send(&client, Request { headers, ..get("a") }).await.unwrap();
    assert_eq!(read_body(&mut *response.body).await.1, None);
    assert_eq!(server.targets(), ["/v1/a", "/v1/b?sig=1", "/v1/b?sig=1"]);
    let again = &server.asked()[2];
    assert_eq!(again.header("authorization"), Some("Bearer SENTINEL"));
    assert_eq!(again.header("accept"), Some("a/b"));
    assert_eq!(again.header("if-none-match"), None);
}

/// R27: there is a timeout for a read that brings nothing, and none for the whole.
#[tokio::test]
async fn a_body_that_stalls_is_a_timeout_where_it_cannot_be_resumed() {
    let server = Server::start(|_| Reply::new(200, entity()).hang_after(1000)).await;
    let timeouts = Timeouts { stall: Period::from_millis(50), ..Timeouts::default() };
    let client = client([("e", Config { timeouts, ..hosts([&server]) })]);
    let mut response = send(&client, get(&server.url("/f?sig=1"))).await.unwrap();
    let (_, error) = read_body(&mut *response.body).await;
    let Some(EgressError::Timeout(text)) = error.clone() else { panic!("{error:?}") };
    assert!(text.starts_with(&format!("{}: nothing more within 50ms", server.url("/f"))), "{text}");
    // An error is final.
    assert_eq!(response.body.chunk().await, Err(error.unwrap()));
}

/// R27.
#[tokio::test]
async fn a_body_that_stalls_is_resumed_where_it_can_be() {
    let server = Server::start(|asked| match asked.header("range") {
        None => Reply::new(200, entity()).header("etag", TAG).hang_after(1000),
        Some(_) => Reply::part(asked, &entity()),
    })
    .await;
    let timeouts = Timeouts { stall: Period::from_millis(200), ..Timeouts::default() };
    let client = client([("e", Config { timeouts, ..hosts([&server]) })]);
    let mut response = send(&client, get(&server.url("/"))).await.unwrap();
    let (bytes, error) = read_body(&mut *response.body).await;
    assert_eq!(error, None);
    assert!(bytes == entity());
}

#[tokio::test]
async fn stalled_bodies_in_a_row_open_the_breaker() {
    let server = Server::start(|_| Reply::new(200, entity()).hang_after(10)).await;
    let timeouts = Timeouts { stall: Period::from_millis(50), ..Timeouts::default() };
    let breaker = Breaker { failures: NonZeroU32::new(2).unwrap(), ..Breaker::default() };
    let client = client([("e", Config { timeouts, breaker, ..hosts([&server]) })]);
    for _ in 0..2 {
        let mut response = send(&client, get(&server.url("/"))).await.unwrap();
        read_body(&mut *response.body).await.1.unwrap();
    }
    assert!(matches!(send(&client, get(&server.url("/"))).await, Err(EgressError::Unavailable { .. })));
}

/// R27, R28: what is resumed counts against the limits of its host like any other request.
#[tokio::test]
async fn a_resumption_passes_the_breaker_and_the_places() {
    let server = cut_at(1000, |_| Reply::new(503, "")).await;
    let breaker = Breaker { failures: NonZeroU32::new(2).unwrap(), ..Breaker::default() };
    let config = Config { breaker, max_concurrent: NonZeroUsize::new(1), ..hosts([&server]) };
    let mut response = send(&client([("e", config)]), get(&server.url("/"))).await.unwrap();
    let (bytes, error) = read_body(&mut *response.body).await;
    assert_eq!(bytes.len(), 1000);
    assert!(matches!(error, Some(EgressError::Unavailable { .. })), "{error:?}");
    assert_eq!(server.asked().len(), 3);
}

#[tokio::test]
async fn an_empty_body_and_a_body_that_was_not_asked_for_end_well() {
    let server = Server::start(|asked| match asked.target.as_str() {
        "/empty" => Reply::new(200, ""),
        "/head" => Reply::new(200, "12345").cut_after(0),
        _ => Reply::new(304, "").header("etag", TAG),
    })
    .await;
    let client = client([("e", hosts([&server]))]);
    for (method, path) in [("GET", "/empty"), ("HEAD", "/head"), ("GET", "/not-modified")] {
        let request = Request { method: method.into(), ..get(&server.url(path)) };
        let mut response = send(&client, request).await.unwrap();
        for _ in 0..2 {
            assert_eq!(response.body.chunk().await, Ok(None), "{method} {path}");
        }
    }
}

#[tokio::test]
async fn bytes_that_move_touch_the_progress() {
    let server = Server::start(|_| Reply::new(200, entity())).await;
    let client = client([("e", hosts([&server]))]);
    let progress = Progress::new();
    let Response { mut body, .. } = client.send("e", get(&server.url("/")), &progress).await.unwrap();
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(5)).await;
    assert!(progress.idle() >= Duration::from_secs(5));
    body.chunk().await.unwrap().unwrap();
    // The progress counts whole milliseconds.
    assert!(progress.idle() < Duration::from_millis(1));
}
