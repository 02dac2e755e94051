//! An endpoint and a target, as two lines: `base URL` or `allow ENTRY,ENTRY`, then what a message names; the target is
//! taken for the answer of a redirect, too. The endpoint allows no addresses but public ones.
//!
//! - A URL that is taken is http or https, has a host and neither user nor fragment, is parsed again as itself, and is
//!   taken again as it stands.
//! - Below a base URL it has its scheme, host and port, and however often a server decodes its path it stays below.
//! - On an allow-list its scheme, host and port are those of an entry, read in a plain way.
//! - A host that is a number in any writing is an address to the parser; addresses that the standard library knows as
//!   not public are not connected to, mapped and translated ones neither.
//! - A credential goes to the base URL's own origin only.
//! - Why a target is refused tells neither its user nor its query.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use lockgate::egress::config::Config;
use lockgate::egress::judging::Judge;
use url::{Host, Url};

use crate::Verdict;

/// Part of the user or of the query of a target.
const SECRET: &str = "5ecret";

pub(crate) fn run(data: &[u8]) -> Verdict {
    let text = String::from_utf8_lossy(data);
    let (endpoint, target) = text.split_once('\n').unwrap_or((&text, ""));
    let config = config(endpoint);
    let Some(judge) = Judge::new(&config).filter(|_| has_name(&config)) else { return Verdict::Refused };
    let taken = judge.target(target);
    match &taken {
        Ok(url) => {
            is_fit(url, &judge, &config);
            assert_eq!(judge.target(url.as_str()).as_ref(), Ok(url), "taken once, and not as it stands");
        }
        Err(reason) => assert!(!reason.contains(SECRET) || host_of(target).contains(SECRET), "{reason}"),
    }
    if let Ok(url) = start(&config).map_or(Err(String::new()), |from| judge.redirect(&from, target.as_bytes())) {
        is_fit(&url, &judge, &config);
    }
    Verdict::of(&taken)
}

fn config(endpoint: &str) -> Config {
    match endpoint.split_once(' ') {
        Some(("base", url)) => Config { base_url: Some(url.to_owned()), ..Config::default() },
        Some(("allow", entries)) => {
            Config { allow: entries.split(',').map(str::to_owned).collect(), ..Config::default() }
        }
        _ => Config::default(),
    }
}

/// A base URL whose host begins with a dot is nobody's, and its own URL looks like a step.
fn has_name(config: &Config) -> bool {
    let base = config.base_url.as_deref().and_then(|base| Url::parse(base).ok());
    base.is_none_or(|base| base.host_str().is_none_or(|host| !host.starts_with('.')))
}

/// Where a redirect starts.
fn start(config: &Config) -> Option<Url> {
    Url::parse(config.base_url.as_deref().unwrap_or("https://files.example.com/a/b")).ok()
}

fn host_of(target: &str) -> String {
    Url::parse(target).map(|url| format!("{}{}", url.scheme(), url.host_str().unwrap_or_default())).unwrap_or_default()
}

fn is_fit(url: &Url, judge: &Judge, config: &Config) {
    assert!(matches!(url.scheme(), "http" | "https") && url.has_host(), "{url}");
    assert!(url.username().is_empty() && url.password().is_none() && url.fragment().is_none(), "{url}");
    assert_eq!(Url::parse(url.as_str()).as_ref(), Ok(url));
    let base = config.base_url.as_deref().and_then(|base| Url::parse(base).ok());
    match &base {
        Some(base) => {
            assert_eq!(base.origin(), url.origin(), "{url}");
            stays_below(base, url);
        }
        None => {
            assert!(config.allow.iter().any(|entry| names(entry, url)), "{url} is on no list of {:?}", config.allow)
        }
    }
    assert_eq!(judge.signs(url), base.is_some(), "{url}");
    is_public(url, judge);
}

/// Decodes and walks the path as a server might.
fn stays_below(base: &Url, url: &Url) {
    let (mut base, mut path) = (base.path().trim_end_matches('/').to_owned(), url.path().to_owned());
    for _ in 0..3 {
        let below = path.strip_prefix(&base);
        let mut depth = 0_usize;
        for segment in below.unwrap_or("/..").split(['/', '\\']).map(|segment| segment.split(';').next()) {
            match segment {
                Some("..") => {
                    assert!(depth > 0, "{url} leaves its base");
                    depth -= 1;
                }
                Some("" | ".") | None => {}
                Some(_) => depth += 1,
            }
        }
        (base, path) = (decoded(&base), decoded(&path));
    }
}

fn decoded(path: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = path.as_bytes();
    while let [first, behind @ ..] = rest {
        let hex = behind.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
        match hex.filter(|_| *first == b'%').and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = behind.get(2..).unwrap_or_default();
            }
            None => {
                bytes.push(*first);
                rest = behind;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Whether an entry of `allow` names the URL, by comparing texts.
fn names(entry: &str, url: &Url) -> bool {
    let (scheme, place) = entry.strip_prefix("http://").map_or(("https", entry), |place| ("http", place));
    let (domain, host) = (place.strip_prefix("*."), url.host_str().unwrap_or_default());
    let Ok(listed) = Url::parse(&format!("{scheme}://{}", domain.unwrap_or(place))) else { return false };
    let listed_host = listed.host_str().unwrap_or_default();
    let is_host = match domain {
        Some(_) => host.len() > listed_host.len() + 1 && host.ends_with(&format!(".{listed_host}")),
        None => host == listed_host,
    };
    is_host && scheme == url.scheme() && listed.port_or_known_default() == url.port_or_known_default()
}

fn is_public(url: &Url, judge: &Judge) {
    match url.host() {
        Some(Host::Ipv4(address)) => vetted_v4(address, judge),
        Some(Host::Ipv6(address)) => vetted_v6(address, judge),
        Some(Host::Domain(domain)) => assert!(domain.parse::<IpAddr>().is_err(), "{domain} is an address"),
        None => {}
    }
}

fn is_private(address: Ipv4Addr) -> bool {
    address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_unspecified()
        || address.is_multicast()
        || address.is_broadcast()
        || address.is_documentation()
}

fn vetted_v4(address: Ipv4Addr, judge: &Judge) {
    assert!(!is_private(address) || !judge.connects(address.into()), "{address}");
    // The same address in the writings of IPv6: mapped, compatible, translated by NAT64.
    let [a, b, c, d] = address.octets().map(u16::from);
    let (high, low) = (a << 8 | b, c << 8 | d);
    assert!(!judge.connects(address.to_ipv6_mapped().into()));
    assert!(!judge.connects(Ipv6Addr::new(0, 0, 0, 0, 0, 0, high, low).into()));
    let translated = Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, high, low);
    assert_eq!(judge.connects(translated.into()), judge.connects(address.into()), "{translated}");
}

fn vetted_v6(address: Ipv6Addr, judge: &Judge) {
    let is_private = address.is_loopback()
        || address.is_unspecified()
        || address.is_multicast()
        || address.is_unique_local()
        || address.is_unicast_link_local()
        || address.to_ipv4_mapped().is_some();
    assert!(!is_private || !judge.connects(address.into()), "{address}");
}
