//! Where an endpoint's requests may go: below one base URL, or to listed hosts. Pure: what a name resolves to is judged
//! elsewhere.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;
use url::{Host, Url};

use super::config::Config;
use super::setup::Fault;

/// Longer URLs are no places of files, and no server takes them.
const LONGEST_URL: usize = 32 << 10;

/// Where requests may go.
#[derive(Clone, Debug)]
pub(super) enum Reach {
    /// Below this URL, on its own origin.
    System(Url),
    /// To these hosts.
    Hosts(Vec<AllowEntry>),
}

/// Why a target is refused. No text repeats the target: it may hold a credential.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub(super) enum Refusal {
    #[error("the target is no URL")]
    NoUrl,
    #[error("the target is no absolute URL, and this endpoint has no `base_url` to put a path below")]
    NotAbsolute,
    #[error("the URL is longer than 32 KiB")]
    TooLong,
    #[error("only http and https are spoken")]
    Scheme,
    #[error("a URL with a user or password is not sent anywhere")]
    User,
    #[error("the host of the URL is neither a name nor an address")]
    NoHost,
    #[error("the path could leave the base URL")]
    Climbs,
    #[error("the URL is not below the base URL")]
    Elsewhere,
    #[error("no entry of `allow` names {scheme}://{host}:{port}")]
    NotListed { scheme: String, host: String, port: u16 },
}

impl Reach {
    /// Reads `base_url` or `allow`; all faults at once.
    pub(super) fn new(config: &Config) -> Result<Self, Vec<Fault>> {
        match (&config.base_url, config.allow.is_empty()) {
            (Some(_), false) => Err(vec![Fault::TwoReaches]),
            (None, true) => Err(vec![Fault::NoReach]),
            (Some(text), true) => base_url(text).map(Self::System).map_err(|fault| vec![fault]),
            (None, false) => allow_list(&config.allow).map(Self::Hosts),
        }
    }

    /// The URL that a caller's target means, without its fragment.
    pub(super) fn resolve(&self, target: &str) -> Result<Url, Refusal> {
        if target.len() > LONGEST_URL {
            return Err(Refusal::TooLong);
        }
        // The URL parser drops some of these silently; what we judge must be what is sent.
        if target.contains(char::is_control) {
            return Err(Refusal::NoUrl);
        }
        let mut url = match self {
            Self::System(base) if !is_absolute(target) => below(base, target)?,
            Self::System(_) | Self::Hosts(_) => absolute(target)?,
        };
        if matches!(self, Self::System(_)) && climbs(path_of(target)) {
            return Err(Refusal::Climbs);
        }
        url.set_fragment(None);
        self.admits(&url)?;
        Ok(url)
    }

    /// Whether a request may go to this URL.
    pub(super) fn admits(&self, url: &Url) -> Result<(), Refusal> {
        if url.as_str().len() > LONGEST_URL {
            return Err(Refusal::TooLong);
        }
        if !matches!(url.scheme(), "http" | "https") {
            return Err(Refusal::Scheme);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Refusal::User);
        }
        if !names_a_host(url) {
            return Err(Refusal::NoHost);
        }
        match self {
            Self::System(base) if climbs(url.path()) && is_same_origin(base, url) => Err(Refusal::Climbs),
            Self::System(base) if !is_below(base, url) => Err(Refusal::Elsewhere),
            Self::Hosts(entries) if !entries.iter().any(|entry| entry.matches(url)) => Err(Refusal::NotListed {
                scheme: url.scheme().to_owned(),
                host: url.host_str().unwrap_or_default().to_owned(),
                port: url.port_or_known_default().unwrap_or_default(),
            }),
            _ => Ok(()),
        }
    }

    /// Whether the endpoint's credential may go to this URL: only to the base URL's own origin.
    pub(super) fn is_own_origin(&self, url: &Url) -> bool {
        match self {
            Self::System(base) => is_same_origin(base, url),
            Self::Hosts(_) => false,
        }
    }

    /// Whether this is one system rather than many hosts.
    pub(super) fn is_one_system(&self) -> bool {
        matches!(self, Self::System(_))
    }

    /// Whether no request can need TLS.
    pub(super) fn is_plain(&self) -> bool {
        match self {
            Self::System(base) => base.scheme() == "http",
            Self::Hosts(entries) => entries.iter().all(|entry| entry.scheme == "http"),
        }
    }
}

/// The URL parser lets names through that resolvers, proxies and servers read in ways of their own.
fn names_a_host(url: &Url) -> bool {
    let Some(Host::Domain(name)) = url.host() else { return url.has_host() };
    let name = name.strip_suffix('.').unwrap_or(name);
    name.split('.')
        .all(|label| !label.is_empty() && label.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_')))
}

fn base_url(text: &str) -> Result<Url, Fault> {
    let url = Url::parse(text).map_err(|_| Fault::BaseUrl("no absolute URL"))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(Fault::BaseUrl("neither http nor https"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Fault::BaseUrl("with a user or password; credentials go under `auth`"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(Fault::BaseUrl("with a query or fragment"));
    }
    Ok(url)
}

fn allow_list(texts: &[String]) -> Result<Vec<AllowEntry>, Vec<Fault>> {
    let mut entries = Vec::new();
    let mut faults = Vec::new();
    for (index, text) in texts.iter().enumerate() {
        match AllowEntry::new(text) {
            Some(entry) => entries.push(entry),
            None => faults.push(Fault::Allow { nth: index + 1 }),
        }
    }
    if faults.is_empty() { Ok(entries) } else { Err(faults) }
}

/// One entry of `allow`.
///
/// | entry | matches |
/// |---|---|
/// | `host` | `https://host`, port 443 |
/// | `host:port` | `https://host:port` |
/// | `*.domain` | `https://` and one or more labels below the domain, never the domain itself |
/// | `http://…` | the same over plain HTTP, port 80 unless it says another |
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct AllowEntry {
    scheme: &'static str,
    host: Host,
    /// Matches what is below `host` instead of it.
    below: bool,
    port: u16,
}

impl AllowEntry {
    fn new(text: &str) -> Option<Self> {
        let (scheme, rest) = match text.strip_prefix("http://") {
            Some(rest) => ("http", rest),
            None => ("https", text),
        };
        let (below, authority) = match rest.strip_prefix("*.") {
            Some(domain) => (true, domain),
            None => (false, rest),
        };
        if authority.contains(['/', '?', '#', '@', '\\', '*']) || authority.contains(char::is_whitespace) {
            return None;
        }
        let url = Url::parse(&format!("{scheme}://{authority}/")).ok()?;
        let host = url.host()?.to_owned();
        let is_fit = !below || matches!(&host, Host::Domain(domain) if domain.contains('.'));
        is_fit.then_some(Self { scheme, host, below, port: url.port_or_known_default()? })
    }

    fn matches(&self, url: &Url) -> bool {
        let fits = match (&self.host, url.host()) {
            (Host::Domain(domain), Some(Host::Domain(host))) if self.below => host
                .strip_suffix(domain.as_str())
                .and_then(|rest| rest.strip_suffix('.'))
                .is_some_and(|it| !it.is_empty()),
            (Host::Domain(domain), Some(Host::Domain(host))) => domain == host,
            (Host::Ipv4(listed), Some(Host::Ipv4(address))) => *listed == address,
            (Host::Ipv6(listed), Some(Host::Ipv6(address))) => *listed == address,
            _ => false,
        };
        fits && url.scheme() == self.scheme && url.port_or_known_default() == Some(self.port)
    }
}

/// Whether a target starts with a scheme and `://`.
fn is_absolute(target: &str) -> bool {
    target.split_once("://").is_some_and(|(scheme, _)| {
        scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'))
    })
}

fn absolute(target: &str) -> Result<Url, Refusal> {
    if !is_absolute(target) {
        return Err(Refusal::NotAbsolute);
    }
    Url::parse(target).map_err(|_| Refusal::NoUrl)
}

/// A path put below the base, however many slashes stand between.
fn below(base: &Url, target: &str) -> Result<Url, Refusal> {
    if target.starts_with("//") {
        return Err(Refusal::Climbs);
    }
    let target = target.strip_prefix('/').unwrap_or(target);
    let base = base.as_str().trim_end_matches('/');
    let joint = if target.is_empty() || target.starts_with(['?', '#']) { "" } else { "/" };
    Url::parse(&format!("{base}{joint}{target}")).map_err(|_| Refusal::NoUrl)
}

/// What stands before query and fragment.
fn path_of(target: &str) -> &str {
    target.find(['?', '#']).map_or(target, |end| target.split_at(end).0)
}

/// Whether a path has a segment that a server could take for a step up, however it is encoded and however often. Servers
/// differ in what they decode, so dots, slashes and backslashes count in every encoding, and so do the digits of one.
fn climbs(path: &str) -> bool {
    let mut text = Cow::Borrowed(path);
    for _ in 0..3 {
        if text.contains('\\') || text.split('/').any(is_step) {
            return true;
        }
        let decoded = percent_decode_str(&text).decode_utf8_lossy().into_owned();
        if decoded == text {
            return false;
        }
        text = decoded.into();
    }
    true
}

/// `.` and `..`, also with the parameters that some servers cut off a segment.
fn is_step(segment: &str) -> bool {
    matches!(segment.split(';').next(), Some("." | ".."))
}

fn is_same_origin(base: &Url, url: &Url) -> bool {
    base.scheme() == url.scheme()
        && base.host() == url.host()
        && base.port_or_known_default() == url.port_or_known_default()
}

fn is_below(base: &Url, url: &Url) -> bool {
    let rest = url.path().strip_prefix(base.path().trim_end_matches('/'));
    is_same_origin(base, url) && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
#[path = "reach_tests.rs"]
mod tests;
