//! Base URLs and entries of allow-lists, as far as they can be judged without asking anybody. No fault repeats the URL:
//! it may hold a credential.

use url::{Host, Url};

/// Why a text is no base URL.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub(super) enum UrlFault {
    #[error("this is no absolute URL")]
    NoUrl,
    #[error("only `http` and `https` are spoken")]
    Scheme,
    #[error("a base URL carries no user or password")]
    Credentials,
    #[error("a base URL has no query and no fragment")]
    Query,
}

impl UrlFault {
    pub(super) const HELP: &str = "write it like `https://api.example.com/v1`; credentials go under `auth`";
}

/// Why a text is no URL of a proxy.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub(super) enum ProxyFault {
    #[error("this is no absolute URL")]
    NoUrl,
    #[error("a proxy is spoken to over `http` or `https`")]
    Scheme,
    #[error("the URL of a proxy carries no user or password")]
    Credentials,
    #[error("the URL of a proxy is a host and a port and nothing else")]
    More,
}

impl ProxyFault {
    pub(super) const HELP: &str = "write it like `http://proxy.example.com:3128`; credentials go under `proxy.auth`";
}

/// Why a text is no entry of an allow-list.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub(super) enum AllowFault {
    #[error("an entry of `allow` is a host without path, query or user")]
    More,
    #[error("an entry of `allow` starts with a host or with `http://`")]
    Scheme,
    #[error("this is no name or address of a host")]
    Host,
    #[error("`*` stands for everything before a domain of at least two parts, once, at the start")]
    Wildcard,
}

impl AllowFault {
    pub(super) const HELP: &str =
        "write `host`, `host:port` or `*.example.com`; `http://host` where plain HTTP is meant";
}

/// Judges a base URL.
pub(super) fn base_url(text: &str) -> Result<(), UrlFault> {
    let url = Url::parse(text).map_err(|_| UrlFault::NoUrl)?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(UrlFault::Scheme);
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(UrlFault::Credentials);
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(UrlFault::Query);
    }
    Ok(())
}

/// Judges the URL of a proxy.
pub(super) fn proxy_url(text: &str) -> Result<(), ProxyFault> {
    let url = Url::parse(text).map_err(|_| ProxyFault::NoUrl)?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(ProxyFault::Scheme);
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(ProxyFault::Credentials);
    }
    if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
        return Err(ProxyFault::More);
    }
    Ok(())
}

/// Judges an entry of an allow-list.
pub(super) fn allow_entry(text: &str) -> Result<(), AllowFault> {
    let rest = text.strip_prefix("http://").unwrap_or(text);
    if rest.contains("://") {
        return Err(AllowFault::Scheme);
    }
    if rest.contains(['/', '?', '#', '@', '\\']) || rest.contains(char::is_whitespace) {
        return Err(AllowFault::More);
    }
    let (host, wildcard) = match rest.strip_prefix("*.") {
        Some(domain) => (domain, true),
        None => (rest, false),
    };
    if host.contains('*') {
        return Err(AllowFault::Wildcard);
    }
    let url = Url::parse(&format!("http://{host}/")).map_err(|_| AllowFault::Host)?;
    match url.host() {
        Some(Host::Domain(domain)) if !wildcard || domain.contains('.') => Ok(()),
        Some(Host::Ipv4(_) | Host::Ipv6(_)) if !wildcard => Ok(()),
        Some(_) => Err(AllowFault::Wildcard),
        None => Err(AllowFault::Host),
    }
}

/// Whether a URL leads over plain HTTP to another machine.
pub(super) fn is_plain_and_remote(text: &str) -> bool {
    let Ok(url) = Url::parse(text) else { return false };
    let local = match url.host() {
        Some(Host::Domain(domain)) => domain == "localhost" || domain.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => true,
    };
    url.scheme() == "http" && !local
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base_urls() {
        for (text, expected) in [
            ("https://api.example.com/v1", Ok(())),
            ("http://127.0.0.1:8080", Ok(())),
            ("api.example.com", Err(UrlFault::NoUrl)),
            ("ftp://example.com", Err(UrlFault::Scheme)),
            ("https://me:pass@example.com", Err(UrlFault::Credentials)),
            ("https://example.com/?sig=1", Err(UrlFault::Query)),
            ("https://example.com/#top", Err(UrlFault::Query)),
        ] {
            assert_eq!(base_url(text), expected, "{text}");
        }
    }

    #[test]
    fn proxy_urls() {
        for (text, expected) in [
            ("http://proxy.example.com:3128", Ok(())),
            ("https://10.0.0.1", Ok(())),
            ("http://[::1]:3128/", Ok(())),
            ("proxy.example.com:3128", Err(ProxyFault::Scheme)),
            ("10.0.0.1:3128", Err(ProxyFault::NoUrl)),
            ("socks5://proxy.example.com", Err(ProxyFault::Scheme)),
            ("http://me:pass@proxy.example.com", Err(ProxyFault::Credentials)),
            ("http://proxy.example.com/pac", Err(ProxyFault::More)),
            ("http://proxy.example.com/?a", Err(ProxyFault::More)),
        ] {
            assert_eq!(proxy_url(text), expected, "{text}");
        }
    }

    #[test]
    fn allow_entries() {
        for (text, expected) in [
            ("example.com", Ok(())),
            ("example.com:8443", Ok(())),
            ("*.example.com", Ok(())),
            ("http://127.0.0.1:8080", Ok(())),
            ("[::1]:8080", Ok(())),
            ("localhost", Ok(())),
            ("https://example.com", Err(AllowFault::Scheme)),
            ("example.com/path", Err(AllowFault::More)),
            ("me@example.com", Err(AllowFault::More)),
            ("two words", Err(AllowFault::More)),
            ("*", Err(AllowFault::Wildcard)),
            ("*.com", Err(AllowFault::Wildcard)),
            ("*.10.0.0.1", Err(AllowFault::Wildcard)),
            ("a.*.com", Err(AllowFault::Wildcard)),
            ("", Err(AllowFault::Host)),
            ("example.com:99999", Err(AllowFault::Host)),
        ] {
            assert_eq!(allow_entry(text), expected, "{text}");
        }
    }

    #[test]
    fn plain_http_to_another_machine() {
        for (text, expected) in [
            ("http://api.example.com", true),
            ("https://api.example.com", false),
            ("http://localhost:1", false),
            ("http://127.0.0.1", false),
            ("http://[::1]", false),
        ] {
            assert_eq!(is_plain_and_remote(text), expected, "{text}");
        }
    }
}
