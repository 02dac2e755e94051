//! The calls as a server sees them that plays each of those that are asked.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::to_bytes;
use axum::extract::Request;
use axum::http::StatusCode;

use super::*;

const NOW: Timestamp = Timestamp(1_700_000_000_000);

/// What was asked: the line with its query, the headers that matter, the body.
type Asked = Arc<Mutex<Vec<String>>>;

async fn server(status: u16, answer: &'static str) -> (String, Asked) {
    let asked = Asked::default();
    let seen = asked.clone();
    let service = Router::new().fallback(move |request: Request| async move {
        let (parts, body) = request.into_parts();
        let header = ["metadata", "x-identity-header"].into_iter().find_map(|name| parts.headers.get(name));
        let header = header.map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default();
        let body = String::from_utf8(to_bytes(body, 1 << 16).await.unwrap().to_vec()).unwrap();
        seen.lock().unwrap().push(format!("{} {} {header} {body}", parts.method, parts.uri));
        (StatusCode::from_u16(status).unwrap(), answer)
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, service).await });
    (url, asked)
}

fn http() -> Client {
    Client::builder().no_proxy().tls_certs_only([]).build().unwrap()
}

fn clock() -> Clock {
    Clock::from_fn(|| NOW)
}

fn no_environment(_: &str) -> Option<String> {
    None
}

#[tokio::test]
async fn an_application_shows_its_secret() {
    let (url, asked) = server(200, r#"{"access_token":"T","expires_in":3600}"#).await;
    let config = ClientSecret {
        tenant_id: "t-1".into(),
        client_id: "c".into(),
        secret: SecretRef("s".into()),
        authority: Some(url),
    };
    let secrets = Secrets([("s".to_owned(), Secret::new("a b"))].into());
    let token = Identity::application(&config, http(), &secrets).unwrap().token(&clock()).await.unwrap();
    assert_eq!((token.text(), token.kind(), token.expires()), ("T", Kind::Jwt, NOW.after(Duration::from_secs(3600))));
    let expected = "POST /t-1/oauth2/v2.0/token  grant_type=client_credentials&client_id=c&\
                    scope=https%3A%2F%2Feventhubs.azure.net%2F.default&client_secret=a+b";
    assert_eq!(*asked.lock().unwrap(), [expected]);
}

#[tokio::test]
async fn a_workload_shows_what_its_file_holds_now() {
    let (url, asked) = server(200, r#"{"access_token":"T","expires_in":"60"}"#).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token").display().to_string();
    let (at, path) = (file.clone(), url.clone());
    let env = move |name: &str| match name {
        "AZURE_TENANT_ID" => Some("t".to_owned()),
        "AZURE_CLIENT_ID" => Some("c".to_owned()),
        "AZURE_FEDERATED_TOKEN_FILE" => Some(at.clone()),
        "AZURE_AUTHORITY_HOST" => Some(format!("{path}/")),
        _ => None,
    };
    let identity = Identity::workload(&WorkloadIdentity::default(), http(), env).unwrap();
    assert!(identity.token(&clock()).await.unwrap_err().to_string().contains("cannot be read"));
    for proof in ["one", "two"] {
        std::fs::write(&file, format!("{proof}\n")).unwrap();
        identity.token(&clock()).await.unwrap();
        let asked = asked.lock().unwrap().pop().unwrap();
        assert!(asked.ends_with(&format!("jwt-bearer&client_assertion={proof}")), "{asked}");
    }
}

#[tokio::test]
async fn an_app_shows_its_header() {
    let (url, asked) = server(200, r#"{"access_token":"T","expires_on":"1700000060"}"#).await;
    let env = move |name: &str| match name {
        "IDENTITY_ENDPOINT" => Some(format!("{url}/msi/token")),
        "IDENTITY_HEADER" => Some("H".to_owned()),
        _ => None,
    };
    let config = ManagedIdentity { client_id: Some("c".into()) };
    let token = Identity::managed(&config, http(), env).unwrap().token(&clock()).await.unwrap();
    assert_eq!(token.expires(), Timestamp(1_700_000_060_000));
    let expected = "GET /msi/token?api-version=2019-08-01&resource=https%3A%2F%2Feventhubs.azure.net&client_id=c H ";
    assert_eq!(*asked.lock().unwrap(), [expected]);
}

#[tokio::test]
async fn a_machine_asks_its_own_address() {
    let identity = Identity::managed(&ManagedIdentity::default(), http(), no_environment).unwrap();
    let (request, _) = identity.request().await.unwrap();
    let request = request.build().unwrap();
    let expected = "http://169.254.169.254/metadata/identity/oauth2/token?api-version=2018-02-01&\
                    resource=https%3A%2F%2Feventhubs.azure.net";
    assert_eq!((request.url().as_str(), request.headers()["Metadata"].to_str().unwrap()), (expected, "true"));
}

#[tokio::test]
async fn a_refusal_is_told_in_one_line_and_without_the_secret() {
    let answer = r#"{"error":"invalid_client","error_description":"AADSTS7000215: Invalid secret SENTINEL.\r\nTrace"}"#;
    let (url, _) = server(401, answer).await;
    let config = ClientSecret {
        tenant_id: "t".into(),
        client_id: "c".into(),
        secret: SecretRef("s".into()),
        authority: Some(url),
    };
    let secrets = Secrets([("s".to_owned(), Secret::new("SENTINEL"))].into());
    let failure = Identity::application(&config, http(), &secrets).unwrap().token(&clock()).await.unwrap_err();
    let text = failure.to_string();
    assert!(matches!(failure, Failure::Unauthorized(_)), "{text}");
    assert!(text.contains("no token is given (401): invalid_client AADSTS7000215: Invalid secret"), "{text}");
    assert!(!text.contains("SENTINEL") && !text.contains("Trace"), "{text}");
}

#[tokio::test]
async fn what_is_no_token_and_a_busy_service_are_tried_again() {
    for (status, answer) in [(200, "nonsense"), (503, "{}"), (429, "")] {
        let (url, _) = server(status, answer).await;
        let env = move |name: &str| (name != "AZURE_CLIENT_ID").then(|| url.clone());
        let identity = Identity::managed(&ManagedIdentity::default(), http(), env).unwrap();
        let failure = identity.token(&clock()).await.unwrap_err();
        assert!(failure.is_transient(), "{failure}");
    }
}

#[test]
fn what_is_missing_or_unfit_is_named() {
    let error = Identity::workload(&WorkloadIdentity::default(), http(), no_environment).err().unwrap();
    assert!(error.contains("AZURE_TENANT_ID"), "{error}");
    for (authority, tenant) in
        [(Some("http://login.example"), "t"), (Some("nonsense"), "t"), (None, "t/../x"), (None, "")]
    {
        assert!(token_url(authority, tenant).is_err(), "{authority:?} {tenant}");
    }
    let public = token_url(None, "t.onmicrosoft.com").unwrap();
    assert_eq!(public.as_str(), "https://login.microsoftonline.com/t.onmicrosoft.com/oauth2/v2.0/token");
}
