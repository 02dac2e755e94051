//! Foreign errors to ours, and URLs to texts that may be shown: no query, no fragment, no user.

use std::error::Error;

use url::Url;

use super::EgressError;
use super::address::Forbidden;
use crate::model::without_queries;

/// A URL as it may be shown: scheme, host, port and path.
pub(super) fn redact(url: &Url) -> String {
    let mut shown = url.clone();
    shown.set_query(None);
    shown.set_fragment(None);
    // These fail only for URLs that cannot have a user.
    let _ = shown.set_username("");
    let _ = shown.set_password(None);
    shown.into()
}

/// Why a request got no answer.
#[derive(Debug)]
pub(super) struct Failure {
    /// For the caller.
    pub(super) error: EgressError,
    /// Whether it speaks for a broken system.
    pub(super) counts: bool,
}

impl Failure {
    /// Sorts the HTTP client's error for a request to a place that may be shown.
    pub(super) fn new(error: reqwest::Error, place: &str) -> Self {
        let error = error.without_url();
        if let Some(forbidden) = forbidden(&error) {
            return Self { error: EgressError::Denied(format!("{place}: {forbidden}")), counts: false };
        }
        let text = format!("{place}: {}", describe(&error));
        // It was never sent, and never can be.
        if error.is_builder() {
            return Self { error: EgressError::Denied(text), counts: false };
        }
        // A connection that is not made in time is both; what the caller wants to know is that there is none.
        if error.is_connect() {
            Self { error: EgressError::Connect(text), counts: true }
        } else if error.is_timeout() {
            Self { error: EgressError::Timeout(text), counts: true }
        } else {
            Self { error: EgressError::Other(text), counts: false }
        }
    }
}

/// An error with its causes, without what URLs in it would give away.
pub(super) fn describe(error: &reqwest::Error) -> String {
    let mut texts: Vec<String> = Vec::new();
    for cause in causes(error) {
        let text = cause.to_string();
        if texts.last().is_none_or(|last| !last.contains(&text)) {
            texts.push(text);
        }
    }
    without_queries(&texts.join(": ")).into_owned()
}

fn forbidden(error: &reqwest::Error) -> Option<&Forbidden> {
    causes(error).find_map(|cause| cause.downcast_ref())
}

fn causes(error: &reqwest::Error) -> impl Iterator<Item = &(dyn Error + 'static)> {
    let first: &(dyn Error + 'static) = error;
    // Without the star it would be the source of the reference, which lives too short.
    std::iter::successors(Some(first), |error| (*error).source())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shown_url_has_no_query_fragment_or_user() {
        for (url, shown) in [
            ("https://a.example/x/y?sig=SENTINEL", "https://a.example/x/y"),
            ("https://SENTINEL:SENTINEL@a.example:8443/x#SENTINEL", "https://a.example:8443/x"),
            ("https://SENTINEL@a.example", "https://a.example/"),
            ("http://[::1]:80/?SENTINEL", "http://[::1]/"),
        ] {
            assert_eq!(redact(&Url::parse(url).unwrap()), shown);
        }
    }
}
