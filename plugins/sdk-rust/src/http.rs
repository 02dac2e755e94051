//! HTTP through the host. A plugin names an endpoint and gives a path below it, or an absolute URL that it allows; the
//! host adds the credential, follows the redirects that are allowed, and keeps the body until the plugin asks for it.

use std::fmt;
use std::time::{Duration, SystemTime};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{Outcome, host, json};

/// A request.
#[derive(Clone, PartialEq, Eq)]
pub struct Request {
    pub(crate) method: String,
    pub(crate) endpoint: String,
    pub(crate) target: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Option<Vec<u8>>,
}

/// A `GET` of a path below the endpoint, or of an absolute URL that it allows.
pub fn get(endpoint: impl Into<String>, target: impl Into<String>) -> Request {
    request("GET", endpoint, target)
}

/// A `POST` to a path below the endpoint, or to an absolute URL that it allows.
pub fn post(endpoint: impl Into<String>, target: impl Into<String>) -> Request {
    request("POST", endpoint, target)
}

/// A request of any method.
pub fn request(method: impl Into<String>, endpoint: impl Into<String>, target: impl Into<String>) -> Request {
    Request { method: method.into(), endpoint: endpoint.into(), target: target.into(), headers: Vec::new(), body: None }
}

impl Request {
    /// Sends this header too. `authorization`, `cookie`, `host`, `accept-encoding` and what frames a body or belongs to
    /// one connection are the host's.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Sends this body.
    pub fn body(self, body: impl Into<Vec<u8>>) -> Self {
        Self { body: Some(body.into()), ..self }
    }

    /// Sends this value as JSON.
    pub fn json<T: Serialize + ?Sized>(self, value: &T) -> Result<Self, json::Error> {
        let written = serde_json::to_vec(value);
        let body =
            written.map_err(|error| json::Error::Write { output: self.endpoint.clone(), reason: error.to_string() })?;
        Ok(self.header("content-type", "application/json").body(body))
    }

    /// Sends the request and waits for the head of the response.
    pub async fn send(self) -> Result<Response, Error> {
        let origin = Origin { reach: Reach::of(&self.target), endpoint: self.endpoint.clone() };
        match host::send(self).await {
            Ok(response) => Ok(Response { response, origin }),
            Err(failure) => Err(origin.error(failure)),
        }
    }

    /// `GET`, `POST`, …
    pub fn method(&self) -> &str {
        &self.method
    }

    /// The endpoint it goes through.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// The path or URL it asks for. A URL may be presigned: not for logs.
    pub fn target(&self) -> &str {
        &self.target
    }

    /// Its headers.
    pub fn headers(&self) -> &[(String, String)] {
        &self.headers
    }

    /// Its body.
    pub fn payload(&self) -> Option<&[u8]> {
        self.body.as_deref()
    }
}

/// Without what may be secret: the query of a presigned URL, the values of headers, the body.
impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let target = self.target.split(['?', '#']).next().unwrap_or_default();
        let headers: Vec<_> = self.headers.iter().map(|(name, _)| name).collect();
        let Self { method, endpoint, .. } = self;
        let mut request = f.debug_struct("Request");
        request.field("method", method).field("endpoint", endpoint).field("target", &target).field("headers", &headers);
        request.finish_non_exhaustive()
    }
}

/// An answer whose body is still in the host. Any status is an answer; only what gave none is an error.
pub struct Response {
    pub(crate) response: host::Response,
    origin: Origin,
}

impl Response {
    /// The status code. Redirects that the endpoint allows were followed already.
    pub fn status(&self) -> u16 {
        self.response.status()
    }

    /// The first value of a header, its name in any case.
    pub fn header(&self, name: &str) -> Option<String> {
        self.response.header(name)
    }

    /// All headers, names in lower case.
    pub fn headers(&self) -> Vec<(String, String)> {
        self.response.headers()
    }

    /// Where the body came from after redirects, without its query.
    pub fn final_url(&self) -> String {
        self.response.final_url()
    }

    /// How long the system asks to wait, if it does (`Retry-After`, in seconds or as a date). `now` is
    /// [`Context::now`](crate::Context::now); nothing where the date is past.
    pub fn retry_after(&self, now: SystemTime) -> Option<Duration> {
        wait(&self.header("retry-after")?, now)
    }

    /// The first bytes (at most 64 KiB) without consuming the body; fewer where the body is shorter.
    pub async fn peek(&self, bytes: u32) -> Result<Vec<u8>, Error> {
        self.response.peek(bytes).await.map_err(|failure| self.origin.error(failure))
    }

    /// The whole body; [`Error::TooLarge`] above `max` bytes.
    pub async fn bytes(self, max: u32) -> Result<Vec<u8>, Error> {
        self.response.read_all(max).await.map_err(|failure| self.origin.error(failure))
    }

    /// The whole body as JSON; [`Error::TooLarge`] above `max` bytes. What cannot be read is [`Error::Other`], for it
    /// is the system's mistake and not the message's.
    pub async fn json<T: DeserializeOwned>(self, max: u32) -> Result<T, Error> {
        let endpoint = self.origin.endpoint.clone();
        let body = self.bytes(max).await?;
        json::parse_at_most(&body, body.len())
            .map_err(|error| Error::Other(format!("endpoint {endpoint} answered oddly: {error}")))
    }
}

/// What `Retry-After` asks for.
fn wait(value: &str, now: SystemTime) -> Option<Duration> {
    let value = value.trim();
    if let Ok(seconds) = value.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = httpdate::parse_http_date(value).ok()?;
    Some(date.duration_since(now).unwrap_or_default())
}

/// Whether a breaker that is open stands before one system or one of many.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reach {
    /// The target was a path: the endpoint is one system, and while it is down no message can pass.
    OneSystem,
    /// The target was an absolute URL: other messages lead to other hosts.
    ManyHosts,
}

impl Reach {
    /// What a target reaches.
    pub fn of(target: &str) -> Self {
        let is_scheme = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
        match target.split_once("://") {
            Some((scheme, _)) if !scheme.is_empty() && is_scheme(scheme) => Self::ManyHosts,
            _ => Self::OneSystem,
        }
    }
}

/// Why there is no response, or no more of it. No text names a query or a credential, nor repeats the code.
///
/// | error | code | as an outcome |
/// |---|---|---|
/// | `Denied` | `denied` | `reject` |
/// | `Unavailable`, one system | `unavailable` | `hold`, for as long as the breaker is open |
/// | `Unavailable`, many hosts | `unavailable` | `retry`, after as long as the breaker is open |
/// | `Timeout`, `Connect`, `Interrupted`, `Other` | `timeout`, `connect`, `interrupted`, `http` | `retry` |
/// | `TooLarge` | `too-large` | `reject` |
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Error {
    /// Refused by policy: not granted, not allowed, a private address, an unsafe redirect.
    #[error("{0}")]
    Denied(String),
    /// The endpoint's breaker is open.
    #[error("endpoint {endpoint} is unavailable: its breaker is open for another {retry_after:?}")]
    Unavailable {
        /// Which endpoint.
        endpoint: String,
        /// Until its next trial.
        retry_after: Duration,
        /// What it stands before.
        reach: Reach,
    },
    /// Nothing came within the endpoint's `first_byte` or `stall`.
    #[error("{0}")]
    Timeout(String),
    /// No connection: name look-up, refusal, TLS.
    #[error("cannot connect: {0}")]
    Connect(String),
    /// The body is larger than asked for.
    #[error("the body is larger than {limit} bytes")]
    TooLarge {
        /// The limit in bytes.
        limit: u64,
    },
    /// The body ended early.
    #[error("the body ended early, after {received} bytes")]
    Interrupted {
        /// Bytes that came.
        received: u64,
    },
    /// Anything else.
    #[error("{0}")]
    Other(String),
}

impl Error {
    /// The short stable word of the error.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Denied(_) => "denied",
            Self::Unavailable { .. } => "unavailable",
            Self::Timeout(_) => "timeout",
            Self::Connect(_) => "connect",
            Self::TooLarge { .. } => "too-large",
            Self::Interrupted { .. } => "interrupted",
            Self::Other(_) => "http",
        }
    }
}

impl From<Error> for Outcome {
    fn from(error: Error) -> Self {
        let reason = error.to_string();
        match error {
            Error::Denied(_) | Error::TooLarge { .. } => Self::reject(error.code(), reason),
            Error::Unavailable { retry_after, reach: Reach::OneSystem, .. } => Self::hold_for(retry_after, reason),
            Error::Unavailable { retry_after, reach: Reach::ManyHosts, .. } => Self::retry_after(retry_after, reason),
            Error::Timeout(_) | Error::Connect(_) | Error::Interrupted { .. } | Error::Other(_) => Self::retry(reason),
        }
    }
}

/// What a request went to, for its errors.
struct Origin {
    endpoint: String,
    reach: Reach,
}

impl Origin {
    fn error(&self, failure: host::HttpFailure) -> Error {
        match failure {
            host::HttpFailure::Error(error) => error,
            host::HttpFailure::Unavailable { retry_after } => {
                Error::Unavailable { endpoint: self.endpoint.clone(), retry_after, reach: self.reach }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Verdict;

    #[test]
    fn an_absolute_target_reaches_many_hosts() {
        for (target, reach) in [
            ("https://files.example/a", Reach::ManyHosts),
            ("http://127.0.0.1:1/a?b", Reach::ManyHosts),
            ("/export/project/1", Reach::OneSystem),
            ("export", Reach::OneSystem),
            ("/login?next=https://files.example", Reach::OneSystem),
            ("://", Reach::OneSystem),
        ] {
            assert_eq!(Reach::of(target), reach, "{target}");
        }
    }

    #[test]
    fn a_wait_is_in_seconds_or_until_a_date() {
        // 1994-11-06T08:49:07Z
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_747);
        for (value, seconds) in [
            ("120", Some(120)),
            (" 0 ", Some(0)),
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(30)),
            ("Sunday, 06-Nov-94 08:49:37 GMT", Some(30)),
            ("Sun Nov  6 08:49:37 1994", Some(30)),
            ("Sun, 06 Nov 1994 08:49:06 GMT", Some(0)),
            ("-1", None),
            ("1.5", None),
            ("soon", None),
            ("", None),
        ] {
            assert_eq!(wait(value, now), seconds.map(Duration::from_secs), "{value:?}");
        }
    }

    #[test]
    fn a_reason_does_not_repeat_its_code() {
        for error in [Error::Denied("x".into()), Error::Timeout("x".into())] {
            assert_eq!(error.to_string(), "x");
        }
        assert_eq!(crate::blobs::Error::Denied("x".into()).to_string(), "x");
        assert_eq!(crate::keyvalue::Error::Denied("x".into()).to_string(), "x");
    }

    #[test]
    fn a_request_is_shown_without_its_secrets() {
        let request = get("media", "https://h/a.pdf?sig=SENTINEL").header("x-key", "SENTINEL").body("SENTINEL");
        let shown = format!("{request:?}");
        assert!(shown.contains("https://h/a.pdf") && shown.contains("x-key"), "{shown}");
        assert!(!shown.contains("SENTINEL"), "{shown}");
    }

    #[test]
    fn errors_become_the_outcome_of_the_table() {
        let after = Duration::from_secs(7);
        let unavailable = |reach| Error::Unavailable { endpoint: "e".into(), retry_after: after, reach };
        let verdict = |error: Error| Outcome::from(error).verdict;
        assert!(matches!(verdict(unavailable(Reach::OneSystem)), Verdict::Hold { after: Some(a), .. } if a == after));
        assert!(matches!(verdict(unavailable(Reach::ManyHosts)), Verdict::Retry { after: Some(a), .. } if a == after));
        for error in [Error::Denied("x".into()), Error::TooLarge { limit: 1 }] {
            let code = error.code();
            assert!(matches!(verdict(error), Verdict::Reject { code: c, .. } if c == code));
        }
        let other = |make: fn(String) -> Error| make("x".into());
        for error in
            [other(Error::Timeout), other(Error::Connect), other(Error::Other), Error::Interrupted { received: 1 }]
        {
            assert!(matches!(verdict(error), Verdict::Retry { after: None, .. }));
        }
    }
}
