//! Blobs in a real Azure store: the emulator. Tests here are named for it, so that they can be left out without Node.

use std::collections::BTreeMap;
use std::sync::Arc;

use e2e::simulators::content::hex;
use e2e::support::azurite::{ACCOUNT, Azurite, KEY};
use futures::TryStreamExt;
use lockgate::model::{Secret, SecretRef, Secrets};
use lockgate::storage::config::{AzureAuth, Config};
use lockgate::storage::{self, BlobPath, BlobStore, StoreError, contract};
use sha2::{Digest, Sha256};

use crate::claims::Claims;

fn secrets() -> Secrets {
    Secrets(BTreeMap::from([("azurite".to_owned(), Secret::new(KEY))]))
}

/// A container of its own.
async fn container(azurite: &Azurite, name: &str) -> Arc<dyn BlobStore> {
    let config = Config::Azure {
        account: ACCOUNT.to_owned(),
        container: name.to_owned(),
        prefix: None,
        endpoint: Some(azurite.endpoint.clone()),
        auth: AzureAuth::Key(SecretRef("azurite".to_owned())),
    };
    contract::create_container(&config, &secrets()).await.unwrap();
    storage::open(name, &config, &secrets()).unwrap()
}

#[tokio::test]
async fn a_container_keeps_the_contract_of_stores() {
    let azurite = Azurite::start().await.unwrap();
    contract::run(&container(&azurite, "contract").await).await;
}

#[tokio::test]
async fn the_claims_pipelines_fill_a_lake_in_azure() {
    let azurite = Azurite::start().await.unwrap();
    let lake = container(&azurite, "lake").await;
    let claims = Claims::new().await;
    let mut demo = claims.demo().await;
    let overlay = format!(
        "secrets: {{ azurite: {{ env: LAKE_KEY }} }}\nstores: {{ lake: {{ azure: {{ account: {ACCOUNT}, \
         container: lake, endpoint: \"{}\", auth: {{ key: \"${{secrets.azurite}}\" }} }} }} }}\n",
        azurite.endpoint
    );
    let file = demo.folder().join("azure.yaml");
    std::fs::write(&file, overlay).unwrap();
    demo.lockgate.specs.push(file);
    demo.lockgate.environment.insert("LAKE_KEY".into(), KEY.into());
    demo.lockgate.run_until_idle().await.unwrap();

    let mut stored = BTreeMap::new();
    for task in &demo.tasks {
        stored.extend(hash(&*lake, &task.path).await.map(|hash| (task.path.clone(), hash)));
    }
    assert_eq!(demo.differences_with(stored).await.unwrap(), [""; 0]);
    assert!(!demo.folder().join("lake").exists(), "the lake is in Azure");
}

async fn hash(store: &dyn BlobStore, path: &str) -> Option<String> {
    let body = match store.open(&BlobPath::parse(path).unwrap()).await {
        Ok((_, body)) => body,
        Err(StoreError::NotFound(_)) => return None,
        Err(error) => panic!("{path}: {error}"),
    };
    let chunks: Vec<_> = body.try_collect().await.unwrap();
    Some(hex(&chunks.iter().fold(Sha256::new(), |hash, chunk| hash.chain_update(chunk)).finalize()))
}
