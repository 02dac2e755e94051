//! Who the host is to the service, and the tokens that show it. Secrets and files are read at each renewal, so what is
//! changed outside counts from then on.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;

use super::connection_string::ConnectionString;
use super::entra::{Environment, Identity};
use super::failure::Failure;
use super::sas::Signing;
use super::token::Token;
use crate::model::{Clock, Made, Secret, SecretRef, Secrets};
use crate::transport::event_hubs::config::Auth;

/// Makes tokens.
pub(super) enum Credentials {
    /// A key or a ready signature.
    Shared(Made<Signing, String>),
    /// Microsoft Entra. One token serves all connections while it is fresh.
    Entra { identity: Identity, last: Mutex<Option<Token>> },
    /// A file that somebody else keeps fresh.
    File(PathBuf),
}

impl Credentials {
    /// What a connection string signs with. A new value of the secret must be for the same namespace.
    pub(super) fn of_connection_string(
        SecretRef(name): &SecretRef,
        secret: &Secret,
        namespace: &str,
    ) -> Result<Self, String> {
        let namespace = namespace.to_owned();
        let made = Made::new(name, secret, move |text| match ConnectionString::parse(text)? {
            read if read.host == namespace => Ok(read.signing),
            _ => Err("it is for another namespace: that takes a restart".to_owned()),
        });
        Ok(Self::Shared(made?))
    }

    /// What the spec says under `auth`. `http` makes the client that asks for tokens.
    pub(super) fn new(
        auth: &Auth,
        secrets: &Secrets,
        http: impl Fn(Asks) -> Result<reqwest::Client, String>,
        env: impl Environment,
    ) -> Result<Self, String> {
        let find = |SecretRef(name): &SecretRef| {
            secrets.0.get(name).cloned().ok_or_else(|| format!("there is no secret `{name}`"))
        };
        let identity = match auth {
            Auth::Key(shared) => {
                let name: Arc<str> = shared.name.as_str().into();
                let make = move |key: &str| Signing::key(&name, key.trim());
                return Ok(Self::Shared(Made::new(&shared.key.0, &find(&shared.key)?, make)?));
            }
            Auth::Sas(secret) => return Ok(Self::Shared(Made::new(&secret.0, &find(secret)?, Signing::signature)?)),
            Auth::TokenFile(path) => return Ok(Self::File(path.clone())),
            Auth::ManagedIdentity(config) => Identity::managed(config, http(Asks::Machine)?, env)?,
            Auth::WorkloadIdentity(config) => Identity::workload(config, http(Asks::Authority)?, env)?,
            Auth::ClientSecret(config) => Identity::application(config, http(Asks::Authority)?, secrets)?,
        };
        Ok(Self::Entra { identity, last: Mutex::new(None) })
    }

    /// Whether tokens are Entra's, which go to no service without TLS.
    pub(super) fn are_for_tls_only(&self) -> bool {
        matches!(self, Self::Entra { .. })
    }

    /// A token for a resource, such as `sb://name.servicebus.windows.net/hub`.
    pub(super) async fn token(&self, resource: &str, clock: &Clock) -> Result<Token, Failure> {
        match self {
            Self::Shared(signing) => Ok(signing.get().token(resource, clock.wall())),
            Self::Entra { identity, last } => fresh(identity, &mut *last.lock().await, clock).await,
            Self::File(path) => {
                let at = || format!("the token file {}", path.display());
                let text = tokio::fs::read_to_string(path).await;
                let text = text.map_err(|error| Failure::unavailable(&at(), format!("it cannot be read: {error}")))?;
                Token::found(&text, clock.wall()).map_err(|reason| Failure::unauthorized(&at(), reason))
            }
        }
    }

    /// The service does not honour what was shown: the next token is a new one.
    pub(super) async fn doubt(&self, clock: &Clock) {
        if let Self::Entra { last, .. } = self {
            let mut last = last.lock().await;
            *last = last.take().filter(|token| token.age(clock.wall()) < DOUBT);
        }
    }
}

/// How long a token is kept that the service may not honour: whoever gives it out would give the same again.
const DOUBT: Duration = Duration::from_secs(60);

/// Whom the HTTP client asks: the machine itself, which no proxy leads to, or an authority.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Asks {
    Machine,
    Authority,
}

async fn fresh(identity: &Identity, last: &mut Option<Token>, clock: &Clock) -> Result<Token, Failure> {
    if let Some(token) = last.as_ref().filter(|token| token.is_fresh(clock.wall())) {
        return Ok(token.clone());
    }
    match identity.token(clock).await {
        Ok(token) => {
            *last = Some(token.clone());
            Ok(token)
        }
        // It holds for a while: only its renewal fails.
        Err(failure) => last.clone().filter(|token| !token.has_ended(clock.wall())).ok_or(failure),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Timestamp;
    use crate::transport::event_hubs::config::SharedKey;

    fn clock() -> Clock {
        Clock::from_fn(|| Timestamp(1_700_000_000_000))
    }

    fn no_http(_: Asks) -> Result<reqwest::Client, String> {
        Err("no client".to_owned())
    }

    #[tokio::test]
    async fn a_connection_string_that_changes_signs_anew_and_one_of_elsewhere_does_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("hubs");
        let string =
            |host: &str, key: &str| format!("Endpoint=sb://{host};SharedAccessKeyName=n;SharedAccessKey={key}");
        std::fs::write(&path, string("n", "first")).unwrap();
        let secret = Secret::in_file("hubs", &path).unwrap();
        let credentials = Credentials::of_connection_string(&SecretRef("hubs".into()), &secret, "n").unwrap();
        let mut seen = Vec::new();
        for text in [string("n", "first"), string("n", "another key"), string("elsewhere", "the third key")] {
            std::fs::write(&path, text).unwrap();
            seen.push(credentials.token("sb://n/h", &clock()).await.unwrap().text().to_owned());
        }
        assert!(seen[0] != seen[1] && seen[1] == seen[2]);
        assert!(Credentials::of_connection_string(&SecretRef("hubs".into()), &secret, "other").is_err());
    }

    #[tokio::test]
    async fn a_token_file_is_read_each_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        let credentials = Credentials::File(path.clone());
        let failure = credentials.token("sb://n/h", &clock()).await.unwrap_err();
        assert!(failure.is_transient() && failure.to_string().contains("cannot be read"), "{failure}");
        for text in ["one", "two"] {
            std::fs::write(&path, text).unwrap();
            assert_eq!(credentials.token("sb://n/h", &clock()).await.unwrap().text(), text);
        }
        std::fs::write(&path, "").unwrap();
        let failure = credentials.token("sb://n/h", &clock()).await.unwrap_err();
        assert!(matches!(failure, Failure::Unauthorized(_)));
    }

    #[test]
    fn a_secret_that_is_missing_is_named() {
        let key = Auth::Key(SharedKey { name: "root".into(), key: SecretRef("k".into()) });
        for auth in [key, Auth::Sas(SecretRef("k".into()))] {
            let made = Credentials::new(&auth, &Secrets::default(), no_http, |_: &str| None);
            assert_eq!(made.err().unwrap(), "there is no secret `k`");
        }
    }
}
