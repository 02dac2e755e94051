//! From the configuration to a connection. Everything that can be wrong without asking Azure is found here.

use std::time::Duration;

use object_store::azure::{AzureConfigKey, MicrosoftAzure, MicrosoftAzureBuilder};
use object_store::client::HttpConnector;
use object_store::{BackoffConfig, ClientOptions, RetryConfig};
use tokio::sync::OnceCell;
use url::Url;

use super::failure::Connector;
use super::requests::Requests;
use super::{Azure, credential};
use crate::model::{Secret, SecretRef, Secrets};
use crate::storage::BlobPath;
use crate::storage::config::{AzureAuth, Config};
use crate::storage::open::SetupError;
use crate::storage::path::{DEPTH_LIMIT, PATH_LIMIT};

/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(10);
/// How long nothing may be read: the time a part of a body has to be sent, too.
const READ: Duration = Duration::from_secs(60);
/// Tries of one request, then the caller decides.
const RETRIES: usize = 3;
/// Characters of a blob's whole name that Azure takes.
const NAME_LIMIT: usize = 1024;
/// Segments of one in an account with a hierarchical namespace: 63, of which two name account and container.
const DEPTH: usize = 61;
/// After which no further try begins.
const RETRY_FOR: Duration = Duration::from_secs(60);

/// Answers for an environment variable.
pub(in crate::storage) trait Environment: Fn(&str) -> Option<String> {}

impl<F: Fn(&str) -> Option<String>> Environment for F {}

/// The fields of the configuration, and where to complain.
struct Parts<'a> {
    store: &'a str,
    account: &'a str,
    container: &'a str,
    prefix: Option<&'a str>,
    endpoint: Option<&'a str>,
    auth: &'a AzureAuth,
    secrets: &'a Secrets,
}

pub(super) fn open(
    store: &str,
    config: &Config,
    secrets: &Secrets,
    environment: impl Environment,
) -> Result<Azure, SetupError> {
    let Config::Azure { account, container, prefix, endpoint, auth } = config else {
        return Err(SetupError::Invalid {
            store: store.to_owned(),
            field: "azure",
            reason: "is not what this store is".to_owned(),
        });
    };
    let (prefix, endpoint) = (prefix.as_deref(), endpoint.as_deref());
    Parts { store, account, container, prefix, endpoint, auth, secrets }.open(environment)
}

impl Parts<'_> {
    fn open(&self, environment: impl Environment) -> Result<Azure, SetupError> {
        let service = self.service()?;
        let prefix = self.prefix()?;
        let options = ClientOptions::new()
            .with_allow_http(service.scheme() == "http")
            .with_connect_timeout(CONNECT)
            .with_timeout_disabled()
            .with_read_timeout(READ);
        let objects = self.objects(&service, options.clone(), environment)?;
        let client = Connector.connect(&options).map_err(|_| self.invalid("azure", "cannot set up TLS"))?;
        let container = Url::parse(&format!("{}/{}", service.as_str().trim_end_matches('/'), self.container))
            .map_err(|_| self.invalid("container", "is no part of a URL"))?;
        let credentials = objects.credentials().clone();
        let requests = Requests { client, credentials, account: self.account.to_owned(), container };
        Ok(Azure { objects, requests, prefix, swept: OnceCell::new() })
    }

    fn objects(
        &self,
        service: &Url,
        options: ClientOptions,
        environment: impl Environment,
    ) -> Result<MicrosoftAzure, SetupError> {
        let retry = RetryConfig { max_retries: RETRIES, retry_timeout: RETRY_FOR, backoff: BackoffConfig::default() };
        let builder = MicrosoftAzureBuilder::new()
            .with_account(self.account)
            .with_container_name(self.container)
            .with_endpoint(service.as_str().trim_end_matches('/').to_owned())
            .with_client_options(options)
            .with_http_connector(Connector)
            .with_retry(retry);
        // What the builder says may quote what it was given, so its words go no further.
        self.signed_in(builder, service, environment)?.build().map_err(|_| {
            let reason = match self.auth {
                AzureAuth::Key(_) | AzureAuth::Sas(_) => "cannot be used",
                AzureAuth::ManagedIdentity {} => {
                    "cannot be used: AZURE_CLIENT_ID, AZURE_TENANT_ID or \
                     AZURE_FEDERATED_TOKEN_FILE is missing"
                }
            };
            self.invalid("auth", reason)
        })
    }

    fn signed_in(
        &self,
        builder: MicrosoftAzureBuilder,
        service: &Url,
        environment: impl Environment,
    ) -> Result<MicrosoftAzureBuilder, SetupError> {
        match self.auth {
            AzureAuth::Key(name) => {
                let signs = credential::key(&name.0, self.secret(name)?);
                Ok(builder.with_credentials(signs.map_err(|reason| self.invalid("auth", reason))?))
            }
            AzureAuth::Sas(name) => {
                let signs = credential::signature(&name.0, self.secret(name)?);
                Ok(builder.with_credentials(signs.map_err(|reason| self.invalid("auth", reason))?))
            }
            AzureAuth::ManagedIdentity {} if service.scheme() != "https" => {
                Err(self.invalid("endpoint", "must be https: an identity's token goes to no other"))
            }
            AzureAuth::ManagedIdentity {} => Ok(with_identity(builder, environment)),
        }
    }

    fn secret(&self, secret: &SecretRef) -> Result<&Secret, SetupError> {
        let undeclared = || SetupError::Secret { store: self.store.to_owned(), secret: secret.0.clone() };
        self.secrets.get(secret).ok_or_else(undeclared)
    }

    /// Where the account answers.
    fn service(&self) -> Result<Url, SetupError> {
        let is_name = |text: &str| {
            !text.is_empty() && text.len() <= 63 && text.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-'))
        };
        if !is_name(self.account) {
            return Err(self.invalid("account", "is no name of an account: lower-case letters and digits"));
        }
        // `$root` takes no folders, and every body of several parts waits in one.
        if !is_name(self.container) && self.container != "$web" {
            return Err(self.invalid("container", "is no name of a container: lower-case letters, digits and dashes"));
        }
        let Some(endpoint) = self.endpoint else {
            let public = format!("https://{}.blob.core.windows.net", self.account);
            return Url::parse(&public).map_err(|_| self.invalid("account", "is no part of a URL"));
        };
        let url = Url::parse(endpoint).map_err(|_| self.invalid("endpoint", "is no URL"))?;
        let bare = url.query().is_none() && url.fragment().is_none() && url.username().is_empty();
        match url.scheme() {
            "http" | "https" if bare && url.password().is_none() && url.has_host() => Ok(url),
            "http" | "https" => Err(self.invalid("endpoint", "holds more than scheme, host, port and path")),
            _ => Err(self.invalid("endpoint", "must be http or https")),
        }
    }

    fn prefix(&self) -> Result<Option<BlobPath>, SetupError> {
        let Some(text) = self.prefix else { return Ok(None) };
        let prefix = BlobPath::parse(text).map_err(|error| self.invalid("prefix", error.reason))?;
        // A blob's path that only one store has no room for would be refused by that one only.
        let bytes = NAME_LIMIT - 1 - PATH_LIMIT;
        if prefix.as_str().len() > bytes {
            return Err(
                self.invalid("prefix", &format!("is longer than {bytes} bytes, too long to have blobs below it"))
            );
        }
        let segments = DEPTH - DEPTH_LIMIT;
        if prefix.segments().count() > segments {
            return Err(self.invalid("prefix", &format!("has more than {segments} segments")));
        }
        Ok(Some(prefix))
    }

    fn invalid(&self, field: &'static str, reason: &str) -> SetupError {
        SetupError::Invalid { store: self.store.to_owned(), field, reason: reason.to_owned() }
    }
}

/// Workload identity where Kubernetes has set it up, else the machine's or the app's managed identity.
fn with_identity(builder: MicrosoftAzureBuilder, environment: impl Environment) -> MicrosoftAzureBuilder {
    let kind = match environment("AZURE_FEDERATED_TOKEN_FILE") {
        Some(_) => "workload_identity",
        None => "managed_identity",
    };
    let settings = [
        ("AZURE_CLIENT_ID", AzureConfigKey::ClientId),
        ("AZURE_TENANT_ID", AzureConfigKey::AuthorityId),
        ("AZURE_AUTHORITY_HOST", AzureConfigKey::AuthorityHost),
        ("AZURE_FEDERATED_TOKEN_FILE", AzureConfigKey::FederatedTokenFile),
        ("IDENTITY_ENDPOINT", AzureConfigKey::MsiEndpoint),
    ];
    let set = settings.into_iter().filter_map(|(variable, key)| environment(variable).map(|value| (key, value)));
    set.fold(builder, |builder, (key, value)| builder.with_config(key, value)).with_credential_type(kind)
}

/// Makes the container of an Azure store, for tests that start an emulator.
#[cfg(any(test, feature = "testing"))]
pub async fn create_container(config: &Config, secrets: &Secrets) -> Result<(), String> {
    let store = open("testing", config, secrets, |_: &str| None).map_err(|error| error.to_string())?;
    store.requests.create_container().await.map_err(|error| super::failure::text(&error))
}
