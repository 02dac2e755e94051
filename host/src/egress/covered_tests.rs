//! What an origin repeats of a credential does not come to the caller: not in a header, a body or an error.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;

use super::config::{Auth, Config, Proxy, ProxyAuth};
use super::covered::covered;
use super::test_server::{Reply, Server, read_body, system};
use super::{Body, Client, EgressError, Http, Request, Response};
use crate::model::{Mask, Progress, Secret, SecretRef, Secrets};

const PASSWORD: &str = "hunter2-SENTINEL/+";

/// A system that is signed to as `auth` says, with user and password encoded in the secret.
fn client(auth: Auth, url: &str) -> Client {
    let secret = Secret::new(STANDARD.encode(format!("me:{PASSWORD}")));
    let config = Config { auth, ..system(url) };
    Client::new(&[("e".to_owned(), config)].into(), &Secrets([("s".to_owned(), secret)].into())).unwrap()
}

fn each_auth() -> [Auth; 3] {
    let secret = || SecretRef("s".into());
    let header = Auth::Header { name: "x-key".into(), value: secret() };
    [Auth::Bearer { token: secret() }, Auth::Basic { encoded: secret() }, header]
}

async fn ask(client: &Client) -> Result<Response, EgressError> {
    let request = Request { method: "GET".into(), target: "f".into(), ..Request::default() };
    client.send("e", request, &Progress::new()).await
}

#[tokio::test]
async fn an_origin_that_repeats_the_credential_gives_it_to_nobody() {
    let server = Server::start(|asked| {
        let sent = asked.header("authorization").or(asked.header("x-key")).unwrap();
        let encoded = sent.rsplit(' ').next().unwrap();
        let body = format!("{{\"sent\":\"{sent}\",\"password\":\"{PASSWORD}\",\"next\":\"?t={encoded}\"}}");
        Reply::new(401, body).header("www-authenticate", &format!("Basic realm=\"{sent}\""))
    });
    let server = server.await;
    for auth in each_auth() {
        let mut response = ask(&client(auth.clone(), &server.url(""))).await.unwrap();
        let headers = format!("{:?}", response.headers);
        assert!(headers.contains("realm=") && !headers.contains("bWU6"), "{auth:?}: {headers}");
        let (body, error) = read_body(&mut *response.body).await;
        let body = String::from_utf8(body).unwrap();
        assert!(error.is_none() && body.starts_with("{\"sent\":\"") && body.ends_with("\"}"), "{auth:?}: {body}");
        assert!(!body.contains("bWU6") && !body.contains("SENTINEL"), "{auth:?}: {body}");
    }
}

#[tokio::test]
async fn a_proxy_that_repeats_its_credential_gives_it_to_nobody() {
    let server = Server::start(|asked| {
        let sent = asked.header("proxy-authorization").unwrap().to_owned();
        assert!(sent.contains("bWU6"), "{sent}");
        Reply::new(502, format!("{sent} is {PASSWORD}")).header("via", &sent)
    });
    let server = server.await;
    let proxy = Proxy { url: server.url(""), auth: ProxyAuth::Basic { encoded: SecretRef("s".into()) } };
    let config = Config { proxy: Some(proxy), ..system("http://behind.example/") };
    let secret = Secret::new(STANDARD.encode(format!("me:{PASSWORD}")));
    let client = Client::new(&[("e".to_owned(), config)].into(), &Secrets([("s".to_owned(), secret)].into())).unwrap();
    let mut response = ask(&client).await.unwrap();
    let headers = format!("{:?}", response.headers);
    let (body, error) = read_body(&mut *response.body).await;
    let told = headers + &String::from_utf8(body).unwrap();
    assert!(error.is_none() && told.contains("*** is ***"), "{told}");
    assert!(!told.contains("bWU6") && !told.contains("SENTINEL"), "{told}");
}

#[tokio::test]
async fn a_refused_redirect_to_the_credential_does_not_tell_it() {
    let server = Server::start(|asked| {
        let sent = asked.header("x-key").unwrap_or_default().to_owned();
        Reply::redirect(302, &format!("https://b.example/{sent}/{PASSWORD}"))
    });
    let server = server.await;
    let [.., header] = each_auth();
    let error = ask(&client(header, &server.url(""))).await.err().unwrap().to_string();
    assert!(error.contains("https://b.example/***"), "{error}");
    assert!(!error.contains("bWU6") && !error.contains("SENTINEL"), "{error}");
}

/// A body in these pieces.
struct Pieces(Vec<&'static str>);

#[async_trait::async_trait]
impl Body for Pieces {
    async fn chunk(&mut self) -> Result<Option<Bytes>, EgressError> {
        Ok((!self.0.is_empty()).then(|| Bytes::from_static(self.0.remove(0).as_bytes())))
    }
}

#[tokio::test]
async fn a_secret_is_found_however_the_body_is_cut_and_nothing_else_changes() {
    for (pieces, expected) in [
        (vec!["x SECRET-7 y"], "x ******** y"),
        (vec!["x SEC", "RET", "-7", " y"], "x ******** y"),
        (vec!["SECRET-", "SECRET-7"], "SECRET-********"),
        (vec!["x SEC", "OND"], "x SECOND"),
        (vec!["x SECRET-"], "x SECRET-"),
        (vec![""], ""),
    ] {
        let body = Box::new(Pieces(pieces.clone()));
        let response = Response { status: 200, headers: Vec::new(), final_url: String::new(), body };
        let mut body = covered(response, Mask::of(["SECRET-7"])).body;
        let (bytes, error) = read_body(&mut *body).await;
        assert_eq!((String::from_utf8(bytes).unwrap().as_str(), error), (expected, None), "{pieces:?}");
    }
}
