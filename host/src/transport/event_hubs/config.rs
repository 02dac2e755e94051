//! The shape of `event_hubs:` in the spec. Read and checked by every build, also by one without the client.

use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::SecretRef;

/// How often a host looks at the others where `poll` says nothing: each look is a call to the store.
pub const POLL: Duration = Duration::from_secs(5);
/// How long beyond a lease an owner may take to let go of a partition that another host asks for.
pub const DRAIN: Duration = Duration::from_secs(60);
/// The consumer group that every hub has.
pub const DEFAULT_GROUP: &str = "$Default";
/// The most characters of a hub's name.
pub const LONGEST_HUB: usize = 256;
/// The most characters of a consumer group's name.
pub const LONGEST_GROUP: usize = 50;

/// A namespace of Azure Event Hubs.
#[derive(Clone, PartialEq, Eq, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The namespace with its key or a ready shared access signature, as the portal shows it. Instead of `namespace` and
    /// `auth`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connection_string: Option<SecretRef>,
    /// The namespace in full: `name.servicebus.windows.net`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// How the host signs in there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth: Option<Auth>,
    /// The store, by its name under `stores`, that keeps who reads which partition and how far each group has come, in the
    /// layout of the official clients: `azure`, or a `directory` where all hosts run on one machine.
    pub checkpoints: String,
    /// What is spoken: AMQP through a WebSocket on port 443, or AMQP itself on port 5671. Both with TLS.
    #[serde(default)]
    pub protocol: Protocol,
    /// Where the namespace answers, where its own name does not lead there: `host` or `host:port`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// A PEM file of certificate authorities to trust besides the machine's (`SSL_CERT_FILE` works too).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<PathBuf>,
    /// A proxy that every connection goes through, by CONNECT.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proxy: Option<Proxy>,
    /// The consumer group that `tail` and `dead` look in; `$Default` where absent. Whoever owns partitions there keeps them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub look_in: Option<String>,
}

impl Config {
    /// The group to look in.
    pub fn look_in(&self) -> &str {
        self.look_in.as_deref().unwrap_or(DEFAULT_GROUP)
    }

    /// The secrets that it names.
    pub fn secrets(&self) -> Vec<&SecretRef> {
        let sign_in = self.auth.as_ref().and_then(|auth| match auth {
            Auth::Key(SharedKey { key, .. }) => Some(key),
            Auth::Sas(signature) => Some(signature),
            Auth::ClientSecret(client) => Some(&client.secret),
            Auth::ManagedIdentity(_) | Auth::WorkloadIdentity(_) | Auth::TokenFile(_) => None,
        });
        let proxy = self.proxy.as_ref().and_then(|proxy| match &proxy.auth {
            ProxyAuth::None => None,
            ProxyAuth::Bearer { token: secret } | ProxyAuth::Basic { encoded: secret } => Some(secret),
        });
        self.connection_string.iter().chain(sign_in).chain(proxy).collect()
    }
}

/// How the host signs in.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Auth {
    /// A shared access key of the namespace.
    Key(SharedKey),
    /// A ready shared access signature, `SharedAccessSignature sr=…&sig=…&se=…&skn=…`. It is read again when it changes.
    Sas(SecretRef),
    /// The machine's managed identity.
    ManagedIdentity(ManagedIdentity),
    /// Workload identity in Kubernetes: what it puts into the environment counts, unless something else is said here.
    WorkloadIdentity(WorkloadIdentity),
    /// An application with its secret.
    ClientSecret(ClientSecret),
    /// A file that holds a token for `https://eventhubs.azure.net`, which somebody else writes anew before it expires.
    TokenFile(PathBuf),
}

/// A shared access key.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SharedKey {
    /// Its name: `RootManageSharedAccessKey`.
    pub name: String,
    /// The key: `${secrets.NAME}`.
    pub key: SecretRef,
}

/// A managed identity.
#[derive(Clone, PartialEq, Eq, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ManagedIdentity {
    /// Which one, where the machine has several; else what `AZURE_CLIENT_ID` says, else the machine's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
}

/// Workload identity. What is left out is what the environment says.
#[derive(Clone, PartialEq, Eq, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WorkloadIdentity {
    /// The tenant; `AZURE_TENANT_ID` where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant_id: Option<String>,
    /// The application; `AZURE_CLIENT_ID` where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    /// The file with the service account's token; `AZURE_FEDERATED_TOKEN_FILE` where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_file: Option<PathBuf>,
    /// Who gives tokens out; `AZURE_AUTHORITY_HOST` where absent, else Azure's public cloud.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authority: Option<String>,
}

/// An application.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ClientSecret {
    /// The tenant.
    pub tenant_id: String,
    /// The application.
    pub client_id: String,
    /// Its secret: `${secrets.NAME}`.
    pub secret: SecretRef,
    /// Who gives tokens out; Azure's public cloud where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authority: Option<String>,
}

/// What is spoken.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Protocol {
    /// AMQP through a WebSocket, on port 443.
    #[default]
    Websocket,
    /// AMQP itself, on port 5671.
    AmqpTcp,
}

impl Protocol {
    /// The port of the service.
    pub fn port(self) -> u16 {
        match self {
            Self::Websocket => 443,
            Self::AmqpTcp => 5671,
        }
    }
}

/// A proxy. It resolves the namespace's name.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Proxy {
    /// `http://host:port`.
    pub url: String,
    /// What the host shows to the proxy, and to nobody else.
    #[serde(default)]
    pub auth: ProxyAuth,
}

/// How the host signs in at a proxy. Every value is a secret: `${secrets.NAME}`.
#[derive(Clone, PartialEq, Eq, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum ProxyAuth {
    /// Not at all.
    #[default]
    None,
    /// `Proxy-Authorization: Bearer …`.
    Bearer {
        /// The token.
        token: SecretRef,
    },
    /// `Proxy-Authorization: Basic …`.
    Basic {
        /// The part after `Basic`, encoded already.
        encoded: SecretRef,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str) -> Config {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn the_secrets_are_those_that_it_names() {
        let names = |text: &str| {
            let config = config(text);
            config.secrets().iter().map(|secret| secret.0.clone()).collect::<Vec<_>>()
        };
        assert_eq!(names(r#"{"connection_string":"${secrets.hubs}","checkpoints":"lake"}"#), ["hubs"]);
        let signed = |auth: &str| names(&format!(r#"{{"namespace":"n","checkpoints":"lake","auth":{auth}}}"#));
        assert_eq!(signed(r#"{"key":{"name":"root","key":"${secrets.k}"}}"#), ["k"]);
        assert_eq!(signed(r#"{"sas":"${secrets.s}"}"#), ["s"]);
        let client = r#"{"client_secret":{"tenant_id":"t","client_id":"c","secret":"${secrets.c}"}}"#;
        assert_eq!(signed(client), ["c"]);
        for none in [r#"{"managed_identity":{}}"#, r#"{"workload_identity":{}}"#, r#"{"token_file":"/run/token"}"#] {
            assert_eq!(signed(none), [""; 0]);
        }
        let proxy = r#"{"namespace":"n","checkpoints":"lake","proxy":{"url":"http://p:1","auth":{"basic":{"encoded":"${secrets.p}"}}}}"#;
        assert_eq!(names(proxy), ["p"]);
    }

    #[test]
    fn without_a_word_it_speaks_through_a_websocket_and_looks_in_the_default_group() {
        let config = config(r#"{"connection_string":"${secrets.hubs}","checkpoints":"lake"}"#);
        assert_eq!((config.protocol, config.protocol.port(), config.look_in()), (Protocol::Websocket, 443, "$Default"));
    }
}
