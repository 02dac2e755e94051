//! Who may ask: not a web page. A page of another origin says so in `Origin`; one that had its own name lead to this
//! machine's address (DNS rebinding) says that name in `Host`. Never a replacement for a network that keeps others out.

use std::net::{IpAddr, SocketAddr};

use axum::http::header::{HOST, ORIGIN};
use axum::http::{HeaderMap, StatusCode};

/// Says why a request is refused, if it is.
pub(super) fn refusal(headers: &HeaderMap, listen: SocketAddr) -> Option<(StatusCode, &'static str)> {
    if headers.contains_key(ORIGIN) {
        return Some((StatusCode::FORBIDDEN, "requests of web pages are refused: this one carries `Origin`"));
    }
    let mut hosts = headers.get_all(HOST).iter();
    let named_well = |host: &str| host == listen.to_string() || is_direct(host);
    match (hosts.next().map(|host| host.to_str()), hosts.next()) {
        (Some(Ok(host)), None) if named_well(host) => None,
        (Some(_), _) => Some((StatusCode::FORBIDDEN, "`Host` must be an IP address or `localhost`")),
        (None, _) => Some((StatusCode::BAD_REQUEST, "`Host` is missing")),
    }
}

/// Whether a host, with or without a port, is an address itself, or this machine's own name for itself.
fn is_direct(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.parse::<u16>().is_ok() => name,
        _ => host,
    };
    let inner = name.strip_prefix('[').and_then(|name| name.strip_suffix(']'));
    name.eq_ignore_ascii_case("localhost") || inner.unwrap_or(name).parse::<IpAddr>().is_ok()
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn check(headers: &[(axum::http::HeaderName, &'static str)]) -> Option<u16> {
        let pairs = headers.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value)));
        let mut map = HeaderMap::new();
        pairs.for_each(|(name, value)| {
            map.append(name, value);
        });
        refusal(&map, "10.0.0.7:9600".parse().unwrap()).map(|(status, _)| status.as_u16())
    }

    #[test]
    fn a_name_that_leads_here_is_refused_and_an_address_is_not() {
        for host in ["127.0.0.1:9600", "127.0.0.1", "localhost:1", "LOCALHOST", "[::1]:9600", "[::1]", "10.0.0.7:9600"]
        {
            assert_eq!(check(&[(HOST, host)]), None, "{host}");
        }
        for host in ["evil.example:9600", "evil.example", "127.0.0.1.evil.example", "localhost.evil", ""] {
            assert_eq!(check(&[(HOST, host)]), Some(403), "{host}");
        }
        assert_eq!(check(&[]), Some(400));
        assert_eq!(check(&[(HOST, "localhost"), (HOST, "evil.example")]), Some(403));
    }

    #[test]
    fn a_request_of_a_web_page_is_refused() {
        for origin in ["https://evil.example", "null", "http://127.0.0.1:9600"] {
            assert_eq!(check(&[(HOST, "localhost"), (ORIGIN, origin)]), Some(403), "{origin}");
        }
    }
}
