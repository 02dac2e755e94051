//! One endpoint as it is at work: its HTTP client, where it reaches, what signs its requests, and its gates. It sends
//! one request and gives the head of the answer; redirects and broken bodies are for others.

use std::sync::Arc;

use bytes::Bytes;
use reqwest::header::{ACCEPT_ENCODING, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, StatusCode};
use url::{Host, Url};

use super::address::Vetting;
use super::config::{Config, Timeouts};
use super::connector::Connector;
use super::credential::Credential;
use super::failure::{Failure, redact};
use super::gate::{Admission, Limits};
use super::hosts::Hosts;
use super::reach::Reach;
use super::resolver::Lookup;
use super::setup::Fault;
use super::{EgressError, EgressError::Denied};
use crate::model::{Clock, Mask, Progress, Secrets, Size};

/// The longest body unless the spec says another: longer than files are, shorter than what never ends.
const LONGEST_BODY: Size = Size(16 << 30);

/// An endpoint at work.
pub(super) struct Endpoint {
    pub(super) name: Arc<str>,
    pub(super) reach: Reach,
    pub(super) timeouts: Timeouts,
    /// The longest body that is read.
    pub(super) max_body: Size,
    /// Endpoints that a redirect from here may lead to, besides this one.
    pub(super) redirects: Vec<String>,
    credential: Option<Credential>,
    vetting: Arc<Vetting>,
    hosts: Hosts,
    connector: Connector,
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
    pub(super) fn new(
        name: Arc<str>,
        config: &Config,
        secrets: &Secrets,
        lookup: Arc<dyn Lookup>,
    ) -> Result<Self, Vec<Fault>> {
        let vetting = Arc::new(Vetting::new(config.allow_addresses.clone()));
        let reach = Reach::new(config);
        let credential = Credential::new(&config.auth, secrets);
        let is_plain = reach.as_ref().is_ok_and(Reach::is_plain);
        let connector = Connector::new(config, is_plain, vetting.clone(), lookup, secrets);
        let mut faults = Vec::new();
        let mut note = |fault| faults.push(fault);
        if matches!(credential, Ok(Some(_))) && reach.as_ref().is_ok_and(|reach| !reach.is_one_system()) {
            note(Fault::AuthWithoutSystem);
        }
        match (reach, credential, connector) {
            (Ok(reach), Ok(credential), Ok(connector)) if faults.is_empty() => Ok(Self {
                hosts: Hosts::new(name.clone(), Limits::new(config), Clock::system()),
                timeouts: config.timeouts,
                max_body: config.max_body.unwrap_or(LONGEST_BODY),
                redirects: config.redirects.clone(),
                name,
                reach,
                credential,
                vetting,
                connector,
            }),
            (reach, credential, connector) => {
                faults.extend(reach.err().into_iter().flatten());
                faults.extend(credential.err());
                faults.extend(connector.err());
                Err(faults)
            }
        }
    }

    /// The header that only the endpoint's credential may set.
    pub(super) fn own_header(&self) -> Option<&HeaderName> {
        self.credential.as_ref().map(Credential::name)
    }

    /// Has the credentials of the endpoint and its proxy, as they are now, covered in what comes back.
    pub(super) fn cover(&self, mask: &mut Mask) {
        self.connector.cover(mask);
        if let Some(credential) = &self.credential {
            mask.and(&credential.mask());
        }
    }

    /// Sends one request, to where the endpoint's reach was found to admit it, and waits for the head of the answer.
    /// Dropped before, it frees its place.
    pub(super) async fn exchange(&self, outgoing: &Outgoing, progress: &Progress) -> Result<Answer, EgressError> {
        let url = &outgoing.url;
        self.vet(url)?;
        let gate = self.hosts.gate(url.host_str().unwrap_or_default());
        let mut admission = gate.admit(progress).await.map_err(|retry_after| EgressError::Unavailable {
            endpoint: self.name.clone(),
            retry_after,
            one_system: self.reach.is_one_system(),
        })?;
        match self.answer(outgoing).await {
            Ok(response) => {
                progress.touch();
                if response.status().is_server_error() {
                    admission.failed();
                } else {
                    admission.answered();
                }
                Ok((response, admission))
            }
            Err(Failure { error, counts }) => {
                if counts {
                    admission.failed();
                }
                Err(error)
            }
        }
    }

    async fn answer(&self, outgoing: &Outgoing) -> Result<reqwest::Response, Failure> {
        let place = self.place(&outgoing.url);
        let sent = self.connector.client().execute(self.request(outgoing));
        let first_byte = self.timeouts.first_byte;
        match tokio::time::timeout(first_byte.0, sent).await {
            Ok(Ok(response)) if self.is_refused_by_proxy(&outgoing.url, response.status()) => {
                let text = format!("{place}: the proxy wants another credential; it goes under `proxy.auth`");
                Err(Failure { error: EgressError::Connect(text), counts: true })
            }
            Ok(Ok(response)) => Ok(response),
            Ok(Err(error)) => Err(Failure::new(error, &place)),
            Err(_) => {
                let error = EgressError::Timeout(format!("{place}: no answer within {first_byte}"));
                Err(Failure { error, counts: true })
            }
        }
    }

    /// Where a request goes, as it may be shown.
    pub(super) fn place(&self, url: &Url) -> String {
        match self.connector.proxy() {
            Some(proxy) => format!("{} through proxy {}", redact(url), redact(proxy)),
            None => redact(url),
        }
    }

    /// Whether an answer is not the origin's. In a tunnel it always is.
    fn is_refused_by_proxy(&self, url: &Url, status: StatusCode) -> bool {
        let is_asked_itself = self.connector.proxy().is_some() && url.scheme() == "http";
        is_asked_itself && status == StatusCode::PROXY_AUTHENTICATION_REQUIRED
    }

    /// The HTTP client connects to an address that stands in a URL without asking the resolver, and a proxy resolves
    /// names by itself.
    fn vet(&self, url: &Url) -> Result<(), EgressError> {
        let vetted = match url.host() {
            Some(Host::Ipv4(address)) => self.vetting.vet(address.into()),
            Some(Host::Ipv6(address)) => self.vetting.vet(address.into()),
            Some(Host::Domain(name)) if self.connector.proxy().is_some() => self.vetting.vet_name(name),
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
