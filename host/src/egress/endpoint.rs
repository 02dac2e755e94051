//! One endpoint as it is at work: its HTTP client, where it reaches, what signs its requests, and its gates. It sends
//! one request and gives the head of the answer; redirects and broken bodies are for others.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use reqwest::header::{ACCEPT_ENCODING, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Certificate, Method, redirect};
use url::{Host, Url};

use super::address::Vetting;
use super::config::{Config, Timeouts};
use super::credential::Credential;
use super::failure::{Failure, describe, redact};
use super::gate::{Admission, Limits};
use super::hosts::Hosts;
use super::reach::Reach;
use super::resolver::VettedResolver;
use super::setup::Fault;
use super::{EgressError, EgressError::Denied};
use crate::model::{Clock, Mask, Progress, Secrets};

/// Connections that stay open unused, a host.
const IDLE_CONNECTIONS: usize = 32;

/// An endpoint at work.
pub(super) struct Endpoint {
    pub(super) name: Arc<str>,
    pub(super) reach: Reach,
    pub(super) timeouts: Timeouts,
    /// Endpoints that a redirect from here may lead to, besides this one.
    pub(super) redirects: Vec<String>,
    credential: Option<Credential>,
    vetting: Arc<Vetting>,
    hosts: Hosts,
    http: reqwest::Client,
}

/// One request, judged already.
#[derive(Clone)]
pub(super) struct Outgoing {
    pub(super) method: Method,
    pub(super) url: Url,
    /// The caller's headers.
    pub(super) headers: HeaderMap,
    pub(super) body: Option<Bytes>,
}

/// The head of an answer, and the place that it holds until its body ends.
pub(super) type Answer = (reqwest::Response, Admission);

impl Endpoint {
    /// Sets an endpoint up; all faults at once.
    pub(super) fn new(name: Arc<str>, config: &Config, secrets: &Secrets) -> Result<Self, Vec<Fault>> {
        let vetting = Arc::new(Vetting::new(config.allow_addresses.clone()));
        let reach = Reach::new(config);
        let credential = Credential::new(&config.auth, secrets);
        let is_plain = reach.as_ref().is_ok_and(Reach::is_plain);
        let http = client(config, is_plain, vetting.clone());
        let mut faults = Vec::new();
        let mut note = |fault| faults.push(fault);
        if matches!(credential, Ok(Some(_))) && reach.as_ref().is_ok_and(|reach| !reach.is_one_system()) {
            note(Fault::AuthWithoutSystem);
        }
        match (reach, credential, http) {
            (Ok(reach), Ok(credential), Ok(http)) if faults.is_empty() => Ok(Self {
                hosts: Hosts::new(name.clone(), Limits::new(config), Clock::system()),
                timeouts: config.timeouts,
                redirects: config.redirects.clone(),
                name,
                reach,
                credential,
                vetting,
                http,
            }),
            (reach, credential, http) => {
                faults.extend(reach.err().into_iter().flatten());
                faults.extend(credential.err());
                faults.extend(http.err());
                Err(faults)
            }
        }
    }

    /// The header that only the endpoint's credential may set.
    pub(super) fn own_header(&self) -> Option<&HeaderName> {
        self.credential.as_ref().map(Credential::name)
    }

    /// Has the endpoint's credential, as it is now, covered in what comes back.
    pub(super) fn cover(&self, mask: &mut Mask) {
        if let Some(credential) = &self.credential {
            mask.and(&credential.mask());
        }
    }

    /// Sends one request, to where the endpoint's reach was found to admit it, and waits for the head of the answer.
    /// Dropped before, it frees its place.
    pub(super) async fn exchange(&self, outgoing: &Outgoing, progress: &Progress) -> Result<Answer, EgressError> {
        let url = &outgoing.url;
        self.vet_literal(url)?;
        let gate = self.hosts.gate(url.host_str().unwrap_or_default());
        let mut admission = gate.admit(progress).await.map_err(|retry_after| EgressError::Unavailable {
            endpoint: self.name.clone(),
            retry_after,
            one_system: self.reach.is_one_system(),
        })?;
        let first_byte = self.timeouts.first_byte;
        let Ok(answer) = tokio::time::timeout(first_byte.0, self.http.execute(self.request(outgoing))).await else {
            admission.failed();
            return Err(EgressError::Timeout(format!("{}: no answer within {first_byte}", redact(url))));
        };
        match answer {
            Ok(response) => {
                progress.touch();
                if response.status().is_server_error() {
                    admission.failed();
                } else {
                    admission.answered();
                }
                Ok((response, admission))
            }
            Err(error) => {
                let failure = Failure::new(error, url);
                if failure.counts {
                    admission.failed();
                }
                Err(failure.error)
            }
        }
    }

    /// The HTTP client connects to an address that stands in a URL without asking the resolver.
    fn vet_literal(&self, url: &Url) -> Result<(), EgressError> {
        let vetted = match url.host() {
            Some(Host::Ipv4(address)) => self.vetting.vet(address.into()),
            Some(Host::Ipv6(address)) => self.vetting.vet(address.into()),
            _ => Ok(()),
        };
        vetted.map_err(|forbidden| Denied(format!("{}: {forbidden}", redact(url))))
    }

    fn request(&self, outgoing: &Outgoing) -> reqwest::Request {
        let Outgoing { method, url, headers, body } = outgoing;
        let mut request = reqwest::Request::new(method.clone(), url.clone());
        request.headers_mut().clone_from(headers);
        // What is stored is what the origin has, byte by byte; ranges count in the same bytes.
        request.headers_mut().insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        if let Some(credential) = self.credential.as_ref().filter(|_| self.reach.is_own_origin(url)) {
            credential.add_to(request.headers_mut());
        }
        *request.body_mut() = body.clone().map(Into::into);
        request
    }
}

fn client(config: &Config, is_plain: bool, vetting: Arc<Vetting>) -> Result<reqwest::Client, Fault> {
    let builder = reqwest::Client::builder()
        .user_agent(concat!("lockgate/", env!("CARGO_PKG_VERSION")))
        .redirect(redirect::Policy::none())
        .referer(false)
        .no_proxy()
        .dns_resolver(VettedResolver(vetting))
        .connect_timeout(config.timeouts.connect.0)
        .pool_max_idle_per_host(IDLE_CONNECTIONS);
    let builder = if is_plain {
        // Needs no authorities, so it works on a machine that has none.
        builder.tls_certs_only([])
    } else {
        builder.tls_certs_merge(authorities(config)?)
    };
    builder.build().map_err(|error| Fault::Client(describe(&error)))
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
