//! Sends requests through endpoints and follows their redirects by hand, so that every hop is judged like a first
//! request.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use reqwest::Method;
use reqwest::header::LOCATION;

use super::body::Incoming;
use super::covered::covered;
use super::endpoint::{Answer, Endpoint, Outgoing};
use super::failure::redact;
use super::headers;
use super::reach::Refusal;
use super::redirect::{KeepBody, Redirect, Unreadable, redirect};
use super::resolver::{Lookup, System};
use super::setup::{Fault, Problem, SetupError};
use super::{Configs, EgressError, EgressError::Denied, Http, Request, Response};
use crate::model::{Mask, Progress, Secrets};

/// Redirects that one request follows at most.
const MAX_REDIRECTS: usize = 10;

/// All endpoints of the spec at work. One a process, for that is what limits and breakers count by.
pub struct Client {
    endpoints: BTreeMap<Arc<str>, Arc<Endpoint>>,
}

impl Client {
    /// Sets all endpoints up. Reads the files of certificate authorities, opens no connection.
    ///
    /// # Errors
    ///
    /// Names every problem of every endpoint.
    pub fn new(configs: &Configs, secrets: &Secrets) -> Result<Self, SetupError> {
        Self::asking(Arc::new(System), configs, secrets)
    }

    /// The same, with names looked up elsewhere than by the system.
    pub(super) fn asking(lookup: Arc<dyn Lookup>, configs: &Configs, secrets: &Secrets) -> Result<Self, SetupError> {
        let mut problems = Vec::new();
        let mut endpoints = BTreeMap::new();
        for (name, config) in configs {
            let name: Arc<str> = name.as_str().into();
            let strangers = config.redirects.iter().filter(|other| !configs.contains_key(*other));
            let mut faults: Vec<Fault> = strangers.cloned().map(Fault::NoEndpoint).collect();
            match Endpoint::new(name.clone(), config, secrets, lookup.clone()) {
                Ok(endpoint) => drop(endpoints.insert(name.clone(), Arc::new(endpoint))),
                Err(more) => faults.extend(more),
            }
            problems.extend(faults.into_iter().map(|fault| Problem { endpoint: name.clone(), fault }));
        }
        if problems.is_empty() { Ok(Self { endpoints }) } else { Err(SetupError { problems }) }
    }

    fn endpoint(&self, name: &str) -> Result<Arc<Endpoint>, EgressError> {
        self.endpoints.get(name).cloned().ok_or_else(|| Denied(format!("there is no endpoint `{name}`")))
    }

    /// The endpoint whose rules hold for a redirect out of `from`: itself, or the first that its `redirects` name and
    /// that admits the URL.
    fn after(&self, from: &Arc<Endpoint>, to: &Redirect) -> Result<Arc<Endpoint>, EgressError> {
        let mut named = from.redirects.iter().filter_map(|name| self.endpoints.get(name.as_str()));
        let Err(refusal) = from.reach.admits(&to.url) else { return Ok(from.clone()) };
        let admitting = named.find(|endpoint| endpoint.reach.admits(&to.url).is_ok());
        admitting.cloned().ok_or_else(|| {
            let name = &from.name;
            Denied(match refusal {
                // Not repeated: there is no end to it.
                Refusal::TooLong => {
                    format!("endpoint `{name}` was redirected to a URL that is not followed: {refusal}")
                }
                _ => {
                    let place = redact(&to.url);
                    format!("endpoint `{name}` and its `redirects` do not allow a redirect to {place}: {refusal}")
                }
            })
        })
    }
}

#[async_trait]
impl Http for Client {
    async fn send(&self, endpoint: &str, request: Request, progress: &Progress) -> Result<Response, EgressError> {
        let endpoint = self.endpoint(endpoint)?;
        let outgoing = judge(&endpoint, request)?;
        // An origin may repeat the credential that it was sent; the caller is to have it from nobody.
        let mut mask = Mask::default();
        let answer = self.follow(endpoint, outgoing, progress, &mut mask).await;
        match answer {
            Ok(response) => Ok(covered(response, mask)),
            Err(error) => Err(error.covered(&mask)),
        }
    }
}

impl Client {
    async fn follow(
        &self,
        mut endpoint: Arc<Endpoint>,
        mut outgoing: Outgoing,
        progress: &Progress,
        mask: &mut Mask,
    ) -> Result<Response, EgressError> {
        for _ in 0..=MAX_REDIRECTS {
            endpoint.cover(mask);
            let answer = endpoint.exchange(&outgoing, progress).await?;
            // The secret may have changed before it was sent.
            endpoint.cover(mask);
            let Some(hop) = hop(&answer, &outgoing, &endpoint)? else {
                return Ok(respond(endpoint, outgoing, answer, progress));
            };
            // Gives its place free before the next one is waited for.
            drop(answer);
            endpoint = self.after(&endpoint, &hop)?;
            tracing::debug!(endpoint = &*endpoint.name, to = redact(&hop.url), "following a redirect");
            outgoing.turn(hop);
        }
        Err(Denied(format!("{}: more than {MAX_REDIRECTS} redirects", redact(&outgoing.url))))
    }
}

impl Outgoing {
    fn turn(&mut self, hop: Redirect) {
        (self.url, self.method) = (hop.url, hop.method);
        if hop.body == KeepBody::No {
            self.body = None;
            headers::drop_content(&mut self.headers);
        }
    }
}

fn judge(endpoint: &Endpoint, request: Request) -> Result<Outgoing, EgressError> {
    let method = Method::from_bytes(request.method.as_bytes()).ok();
    // The one asks for a tunnel, the others make the origin repeat the credential. Servers differ in how they read case.
    let is_unfit =
        |method: &Method| ["CONNECT", "TRACE", "TRACK"].iter().any(|it| it.eq_ignore_ascii_case(method.as_str()));
    let method = method.filter(|method| !is_unfit(method));
    let method = method.ok_or_else(|| Denied(format!("endpoint `{}`: this method may not be sent", endpoint.name)))?;
    let url = endpoint.reach.resolve(&request.target);
    let url = url.map_err(|refusal| Denied(format!("endpoint `{}`: {refusal}", endpoint.name)))?;
    let headers = headers::judge(&request.headers, endpoint.own_header())?;
    Ok(Outgoing { method, url, headers, body: request.body })
}

fn hop((response, _): &Answer, outgoing: &Outgoing, from: &Endpoint) -> Result<Option<Redirect>, EgressError> {
    let location = response.headers().get(LOCATION);
    match redirect(response.status(), location, &outgoing.method, &outgoing.url) {
        None => Ok(None),
        Some(Ok(hop)) => Ok(Some(hop)),
        Some(Err(Unreadable)) => {
            Err(Denied(format!("endpoint `{}`: {} redirects to no URL", from.name, redact(&outgoing.url))))
        }
    }
}

fn respond(endpoint: Arc<Endpoint>, outgoing: Outgoing, answer: Answer, progress: &Progress) -> Response {
    Response {
        status: answer.0.status().as_u16(),
        headers: headers::shown(answer.0.headers()),
        final_url: redact(&outgoing.url),
        body: Box::new(Incoming::new(endpoint, outgoing, answer, progress.clone())),
    }
}

#[cfg(test)]
#[path = "client_tests.rs"]
mod tests;
