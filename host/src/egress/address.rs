//! Which addresses may be connected to. Everything that is not a public unicast address is refused unless the
//! endpoint's `allow_addresses` names its network, so that neither a name nor a redirect leads into the own network.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// An address that is not connected to, and why.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{address} is {kind}; if it is meant, list its network under `allow_addresses`")]
pub(super) struct Forbidden {
    address: IpAddr,
    kind: &'static str,
}

/// Judges addresses for one endpoint.
#[derive(Clone, Debug)]
pub(super) struct Vetting {
    allowed: Vec<IpNet>,
}

impl Vetting {
    /// Lets these networks pass besides the public ones.
    pub(super) fn new(allowed: Vec<IpNet>) -> Self {
        Self { allowed }
    }

    /// Judges one address, as it stands: an IPv4 network in `allow_addresses` does not cover mapped addresses.
    pub(super) fn vet(&self, address: IpAddr) -> Result<(), Forbidden> {
        if self.allowed.iter().any(|network| network.contains(&address)) {
            return Ok(());
        }
        match kind_of(address) {
            Some(kind) => Err(Forbidden { address, kind }),
            None => Ok(()),
        }
    }

    /// Judges a name that somebody else looks up, as far as it tells by itself what it leads to.
    pub(super) fn vet_name(&self, name: &str) -> Result<(), Forbidden> {
        let name = name.trim_end_matches('.');
        let leads = |known: &str| name.strip_suffix(known).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
        KNOWN.iter().filter(|(known, _)| leads(known)).try_for_each(|(_, address)| self.vet(*address))
    }

    /// The addresses of a name that pass; the last refusal when there are addresses and none does.
    pub(super) fn keep(&self, found: impl Iterator<Item = SocketAddr>) -> Result<Vec<SocketAddr>, Forbidden> {
        let mut kept = Vec::new();
        let mut refusal = None;
        for address in found {
            match self.vet(address.ip()) {
                Ok(()) => kept.push(address),
                Err(forbidden) => refusal = Some(forbidden),
            }
        }
        match refusal {
            Some(forbidden) if kept.is_empty() => Err(forbidden),
            _ => Ok(kept),
        }
    }
}

/// What an address is, unless it is public.
fn kind_of(address: IpAddr) -> Option<&'static str> {
    match address {
        IpAddr::V4(address) => kind_of_v4(address),
        IpAddr::V6(address) => kind_of_v6(address),
    }
}

fn kind_of_v4(address: Ipv4Addr) -> Option<&'static str> {
    SPECIAL_V4.iter().find(|(network, _)| network.contains(&address)).map(|(_, kind)| *kind)
}

fn kind_of_v6(address: Ipv6Addr) -> Option<&'static str> {
    if TRANSLATED.contains(&address) {
        // Networks without IPv4 reach the rest of the world through these; what counts is the address inside.
        let [.., a, b, c, d] = address.octets();
        return kind_of_v4(Ipv4Addr::new(a, b, c, d));
    }
    let special = SPECIAL_V6.iter().find(|(network, _)| network.contains(&address)).map(|(_, kind)| *kind);
    special.or_else(|| (!GLOBAL_UNICAST.contains(&address)).then_some("not a public address"))
}

const fn v4(a: u8, b: u8, c: u8, d: u8, prefix: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), prefix)
}

const fn v6(a: u16, b: u16, c: u16, prefix: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0), prefix)
}

const METADATA: &str = "a cloud's metadata service";

/// The special-purpose registry of IANA, and what clouds use besides it. The first that fits names the kind.
const SPECIAL_V4: [(Ipv4Net, &str); 21] = [
    (v4(0, 0, 0, 0, 32), "the unspecified address"),
    (v4(0, 0, 0, 0, 8), "of this network"),
    (v4(10, 0, 0, 0, 8), "private"),
    (v4(100, 100, 100, 200, 32), METADATA),
    (v4(100, 64, 0, 0, 10), "shared by a carrier (CGNAT)"),
    (v4(127, 0, 0, 0, 8), "loopback"),
    (v4(168, 63, 129, 16, 32), METADATA),
    (v4(169, 254, 169, 254, 32), METADATA),
    (v4(169, 254, 0, 0, 16), "link-local"),
    (v4(172, 16, 0, 0, 12), "private"),
    (v4(192, 0, 0, 192, 32), METADATA),
    (v4(192, 0, 0, 0, 24), "reserved for protocols"),
    (v4(192, 0, 2, 0, 24), "for documentation"),
    (v4(192, 88, 99, 0, 24), "a relay of 6to4"),
    (v4(192, 168, 0, 0, 16), "private"),
    (v4(198, 18, 0, 0, 15), "for benchmarks"),
    (v4(198, 51, 100, 0, 24), "for documentation"),
    (v4(203, 0, 113, 0, 24), "for documentation"),
    (v4(224, 0, 0, 0, 4), "multicast"),
    (v4(255, 255, 255, 255, 32), "broadcast"),
    (v4(240, 0, 0, 0, 4), "reserved"),
];

const GLOBAL_UNICAST: Ipv6Net = v6(0x2000, 0, 0, 3);
const TRANSLATED: Ipv6Net = v6(0x64, 0xff9b, 0, 96);

/// What is not public inside [`GLOBAL_UNICAST`], and names for the best known networks outside.
const SPECIAL_V6: [(Ipv6Net, &str); 17] = [
    (Ipv6Net::new_assert(Ipv6Addr::UNSPECIFIED, 128), "the unspecified address"),
    (Ipv6Net::new_assert(Ipv6Addr::LOCALHOST, 128), "loopback"),
    (Ipv6Net::new_assert(Ipv6Addr::UNSPECIFIED, 96), "an IPv4 address written as IPv6"),
    (Ipv6Net::new_assert(Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, 0, 0), 96), "an IPv4 address mapped to IPv6"),
    (Ipv6Net::new_assert(Ipv6Addr::new(0, 0, 0, 0, 0xffff, 0, 0, 0), 96), "an IPv4 address translated to IPv6"),
    (v6(0x64, 0xff9b, 1, 48), "behind a translator of its own network (NAT64)"),
    (v6(0x2001, 0, 0, 32), "a tunnel of Teredo"),
    (v6(0x2001, 2, 0, 48), "for benchmarks"),
    (v6(0x2001, 0, 0, 23), "reserved for protocols"),
    (v6(0x2001, 0xdb8, 0, 32), "for documentation"),
    (v6(0x2002, 0, 0, 16), "a relay of 6to4"),
    (v6(0x3fff, 0, 0, 20), "for documentation"),
    (Ipv6Net::new_assert(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254), 128), METADATA),
    (v6(0xfc00, 0, 0, 7), "private"),
    (v6(0xfe80, 0, 0, 10), "link-local"),
    (v6(0xfec0, 0, 0, 10), "site-local"),
    (v6(0xff00, 0, 0, 8), "multicast"),
];

/// Names that stand for an address wherever they are asked for, and so does everything below them: loopback by RFC
/// 6761, the rest by the manuals of clouds.
const KNOWN: [(&str, IpAddr); 4] = [
    ("localhost", IpAddr::V4(Ipv4Addr::LOCALHOST)),
    ("metadata.google.internal", IpAddr::V4(LINK_LOCAL_METADATA)),
    ("metadata.goog", IpAddr::V4(LINK_LOCAL_METADATA)),
    ("instance-data.ec2.internal", IpAddr::V4(LINK_LOCAL_METADATA)),
];
const LINK_LOCAL_METADATA: Ipv4Addr = Ipv4Addr::new(169, 254, 169, 254);

#[cfg(test)]
mod tests {
    use super::*;

    fn none() -> Vetting {
        Vetting::new(Vec::new())
    }

    #[test]
    fn addresses_that_are_not_public_are_refused() {
        for (address, kind) in [
            ("0.0.0.0", "the unspecified address"),
            ("0.1.2.3", "of this network"),
            ("10.1.2.3", "private"),
            ("100.64.0.1", "shared by a carrier (CGNAT)"),
            ("127.0.0.1", "loopback"),
            ("127.255.255.254", "loopback"),
            ("168.63.129.16", "a cloud's metadata service"),
            ("169.254.169.254", "a cloud's metadata service"),
            ("169.254.1.1", "link-local"),
            ("172.16.0.1", "private"),
            ("172.31.255.255", "private"),
            ("192.0.0.192", "a cloud's metadata service"),
            ("192.0.0.1", "reserved for protocols"),
            ("100.100.100.200", "a cloud's metadata service"),
            ("192.0.2.1", "for documentation"),
            ("192.168.1.1", "private"),
            ("198.19.0.1", "for benchmarks"),
            ("203.0.113.9", "for documentation"),
            ("224.0.0.1", "multicast"),
            ("240.0.0.1", "reserved"),
            ("255.255.255.255", "broadcast"),
            ("::", "the unspecified address"),
            ("::1", "loopback"),
            ("::7f00:1", "an IPv4 address written as IPv6"),
            ("::ffff:127.0.0.1", "an IPv4 address mapped to IPv6"),
            ("::ffff:8.8.8.8", "an IPv4 address mapped to IPv6"),
            ("64:ff9b::10.0.0.1", "private"),
            ("64:ff9b::169.254.169.254", "a cloud's metadata service"),
            ("64:ff9b:1::1", "behind a translator of its own network (NAT64)"),
            ("::ffff:0:7f00:1", "an IPv4 address translated to IPv6"),
            ("100::1", "not a public address"),
            ("2001::1", "a tunnel of Teredo"),
            ("2001:2::1", "for benchmarks"),
            ("2001:20::1", "reserved for protocols"),
            ("2001:db8::1", "for documentation"),
            ("2002:7f00:1::", "a relay of 6to4"),
            ("fd00:ec2::254", "a cloud's metadata service"),
            ("fd00:ec2::253", "private"),
            ("fe80::1", "link-local"),
            ("fec0::1", "site-local"),
            ("ff02::1", "multicast"),
        ] {
            let address: IpAddr = address.parse().unwrap();
            assert_eq!(none().vet(address), Err(Forbidden { address, kind }), "{address}");
        }
    }

    #[test]
    fn public_addresses_pass() {
        for address in [
            "8.8.8.8",
            "172.32.0.1",
            "100.128.0.1",
            "52.216.1.1",
            "2606:4700::1111",
            "2a00:1450::1",
            "64:ff9b::8.8.8.8",
        ] {
            assert_eq!(none().vet(address.parse().unwrap()), Ok(()), "{address}");
        }
    }

    #[test]
    fn a_network_that_is_listed_passes_and_its_neighbours_do_not() {
        let vetting = Vetting::new(vec!["127.0.0.0/8".parse().unwrap(), "fd00::/16".parse().unwrap()]);
        for (address, passes) in [
            ("127.0.0.1", true),
            ("fd00::1", true),
            ("10.0.0.1", false),
            ("fd01::1", false),
            ("::1", false),
            ("::ffff:127.0.0.1", false),
        ] {
            assert_eq!(vetting.vet(address.parse().unwrap()).is_ok(), passes, "{address}");
        }
    }

    #[test]
    fn of_many_addresses_only_those_that_pass_are_kept() {
        let at = |text: &str| -> SocketAddr { text.parse().unwrap() };
        let mixed = [at("10.0.0.1:0"), at("8.8.8.8:0"), at("[::1]:0")];
        assert_eq!(none().keep(mixed.into_iter()).unwrap(), [at("8.8.8.8:0")]);
        let private = [at("10.0.0.1:0"), at("192.168.0.1:0")];
        assert!(none().keep(private.into_iter()).unwrap_err().to_string().contains("192.168.0.1 is private"));
        assert_eq!(none().keep(std::iter::empty()).unwrap(), []);
    }

    #[test]
    fn a_name_that_tells_where_it_leads_is_judged_without_asking() {
        for (name, refusal) in [
            ("localhost", Some("127.0.0.1 is loopback")),
            ("a.localhost", Some("127.0.0.1 is loopback")),
            ("localhost.", Some("127.0.0.1 is loopback")),
            ("metadata.google.internal", Some("169.254.169.254 is a cloud's metadata service")),
            ("instance-data.ec2.internal.", Some("169.254.169.254 is a cloud's metadata service")),
            ("notlocalhost", None),
            ("localhost.example", None),
            ("a.example", None),
        ] {
            let vetted = none().vet_name(name).map_err(|forbidden| forbidden.to_string());
            let text = refusal.map(|text| format!("{text}; if it is meant, list its network under `allow_addresses`"));
            assert_eq!(vetted.err(), text, "{name}");
        }
        let loopback = Vetting::new(vec!["127.0.0.0/8".parse().unwrap()]);
        assert_eq!(loopback.vet_name("localhost"), Ok(()));
        assert!(loopback.vet_name("metadata.goog").is_err());
    }
}
