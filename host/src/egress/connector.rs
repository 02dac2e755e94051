//! How an endpoint connects: straight to addresses that were vetted, or through its own proxy; and whom it trusts. Takes
//! nothing from the environment but `SSL_CERT_FILE`, least of all a proxy.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use reqwest::dns::Resolve;
use reqwest::header::HeaderValue;
use reqwest::{Certificate, Client, redirect};
use url::Url;

use super::address::Vetting;
use super::config::{Config, Proxy, ProxyAuth};
use super::credential;
use super::failure::describe;
use super::resolver::{Lookup, ProxyResolver, VettedResolver};
use super::setup::Fault;
use crate::model::{Made, Mask, Secrets};

/// Connections that stay open unused, a host.
const IDLE_CONNECTIONS: usize = 32;

/// Makes an endpoint's connections.
pub(super) struct Connector {
    client: Source,
    proxy: Option<Url>,
}

/// Where the HTTP client comes from. It holds the proxy's credential, so it is made anew when that changes; requests
/// under way end with the old one.
enum Source {
    Fixed(Client),
    Signed(Made<Signed, Fault>),
}

/// A client that shows a credential to the proxy.
#[derive(Clone)]
struct Signed {
    client: Client,
    /// Finds the credential in what comes back.
    mask: Arc<Mask>,
}

/// What a client is made of.
struct Settings {
    connect: Duration,
    trust: Trust,
    resolver: Arc<dyn Resolve>,
    proxy: Option<Url>,
}

enum Trust {
    /// Needs no authorities, so it works on a machine that has none.
    NoTls,
    MachineAnd(Vec<Certificate>),
}

impl Connector {
    /// Reads the files of certificate authorities, opens no connection. With `is_plain`, no request needs TLS.
    pub(super) fn new(
        config: &Config,
        is_plain: bool,
        vetting: Arc<Vetting>,
        lookup: Arc<dyn Lookup>,
        secrets: &Secrets,
    ) -> Result<Self, Fault> {
        let proxy = config.proxy.as_ref().map(|proxy| proxy_url(&proxy.url)).transpose()?;
        let is_plain = is_plain && proxy.as_ref().is_none_or(|proxy| proxy.scheme() == "http");
        let settings = Settings {
            connect: config.timeouts.connect.0,
            trust: if is_plain { Trust::NoTls } else { Trust::MachineAnd(authorities(config)?) },
            resolver: match &proxy {
                Some(proxy) => {
                    Arc::new(ProxyResolver { proxy: proxy.host_str().unwrap_or_default().to_owned(), lookup })
                }
                None => Arc::new(VettedResolver { vetting, lookup }),
            },
            proxy: proxy.clone(),
        };
        Ok(Self { client: source(settings, config.proxy.as_ref(), secrets)?, proxy })
    }

    /// The HTTP client, with the proxy's credential as it is now.
    pub(super) fn client(&self) -> Client {
        match &self.client {
            Source::Fixed(client) => client.clone(),
            Source::Signed(made) => made.get().client,
        }
    }

    /// Has the proxy's credential covered, too, as it is now.
    pub(super) fn cover(&self, mask: &mut Mask) {
        if let Source::Signed(made) = &self.client {
            mask.and(&made.get().mask);
        }
    }

    /// The proxy, if requests go through one.
    pub(super) fn proxy(&self) -> Option<&Url> {
        self.proxy.as_ref()
    }
}

fn source(settings: Settings, proxy: Option<&Proxy>, secrets: &Secrets) -> Result<Source, Fault> {
    let (scheme, secret) = match proxy.map(|proxy| &proxy.auth) {
        None | Some(ProxyAuth::None) => return settings.client(None).map(Source::Fixed),
        Some(ProxyAuth::Bearer { token }) => ("Bearer ", token),
        Some(ProxyAuth::Basic { encoded }) => ("Basic ", encoded),
    };
    let make = move |value: HeaderValue, secret: &str| {
        Ok(Signed { client: settings.client(Some(value))?, mask: Arc::new(credential::mask(secret)) })
    };
    credential::made_of(scheme, secret, secrets, make).map(Source::Signed)
}

impl Settings {
    fn client(&self, credential: Option<HeaderValue>) -> Result<Client, Fault> {
        let fault = |error: reqwest::Error| Fault::Client(describe(&error));
        let builder = Client::builder()
            .user_agent(concat!("lockgate/", env!("CARGO_PKG_VERSION")))
            .redirect(redirect::Policy::none())
            .referer(false)
            .no_proxy()
            .dns_resolver(self.resolver.clone())
            .connect_timeout(self.connect)
            .pool_max_idle_per_host(IDLE_CONNECTIONS);
        let builder = match &self.trust {
            Trust::NoTls => builder.tls_certs_only([]),
            Trust::MachineAnd(authorities) => builder.tls_certs_merge(authorities.iter().cloned()),
        };
        let Some(proxy) = &self.proxy else { return builder.build().map_err(fault) };
        let proxy = reqwest::Proxy::all(proxy.clone()).map_err(fault)?;
        let proxy = match credential {
            Some(value) => proxy.custom_http_auth(value),
            None => proxy,
        };
        builder.proxy(proxy).build().map_err(fault)
    }
}

/// Reads the URL of a proxy. No fault repeats it: it may hold a password.
fn proxy_url(text: &str) -> Result<Url, Fault> {
    let url = Url::parse(text).map_err(|_| Fault::ProxyUrl("no absolute URL"))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(Fault::ProxyUrl("neither http nor https"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Fault::ProxyUrl("with a user or password; credentials go under `auth`"));
    }
    if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
        return Err(Fault::ProxyUrl("with more than a host and a port"));
    }
    Ok(url)
}

/// What is trusted besides the machine's own authorities.
fn authorities(config: &Config) -> Result<Vec<Certificate>, Fault> {
    let mut certificates = Vec::new();
    if let Some(path) = std::env::var_os("SSL_CERT_FILE") {
        certificates.extend(machine_authorities(Path::new(&path))?);
    }
    if let Some(path) = &config.ca {
        certificates.extend(read_pem(path)?);
    }
    Ok(certificates)
}

/// What `SSL_CERT_FILE` adds.
#[cfg(any(target_vendor = "apple", windows))]
fn machine_authorities(path: &Path) -> Result<Vec<Certificate>, Fault> {
    read_pem(path)
}

/// Nothing here: the TLS library reads this file itself, in place of the machine's. It would only log that it cannot,
/// so whether it can is seen to now.
#[cfg(not(any(target_vendor = "apple", windows)))]
fn machine_authorities(path: &Path) -> Result<Vec<Certificate>, Fault> {
    match fs::File::open(path) {
        Ok(_) => Ok(Vec::new()),
        Err(source) => Err(Fault::CertFile { path: path.to_owned(), source }),
    }
}

fn read_pem(path: &Path) -> Result<Vec<Certificate>, Fault> {
    let text = fs::read(path).map_err(|source| Fault::CaUnreadable { path: path.to_owned(), source })?;
    match Certificate::from_pem_bundle(&text) {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        _ => Err(Fault::CaEmpty { path: path.to_owned() }),
    }
}
