//! What can be known without Azure: configuration, and what its answers mean.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri};
use bytes::Bytes;
use futures::{StreamExt, stream};
use object_store::azure::{AzureAccessKey, AzureCredential};
use sha2::Digest;

use super::Azure;
use crate::model::{Progress, Secret, SecretRef, Secrets};
use crate::storage::config::{AzureAuth, Config};
use crate::storage::{self, BlobPath, BlobStore, PutOptions, SetupError, StoreError, Stored};

/// The key that the emulator publishes.
pub(super) const EMULATOR_KEY: &str =
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

pub(super) fn secrets(value: &str) -> Secrets {
    Secrets(BTreeMap::from([("s".to_owned(), Secret::new(value))]))
}

pub(super) fn config(endpoint: Option<&str>, auth: AzureAuth) -> Config {
    Config::Azure {
        account: "devstoreaccount1".to_owned(),
        container: "lake".to_owned(),
        prefix: Some("some/prefix".to_owned()),
        endpoint: endpoint.map(str::to_owned),
        auth,
    }
}

pub(super) fn key() -> AzureAuth {
    AzureAuth::Key(SecretRef("s".to_owned()))
}

pub(super) fn sas() -> AzureAuth {
    AzureAuth::Sas(SecretRef("s".to_owned()))
}

pub(super) fn path(text: &str) -> BlobPath {
    BlobPath::parse(text).unwrap()
}

pub(super) async fn put(store: &Azure, at: &BlobPath, body: Bytes) -> Result<Stored, StoreError> {
    put_with(store, at, body, &PutOptions::default()).await
}

async fn put_with(store: &Azure, at: &BlobPath, body: Bytes, options: &PutOptions) -> Result<Stored, StoreError> {
    store.put(at, stream::iter([Ok(body)]).boxed(), options, &Progress::new()).await
}

/// One answer: status and headers.
type Reply = (u16, Vec<(&'static str, String)>);

/// A store in front of an account that answers as it is told, and what it was asked.
struct Scripted {
    store: Azure,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Scripted {
    async fn start(
        auth: AzureAuth,
        secret: &str,
        reply: impl Fn(&str, &HeaderMap) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (seen, reply) = (Arc::clone(&asked), Arc::new(reply));
        let answer = move |method: Method, uri: Uri, headers: HeaderMap, _: axum::body::Bytes| async move {
            let kind = kind(&method, &uri, &headers);
            seen.lock().unwrap().push(kind.clone());
            let (status, headers) = reply(&kind, &headers);
            let headers = headers
                .into_iter()
                .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_str(&value).unwrap()));
            (StatusCode::from_u16(status).unwrap(), HeaderMap::from_iter(headers))
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}/devstoreaccount1", listener.local_addr().unwrap());
        tokio::spawn(async move {
            axum::serve(listener, Router::new().fallback(answer).layer(DefaultBodyLimit::disable())).await
        });
        let store = Azure::open("lake", &config(Some(&endpoint), auth), &secrets(secret), |_: &str| None).unwrap();
        Self { store, asked }
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

/// What a request is for, in a word or two.
fn kind(method: &Method, uri: &Uri, headers: &HeaderMap) -> String {
    let query = uri.query().unwrap_or_default();
    let comp = query.split('&').find_map(|pair| pair.strip_prefix("comp="));
    match comp {
        Some(comp) => format!("{method} {comp}"),
        None if headers.contains_key("x-ms-copy-source") => "COPY".to_owned(),
        None => method.to_string(),
    }
}

fn coded(status: u16, code: &str) -> Reply {
    (status, vec![("x-ms-error-code", code.to_owned())])
}

fn found(size: usize, sha256: &str) -> Reply {
    let modified = "Mon, 02 Mar 2026 14:05:11 GMT".to_owned();
    let headers = [("content-length", size.to_string()), ("last-modified", modified), ("etag", "\"1\"".to_owned())];
    (200, headers.into_iter().chain([("x-ms-meta-sha256", sha256.to_owned())]).collect())
}

#[tokio::test]
async fn a_refused_credential_is_said_so_without_the_secret() {
    let answer = |_: &str, _: &HeaderMap| coded(403, "AuthorizationPermissionMismatch");
    let scripted = Scripted::start(sas(), "https://a/?sv=2023&sp=r&sig=topsecret", answer).await;
    let at = path("x");
    for error in [
        scripted.store.stat(&at, &Progress::new()).await.unwrap_err(),
        scripted.store.delete(&at).await.unwrap_err(),
        put(&scripted.store, &at, Bytes::from_static(b"x")).await.unwrap_err(),
        put(&scripted.store, &at, Bytes::from(vec![0; 9 << 20])).await.unwrap_err(),
    ] {
        let text = error.to_string();
        assert!(matches!(error, StoreError::Unavailable(_)), "{text}");
        assert!(text.contains("credential was refused") && text.contains("AuthorizationPermissionMismatch"), "{text}");
        assert!(!text.contains("topsecret"), "{text}");
    }
}

#[tokio::test]
async fn what_azure_answers_decides_whose_fault_it_is() {
    type Is = fn(&StoreError) -> bool;
    let unavailable: Is = |error| matches!(error, StoreError::Unavailable(_));
    let not_found: Is = |error| matches!(error, StoreError::NotFound(_));
    let other: Is = |error| matches!(error, StoreError::Other(_));
    let cases = [
        (coded(404, "BlobNotFound"), not_found),
        (coded(404, "ContainerNotFound"), unavailable),
        ((404, vec![]), unavailable),
        ((400, vec![]), unavailable),
        (coded(401, "InvalidAuthenticationInfo"), unavailable),
        (coded(400, "InvalidUri"), other),
        (coded(409, "BlobArchived"), other),
        (coded(412, "LeaseIdMissing"), other),
        (coded(409, "ContainerBeingDeleted"), unavailable),
    ];
    for (reply, is) in cases {
        let told = reply.clone();
        let scripted = Scripted::start(key(), EMULATOR_KEY, move |_: &str, _: &HeaderMap| reply.clone()).await;
        let error = scripted.store.stat(&path("x"), &Progress::new()).await.unwrap_err();
        assert!(is(&error), "{told:?} became {error:?}");
        assert_eq!(scripted.asked(), ["HEAD"], "{told:?} was tried again");
        if let Err(error) = scripted.store.delete(&path("x")).await {
            assert!(is(&error), "{told:?} became {error:?}");
        } else {
            assert_eq!(told, coded(404, "BlobNotFound"));
        }
    }
}

#[tokio::test]
async fn a_busy_account_is_tried_again_and_then_unavailable() {
    let busy = |_: &str, _: &HeaderMap| coded(503, "ServerBusy");
    let scripted = Scripted::start(sas(), "sv=2023&sig=topsecret", busy).await;
    let error = scripted.store.stat(&path("x"), &Progress::new()).await.unwrap_err();
    assert!(matches!(&error, StoreError::Unavailable(text) if text.contains("503")), "{error}");
    assert!(!error.to_string().contains("topsecret"), "{error}");
    assert_eq!(scripted.asked().len(), 4);
}

#[tokio::test]
async fn an_account_that_is_not_there_is_unavailable() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let store = Azure::open("lake", &config(Some(&endpoint), key()), &secrets(EMULATOR_KEY), |_: &str| None).unwrap();
    let error = store.stat(&path("x"), &Progress::new()).await.unwrap_err();
    assert!(matches!(&error, StoreError::Unavailable(text) if text.contains("no connection")), "{error}");
}

#[tokio::test]
async fn a_copy_that_the_service_finishes_later_is_waited_for() {
    let looks = AtomicUsize::new(0);
    let body = Bytes::from(vec![9; 9 << 20]);
    let sha256 = format!("{:x}", sha2::Sha256::digest(&body));
    let (size, hash) = (body.len(), sha256.clone());
    let scripted = Scripted::start(key(), EMULATOR_KEY, move |kind: &str, _: &HeaderMap| match kind {
        "HEAD" => match looks.fetch_add(1, Ordering::SeqCst) {
            0 | 1 => found(0, &hash),
            _ => found(size, &hash),
        },
        "COPY" => (202, vec![("x-ms-copy-status", "pending".to_owned())]),
        "PUT blocklist" => (201, vec![("etag", "\"1\"".to_owned())]),
        _ => (201, vec![]),
    })
    .await;
    let stored = put(&scripted.store, &path("x"), body).await.unwrap();
    assert_eq!((stored.size, stored.sha256), (size as u64, sha256));
    let asked = scripted.asked();
    let (parts, after): (Vec<_>, Vec<_>) = asked.iter().skip(2).partition(|kind| *kind == "PUT block");
    assert_eq!((&asked[..2], parts.len()), (&["GET list".to_owned(), "GET list".to_owned()][..], 3));
    assert_eq!(after, ["PUT blocklist", "PUT metadata", "COPY", "HEAD", "HEAD", "HEAD", "DELETE"]);
}

#[tokio::test]
async fn a_copy_under_way_is_no_blob_to_a_reader() {
    let hash = "ab".repeat(32);
    let scripted = Scripted::start(key(), EMULATOR_KEY, move |_: &str, _: &HeaderMap| found(0, &hash)).await;
    assert_eq!(scripted.store.stat(&path("x"), &Progress::new()).await, Err(StoreError::NotFound(path("x"))));
    assert!(scripted.store.open(&path("x")).await.is_err());
}

#[tokio::test]
async fn a_media_type_that_no_header_can_carry_is_left_out() {
    const NONE: &str = "application/octet-stream";
    for (text, kept) in [("text/plain; a=b", "text/plain; a=b"), ("text/plain\r\nx: y", NONE), ("größe/x", NONE)] {
        let told = kept.to_owned();
        let scripted = Scripted::start(key(), EMULATOR_KEY, move |_: &str, headers: &HeaderMap| {
            let sent = headers.get("x-ms-blob-content-type").map(|value| value.as_bytes());
            assert_eq!(sent, Some(told.as_bytes()));
            (201, vec![("etag", "\"1\"".to_owned())])
        })
        .await;
        let options = PutOptions { content_type: Some(text.to_owned()), ..PutOptions::default() };
        let stored = put_with(&scripted.store, &path("x"), Bytes::from_static(b"x"), &options).await.unwrap();
        assert_eq!(stored.content_type.as_deref(), Some(kept));
    }
}

#[test]
fn a_configuration_that_cannot_work_names_its_field_and_no_secret() {
    let open = |config: &Config, secret: &str| match storage::open("lake", config, &secrets(secret)) {
        Ok(_) => panic!("{config:?} was taken"),
        Err(error) => error,
    };
    let undeclared = open(&config(None, AzureAuth::Key(SecretRef("gone".to_owned()))), "x");
    assert_eq!(undeclared, SetupError::Secret { store: "lake".to_owned(), secret: "gone".to_owned() });
    let with = |change: fn(&mut String, &mut String, &mut Option<String>)| {
        let mut config = config(None, key());
        if let Config::Azure { account, container, prefix, .. } = &mut config {
            change(account, container, prefix);
        }
        config
    };
    let cases = [
        ("auth", config(None, key())),
        ("auth", config(None, sas())),
        ("endpoint", config(Some("http://localhost:10000/acc"), AzureAuth::ManagedIdentity {})),
        ("endpoint", config(Some("https://a.example/?sig=topsecret!"), key())),
        ("endpoint", config(Some("https://user:topsecret!@a.example/"), key())),
        ("endpoint", config(Some("ftp://a.example/"), key())),
        ("endpoint", config(Some("a.example"), key())),
        ("account", with(|account, _, _| *account = "evil.example/".to_owned())),
        ("container", with(|_, container, _| *container = "a/b".to_owned())),
        ("container", with(|_, container, _| *container = "$root".to_owned())),
        ("prefix", with(|_, _, prefix| *prefix = Some("p".repeat(128)))),
        ("prefix", with(|_, _, prefix| *prefix = Some(vec!["p"; 14].join("/")))),
        ("prefix", with(|_, _, prefix| *prefix = Some("a/../b".to_owned()))),
        ("prefix", with(|_, _, prefix| *prefix = Some(".lockgate".to_owned()))),
    ];
    for (field, config) in cases {
        let error = open(&config, "topsecret!");
        assert!(matches!(&error, SetupError::Invalid { field: at, .. } if *at == field), "{config:?}: {error}");
        assert!(!format!("{error} {error:?} {}", error.help()).contains("topsecret"), "{error}");
    }
}

#[test]
fn an_identity_is_taken_from_where_its_environment_says() {
    let open = |variables: &'static [(&str, &str)]| {
        let environment =
            move |key: &str| variables.iter().find(|(name, _)| *name == key).map(|(_, value)| (*value).to_owned());
        Azure::open("lake", &config(None, AzureAuth::ManagedIdentity {}), &Secrets::default(), environment)
    };
    const WORKLOAD: &[(&str, &str)] =
        &[("AZURE_FEDERATED_TOKEN_FILE", "/t"), ("AZURE_CLIENT_ID", "c"), ("AZURE_TENANT_ID", "t")];
    let credentials = |store: Azure| format!("{:?}", store.objects.credentials());
    assert!(credentials(open(WORKLOAD).unwrap()).contains("Workload"));
    assert!(credentials(open(&[]).unwrap()).contains("Imds"));
    assert!(matches!(open(&WORKLOAD[..2]), Err(SetupError::Invalid { field: "auth", .. })));
}

#[tokio::test]
async fn a_secret_in_a_file_signs_with_what_the_file_holds_now() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("secret");
    let signature = |sig: &str| AzureCredential::SASToken(vec![("sv".into(), "1".into()), ("sig".into(), sig.into())]);
    let key = |text: &str| AzureCredential::AccessKey(AzureAccessKey::try_new(text).unwrap());
    for (auth, first, then, unfit) in [
        (sas(), ("https://a/?sv=1&sig=one\n", signature("one")), ("sv=1&sig=second", signature("second")), "sv=1"),
        (self::key(), ("b25l\n", key("b25l")), ("c2Vjb25k", key("c2Vjb25k")), "no base64"),
    ] {
        std::fs::write(&file, first.0).unwrap();
        let secrets = Secrets(BTreeMap::from([("s".to_owned(), Secret::in_file("s", &file).unwrap())]));
        let store = Azure::open("lake", &config(None, auth), &secrets, |_: &str| None).unwrap();
        let all = [store.objects.credentials(), &store.requests.credentials];
        for (content, expected) in [(first.0, &first.1), (then.0, &then.1), (unfit, &then.1)] {
            std::fs::write(&file, content).unwrap();
            for signs in all {
                assert_eq!(&*signs.get_credential().await.unwrap(), expected);
            }
        }
    }
}
