//! Tokens of Microsoft Entra, by the three calls that this transport needs.
//!
//! | identity | who is asked | with what |
//! |---|---|---|
//! | managed, on App Service or Container Apps | what `IDENTITY_ENDPOINT` says | the header that `IDENTITY_HEADER` says |
//! | managed, on a virtual machine or AKS | `169.254.169.254` | the header `Metadata` |
//! | workload, in Kubernetes | the authority | the service account's token, read each time |
//! | an application | the authority | its secret |
//!
//! Source: <https://learn.microsoft.com/entra/identity/managed-identities-azure-resources/how-to-use-vm-token>,
//! <https://learn.microsoft.com/azure/app-service/overview-managed-identity#rest-endpoint-reference>,
//! <https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow>.

use std::path::PathBuf;
use std::time::Duration;

use reqwest::{Client, RequestBuilder, Response};
use serde::Deserialize;
use serde_json::Value;
use url::Url;
use url::form_urlencoded::Serializer;

use super::causes::words;
use super::failure::Failure;
use super::token::{Kind, Token};
use crate::model::{Clock, Mask, Secret, SecretRef, Secrets, Timestamp};
use crate::transport::event_hubs::config::{ClientSecret, ManagedIdentity, WorkloadIdentity};

/// What tokens are for.
const RESOURCE: &str = "https://eventhubs.azure.net";
const SCOPE: &str = "https://eventhubs.azure.net/.default";
/// Where virtual machines are told about themselves.
const MACHINE: &str = "http://169.254.169.254/metadata/identity/oauth2/token";
/// Azure's public cloud.
const AUTHORITY: &str = "https://login.microsoftonline.com";
/// How long a call may take.
const CALL: Duration = Duration::from_secs(30);
const ASSERTION: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// Answers for an environment variable.
pub(super) trait Environment: Fn(&str) -> Option<String> {}

impl<F: Fn(&str) -> Option<String>> Environment for F {}

/// Somebody whom Entra knows.
pub(super) struct Identity {
    who: Who,
    http: Client,
}

enum Who {
    Machine { client_id: Option<String> },
    App { endpoint: Url, header: Secret, client_id: Option<String> },
    Client { authority: Url, client_id: String, proof: Proof },
}

/// What an application shows.
enum Proof {
    Secret(Secret),
    /// A file with a token.
    Assertion(PathBuf),
}

/// An answer. Numbers are texts in some.
#[derive(Deserialize)]
struct Answer {
    access_token: String,
    #[serde(default)]
    expires_in: Value,
    #[serde(default)]
    expires_on: Value,
}

/// An answer that refuses.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Refusal {
    error: Value,
    error_description: String,
    message: String,
}

impl Identity {
    /// The machine's or the app's own.
    pub(super) fn managed(config: &ManagedIdentity, http: Client, env: impl Environment) -> Result<Self, String> {
        let client_id = config.client_id.clone().or_else(|| env("AZURE_CLIENT_ID"));
        let who = match (env("IDENTITY_ENDPOINT"), env("IDENTITY_HEADER")) {
            (Some(endpoint), Some(header)) => {
                let endpoint = Url::parse(&endpoint).map_err(|_| "IDENTITY_ENDPOINT is no URL".to_owned())?;
                Who::App { endpoint, header: Secret::new(header), client_id }
            }
            (Some(_), None) => {
                return Err("this kind of managed identity is not known: IDENTITY_ENDPOINT is there, but no \
                            IDENTITY_HEADER"
                    .to_owned());
            }
            (None, _) => Who::Machine { client_id },
        };
        Ok(Self { who, http })
    }

    /// A service account of Kubernetes.
    pub(super) fn workload(config: &WorkloadIdentity, http: Client, env: impl Environment) -> Result<Self, String> {
        let said = |said: &Option<String>, field: &str, variable: &str| {
            let missing =
                || format!("there is neither `{field}` nor {variable}: is workload identity set up for this pod?");
            said.clone().or_else(|| env(variable)).ok_or_else(missing)
        };
        let tenant = said(&config.tenant_id, "tenant_id", "AZURE_TENANT_ID")?;
        let client_id = said(&config.client_id, "client_id", "AZURE_CLIENT_ID")?;
        let file = config
            .token_file
            .clone()
            .map(Ok)
            .unwrap_or_else(|| said(&None, "token_file", "AZURE_FEDERATED_TOKEN_FILE").map(PathBuf::from))?;
        let host = config.authority.clone().or_else(|| env("AZURE_AUTHORITY_HOST"));
        let authority = token_url(host.as_deref(), &tenant)?;
        Ok(Self { who: Who::Client { authority, client_id, proof: Proof::Assertion(file) }, http })
    }

    /// An application.
    pub(super) fn application(config: &ClientSecret, http: Client, secrets: &Secrets) -> Result<Self, String> {
        let SecretRef(name) = &config.secret;
        let secret = secrets.get(&config.secret).ok_or_else(|| format!("there is no secret `{name}`"))?;
        let authority = token_url(config.authority.as_deref(), &config.tenant_id)?;
        let proof = Proof::Secret(secret.clone());
        Ok(Self { who: Who::Client { authority, client_id: config.client_id.clone(), proof }, http })
    }

    /// A new token.
    pub(super) async fn token(&self, clock: &Clock) -> Result<Token, Failure> {
        let (request, mask) = self.request().await?;
        let failed = |reason: String| Failure::unavailable(self.at(), mask.text(reason));
        let answer = request.timeout(CALL).send().await.map_err(|error| failed(words(&error.without_url())))?;
        let status = answer.status();
        if !status.is_success() {
            return Err(self.refused(status.as_u16(), &mask.text(refusal(answer).await)));
        }
        let body = answer.bytes().await.map_err(|error| failed(words(&error.without_url())))?;
        let unfit = |_| failed("it answers with something that is no token".to_owned());
        let answer: Answer = serde_json::from_slice(&body).map_err(unfit)?;
        let now = clock.wall();
        let expires = answer.expires(now);
        Ok(Token::new(answer.access_token, Kind::Jwt, expires, now))
    }

    async fn request(&self) -> Result<(RequestBuilder, Mask), Failure> {
        match &self.who {
            Who::Machine { client_id } => {
                let request = self.http.get(with_query(MACHINE, "2018-02-01", client_id.as_deref()));
                Ok((request.header("Metadata", "true"), Mask::default()))
            }
            Who::App { endpoint, header, client_id } => {
                let header = header.expose();
                let request = self.http.get(with_query(endpoint.as_str(), "2019-08-01", client_id.as_deref()));
                Ok((request.header("X-IDENTITY-HEADER", &*header), Mask::of([&*header])))
            }
            Who::Client { authority, client_id, proof } => {
                let shown = self.shown(proof).await?;
                let body = form(client_id, proof, &shown);
                let request = self.http.post(authority.clone()).body(body);
                Ok((request.header("Content-Type", "application/x-www-form-urlencoded"), Mask::of([shown.as_str()])))
            }
        }
    }

    async fn shown(&self, proof: &Proof) -> Result<String, Failure> {
        match proof {
            Proof::Secret(secret) => Ok(secret.expose().to_string()),
            Proof::Assertion(file) => {
                let read = tokio::fs::read_to_string(file).await;
                let unreadable = |error| format!("the token file {} cannot be read: {error}", file.display());
                Ok(read.map_err(|error| Failure::unavailable(self.at(), unreadable(error)))?.trim().to_owned())
            }
        }
    }

    /// A refusal is not the network's fault, save where the service is busy or broken.
    fn refused(&self, status: u16, reason: &str) -> Failure {
        match status {
            429 | 500.. => Failure::of_status(self.at(), status, reason),
            _ => Failure::unauthorized(self.at(), format!("no token is given ({status}): {reason}")),
        }
    }

    fn at(&self) -> &str {
        match &self.who {
            Who::Machine { .. } => "the machine's managed identity (169.254.169.254)",
            Who::App { .. } => "the app's managed identity (IDENTITY_ENDPOINT)",
            Who::Client { authority, .. } => authority.as_str(),
        }
    }
}

impl Answer {
    fn expires(&self, now: Timestamp) -> Timestamp {
        match (number(&self.expires_on), number(&self.expires_in)) {
            // The wait counts from now, whatever this machine's clock says.
            (_, Some(seconds)) => now.after(Duration::from_secs(seconds)),
            (Some(seconds), None) => Timestamp(seconds.saturating_mul(1000)),
            (None, None) => now.after(Duration::from_secs(5 * 60)),
        }
    }
}

fn number(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}

/// Why no token is given, in the first line of the words of whoever was asked.
async fn refusal(answer: Response) -> String {
    let body = answer.bytes().await.unwrap_or_default();
    let refusal: Refusal = serde_json::from_slice(&body).unwrap_or_default();
    let code = refusal.error.as_str().or_else(|| refusal.error.get("code")?.as_str()).unwrap_or_default();
    let text = [&refusal.error_description, &refusal.message].into_iter().find(|text| !text.is_empty());
    let line = text.and_then(|text| text.lines().next()).unwrap_or("no reason given");
    format!("{code} {line}").trim().to_owned()
}

fn with_query(endpoint: &str, version: &str, client_id: Option<&str>) -> String {
    let mut query = Serializer::new(String::new());
    query.append_pair("api-version", version).append_pair("resource", RESOURCE);
    if let Some(client_id) = client_id {
        query.append_pair("client_id", client_id);
    }
    format!("{endpoint}?{}", query.finish())
}

fn form(client_id: &str, proof: &Proof, shown: &str) -> String {
    let mut form = Serializer::new(String::new());
    form.append_pair("grant_type", "client_credentials").append_pair("client_id", client_id);
    form.append_pair("scope", SCOPE);
    match proof {
        Proof::Secret(_) => form.append_pair("client_secret", shown),
        Proof::Assertion(_) => {
            form.append_pair("client_assertion_type", ASSERTION).append_pair("client_assertion", shown)
        }
    };
    form.finish()
}

/// Where an authority gives out tokens of a tenant. A secret goes to no address without TLS but this machine's own.
fn token_url(authority: Option<&str>, tenant: &str) -> Result<Url, String> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.');
    if tenant.is_empty() || !tenant.chars().all(is_name) {
        return Err("the tenant is neither an id nor a domain".to_owned());
    }
    let base = authority.unwrap_or(AUTHORITY).trim_end_matches('/');
    let url =
        Url::parse(&format!("{base}/{tenant}/oauth2/v2.0/token")).map_err(|_| "`authority` is no URL".to_owned())?;
    let is_here = url.host_str().is_some_and(|host| matches!(host, "127.0.0.1" | "localhost" | "[::1]"));
    match url.scheme() {
        "https" => Ok(url),
        "http" if is_here => Ok(url),
        _ => Err("`authority` must begin with https://".to_owned()),
    }
}

#[cfg(test)]
#[path = "entra_tests.rs"]
mod tests;
