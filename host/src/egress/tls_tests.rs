//! Whom an endpoint trusts, against TLS servers on loopback.

use std::io::Write;
use std::path::Path;

use tempfile::NamedTempFile;

use super::EgressError;
use super::config::Config;
use super::test_server::{Authority, Reply, Server, client, failure, get, loopback, send, system};

/// Tells a copy of this test, run as a process of its own, where the server is.
const URL: &str = "LOCKGATE_TEST_URL";

fn file(authority: &Authority) -> NamedTempFile {
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(authority.pem().as_bytes()).unwrap();
    file
}

fn trusting(url: &str, ca: &Path) -> Config {
    Config { ca: Some(ca.into()), ..system(url) }
}

fn url(server: &Server) -> String {
    format!("https://localhost:{}", server.port())
}

#[tokio::test]
async fn a_server_is_trusted_by_the_endpoints_own_authority_and_by_no_other() {
    let (authority, other) = (Authority::new(), Authority::new());
    let server = Server::start_tls(&authority, |_| Reply::new(200, "")).await;
    let (ca, other) = (file(&authority), file(&other));
    let trusts = client([("e", trusting(&url(&server), ca.path()))]);
    assert_eq!(send(&trusts, get("/")).await.unwrap().status, 200);
    for config in [system(&url(&server)), trusting(&url(&server), other.path())] {
        let error = failure(&client([("e", config)]), "/x?y=z").await;
        assert!(matches!(&error, EgressError::Connect(text) if text.contains("certificate")), "{error}");
    }
}

#[tokio::test]
async fn a_server_with_another_name_is_not_trusted() {
    let authority = Authority::new();
    let server = Server::start_tls(&authority, |_| Reply::new(200, "")).await;
    let ca = file(&authority);
    let url = format!("https://127.0.0.1:{}", server.port());
    let error = failure(&client([("e", trusting(&url, ca.path()))]), "/").await;
    assert!(matches!(error, EgressError::Connect(_)), "{error}");
}

#[tokio::test]
async fn a_redirect_from_https_to_http_is_denied_unless_an_entry_names_http() {
    let plain = Server::start(|_| Reply::new(200, "")).await;
    let to = plain.url("/");
    let authority = Authority::new();
    let secure = Server::start_tls(&authority, move |_| Reply::redirect(302, &to)).await;
    let ca = file(&authority);
    let entries = |plain: String| vec![format!("localhost:{}", secure.port()), plain];
    for (entry, follows) in [(format!("127.0.0.1:{}", plain.port()), false), (plain.url(""), true)] {
        let config = Config { allow: entries(entry.clone()), ca: Some(ca.path().into()), ..loopback() };
        let answer = send(&client([("e", config)]), get(&url(&secure))).await;
        assert_eq!(answer.is_ok(), follows, "{entry}");
        assert_eq!(plain.targets().len(), usize::from(follows), "{entry}");
    }
}

#[tokio::test]
async fn ssl_cert_file_is_trusted() {
    // Only a process of its own can have an environment of its own.
    if let Ok(url) = std::env::var(URL) {
        assert_eq!(send(&client([("e", system(&url))]), get("/")).await.unwrap().status, 200);
        return;
    }
    let authority = Authority::new();
    let server = Server::start_tls(&authority, |_| Reply::new(200, "")).await;
    let ca = file(&authority);
    for (cert_file, trusted) in [(ca.path(), true), (Path::new("/nowhere/ca.pem"), false)] {
        let status = tokio::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "egress::tls_tests::ssl_cert_file_is_trusted"])
            .env(URL, url(&server))
            .env("SSL_CERT_FILE", cert_file)
            .output()
            .await
            .unwrap()
            .status;
        assert_eq!(status.success(), trusted, "{cert_file:?}");
    }
    assert_eq!(server.targets(), ["/"]);
}
