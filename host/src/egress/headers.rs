//! What of a caller's headers is sent: nothing that is a credential, that frames the message or that the host sets.

use reqwest::header::{self, HeaderMap, HeaderName, HeaderValue};

use super::EgressError;

/// Names that a caller may not set, and why. Besides these: everything that starts with `proxy-`.
const REFUSED: [(HeaderName, &str); 16] = [
    (header::AUTHORIZATION, CREDENTIAL),
    (header::COOKIE, CREDENTIAL),
    (HeaderName::from_static("cookie2"), CREDENTIAL),
    (header::HOST, HOSTS_OWN),
    (header::ACCEPT_ENCODING, HOSTS_OWN),
    (header::CONTENT_LENGTH, FRAMING),
    (header::TRANSFER_ENCODING, FRAMING),
    (header::TE, FRAMING),
    (header::TRAILER, FRAMING),
    (header::EXPECT, FRAMING),
    (header::CONNECTION, FRAMING),
    (HeaderName::from_static("keep-alive"), FRAMING),
    (header::UPGRADE, FRAMING),
    (HeaderName::from_static("http2-settings"), FRAMING),
    (header::FORWARDED, HOSTS_OWN),
    (header::VIA, HOSTS_OWN),
];
const CREDENTIAL: &str = "credentials are the endpoint's `auth` to add";
const FRAMING: &str = "it frames the message";
const HOSTS_OWN: &str = "the host sets it";

/// The most headers of one request.
const MOST: usize = 100;

/// The most bytes of one request's headers, names and values.
const MOST_BYTES: usize = 64 << 10;

/// Why a header of this name is refused, if it is.
pub(super) fn refusal(name: &HeaderName) -> Option<&'static str> {
    if name.as_str().starts_with("proxy-") {
        return Some(CREDENTIAL);
    }
    REFUSED.iter().find(|(refused, _)| refused == name).map(|(_, why)| *why)
}

/// A caller's headers, judged. `own` is the header that holds the endpoint's credential. No error repeats a value.
pub(super) fn judge(headers: &[(String, String)], own: Option<&HeaderName>) -> Result<HeaderMap, EgressError> {
    let bytes: usize = headers.iter().map(|(name, value)| name.len() + value.len()).sum();
    if headers.len() > MOST || bytes > MOST_BYTES {
        return Err(EgressError::Denied(format!(
            "the headers are more than {MOST}, or longer than {MOST_BYTES} bytes"
        )));
    }
    let mut judged = HeaderMap::new();
    for (name, value) in headers {
        let name = HeaderName::from_bytes(name.as_bytes())
            .map_err(|_| EgressError::Denied("a header's name holds what no name may hold".into()))?;
        if let Some(why) = refusal(&name) {
            return Err(EgressError::Denied(format!("header `{name}` may not be sent: {why}")));
        }
        if own == Some(&name) {
            return Err(EgressError::Denied(format!("header `{name}` may not be sent: {CREDENTIAL}")));
        }
        let value = HeaderValue::from_bytes(value.as_bytes()).map_err(|_| {
            EgressError::Denied(format!("the value of header `{name}` holds a line break or another control character"))
        })?;
        judged.append(name, value);
    }
    Ok(judged)
}

/// Takes away what describes a body, for a request that has lost it on the way.
pub(super) fn drop_content(headers: &mut HeaderMap) {
    for name in [
        header::CONTENT_TYPE,
        header::CONTENT_ENCODING,
        header::CONTENT_LANGUAGE,
        header::CONTENT_LOCATION,
        header::LAST_MODIFIED,
    ] {
        headers.remove(name);
    }
}

/// Takes away what asks for an answer only under a condition.
pub(super) fn drop_conditions(headers: &mut HeaderMap) {
    for name in [
        header::IF_MATCH,
        header::IF_NONE_MATCH,
        header::IF_MODIFIED_SINCE,
        header::IF_UNMODIFIED_SINCE,
        header::IF_RANGE,
    ] {
        headers.remove(name);
    }
}

/// An answer's headers as a caller sees them: names in lower case, bytes that are no UTF-8 replaced.
pub(super) fn shown(headers: &HeaderMap) -> Vec<(String, String)> {
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    headers.iter().map(|(name, value)| (name.as_str().to_owned(), text(value))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(name: &str, value: &str) -> Result<HeaderMap, EgressError> {
        judge(&[(name.into(), value.into())], Some(&HeaderName::from_static("x-key")))
    }

    #[test]
    fn headers_that_leak_or_frame_are_refused_in_any_case() {
        for name in [
            "authorization",
            "Authorization",
            "COOKIE",
            "Host",
            "Proxy-Authorization",
            "proxy-connection",
            "Connection",
            "Keep-Alive",
            "Content-Length",
            "Transfer-Encoding",
            "TE",
            "Trailer",
            "Upgrade",
            "Expect",
            "Accept-Encoding",
            "X-Key",
        ] {
            let error = judged(name, "SENTINEL").unwrap_err();
            assert!(matches!(error, EgressError::Denied(_)), "{name}");
            assert!(!format!("{error} {error:?}").contains("SENTINEL"), "{name}");
        }
    }

    #[test]
    fn a_header_cannot_smuggle_another() {
        for (name, value) in [
            ("x", "a\r\nauthorization: SENTINEL"),
            ("x", "a\nSENTINEL"),
            ("x", "a\0SENTINEL"),
            ("x\r\nhost", "SENTINEL"),
            ("x: y", "SENTINEL"),
            (":authority", "SENTINEL"),
            ("host ", "SENTINEL"),
            ("", "SENTINEL"),
        ] {
            let error = judged(name, value).unwrap_err();
            assert!(matches!(error, EgressError::Denied(_)), "{name:?}");
            assert!(!format!("{error} {error:?}").contains("SENTINEL"), "{name:?}");
        }
    }

    #[test]
    fn other_headers_pass_with_every_value() {
        let headers = [("Accept", "a/b"), ("accept", "c/d"), ("x-name", "Grüße\t1")];
        let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let judged = judge(&headers, None).unwrap();
        let expected = [("accept", "a/b"), ("accept", "c/d"), ("x-name", "Grüße\t1")];
        assert_eq!(shown(&judged), expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }
}
