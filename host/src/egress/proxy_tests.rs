//! Endpoints behind a proxy, against small real proxies on loopback.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use tempfile::NamedTempFile;

use super::config::{Auth, Config, Proxy as Through, ProxyAuth};
use super::setup::Fault;
use super::test_canary::{Canary, Names};
use super::test_proxy::Proxy;
use super::test_server::{
    Authority, Reply, SENTINEL, Server, client, client_asking, client_with_file, failure, get, read_body, send,
};
use super::{Client, EgressError, Http, Response};
use crate::model::{Progress, SecretRef, Secrets};

/// Tells a copy of a test, run as a process of its own, where the servers are.
const SERVERS: &str = "LOCKGATE_TEST_SERVERS";

fn token() -> SecretRef {
    SecretRef("token".into())
}

/// An endpoint behind a proxy; it may connect to nothing that is not public.
fn behind(proxy: &str, base_url: &str) -> Config {
    let proxy = Through { url: proxy.to_owned(), auth: ProxyAuth::None };
    Config { base_url: Some(base_url.to_owned()), proxy: Some(proxy), ..Config::default() }
}

fn signed_in(config: Config) -> Config {
    let proxy = config.proxy.map(|proxy| Through { auth: ProxyAuth::Basic { encoded: token() }, ..proxy });
    Config { proxy, ..config }
}

fn trusting(authority: &Authority) -> NamedTempFile {
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(authority.pem().as_bytes()).unwrap();
    file
}

async fn text(response: Result<Response, EgressError>) -> String {
    String::from_utf8(read_body(&mut *response.unwrap().body).await.0).unwrap()
}

#[tokio::test]
async fn plain_http_is_asked_of_the_proxy_which_resolves_the_name() {
    let server = Server::start(|_| Reply::new(200, "hello")).await;
    let proxy = Proxy::start([("api.example", server.address())]).await;
    let names = Arc::new(Names::new());
    let config = Config { auth: Auth::Bearer { token: token() }, ..behind(&proxy.url(), "http://api.example/v1") };
    let client = client_asking(names.clone(), [("e", config)]);
    assert_eq!(text(send(&client, get("items?a=b")).await).await, "hello");
    assert_eq!(proxy.targets(), ["GET http://api.example/v1/items?a=b"]);
    assert_eq!(server.targets(), ["/v1/items?a=b"]);
    assert_eq!(server.asked()[0].header("authorization"), Some("Bearer SENTINEL"));
    assert_eq!(server.asked()[0].header("host"), Some("api.example"));
    assert_eq!(names.asked(), [""; 0]);
}

#[tokio::test]
async fn https_goes_through_a_tunnel_in_which_the_proxy_sees_nothing() {
    let authority = Authority::new();
    let server = Server::start_tls(&authority, |_| Reply::new(200, "hello")).await;
    let proxy = Proxy::start([("secure.example", server.address())]).await;
    let ca = trusting(&authority);
    let config = Config {
        auth: Auth::Bearer { token: token() },
        ca: Some(ca.path().into()),
        ..behind(&proxy.url(), "https://secure.example:8443/v1")
    };
    let names = Arc::new(Names::new());
    let client = client_asking(names.clone(), [("e", config)]);
    assert_eq!(text(send(&client, get("items?sig=1")).await).await, "hello");
    assert_eq!(proxy.targets(), ["CONNECT secure.example:8443"]);
    assert_eq!(proxy.asked()[0].header("authorization"), None);
    assert_eq!(server.targets(), ["/v1/items?sig=1"]);
    assert_eq!(server.asked()[0].header("authorization"), Some("Bearer SENTINEL"));
    assert_eq!(names.asked(), [""; 0]);
}

#[tokio::test]
async fn a_proxy_is_spoken_to_over_tls_where_its_url_says_so() {
    let authority = Authority::new();
    let server = Server::start_tls(&authority, |_| Reply::new(200, "secure")).await;
    let plain = Server::start(|_| Reply::new(200, "plain")).await;
    let names = [("secure.example", server.address()), ("api.example", plain.address())];
    let proxy = Proxy::start_tls(names, authority.acceptor()).await;
    let ca = trusting(&authority);
    let url = format!("https://localhost:{}", proxy.port());
    for (base, expected) in [("https://secure.example", "secure"), ("http://api.example", "plain")] {
        let config = Config { ca: Some(ca.path().into()), ..signed_in(behind(&url, base)) };
        assert_eq!(text(send(&client([("e", config)]), get("/")).await).await, expected);
    }
    assert_eq!(proxy.targets(), ["CONNECT secure.example:443", "GET http://api.example/"]);
    assert!(proxy.asked().iter().all(|asked| asked.header("proxy-authorization") == Some("Basic SENTINEL")));
}

#[tokio::test]
async fn the_credential_of_a_proxy_is_shown_to_the_proxy_and_to_nobody_else() {
    let authority = Authority::new();
    let secure = Server::start_tls(&authority, |_| Reply::new(200, "")).await;
    let plain = Server::start(|_| Reply::new(200, "")).await;
    let proxy = Proxy::start([("secure.example", secure.address()), ("api.example", plain.address())]).await;
    proxy.asks_for("Basic SENTINEL");
    let ca = trusting(&authority);
    for base in ["https://secure.example", "http://api.example"] {
        let config = Config { ca: Some(ca.path().into()), ..signed_in(behind(&proxy.url(), base)) };
        assert_eq!(send(&client([("e", config)]), get("/")).await.unwrap().status, 200, "{base}");
    }
    for server in [&secure, &plain] {
        assert!(server.asked()[0].headers.iter().all(|header| !header.1.contains(SENTINEL)), "{:?}", server.asked());
    }
}

#[tokio::test]
async fn a_proxy_that_wants_another_credential_is_no_connection_and_says_so() {
    let proxy = Proxy::start([]).await;
    proxy.asks_for("Basic another");
    let through = format!("through proxy {}/", proxy.url());
    for (base, expected) in [
        (
            "http://api.example",
            format!("http://api.example/x {through}: the proxy wants another credential; it goes under `proxy.auth`"),
        ),
        (
            "https://api.example",
            format!(
                "https://api.example/x {through}: error sending request: client error (Connect): tunnel error: proxy authorization required"
            ),
        ),
    ] {
        let error = failure(&client([("e", signed_in(behind(&proxy.url(), base)))]), "x?sig=SENTINEL").await;
        assert_eq!(error, EgressError::Connect(expected));
    }
}

#[tokio::test]
async fn a_credential_that_changes_in_its_file_is_shown_to_the_proxy_from_then_on() {
    let server = Server::start(|_| Reply::new(200, "")).await;
    let proxy = Proxy::start([("api.example", server.address())]).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, "first\n").unwrap();
    let client = client_with_file(signed_in(behind(&proxy.url(), "http://api.example")), &file);
    for content in ["first", "second-SENTINEL", "third"] {
        std::fs::write(&file, content).unwrap();
        assert_eq!(send(&client, get("/")).await.unwrap().status, 200);
        let shown = proxy.asked().last().unwrap().header("proxy-authorization").unwrap().to_owned();
        assert_eq!(shown, format!("Basic {content}"));
    }
}

#[tokio::test]
async fn a_proxy_of_one_endpoint_is_not_used_for_another() {
    let media = Server::start(|_| Reply::new(200, "media")).await;
    let to = media.url("/a");
    let api = Server::start(move |_| Reply::redirect(302, &to)).await;
    let first = Proxy::start([("api.example", api.address())]).await;
    let second = Proxy::start([("127.0.0.1", media.address())]).await;
    let straight = || Config { allow: vec![media.url("")], ..super::test_server::loopback() };
    let other = Through { url: second.url(), auth: ProxyAuth::None };
    let leading = |to: &str| {
        let redirects = vec![to.to_owned()];
        signed_in(Config { redirects, ..behind(&first.url(), "http://api.example") })
    };
    let client = client([
        ("e", leading("straight")),
        ("f", leading("other")),
        ("straight", straight()),
        ("other", Config { proxy: Some(other), ..straight() }),
    ]);
    for endpoint in ["e", "f"] {
        assert_eq!(text(client.send(endpoint, get("/"), &Progress::new()).await).await, "media");
    }
    assert_eq!(text(client.send("straight", get(&media.url("/b")), &Progress::new()).await).await, "media");
    assert_eq!(first.targets(), ["GET http://api.example/", "GET http://api.example/"]);
    assert_eq!(second.targets(), [format!("GET {}", media.url("/a"))]);
    assert_eq!(media.targets(), ["/a", "/a", "/b"]);
    assert_eq!(second.asked()[0].header("proxy-authorization"), None);
}

#[tokio::test]
async fn only_the_proxys_own_name_is_looked_up_and_its_address_needs_no_leave() {
    let server = Server::start(|_| Reply::new(200, "hello")).await;
    let proxy = Proxy::start([("api.example", server.address())]).await;
    let names = Arc::new(Names::new().lead("proxy.example", &[&["127.0.0.1"]]));
    let config = behind(&format!("http://proxy.example:{}", proxy.port()), "http://api.example");
    assert_eq!(text(send(&client_asking(names.clone(), [("e", config)]), get("/")).await).await, "hello");
    assert_eq!(names.asked(), ["proxy.example"]);
}

#[tokio::test]
async fn a_proxy_that_is_gone_or_refuses_is_no_way_around_it() {
    let canary = Canary::start().await;
    let gone = Proxy::start([]).await.url();
    let refuses = Proxy::start([]).await;
    let names = Arc::new(Names::new().lead("*", &[&["127.0.0.1"]]));
    for (proxy, scheme, text) in [
        (gone.clone(), "http", "tcp connect error"),
        (gone, "https", "tcp connect error"),
        (refuses.url(), "https", "tunnel error: unsuccessful"),
    ] {
        let base = format!("{scheme}://api.example:{}", canary.port());
        let client = client_asking(names.clone(), [("e", behind(&proxy, &base))]);
        let EgressError::Connect(error) = failure(&client, "x?sig=1").await else { panic!("{proxy} {scheme}") };
        assert!(error.starts_with(&format!("{base}/x through proxy {proxy}/: ")), "{error}");
        assert!(error.contains(text), "{error}");
    }
    assert_eq!(canary.visitors().await, 0);
    assert_eq!(names.asked(), [""; 0]);
}

/// Only a process of its own can have an environment of its own.
#[tokio::test]
async fn proxies_of_the_environment_are_never_used() {
    if let Ok(servers) = std::env::var(SERVERS) {
        let (server, proxy) = servers.split_once(' ').unwrap();
        let straight = client([("e", super::test_server::system(server))]);
        assert_eq!(text(send(&straight, get("/straight")).await).await, "hello");
        // `NO_PROXY` says otherwise, and does not count either.
        let proxied = client([("e", behind(proxy, "http://api.example"))]);
        assert_eq!(text(send(&proxied, get("/proxied")).await).await, "hello");
        return;
    }
    let canary = Canary::start().await;
    let server = Server::start(|_| Reply::new(200, "hello")).await;
    let proxy = Proxy::start([("api.example", server.address())]).await;
    let mut command = tokio::process::Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "egress::proxy_tests::proxies_of_the_environment_are_never_used"]);
    command.env(SERVERS, format!("{} {}", server.url(""), proxy.url())).env("NO_PROXY", "*").env("no_proxy", "*");
    for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"] {
        command.env(name, canary.url()).env(name.to_lowercase(), canary.url());
    }
    let output = command.output().await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    assert_eq!(server.targets(), ["/straight", "/proxied"]);
    assert_eq!(proxy.targets(), ["GET http://api.example/proxied"]);
    // Without `NO_PROXY`, those of the environment would be asked.
    let output = command.env_remove("NO_PROXY").env_remove("no_proxy").output().await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    assert_eq!(canary.visitors().await, 0);
}

#[test]
fn a_proxy_that_cannot_be_used_is_a_fault_that_does_not_repeat_its_url() {
    let fault = |proxy: Through| {
        let config = Config { proxy: Some(proxy), ..behind("http://p", "https://api.example") };
        let error = Client::new(&[("e".to_owned(), config)].into(), &Secrets::default()).err().unwrap();
        assert!(!error.to_string().contains(SENTINEL), "{error}");
        error.problems.into_iter().next().unwrap().fault
    };
    for (url, why) in [
        ("proxy.example", "no absolute URL"),
        ("socks5://proxy.example", "neither http nor https"),
        ("http://SENTINEL:SENTINEL@proxy.example", "with a user or password; credentials go under `auth`"),
        ("http://proxy.example/SENTINEL", "with more than a host and a port"),
        ("http://proxy.example?SENTINEL", "with more than a host and a port"),
    ] {
        let fault = fault(Through { url: url.to_owned(), auth: ProxyAuth::None });
        assert!(matches!(fault, Fault::ProxyUrl(text) if text == why), "{url}: {fault}");
    }
    let auth = ProxyAuth::Bearer { token: token() };
    let fault = fault(Through { url: "http://proxy.example".into(), auth });
    assert!(matches!(&fault, Fault::NoSecret(name) if name == "token"), "{fault}");
}

#[test]
fn an_unfit_credential_of_a_proxy_is_a_fault_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, "SENTINEL\nSENTINEL").unwrap();
    let error = setup_with(&file).err().unwrap().to_string();
    let text = "secret `token` holds a line break or another character that no header may hold";
    assert_eq!(error, format!("the endpoints cannot be set up: endpoint `e`: {text}"));
}

fn setup_with(file: &Path) -> Result<Client, super::SetupError> {
    let secrets = Secrets([("token".to_owned(), crate::model::Secret::in_file("token", file).unwrap())].into());
    let config = signed_in(behind("http://proxy.example", "https://api.example"));
    Client::new(&[("e".to_owned(), config)].into(), &secrets)
}
