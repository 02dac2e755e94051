//! From the settings to a client. Everything that can be wrong without asking the service is found here, and no text of
//! it holds a secret.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use super::Service;
use super::connection_string::ConnectionString;
use super::credentials::{Asks, Credentials};
use super::dial::Dial;
use super::entra::Environment;
use super::proxy::Proxy;
use super::trust;
use crate::model::{Clock, SecretRef, Secrets};
use crate::transport::event_hubs::config::Config;

/// How long a connection to whoever gives tokens out may take to be made.
const CONNECT: Duration = Duration::from_secs(10);

/// The namespace, and who we are there.
struct SignIn {
    namespace: String,
    port: Option<u16>,
    entity: Option<String>,
    is_emulator: bool,
    credentials: Credentials,
}

/// Reads the settings.
pub(super) fn read(
    transport: Arc<str>,
    config: &Config,
    secrets: &Secrets,
    clock: &Clock,
    env: impl Environment,
) -> Result<Service, String> {
    let sign_in = SignIn::read(config, secrets, env)?;
    if sign_in.is_emulator && sign_in.credentials.are_for_tls_only() {
        return Err("an identity's token goes to no service without TLS".to_owned());
    }
    let (host, port) = match config.endpoint.as_deref().map(endpoint).transpose()? {
        Some((host, port)) => (host, port),
        None => (sign_in.namespace.clone(), sign_in.port),
    };
    let dial = Dial {
        host,
        port: port.unwrap_or(config.protocol.port()),
        protocol: config.protocol,
        tls: (!sign_in.is_emulator).then(|| trust::tls(config.ca.as_deref())).transpose()?,
        proxy: config.proxy.as_ref().map(|proxy| Proxy::new(proxy, secrets)).transpose()?,
    };
    Ok(Service {
        transport,
        namespace: sign_in.namespace,
        entity: sign_in.entity,
        dial,
        credentials: sign_in.credentials,
        clock: clock.clone(),
        container: format!("lockgate-{:016x}", rand::random::<u64>()),
        names: AtomicU64::new(0),
    })
}

impl SignIn {
    fn read(config: &Config, secrets: &Secrets, env: impl Environment) -> Result<Self, String> {
        match (&config.connection_string, &config.namespace, &config.auth) {
            (Some(reference), None, None) => Self::by_connection_string(reference, secrets),
            (None, Some(namespace), Some(auth)) => {
                let namespace = host_name(namespace).ok_or("`namespace` is no name of a host")?;
                let http = |asks| http(config, secrets, asks);
                let credentials = Credentials::new(auth, secrets, http, env);
                let credentials = credentials.map_err(|reason| format!("`auth` cannot be used: {reason}"))?;
                Ok(Self { namespace, port: None, entity: None, is_emulator: false, credentials })
            }
            _ => Err("say either `connection_string`, or `namespace` and `auth`".to_owned()),
        }
    }

    fn by_connection_string(reference: &SecretRef, secrets: &Secrets) -> Result<Self, String> {
        let SecretRef(name) = reference;
        let secret = secrets.get(reference).ok_or_else(|| format!("there is no secret `{name}`"))?;
        let unfit = |reason| format!("secret `{name}` is no connection string of Event Hubs: {reason}");
        let read = ConnectionString::parse(&secret.expose()).map_err(unfit)?;
        let credentials = Credentials::of_connection_string(reference, secret, &read.host).map_err(unfit)?;
        let ConnectionString { host: namespace, port, entity, is_emulator, .. } = read;
        Ok(Self { namespace, port, entity, is_emulator, credentials })
    }
}

/// A host in lower case.
fn host_name(text: &str) -> Option<String> {
    let is_fit = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
    (!text.is_empty() && text.chars().all(is_fit)).then(|| text.to_ascii_lowercase())
}

/// Host and port of `endpoint`: `host`, `host:port`, `[::1]:port`.
fn endpoint(text: &str) -> Result<(String, Option<u16>), String> {
    let unfit = || "`endpoint` must be `host` or `host:port`".to_owned();
    let is_bracketed = text.starts_with('[');
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !is_bracketed || host.ends_with(']') => (host, Some(port.parse().map_err(|_| unfit())?)),
        _ => (text, None),
    };
    let inner = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    match inner {
        Some(address) if address.parse::<std::net::Ipv6Addr>().is_ok() => Ok((host.to_owned(), port)),
        Some(_) => Err(unfit()),
        None => Ok((host_name(host).ok_or_else(unfit)?, port)),
    }
}

/// The client that asks for tokens. No proxy leads to the machine itself.
fn http(config: &Config, secrets: &Secrets, asks: Asks) -> Result<reqwest::Client, String> {
    let unfit = |error: reqwest::Error| format!("no HTTP client can be made: {}", super::causes::words(&error));
    let builder =
        reqwest::Client::builder().no_proxy().connect_timeout(CONNECT).redirect(reqwest::redirect::Policy::none());
    if asks == Asks::Machine {
        // What it speaks has no TLS, so it needs no authorities.
        return builder.tls_certs_only([]).build().map_err(unfit);
    }
    let extra = config.ca.as_deref().map(certificates).transpose()?.unwrap_or_default();
    let builder = builder.tls_certs_merge(extra);
    let proxy = config.proxy.as_ref().map(|proxy| Proxy::new(proxy, secrets)).transpose()?;
    match proxy {
        Some(proxy) => builder.proxy(proxy.for_http().map_err(unfit)?).build().map_err(unfit),
        None => builder.build().map_err(unfit),
    }
}

fn certificates(path: &Path) -> Result<Vec<reqwest::Certificate>, String> {
    let unfit = |error| format!("`ca` {} cannot be used: {error}", path.display());
    trust::authorities(path)?.iter().map(|der| reqwest::Certificate::from_der(der).map_err(unfit)).collect()
}

#[cfg(test)]
#[path = "setup_tests.rs"]
mod tests;
