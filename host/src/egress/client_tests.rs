//! Requests and redirects against servers on loopback.

use std::num::{NonZeroU32, NonZeroUsize};

use reqwest::StatusCode;

use super::super::config::{Auth, Breaker, Config, Timeouts};
use super::super::test_server::{Reply, Server, client, failure, get, hosts, loopback, read_body, send, system};
use super::*;
use crate::model::{Period, SecretRef};

fn bearer() -> Auth {
    Auth::Bearer { token: SecretRef("token".into()) }
}

fn is_denied(error: &EgressError, about: &str) -> bool {
    matches!(error, Denied(text) if text.contains(about))
}

#[tokio::test]
async fn a_request_arrives_as_it_was_made_and_its_answer_comes_back() {
    let server = Server::start(|_| Reply::new(201, "made").header("X-Made", "yes")).await;
    let client = client([("e", system(&server.url("/v1")))]);
    let request = Request {
        method: "POST".into(),
        target: "items?a=b".into(),
        headers: vec![("Content-Type".into(), "text/plain".into())],
        body: Some("hello".into()),
    };
    let mut response = send(&client, request).await.unwrap();
    assert_eq!(response.status, 201);
    assert!(response.headers.contains(&("x-made".into(), "yes".into())), "{:?}", response.headers);
    assert_eq!(response.final_url, server.url("/v1/items"));
    assert_eq!(read_body(&mut *response.body).await, (b"made".to_vec(), None));
    let asked = &server.asked()[0];
    assert_eq!((asked.method.as_str(), asked.target.as_str()), ("POST", "/v1/items?a=b"));
    assert_eq!(asked.body, b"hello");
    assert_eq!(asked.header("content-type"), Some("text/plain"));
    assert_eq!(asked.header("accept-encoding"), Some("identity"));
    assert_eq!(asked.header("authorization"), None);
}

#[tokio::test]
async fn bytes_come_as_the_origin_has_them_even_when_it_says_they_are_compressed() {
    let server = Server::start(|_| Reply::new(200, "not gzip").header("content-encoding", "gzip")).await;
    let mut response = send(&client([("e", hosts([&server]))]), get(&server.url("/"))).await.unwrap();
    assert_eq!(read_body(&mut *response.body).await, (b"not gzip".to_vec(), None));
}

#[tokio::test]
async fn cookies_are_not_kept() {
    let server = Server::start(|_| Reply::new(200, "").header("set-cookie", "a=b")).await;
    let client = client([("e", hosts([&server]))]);
    for _ in 0..2 {
        send(&client, get(&server.url("/"))).await.unwrap();
    }
    assert!(server.asked().iter().all(|asked| asked.header("cookie").is_none()));
}

#[tokio::test]
async fn a_private_address_is_denied_by_name_and_as_it_stands() {
    let server = Server::start(|_| Reply::new(200, "")).await;
    let port = server.port();
    let urls = [format!("http://localhost:{port}/"), format!("http://127.0.0.1:{port}/"), "http://[::1]/".into()];
    for url in urls {
        let entry = url.trim_end_matches('/').to_owned();
        let client = client([("e", Config { allow: vec![entry], ..Config::default() })]);
        let error = failure(&client, &url).await;
        assert!(is_denied(&error, "is loopback"), "{url}: {error}");
    }
    assert_eq!(server.targets(), [""; 0]);
}

#[tokio::test]
async fn a_name_that_resolves_to_an_allowed_address_is_connected_to() {
    let server = Server::start(|_| Reply::new(200, "")).await;
    let url = format!("http://localhost:{}", server.port());
    let client = client([("e", Config { allow: vec![url.clone()], ..loopback() })]);
    assert_eq!(send(&client, get(&url)).await.unwrap().status, 200);
}

#[tokio::test]
async fn what_an_endpoint_does_not_name_is_denied() {
    let server = Server::start(|_| Reply::new(200, "")).await;
    let client = client([("e", hosts([&server])), ("s", system(&server.url("/v1")))]);
    for target in ["https://example.com/", "/path", "http://127.0.0.1:1/"] {
        assert!(is_denied(&failure(&client, target).await, "endpoint `e`"), "{target}");
    }
    for target in ["../x", &server.url("/v2")] {
        let error = client.send("s", get(target), &Progress::new()).await.err().unwrap();
        assert!(is_denied(&error, "endpoint `s`"), "{target}");
    }
    let error = client.send("other", get("/"), &Progress::new()).await.err().unwrap();
    assert!(is_denied(&error, "no endpoint `other`"));
    assert_eq!(server.targets(), [""; 0]);
}

#[tokio::test]
async fn headers_and_methods_that_smuggle_are_denied_before_anything_is_sent() {
    let server = Server::start(|_| Reply::new(200, "")).await;
    let client = client([("e", hosts([&server]))]);
    for (method, name, value) in [
        ("GET", "authorization", "x"),
        ("GET", "Host", "evil.example"),
        ("GET", "Transfer-Encoding", "chunked"),
        ("POST", "Content-Length", "3"),
        ("GET", "x", "a\r\nhost: evil.example"),
        ("GET /other HTTP/1.1\r\nx:", "x", "a"),
        ("CONNECT", "x", "a"),
        ("TRACE", "x", "a"),
        ("", "x", "a"),
    ] {
        let headers = vec![(name.into(), value.into())];
        let request = Request { method: method.into(), headers, ..get(&server.url("/")) };
        assert!(matches!(send(&client, request).await, Err(Denied(_))), "{method} {name}");
    }
    assert_eq!(server.targets(), [""; 0]);
}

#[tokio::test]
async fn a_redirect_to_the_same_endpoint_is_followed() {
    let server = Server::start(|asked| match asked.target.as_str() {
        "/v1/a" => Reply::redirect(302, "b?x=1#part"),
        _ => Reply::new(200, "found"),
    })
    .await;
    let mut response = send(&client([("e", system(&server.url("/v1")))]), get("a")).await.unwrap();
    assert_eq!(response.final_url, server.url("/v1/b"));
    assert_eq!(read_body(&mut *response.body).await.0, b"found");
    assert_eq!(server.targets(), ["/v1/a", "/v1/b?x=1"]);
}

#[tokio::test]
async fn a_redirect_to_an_endpoint_that_is_named_follows_that_endpoints_rules() {
    let media = Server::start(|asked| match asked.target.as_str() {
        "/a" => Reply::redirect(302, "/b"),
        _ => Reply::new(200, "found"),
    })
    .await;
    let to = media.url("/a");
    let api = Server::start(move |_| Reply::redirect(302, &to)).await;
    let redirects = vec!["media".to_owned()];
    let client = client([("e", Config { redirects, ..system(&api.url("")) }), ("media", hosts([&media]))]);
    let response = send(&client, get("file")).await.unwrap();
    assert_eq!(response.final_url, media.url("/b"));
}

#[tokio::test]
async fn a_redirect_to_an_endpoint_that_is_not_named_is_denied() {
    let media = Server::start(|_| Reply::new(200, "")).await;
    let to = media.url("/a?sig=1");
    let api = Server::start(move |_| Reply::redirect(302, &to)).await;
    let client = client([("e", system(&api.url(""))), ("media", hosts([&media]))]);
    let error = failure(&client, "file").await;
    assert!(is_denied(&error, &format!("do not allow a redirect to {}", media.url("/a"))), "{error}");
    assert_eq!(media.targets(), [""; 0]);
}

#[tokio::test]
async fn a_redirect_out_of_a_second_endpoint_needs_its_own_leave() {
    let api = Server::start(|_| Reply::new(200, "")).await;
    let back = api.url("/v1/secret");
    let media = Server::start(move |_| Reply::redirect(302, &back)).await;
    let to = media.url("/a");
    let first = Server::start(move |_| Reply::redirect(302, &to)).await;
    let named = |name: &str| vec![name.to_owned()];
    let client = client([
        ("e", Config { redirects: vec!["media".into(), "api".into()], ..hosts([&first]) }),
        ("media", hosts([&media])),
        ("open", Config { redirects: named("api"), ..hosts([&media]) }),
        ("api", system(&api.url("/v1"))),
    ]);
    assert!(is_denied(&failure(&client, &first.url("/")).await, "endpoint `media`"));
    assert_eq!(api.targets(), [""; 0]);
    assert!(client.send("open", get(&media.url("/")), &Progress::new()).await.is_ok());
}

#[tokio::test]
async fn a_redirect_to_a_private_address_is_denied() {
    let server = Server::start(|_| Reply::redirect(302, "http://169.254.169.254/latest")).await;
    let mut config = hosts([&server]);
    config.allow.push("http://169.254.169.254".into());
    let error = failure(&client([("e", config)]), &server.url("/")).await;
    assert!(is_denied(&error, "a cloud's metadata service"), "{error}");
}

#[tokio::test]
async fn a_redirect_that_climbs_out_of_the_base_url_is_denied() {
    for location in ["/admin", "/v1/..%2fadmin", "../admin", "//127.0.0.2/v1/x"] {
        let server = Server::start(move |_| Reply::redirect(302, location)).await;
        let client = client([("e", system(&server.url("/v1")))]);
        assert!(is_denied(&failure(&client, "x").await, "do not allow a redirect"), "{location}");
        assert_eq!(server.targets(), ["/v1/x"], "{location}");
    }
}

#[tokio::test]
async fn no_more_than_ten_redirects_are_followed() {
    let server = Server::start(|asked| {
        let nth: u32 = asked.target.trim_start_matches('/').parse().unwrap();
        if nth == 0 { Reply::new(200, "") } else { Reply::redirect(302, &format!("/{}", nth - 1)) }
    })
    .await;
    let client = client([("e", hosts([&server]))]);
    assert!(send(&client, get(&server.url("/10"))).await.is_ok());
    assert!(is_denied(&failure(&client, &server.url("/11")).await, "more than 10 redirects"));
}

#[tokio::test]
async fn methods_and_bodies_change_on_redirects_as_the_rfc_says() {
    for (status, method, body, content_type) in
        [(303, "GET", "", None), (302, "GET", "", None), (307, "POST", "hello", Some("text/plain"))]
    {
        let server = Server::start(move |asked| match asked.target.as_str() {
            "/a" => Reply::redirect(status, "/b"),
            _ => Reply::new(200, ""),
        })
        .await;
        let headers = vec![("content-type".to_owned(), "text/plain".to_owned()), ("x".to_owned(), "y".to_owned())];
        let request = Request { method: "POST".into(), target: server.url("/a"), headers, body: Some("hello".into()) };
        send(&client([("e", hosts([&server]))]), request).await.unwrap();
        let asked = &server.asked()[1];
        assert_eq!(asked.method, method, "{status}");
        assert_eq!(asked.body, body.as_bytes(), "{status}");
        assert_eq!(asked.header("content-type"), content_type, "{status}");
        assert_eq!(asked.header("x"), Some("y"), "{status}");
    }
}

#[tokio::test]
async fn the_credential_goes_to_the_base_urls_origin_and_nowhere_else() {
    let media = Server::start(|_| Reply::new(200, "")).await;
    let to = media.url("/a");
    let api = Server::start(move |asked| match asked.target.as_str() {
        "/v1/here" => Reply::redirect(302, "there"),
        "/v1/away" => Reply::redirect(302, &to),
        _ => Reply::new(200, ""),
    })
    .await;
    let redirects = vec!["media".to_owned()];
    let config = Config { redirects, auth: bearer(), ..system(&api.url("/v1")) };
    let client = client([("e", config), ("media", hosts([&media]))]);
    for target in ["here", "away"] {
        send(&client, get(target)).await.unwrap();
    }
    let signed = |asked: Vec<super::super::test_server::Asked>| -> Vec<_> {
        asked.iter().map(|asked| (asked.target.clone(), asked.header("authorization").map(str::to_owned))).collect()
    };
    let token = Some("Bearer SENTINEL".to_owned());
    let expected = ["/v1/here", "/v1/there", "/v1/away"].map(|target| (target.to_owned(), token.clone()));
    assert_eq!(signed(api.asked()), expected);
    assert_eq!(signed(media.asked()), [("/a".to_owned(), None)]);
}

#[tokio::test]
async fn the_credential_of_the_endpoint_that_a_redirect_leads_to_is_used_there() {
    let api = Server::start(|_| Reply::new(200, "")).await;
    let to = api.url("/v1/x");
    let media = Server::start(move |_| Reply::redirect(302, &to)).await;
    let signed = Config { auth: bearer(), ..system(&api.url("/v1")) };
    let redirects = vec!["api".to_owned()];
    let client = client([("e", Config { redirects, ..hosts([&media]) }), ("api", signed)]);
    send(&client, get(&media.url("/"))).await.unwrap();
    assert_eq!(media.asked()[0].header("authorization"), None);
    assert_eq!(api.asked()[0].header("authorization"), Some("Bearer SENTINEL"));
}

#[tokio::test]
async fn a_late_first_byte_is_a_timeout() {
    let server = Server::start(|_| Reply::silence()).await;
    let timeouts = Timeouts { first_byte: Period::from_millis(50), ..Timeouts::default() };
    let client = client([("e", Config { timeouts, ..hosts([&server]) })]);
    let error = failure(&client, &server.url("/x?y")).await;
    assert_eq!(error, EgressError::Timeout(format!("{}: no answer within 50ms", server.url("/x"))));
}

#[tokio::test]
async fn no_connection_is_a_connect_error_and_a_broken_head_is_another() {
    let gone = Server::start(|_| Reply::new(200, "")).await.url("/");
    let mute = Server::start(|_| Reply::hang_up()).await;
    let mut config = hosts([&mute]);
    config.allow.push(gone.trim_end_matches('/').into());
    let client = client([("e", config)]);
    assert!(matches!(failure(&client, &gone).await, EgressError::Connect(_)));
    assert!(matches!(failure(&client, &mute.url("/")).await, EgressError::Other(_)));
}

#[tokio::test]
async fn a_name_that_nobody_knows_is_a_connect_error() {
    let client = client([("e", Config { allow: vec!["unknown.invalid".into()], ..Config::default() })]);
    assert!(matches!(failure(&client, "https://unknown.invalid/").await, EgressError::Connect(_)));
}

fn breaker(failures: u32) -> Breaker {
    Breaker { failures: NonZeroU32::new(failures).unwrap(), ..Breaker::default() }
}

#[tokio::test]
async fn server_errors_in_a_row_open_the_breaker_of_that_host_alone() {
    let bad = Server::start(|_| Reply::new(503, "down")).await;
    let good = Server::start(|_| Reply::new(404, "")).await;
    let by_name = format!("http://localhost:{}", good.port());
    let mut config = Config { breaker: breaker(2), ..hosts([&bad]) };
    config.allow.push(by_name.clone());
    let client = client([("e", config)]);
    for _ in 0..2 {
        let mut response = send(&client, get(&bad.url("/"))).await.unwrap();
        assert_eq!(response.status, 503);
        assert_eq!(read_body(&mut *response.body).await.0, b"down");
    }
    let EgressError::Unavailable { endpoint, retry_after, one_system } = failure(&client, &bad.url("/")).await else {
        panic!("the breaker is closed")
    };
    assert_eq!((&*endpoint, one_system), ("e", false));
    assert!(retry_after <= Period::from_secs(60).0);
    assert_eq!(bad.targets().len(), 2);
    for _ in 0..3 {
        assert_eq!(send(&client, get(&by_name)).await.unwrap().status, StatusCode::NOT_FOUND.as_u16());
    }
}

#[tokio::test]
async fn connect_errors_and_timeouts_open_the_breaker_and_denials_and_broken_heads_do_not() {
    let silent = Server::start(|_| Reply::silence()).await;
    let mute = Server::start(|_| Reply::hang_up()).await;
    let gone = Server::start(|_| Reply::new(200, "")).await.url("");
    let away = Server::start(|_| Reply::redirect(302, "https://example.com/")).await;
    let timeouts = Timeouts { first_byte: Period::from_millis(50), ..Timeouts::default() };
    for (base, opens) in [(silent.url(""), true), (gone, true), (mute.url(""), false), (away.url(""), false)] {
        let client = client([("e", Config { breaker: breaker(2), timeouts, ..system(&base) })]);
        for _ in 0..2 {
            assert!(!matches!(failure(&client, "/").await, EgressError::Unavailable { .. }), "{base}");
        }
        let is_open = matches!(failure(&client, "/").await, EgressError::Unavailable { one_system: true, .. });
        assert_eq!(is_open, opens, "{base}");
    }
}

/// R28: a file that is under way counts until it is there.
#[tokio::test]
async fn a_place_is_held_until_the_body_ends_or_is_dropped() {
    let server = Server::start(|_| Reply::new(200, "body")).await;
    let config = Config { max_concurrent: NonZeroUsize::new(2), ..hosts([&server]) };
    let client = Arc::new(client([("e", config)]));
    let mut first = send(&client, get(&server.url("/1"))).await.unwrap();
    let second = send(&client, get(&server.url("/2"))).await.unwrap();
    let ask = |path: &str| {
        let (client, request) = (client.clone(), get(&server.url(path)));
        tokio::spawn(async move { send(&client, request).await.map(|response| response.status) })
    };
    let (third, fourth) = (ask("/3"), ask("/4"));
    for _ in 0..1000 {
        tokio::task::yield_now().await;
    }
    assert_eq!(server.targets(), ["/1", "/2"]);
    assert_eq!(read_body(&mut *first.body).await.0, b"body");
    assert_eq!(third.await.unwrap(), Ok(200));
    drop(second);
    assert_eq!(fourth.await.unwrap(), Ok(200));
}

#[tokio::test]
async fn a_call_that_is_given_up_frees_its_place() {
    let server = Server::start(|asked| if asked.target == "/1" { Reply::silence() } else { Reply::new(200, "") }).await;
    let config = Config { max_concurrent: NonZeroUsize::new(1), ..hosts([&server]) };
    let client = client([("e", config)]);
    tokio::select! {
        biased;
        _ = send(&client, get(&server.url("/1"))) => panic!("it answered"),
        () = async { while server.targets().is_empty() { tokio::task::yield_now().await } } => {}
    }
    assert!(send(&client, get(&server.url("/2"))).await.is_ok());
}

#[test]
fn all_problems_of_all_endpoints_are_named_at_once() {
    let no_file = Some("/nowhere/ca.pem".into());
    let empty = tempfile::NamedTempFile::new().unwrap();
    let system = || system("https://a.example");
    let configs: Configs = [
        ("a", Config { ca: no_file, redirects: vec!["nobody".into()], ..system() }),
        ("b", Config { ca: Some(empty.path().into()), ..system() }),
        ("c", Config { auth: Auth::Bearer { token: SecretRef("unknown".into()) }, ..system() }),
        ("d", Config { auth: bearer(), allow: vec!["a.example".into()], ..Config::default() }),
        ("e", Config { allow: vec!["*".into(), "u@h".into()], ..Config::default() }),
        ("f", Config::default()),
        ("g", system()),
    ]
    .map(|(name, config)| (name.to_owned(), config))
    .into();
    let secrets = Secrets([("token".to_owned(), crate::model::Secret::new("t"))].into());
    let error = Client::new(&configs, &secrets).err().unwrap();
    let problems: Vec<_> = error.problems.iter().map(ToString::to_string).collect();
    let expected = [
        "endpoint `a`: `redirects` names endpoint `nobody`",
        "endpoint `a`: `ca` \"/nowhere/ca.pem\" cannot be read",
        "endpoint `b`: `ca` ",
        "endpoint `c`: there is no secret `unknown`",
        "endpoint `d`: `auth` needs a `base_url`",
        "endpoint `e`: entry 1 of `allow`",
        "endpoint `e`: entry 2 of `allow`",
        "endpoint `f`: it has neither",
    ];
    assert_eq!(problems.len(), expected.len(), "{problems:#?}");
    for (problem, start) in problems.iter().zip(expected) {
        assert!(problem.starts_with(start), "{problem}");
        assert!(error.to_string().contains(problem));
    }
}
