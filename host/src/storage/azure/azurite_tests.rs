//! What only a real emulator tells: the contract with a key and with a signature, and what killed uploads left. Ignored
//! where none runs. `cargo xtask test` starts one, names its blob endpoint in `LOCKGATE_AZURITE` and runs them.

use std::collections::BTreeSet;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures::StreamExt;
use object_store::ObjectStore;
use sha2::{Digest, Sha256};
use url::form_urlencoded::Serializer;

use super::Azure;
use super::tests::{EMULATOR_KEY, config, key, path, put, sas, secrets};
use crate::model::{Clock, Progress, Secrets, Timestamp};
use crate::storage::config::{AzureAuth, Config};
use crate::storage::contract::{self, create_container};
use crate::storage::{self, BlobStore, StoreError, conditional};

/// Bytes of a block of SHA-256.
const BLOCK: usize = 64;

/// A container of the emulator's.
pub(super) struct Container {
    pub(super) config: Config,
    pub(super) secrets: Secrets,
}

impl Container {
    /// One of its own.
    pub(super) async fn new() -> Self {
        let named = Self::named(format!("t{:016x}", rand::random::<u64>()));
        create_container(&named.config, &named.secrets).await.unwrap();
        named
    }

    fn named(name: String) -> Self {
        let endpoint = std::env::var("LOCKGATE_AZURITE").expect("LOCKGATE_AZURITE names no emulator");
        let mut config = config(Some(&endpoint), key());
        if let Config::Azure { container, .. } = &mut config {
            *container = name;
        }
        Self { config, secrets: secrets(EMULATOR_KEY) }
    }

    fn signed_in(mut self, with: AzureAuth, secret: &str) -> Self {
        if let Config::Azure { auth, .. } = &mut self.config {
            *auth = with;
        }
        Self { secrets: secrets(secret), ..self }
    }

    pub(super) fn store(&self) -> Azure {
        Azure::open("lake", &self.config, &self.secrets, |_: &str| None).unwrap()
    }

    fn shared(&self) -> Arc<dyn BlobStore> {
        storage::open("lake", &self.config, &self.secrets).unwrap()
    }
}

/// A shared access signature of the account, as its owner makes one.
fn signature() -> String {
    let (rights, expiry, protocols, version) = ("rwdlc", "2099-12-31T00:00:00Z", "https,http", "2020-12-06");
    let signed = format!("devstoreaccount1\n{rights}\nb\nco\n\n{expiry}\n\n{protocols}\n{version}\n\n");
    let mut pairs = Serializer::new(String::new());
    for (name, value) in [("sv", version), ("ss", "b"), ("srt", "co"), ("sp", rights), ("se", expiry)] {
        pairs.append_pair(name, value);
    }
    pairs.append_pair("spr", protocols);
    pairs.append_pair("sig", &STANDARD.encode(hmac(&STANDARD.decode(EMULATOR_KEY).unwrap(), signed.as_bytes())));
    pairs.finish()
}

/// HMAC-SHA256 with a key of at most a block.
fn hmac(key: &[u8], text: &[u8]) -> Vec<u8> {
    let padded = |pad: u8| -> Vec<u8> { (0..BLOCK).map(|at| key.get(at).unwrap_or(&0) ^ pad).collect() };
    let inner = Sha256::new().chain_update(padded(0x36)).chain_update(text).finalize();
    Sha256::new().chain_update(padded(0x5c)).chain_update(inner).finalize().to_vec()
}

#[tokio::test]
#[ignore = "needs the blob emulator, which `cargo xtask test` starts"]
async fn a_key_keeps_the_contract() {
    let container = Container::new().await;
    contract::run_on_two(&container.shared(), &container.shared()).await;
}

#[tokio::test]
#[ignore = "needs the blob emulator, which `cargo xtask test` starts"]
async fn a_name_of_a_message_is_the_blobs_name_below_the_prefix() {
    let container = Container::new().await;
    let put = contract::names::put_all(&container.shared()).await;
    let store = container.store();
    let lie = store.objects.list(None).map(|found| found.unwrap().location.to_string()).collect::<BTreeSet<_>>().await;
    assert_eq!(put.iter().map(|path| format!("some/prefix/{path}")).collect::<BTreeSet<_>>(), lie);
}

#[tokio::test]
#[ignore = "needs the blob emulator, which `cargo xtask test` starts"]
async fn a_signature_keeps_the_contract() {
    contract::run(&Container::new().await.signed_in(sas(), &signature()).shared()).await;
}

#[tokio::test]
#[ignore = "needs the blob emulator, which `cargo xtask test` starts"]
async fn entries_keep_the_contract() {
    let container = Container::new().await;
    let open = || conditional::open("lake", &container.config, &container.secrets, &Clock::system()).unwrap();
    conditional::contract::run(&open(), &open()).await;
}

#[tokio::test]
#[ignore = "needs the blob emulator, which `cargo xtask test` starts"]
async fn entries_of_a_missing_container_are_the_store_s_fault() {
    let container = Container::named("nowhere".to_owned());
    let entries = conditional::open("lake", &container.config, &container.secrets, &Clock::system()).unwrap();
    let put = entries.put("x", &conditional::Fields::new(), None).await.map(drop);
    for error in [entries.list("x").await.map(drop), entries.read("x").await.map(drop), put].map(Result::unwrap_err) {
        let tells =
            matches!(&error, conditional::Failure::Unavailable(text) if text.contains("container does not exist"));
        assert!(tells, "{error}");
    }
}

#[tokio::test]
#[ignore = "needs the blob emulator, which `cargo xtask test` starts"]
async fn uploads_leave_nothing_and_what_killed_ones_left_is_cleared() {
    let store = Container::new().await.store();
    let hidden = store.place(".lockgate").unwrap();
    let left = async || store.objects.list(Some(&hidden)).count().await;
    put(&store, &path("large"), Bytes::from(vec![7; 9 << 20])).await.unwrap();
    assert_eq!(left().await, 0);
    let upload = store.place(".lockgate/left").unwrap();
    store.objects.put_opts(&upload, Bytes::from_static(b"half").into(), Default::default()).await.unwrap();
    put(&store, &path("x"), Bytes::from_static(b"x")).await.unwrap();
    let now = Clock::system().wall();
    store.sweep(now).await;
    assert_eq!(left().await, 1, "another process may still need it");
    store.sweep(Timestamp(now.0 + 25 * 60 * 60 * 1000)).await;
    assert_eq!(left().await, 0);
    assert_eq!(store.stat(&path("x"), &Progress::new()).await.unwrap().size, 1);
}

#[tokio::test]
#[ignore = "needs the blob emulator, which `cargo xtask test` starts"]
async fn a_blob_of_another_tool_is_read_to_know_it() {
    let store = Container::new().await.store();
    let body = Bytes::from(vec![7; 9 << 20]);
    let at = path("from/another/tool");
    store.objects.put_opts(&store.place(at.as_str()).unwrap(), body.clone().into(), Default::default()).await.unwrap();
    let stored = put(&store, &at, body).await.unwrap();
    assert_eq!(store.stat(&at, &Progress::new()).await.unwrap(), stored);
    let conflict = put(&store, &at, Bytes::from_static(b"other")).await;
    assert_eq!(conflict, Err(StoreError::Conflict { path: at, stored }));
}

#[tokio::test]
#[ignore = "needs the blob emulator, which `cargo xtask test` starts"]
async fn a_missing_container_is_no_missing_blob() {
    let store = Container::named("nowhere".to_owned()).store();
    for error in [
        store.stat(&path("x"), &Progress::new()).await.unwrap_err(),
        store.delete(&path("x")).await.unwrap_err(),
        put(&store, &path("x"), Bytes::from_static(b"x")).await.unwrap_err(),
        put(&store, &path("x"), Bytes::from(vec![0; 9 << 20])).await.unwrap_err(),
    ] {
        assert!(
            matches!(&error, StoreError::Unavailable(text) if text.contains("container does not exist")),
            "{error}"
        );
    }
}

#[tokio::test]
#[ignore = "needs the blob emulator, which `cargo xtask test` starts"]
async fn a_refused_key_is_the_store_s_fault() {
    let store = Container::new().await.signed_in(key(), "bm90IHRoZSBrZXk=").store();
    let error = store.stat(&path("x"), &Progress::new()).await.unwrap_err();
    assert!(matches!(&error, StoreError::Unavailable(text) if text.contains("credential was refused")), "{error}");
}
