//! The shape of `stores:` in the spec.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::SecretRef;

/// One store.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Config {
    /// A folder on this machine.
    Directory {
        /// Made where missing. Relative to the working directory.
        path: PathBuf,
    },
    /// In this process only; for trials and tests.
    Memory {},
    /// A container of Azure Blob Storage.
    Azure {
        /// The storage account.
        account: String,
        /// The container. It must exist.
        container: String,
        /// A folder within the container that every path is below.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        prefix: Option<String>,
        /// Where the account answers, where that is not Azure's public cloud: scheme, host, port and, for an emulator,
        /// the account as path, such as `http://127.0.0.1:10000/devstoreaccount1`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        endpoint: Option<String>,
        /// How to sign in.
        auth: AzureAuth,
    },
}

impl Config {
    /// The secret that it names.
    pub fn secret(&self) -> Option<&SecretRef> {
        match self {
            Self::Azure { auth: AzureAuth::Key(secret) | AzureAuth::Sas(secret), .. } => Some(secret),
            Self::Azure { auth: AzureAuth::ManagedIdentity {}, .. } | Self::Directory { .. } | Self::Memory {} => None,
        }
    }
}

/// How to sign in to a storage account.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum AzureAuth {
    /// The account's key.
    Key(SecretRef),
    /// A shared access signature of the container or the account, with the rights to read, write, create, delete and
    /// list.
    Sas(SecretRef),
    /// The machine's managed identity, or workload identity in Kubernetes.
    ManagedIdentity {},
}
