//! What signs requests to an account when the spec names a secret: its key or a shared access signature, made anew when
//! the secret changes. Identities renew their tokens by themselves and need nothing of this.

use std::sync::Arc;

use async_trait::async_trait;
use object_store::CredentialProvider;
use object_store::azure::{AzureAccessKey, AzureCredential, AzureCredentialProvider, split_sas};

use crate::model::{Made, Secret};

/// Why a secret signs nothing.
pub(super) type Unfit = &'static str;

const NO_KEY: Unfit = "is no key of an account: it must be base64";
const NO_SIGNATURE: Unfit = "is no shared access signature: it must read `sv=…&sig=…`";

/// Signs with what the secret holds when a request is made.
#[derive(Debug)]
struct Current(Made<Arc<AzureCredential>, Unfit>);

#[async_trait]
impl CredentialProvider for Current {
    type Credential = AzureCredential;

    async fn get_credential(&self) -> object_store::Result<Arc<AzureCredential>> {
        Ok(self.0.get())
    }
}

/// Signs with an account's key.
pub(super) fn key(name: &str, secret: &Secret) -> Result<AzureCredentialProvider, Unfit> {
    provider(name, secret, |text| Ok(AzureCredential::AccessKey(AzureAccessKey::try_new(text).map_err(|_| NO_KEY)?)))
}

/// Signs with a shared access signature.
pub(super) fn signature(name: &str, secret: &Secret) -> Result<AzureCredentialProvider, Unfit> {
    provider(name, secret, |text| {
        // It is handed out as a URL as often as alone.
        let query = text.rsplit_once('?').map_or(text, |(_, query)| query);
        let pairs = split_sas(query).ok().filter(|pairs| pairs.iter().any(|(key, _)| key == "sig"));
        Ok(AzureCredential::SASToken(pairs.ok_or(NO_SIGNATURE)?))
    })
}

fn provider(
    name: &str,
    secret: &Secret,
    credential: fn(&str) -> Result<AzureCredential, Unfit>,
) -> Result<AzureCredentialProvider, Unfit> {
    let made = Made::new(name, secret, move |text| credential(text.trim()).map(Arc::new))?;
    Ok(Arc::new(Current(made)))
}
