//! Every form in which an address that is not meant can be written, tried with the real client wherever a message or
//! an origin can put it. A canary on loopback counts connections: nothing that is refused may reach it, neither
//! straight nor as a proxy. Each table has its counterpart, which shows that the same form does reach the canary once
//! the one defence that it is about is taken away.

use std::sync::Arc;

use url::Url;

use super::config::{Auth, Config, Proxy, ProxyAuth, Timeouts};
use super::test_canary::{Canary, Names};
use super::test_server::{
    Authority, Reply, Server, client, client_asking, failure, get, loopback, read_body, send, system,
};
use super::{Client, EgressError, EgressError::Denied, Http, Request};
use crate::model::{Period, Progress, SecretRef};

/// What every refusal of an address advises.
const MEANT: &str = "if it is meant, list its network under `allow_addresses`";

const LOOPBACK: &str = "127.0.0.1 is loopback";
const METADATA: &str = "169.254.169.254 is a cloud's metadata service";

/// Addresses in URLs: the form, the URL as it is understood, and why it is refused. `PORT` is the canary's.
const LITERALS: &[(&str, &str, &str)] = &[
    // Loopback, as servers, libraries and people write it.
    ("http://127.0.0.1:PORT/", "http://127.0.0.1:PORT/", LOOPBACK),
    ("http://2130706433:PORT/", "http://127.0.0.1:PORT/", LOOPBACK),
    ("http://0x7f000001:PORT/", "http://127.0.0.1:PORT/", LOOPBACK),
    ("http://0X7F000001:PORT/", "http://127.0.0.1:PORT/", LOOPBACK),
    ("http://017700000001:PORT/", "http://127.0.0.1:PORT/", LOOPBACK),
    ("http://0177.0.0.1:PORT/", "http://127.0.0.1:PORT/", LOOPBACK),
    ("http://0x7f.0x0.0x0.0x1:PORT/", "http://127.0.0.1:PORT/", LOOPBACK),
    ("http://0177.0x0.0.01:PORT/", "http://127.0.0.1:PORT/", LOOPBACK),
    ("http://127.1:PORT/", "http://127.0.0.1:PORT/", LOOPBACK),
    ("http://127.0.1:PORT/", "http://127.0.0.1:PORT/", LOOPBACK),
    ("http://0x7f.1:PORT/", "http://127.0.0.1:PORT/", LOOPBACK),
    ("http://127.0.0.1.:PORT/", "http://127.0.0.1:PORT/", LOOPBACK),
    ("http://%31%32%37.0.0.1:PORT/", "http://127.0.0.1:PORT/", LOOPBACK),
    ("http://127。0。0。1:PORT/", "http://127.0.0.1:PORT/", LOOPBACK),
    ("http://１２７．０．０．１:PORT/", "http://127.0.0.1:PORT/", LOOPBACK),
    ("http://①②⑦.⓪.⓪.①:PORT/", "http://127.0.0.1:PORT/", LOOPBACK),
    ("hTTp://127.0.0.1:PORT/", "http://127.0.0.1:PORT/", LOOPBACK),
    ("http:///127.0.0.1:PORT/", "http://127.0.0.1:PORT/", LOOPBACK),
    ("http://@127.0.0.1:PORT/", "http://127.0.0.1:PORT/", LOOPBACK),
    ("http://127.0.0.1:PORT\\@good.example/", "http://127.0.0.1:PORT/@good.example/", LOOPBACK),
    ("http://127.0.0.1:PORT#@good.example/", "http://127.0.0.1:PORT/", LOOPBACK),
    ("http://127.0.0.1:PORT?@good.example/", "http://127.0.0.1:PORT/", LOOPBACK),
    ("http://127.255.255.254:PORT/", "http://127.255.255.254:PORT/", "127.255.255.254 is loopback"),
    ("http://[::1]:PORT/", "http://[::1]:PORT/", "::1 is loopback"),
    ("http://[0:0:0:0:0:0:0:1]:PORT/", "http://[::1]:PORT/", "::1 is loopback"),
    // Unspecified, which systems take for loopback.
    ("http://0:PORT/", "http://0.0.0.0:PORT/", "0.0.0.0 is the unspecified address"),
    ("http://0x0:PORT/", "http://0.0.0.0:PORT/", "0.0.0.0 is the unspecified address"),
    ("http://0.0.0.0:PORT/", "http://0.0.0.0:PORT/", "0.0.0.0 is the unspecified address"),
    ("http://[::]:PORT/", "http://[::]:PORT/", ":: is the unspecified address"),
    ("http://0.1.2.3:PORT/", "http://0.1.2.3:PORT/", "0.1.2.3 is of this network"),
    // IPv4 inside IPv6.
    (
        "http://[::ffff:127.0.0.1]:PORT/",
        "http://[::ffff:7f00:1]:PORT/",
        "::ffff:127.0.0.1 is an IPv4 address mapped to IPv6",
    ),
    (
        "http://[::FFFF:a9fe:a9fe]:PORT/",
        "http://[::ffff:a9fe:a9fe]:PORT/",
        "::ffff:169.254.169.254 is an IPv4 address mapped to IPv6",
    ),
    ("http://[::127.0.0.1]:PORT/", "http://[::7f00:1]:PORT/", "::7f00:1 is an IPv4 address written as IPv6"),
    (
        "http://[::ffff:0:127.0.0.1]:PORT/",
        "http://[::ffff:0:7f00:1]:PORT/",
        "::ffff:0:7f00:1 is an IPv4 address translated to IPv6",
    ),
    ("http://[64:ff9b::127.0.0.1]:PORT/", "http://[64:ff9b::7f00:1]:PORT/", "64:ff9b::7f00:1 is loopback"),
    (
        "http://[64:ff9b::169.254.169.254]:PORT/",
        "http://[64:ff9b::a9fe:a9fe]:PORT/",
        "64:ff9b::a9fe:a9fe is a cloud's metadata service",
    ),
    ("http://[64:ff9b::10.0.0.1]:PORT/", "http://[64:ff9b::a00:1]:PORT/", "64:ff9b::a00:1 is private"),
    (
        "http://[64:ff9b:1::127.0.0.1]:PORT/",
        "http://[64:ff9b:1::7f00:1]:PORT/",
        "64:ff9b:1::7f00:1 is behind a translator of its own network (NAT64)",
    ),
    ("http://[2002:7f00:1::]:PORT/", "http://[2002:7f00:1::]:PORT/", "2002:7f00:1:: is a relay of 6to4"),
    ("http://[2001:0:7f00:1::1]:PORT/", "http://[2001:0:7f00:1::1]:PORT/", "2001:0:7f00:1::1 is a tunnel of Teredo"),
    // Metadata services.
    ("http://169.254.169.254/latest/meta-data/", "http://169.254.169.254/latest/meta-data/", METADATA),
    ("http://2852039166/", "http://169.254.169.254/", METADATA),
    ("http://0xa9fea9fe/", "http://169.254.169.254/", METADATA),
    ("http://0251.0376.0251.0376/", "http://169.254.169.254/", METADATA),
    ("http://169.254.43518/", "http://169.254.169.254/", METADATA),
    ("http://100.100.100.200/", "http://100.100.100.200/", "100.100.100.200 is a cloud's metadata service"),
    ("http://168.63.129.16/", "http://168.63.129.16/", "168.63.129.16 is a cloud's metadata service"),
    ("http://192.0.0.192/", "http://192.0.0.192/", "192.0.0.192 is a cloud's metadata service"),
    ("http://[fd00:ec2::254]/", "http://[fd00:ec2::254]/", "fd00:ec2::254 is a cloud's metadata service"),
    // Link-local, private, shared, benchmarks, documentation, reserved, multicast, broadcast.
    ("http://169.254.1.1/", "http://169.254.1.1/", "169.254.1.1 is link-local"),
    ("http://[fe80::1]/", "http://[fe80::1]/", "fe80::1 is link-local"),
    ("http://[fec0::1]/", "http://[fec0::1]/", "fec0::1 is site-local"),
    ("http://10.0.0.1/", "http://10.0.0.1/", "10.0.0.1 is private"),
    ("http://012.1/", "http://10.0.0.1/", "10.0.0.1 is private"),
    ("http://172.16.0.1/", "http://172.16.0.1/", "172.16.0.1 is private"),
    ("http://172.31.255.254/", "http://172.31.255.254/", "172.31.255.254 is private"),
    ("http://192.168.257/", "http://192.168.1.1/", "192.168.1.1 is private"),
    ("http://[fc00::1]/", "http://[fc00::1]/", "fc00::1 is private"),
    ("http://[fd12:3456::1]/", "http://[fd12:3456::1]/", "fd12:3456::1 is private"),
    ("http://100.64.0.1/", "http://100.64.0.1/", "100.64.0.1 is shared by a carrier (CGNAT)"),
    ("http://100.127.255.254/", "http://100.127.255.254/", "100.127.255.254 is shared by a carrier (CGNAT)"),
    ("http://198.18.0.1/", "http://198.18.0.1/", "198.18.0.1 is for benchmarks"),
    ("http://[2001:2::1]/", "http://[2001:2::1]/", "2001:2::1 is for benchmarks"),
    ("http://192.0.2.1/", "http://192.0.2.1/", "192.0.2.1 is for documentation"),
    ("http://[2001:db8::1]/", "http://[2001:db8::1]/", "2001:db8::1 is for documentation"),
    ("http://[100::1]/", "http://[100::1]/", "100::1 is not a public address"),
    ("http://240.0.0.1/", "http://240.0.0.1/", "240.0.0.1 is reserved"),
    ("http://224.0.0.251/", "http://224.0.0.251/", "224.0.0.251 is multicast"),
    ("http://[ff02::1]/", "http://[ff02::1]/", "ff02::1 is multicast"),
    ("http://255.255.255.255/", "http://255.255.255.255/", "255.255.255.255 is broadcast"),
];

/// Names that tell where they lead, as only a proxy looks them up.
const TELLING: &[(&str, &str, &str)] = &[
    ("http://localhost:PORT/", "http://localhost:PORT/", LOOPBACK),
    ("http://LocalHost:PORT/", "http://localhost:PORT/", LOOPBACK),
    ("http://localhost.:PORT/", "http://localhost.:PORT/", LOOPBACK),
    ("http://api.localhost:PORT/", "http://api.localhost:PORT/", LOOPBACK),
    ("http://metadata.google.internal/", "http://metadata.google.internal/", METADATA),
    ("http://instance-data.ec2.internal/", "http://instance-data.ec2.internal/", METADATA),
];

const USER: &str = "a URL with a user or password is not sent anywhere";
const SCHEME: &str = "only http and https are spoken";
const NO_URL: &str = "the target is no URL";
const NO_HOST: &str = "the host of the URL is neither a name nor an address";
const NOT_ABSOLUTE: &str = "the target is no absolute URL, and this endpoint has no `base_url` to put a path below";

/// Targets that an endpoint of `http://good.example:PORT` and `http://*.wild.example:PORT` does not take, though every
/// name leads to the canary and may: the target, and why. `…` stands for `no entry of `allow` names `.
const TARGETS: &[(&str, &str)] = &[
    // Users.
    ("http://user@good.example:PORT/", USER),
    ("http://user:pass@good.example:PORT/", USER),
    ("http://good.example@127.0.0.1:PORT/", USER),
    ("http://good.example:PORT@127.0.0.1:PORT/", USER),
    ("http://good.example%2f@127.0.0.1:PORT/", USER),
    ("http://good.example&@127.0.0.1:PORT/", USER),
    ("http://a@b@good.example:PORT/", USER),
    ("http://@127.0.0.1:PORT/", "…http://127.0.0.1:PORT"),
    ("http://good.example%40127.0.0.1:PORT/", NO_URL),
    // Where a host ends.
    ("http://127.0.0.1:PORT\\@good.example:PORT/", "…http://127.0.0.1:PORT"),
    ("http://evil.example:PORT\\.good.example/", "…http://evil.example:PORT"),
    ("http://evil.example:PORT#@good.example:PORT/", "…http://evil.example:PORT"),
    ("http://evil.example:PORT?.good.example", "…http://evil.example:PORT"),
    ("http://evil.example:PORT/good.example", "…http://evil.example:PORT"),
    ("http://good.example%00.evil.example:PORT/", NO_URL),
    ("http://good.example%2eevil.example:PORT/", "…http://good.example.evil.example:PORT"),
    ("http://good.example%0d%0aevil.example:PORT/", NO_URL),
    // Trailing dots.
    ("http://good.example.:PORT/", "…http://good.example.:PORT"),
    ("http://good.example。:PORT/", "…http://good.example.:PORT"),
    ("http://x.wild.example.:PORT/", "…http://x.wild.example.:PORT"),
    // Wildcards.
    ("http://wild.example:PORT/", "…http://wild.example:PORT"),
    ("http://.wild.example:PORT/", NO_HOST),
    ("http://x..wild.example:PORT/", NO_HOST),
    ("http://x.wild.example..:PORT/", NO_HOST),
    ("http://*.wild.example:PORT/", NO_HOST),
    ("http://{x}.wild.example:PORT/", NO_HOST),
    ("http://x'y.wild.example:PORT/", NO_HOST),
    ("http://evilwild.example:PORT/", "…http://evilwild.example:PORT"),
    ("http://x.wild.example.evil.example:PORT/", "…http://x.wild.example.evil.example:PORT"),
    ("http://x.wild-example:PORT/", "…http://x.wild-example:PORT"),
    // Look-alikes.
    ("http://good.example.evil.example:PORT/", "…http://good.example.evil.example:PORT"),
    ("http://notgood.example:PORT/", "…http://notgood.example:PORT"),
    ("http://sub.good.example:PORT/", "…http://sub.good.example:PORT"),
    ("http://g00d.example:PORT/", "…http://g00d.example:PORT"),
    ("http://gооd.example:PORT/", "…http://xn--gd-fmca.example:PORT"),
    ("http://good.exаmple:PORT/", "…http://good.xn--exmple-4nf:PORT"),
    ("http://good。evil.example:PORT/", "…http://good.evil.example:PORT"),
    ("http://good\u{2024}example:PORT/", NO_URL),
    ("http://good.example\u{2215}@evil.example:PORT/", USER),
    ("http://good.example／evil.example:PORT/", NO_URL),
    ("http://xn--good-.example:PORT/", NO_URL),
    // Another port, another scheme.
    ("http://good.example/", "…http://good.example:80"),
    ("https://good.example:PORT/", "…https://good.example:PORT"),
    ("ftp://good.example:PORT/", SCHEME),
    ("ws://good.example:PORT/", SCHEME),
    ("gopher://good.example:PORT/_x", SCHEME),
    ("file:///etc/passwd", SCHEME),
    ("unix:///var/run/docker.sock", SCHEME),
    ("http+unix://%2Fvar%2Frun%2Fdocker.sock/", SCHEME),
    ("javascript://good.example:PORT/%0aalert(1)", SCHEME),
    // No absolute URL.
    ("data:text/html,x", NOT_ABSOLUTE),
    ("http:good.example:PORT", NOT_ABSOLUTE),
    ("http:\\\\good.example:PORT", NOT_ABSOLUTE),
    ("//good.example:PORT/", NOT_ABSOLUTE),
    ("\\\\good.example:PORT\\", NOT_ABSOLUTE),
    ("good.example:PORT/", NOT_ABSOLUTE),
    (" http://good.example:PORT/", NOT_ABSOLUTE),
    ("", NOT_ABSOLUTE),
    // Control characters.
    ("http://good.example:PORT/\r\nhost: evil.example", NO_URL),
    ("http://good.ex\tample:PORT/", NO_URL),
    ("http://good.example:PORT/\0", NO_URL),
    ("http://good.example:PORT/\u{7f}", NO_URL),
    // No address.
    ("http://[fe80::1%25eth0]:PORT/", NO_URL),
    ("http://[fe80::1%eth0]:PORT/", NO_URL),
    ("http://[::1%25lo]:PORT/", NO_URL),
    ("http://[::1:PORT/", NO_URL),
    ("http://[::ffff:127.1]:PORT/", NO_URL),
    ("http://127.0.0.0.1:PORT/", NO_URL),
    ("http://127.0.0.256:PORT/", NO_URL),
    ("http://0x100000000:PORT/", NO_URL),
    ("http://0x7f.0.0.0x:PORT/", "…http://127.0.0.0:PORT"),
    ("http://good.example:99999/", NO_URL),
    ("http:///", NO_URL),
];

/// Targets that are good, however odd they look, and what `Host` says.
const GOOD: &[(&str, &str)] = &[
    ("http://good.example:PORT/", "good.example"),
    ("HTTP://GOOD.Example:PORT/", "good.example"),
    ("http:///good.example:PORT/", "good.example"),
    ("http://g%6f%6Fd.example:PORT/", "good.example"),
    ("http://ｇｏｏｄ.example:PORT/", "good.example"),
    ("http://good。example:PORT/", "good.example"),
    ("http://go\u{ad}od.example:PORT/", "good.example"),
    ("http://x.wild.example:PORT/", "x.wild.example"),
    ("http://y.X.WILD.example:PORT/", "y.x.wild.example"),
];

const BELOW: &str = "the URL is not below the base URL";

/// Where an origin may not redirect to: the `Location`, the URL as it is understood, and why. `ORIGIN` is the origin.
const LOCATIONS: &[(&str, &str, &str)] = &[
    ("http://user@good.example:PORT/", "http://good.example:PORT/", USER),
    ("http://good.example@127.0.0.1:PORT/?a=b", "http://127.0.0.1:PORT/", USER),
    ("//user:pass@good.example:PORT/x", "http://good.example:PORT/x", USER),
    ("http://good.example.:PORT/", "http://good.example.:PORT/", BELOW),
    ("http://wild.example:PORT/", "http://wild.example:PORT/", BELOW),
    ("http://evilwild.example:PORT/", "http://evilwild.example:PORT/", BELOW),
    ("http://gооd.example:PORT/", "http://xn--gd-fmca.example:PORT/", BELOW),
    ("http://good.example.evil.example:PORT/", "http://good.example.evil.example:PORT/", BELOW),
    ("http://2130706433:PORT/", "http://127.0.0.1:PORT/", BELOW),
    ("http://127.0.0.1:PORT\\@good.example:PORT/", "http://127.0.0.1:PORT/@good.example:PORT/", BELOW),
    ("\\\\127.0.0.1:PORT\\x", "http://127.0.0.1:PORT/x", BELOW),
    ("//127.0.0.1:PORT/x", "http://127.0.0.1:PORT/x", BELOW),
    ("http:\\\\127.0.0.1:PORT", "http://127.0.0.1:PORT/", BELOW),
    (" http://127.0.0.1:PORT/", "http://127.0.0.1:PORT/", BELOW),
    ("ht\ttp://127.0.0.1:PORT/", "http://127.0.0.1:PORT/", BELOW),
    ("https://good.example:PORT/", "https://good.example:PORT/", BELOW),
    ("ftp://good.example:PORT/", "ftp://good.example:PORT/", SCHEME),
    ("file:///etc/passwd", "file:///etc/passwd", SCHEME),
    ("javascript:alert(1)", "javascript:alert(1)", SCHEME),
    ("data:text/html,x", "data:text/html,x", SCHEME),
    ("/../admin", "ORIGIN/admin", BELOW),
    ("/v1/..%2fadmin", "ORIGIN/v1/..%2fadmin", "the path could leave the base URL"),
];

/// `Location`s that are no URL.
const NO_LOCATIONS: &[&str] = &[
    "http://[fe80::1%25eth0]:PORT/",
    "http://127.0.0.0.1:PORT/",
    "http://good.example%00:PORT/",
    "http://:PORT/",
    "///127.0.0.1:PORT/x",
];

/// What a name leads to, and why nothing is connected to. The last address that is refused gives the reason.
const ANSWERS: &[(&[&str], &str)] = &[
    (&["127.0.0.1"], LOOPBACK),
    (&["::1"], "::1 is loopback"),
    (&["0.0.0.0"], "0.0.0.0 is the unspecified address"),
    (&["::"], ":: is the unspecified address"),
    (&["::ffff:127.0.0.1"], "::ffff:127.0.0.1 is an IPv4 address mapped to IPv6"),
    (&["64:ff9b::7f00:1"], "64:ff9b::7f00:1 is loopback"),
    (&["2002:7f00:1::"], "2002:7f00:1:: is a relay of 6to4"),
    (&["2001::1"], "2001::1 is a tunnel of Teredo"),
    (&["169.254.169.254"], METADATA),
    (&["fd00:ec2::254"], "fd00:ec2::254 is a cloud's metadata service"),
    (&["169.254.0.1"], "169.254.0.1 is link-local"),
    (&["fe80::1"], "fe80::1 is link-local"),
    (&["fe80::1%1"], "fe80::1 is link-local"),
    (&["10.0.0.1"], "10.0.0.1 is private"),
    (&["172.16.0.1"], "172.16.0.1 is private"),
    (&["192.168.0.1"], "192.168.0.1 is private"),
    (&["fc00::1"], "fc00::1 is private"),
    (&["100.64.0.1"], "100.64.0.1 is shared by a carrier (CGNAT)"),
    (&["198.18.0.1"], "198.18.0.1 is for benchmarks"),
    (&["224.0.0.1"], "224.0.0.1 is multicast"),
    (&["255.255.255.255"], "255.255.255.255 is broadcast"),
    (&["10.0.0.1", "127.0.0.1"], LOOPBACK),
    (&["127.0.0.1", "::1", "10.0.0.1"], "10.0.0.1 is private"),
];

/// The canary, and what the tables say of it.
struct Scene {
    canary: Canary,
}

impl Scene {
    async fn start() -> Self {
        Self { canary: Canary::start().await }
    }

    fn fill(&self, text: &str) -> String {
        text.replace("PORT", &self.canary.port().to_string())
    }

    /// Entries of `allow` for the very hosts that these URLs name.
    fn entries(&self, urls: impl Iterator<Item = &'static str>) -> Vec<String> {
        urls.map(|url| self.fill(url))
            .map(|url| Url::parse(&url).unwrap()[..url::Position::AfterPort].to_owned())
            .collect()
    }

    fn proxied(&self, config: Config) -> Config {
        Config { proxy: Some(Proxy { url: self.canary.url(), auth: ProxyAuth::None }), ..config }
    }

    /// Endpoints `straight` and `proxied` of one configuration, and `e` and `f`, which an origin may lead to them from.
    fn endpoints(&self, origin: &Server, config: &Config) -> Vec<(&'static str, Config)> {
        let timeouts = Timeouts { connect: Period::from_millis(500), ..Timeouts::default() };
        let config = Config { timeouts, ..config.clone() };
        let leading = |to: &str| Config { redirects: vec![to.to_owned()], ..system(&origin.url("/v1")) };
        vec![
            ("straight", config.clone()),
            ("proxied", self.proxied(config)),
            ("e", leading("straight")),
            ("f", leading("proxied")),
        ]
    }

    async fn assert_nobody_came(&self, what: &str) {
        assert_eq!(self.canary.visitors().await, 0, "{what}");
    }
}

/// An origin that redirects `/v1/N` to the Nth of these.
async fn redirecting(locations: Vec<String>) -> Server {
    Server::start(move |asked| {
        let nth: usize = asked.target.trim_start_matches("/v1/").parse().unwrap();
        Reply::redirect(302, &locations[nth])
    })
    .await
}

async fn ask(client: &Client, endpoint: &str, target: &str) -> Result<u16, EgressError> {
    client.send(endpoint, get(target), &Progress::new()).await.map(|response| response.status)
}

fn denied<T>(text: impl Into<String>) -> Result<T, EgressError> {
    Err(Denied(text.into()))
}

#[test]
fn the_tables_have_far_more_than_forty_forms() {
    let forms = LITERALS.len() + TELLING.len() + TARGETS.len() + LOCATIONS.len() + NO_LOCATIONS.len() + ANSWERS.len();
    assert!(forms > 150, "{forms}");
}

#[tokio::test]
async fn no_form_of_an_address_in_a_url_or_a_redirect_reaches_what_is_not_public() {
    let scene = Scene::start().await;
    let origin = redirecting(LITERALS.iter().map(|row| scene.fill(row.0)).collect()).await;
    let allow = scene.entries(LITERALS.iter().map(|row| row.1));
    let client = client(scene.endpoints(&origin, &Config { allow, ..Config::default() }));
    for (nth, (form, place, what)) in LITERALS.iter().enumerate() {
        let expected = denied(format!("{}: {what}; {MEANT}", scene.fill(place)));
        for endpoint in ["straight", "proxied"] {
            assert_eq!(ask(&client, endpoint, &scene.fill(form)).await, expected, "{endpoint}: {form}");
        }
        for endpoint in ["e", "f"] {
            assert_eq!(ask(&client, endpoint, &nth.to_string()).await, expected, "{endpoint}: redirect to {form}");
        }
        scene.assert_nobody_came(form).await;
    }
}

#[tokio::test]
async fn names_that_tell_where_they_lead_are_refused_before_the_proxy_is_asked() {
    let scene = Scene::start().await;
    let origin = redirecting(TELLING.iter().map(|row| scene.fill(row.0)).collect()).await;
    let allow = scene.entries(TELLING.iter().map(|row| row.1));
    let client = client(scene.endpoints(&origin, &Config { allow, ..Config::default() }));
    for (nth, (form, place, what)) in TELLING.iter().enumerate() {
        let expected = denied(format!("{}: {what}; {MEANT}", scene.fill(place)));
        assert_eq!(ask(&client, "proxied", &scene.fill(form)).await, expected, "{form}");
        assert_eq!(ask(&client, "f", &nth.to_string()).await, expected, "redirect to {form}");
        scene.assert_nobody_came(form).await;
    }
}

/// The counterpart: only the vetting of addresses stands between these forms and the canary.
#[tokio::test]
async fn every_form_of_an_address_is_understood_and_gets_through_where_its_network_is_listed() {
    let scene = Scene::start().await;
    let origin = redirecting(Vec::new()).await;
    let rows = || LITERALS.iter().chain(TELLING);
    let allow = scene.entries(rows().map(|row| row.1));
    let allow_addresses = vec!["0.0.0.0/0".parse().unwrap(), "::/0".parse().unwrap()];
    let client = client(scene.endpoints(&origin, &Config { allow, allow_addresses, ..Config::default() }));
    for (form, place, _) in rows() {
        assert_eq!(ask(&client, "proxied", &scene.fill(form)).await, Ok(200), "{form}");
        assert_eq!(scene.canary.visitors().await, 1, "{form}");
        let leads_here = place.starts_with("http://127.0.0.1:") || place.starts_with("http://[::1]:");
        if leads_here && (scene.canary.has_v6() || !place.contains('[')) {
            assert_eq!(ask(&client, "straight", &scene.fill(form)).await, Ok(200), "{form}");
            assert_eq!(scene.canary.visitors().await, 1, "{form}");
        }
    }
}

fn good_and_wild(scene: &Scene) -> Config {
    let allow = ["http://good.example:PORT", "http://*.wild.example:PORT"].map(|entry| scene.fill(entry));
    Config { allow: allow.into(), ..loopback() }
}

#[tokio::test]
async fn no_target_reaches_a_host_that_the_allow_list_does_not_name() {
    let scene = Scene::start().await;
    let origin = redirecting(Vec::new()).await;
    let names = Arc::new(Names::new().lead("*", &[&["127.0.0.1"]]));
    let client = client_asking(names.clone(), scene.endpoints(&origin, &good_and_wild(&scene)));
    for (target, reason) in TARGETS {
        for endpoint in ["straight", "proxied"] {
            let reason = scene.fill(&reason.replace('…', "no entry of `allow` names "));
            let expected = denied(format!("endpoint `{endpoint}`: {reason}"));
            assert_eq!(ask(&client, endpoint, &scene.fill(target)).await, expected, "{target:?}");
        }
        scene.assert_nobody_came(target).await;
    }
    let long = scene.fill(&format!("http://good.example:PORT/{}", "a".repeat(32 << 10)));
    assert_eq!(ask(&client, "straight", &long).await, denied("endpoint `straight`: the URL is longer than 32 KiB"));
    scene.assert_nobody_came("a long URL").await;
    assert_eq!(names.asked(), [""; 0], "what is not named is not even looked up");
}

/// The counterpart: a good name reaches the canary, in whatever way it is written.
#[tokio::test]
async fn a_host_that_the_allow_list_names_is_reached_in_every_way_of_writing_it() {
    let scene = Scene::start().await;
    let origin = redirecting(Vec::new()).await;
    let names = Arc::new(Names::new().lead("*", &[&["127.0.0.1"]]));
    let client = client_asking(names.clone(), scene.endpoints(&origin, &good_and_wild(&scene)));
    for (nth, (target, host)) in GOOD.iter().enumerate() {
        assert_eq!(ask(&client, "straight", &scene.fill(target)).await, Ok(200), "{target}");
        assert_eq!(names.asked()[nth], *host, "{target}");
        assert_eq!(ask(&client, "proxied", &scene.fill(target)).await, Ok(200), "{target}");
        assert_eq!(scene.canary.visitors().await, 2, "{target}");
    }
    assert_eq!(names.asked().len(), GOOD.len(), "behind a proxy no name is looked up here");
}

#[tokio::test]
async fn no_redirect_reaches_what_no_endpoint_names() {
    let scene = Scene::start().await;
    let locations = LOCATIONS.iter().map(|row| row.0).chain(NO_LOCATIONS.iter().copied());
    let mut locations: Vec<_> = locations.map(|location| scene.fill(location)).collect();
    let long = locations.len();
    locations.push(scene.fill(&format!("http://good.example:PORT/{}", "a".repeat(32 << 10))));
    let origin = redirecting(locations).await;
    let names = Arc::new(Names::new().lead("*", &[&["127.0.0.1"]]));
    let client = client_asking(names.clone(), scene.endpoints(&origin, &good_and_wild(&scene)));
    for endpoint in ["e", "f"] {
        let not_allowed = format!("endpoint `{endpoint}` and its `redirects` do not allow a redirect to");
        for (nth, (location, place, why)) in LOCATIONS.iter().enumerate() {
            let place = scene.fill(&place.replace("ORIGIN", &origin.url("")));
            let expected = denied(format!("{not_allowed} {place}: {why}"));
            assert_eq!(ask(&client, endpoint, &nth.to_string()).await, expected, "{location:?}");
        }
        for nth in LOCATIONS.len()..long {
            let from = origin.url(&format!("/v1/{nth}"));
            let expected = denied(format!("endpoint `{endpoint}`: {from} redirects to no URL"));
            assert_eq!(ask(&client, endpoint, &nth.to_string()).await, expected, "{nth}");
        }
        let text = "was redirected to a URL that is not followed: the URL is longer than 32 KiB";
        let expected = denied(format!("endpoint `{endpoint}` {text}"));
        assert_eq!(ask(&client, endpoint, &long.to_string()).await, expected);
    }
    scene.assert_nobody_came("a redirect").await;
    assert_eq!(names.asked(), [""; 0]);
}

#[tokio::test]
async fn no_answer_of_a_name_server_leads_to_what_is_not_public() {
    let scene = Scene::start().await;
    let name = |nth: usize| format!("n{nth}.example");
    let url = |nth: usize| scene.fill(&format!("http://{}:PORT/", name(nth)));
    let names = ANSWERS.iter().enumerate().fold(Names::new(), |names, (nth, row)| names.lead(&name(nth), &[row.0]));
    let origin = redirecting((0..ANSWERS.len()).map(url).collect()).await;
    let allow = (0..ANSWERS.len()).map(|nth| scene.fill(&format!("http://{}:PORT", name(nth)))).collect();
    let client = client_asking(Arc::new(names), scene.endpoints(&origin, &Config { allow, ..Config::default() }));
    for (nth, (answer, what)) in ANSWERS.iter().enumerate() {
        let expected = denied(format!("{}: {what}; {MEANT}", url(nth)));
        assert_eq!(ask(&client, "straight", &url(nth)).await, expected, "{answer:?}");
        assert_eq!(ask(&client, "e", &nth.to_string()).await, expected, "redirect to {answer:?}");
    }
    scene.assert_nobody_came("an answer").await;
}

/// Only Linux has all of `127.0.0.0/8`, so that two servers can share a port on loopback.
#[cfg(target_os = "linux")]
mod two_addresses {
    use super::*;

    /// A good server at `127.0.0.2`, at the canary's port, and an endpoint that may connect there and nowhere else.
    async fn good(scene: &Scene, answer: impl Fn() -> Reply + Send + Sync + 'static) -> (Server, Config) {
        let server = Server::start_at(&scene.fill("127.0.0.2:PORT"), move |_| answer()).await;
        let allow = vec![scene.fill("http://name.example:PORT")];
        let allow_addresses = vec!["127.0.0.2/32".parse().unwrap()];
        (server, Config { allow, allow_addresses, ..Config::default() })
    }

    #[tokio::test]
    async fn of_one_good_and_one_bad_address_only_the_good_one_is_connected_to() {
        let scene = Scene::start().await;
        let (server, config) = good(&scene, || Reply::new(200, "")).await;
        let answers: [&[&str]; 3] = [&["127.0.0.2", "127.0.0.1"], &["127.0.0.1", "127.0.0.2"], &["::1", "127.0.0.2"]];
        let names = Names::new().lead("name.example", &answers);
        let client = client_asking(Arc::new(names), [("e", config)]);
        for answer in answers {
            let url = scene.fill("http://name.example:PORT/");
            assert_eq!(ask(&client, "e", &url).await, Ok(200), "{answer:?}");
        }
        assert_eq!(server.asked().len(), answers.len());
        scene.assert_nobody_came("one good and one bad").await;
    }

    #[tokio::test]
    async fn the_bad_address_is_not_tried_when_the_good_one_does_not_answer() {
        let scene = Scene::start().await;
        let (server, config) = good(&scene, || Reply::new(200, "")).await;
        drop(server);
        let names = Names::new().lead("name.example", &[&["127.0.0.2", "127.0.0.1"]]);
        let client = client_asking(Arc::new(names), [("e", config)]);
        let error = ask(&client, "e", &scene.fill("http://name.example:PORT/")).await;
        assert!(matches!(error, Err(EgressError::Connect(_))), "{error:?}");
        scene.assert_nobody_came("the other address").await;
    }

    /// There is one look-up a connection, and what it brought is what was judged.
    #[tokio::test]
    async fn a_name_that_changes_its_address_after_it_was_judged_gains_nothing() {
        let scene = Scene::start().await;
        let (server, config) = good(&scene, || Reply::new(200, "")).await;
        let names = Arc::new(Names::new().lead("name.example", &[&["127.0.0.2"], &["127.0.0.1"]]));
        let client = client_asking(names.clone(), [("e", config)]);
        let url = scene.fill("http://name.example:PORT/");
        assert_eq!(ask(&client, "e", &url).await, Ok(200));
        assert_eq!(names.asked(), ["name.example"]);
        assert_eq!(ask(&client, "e", &url).await, denied(format!("{url}: {LOOPBACK}; {MEANT}")));
        assert_eq!(server.asked().len(), 1);
        scene.assert_nobody_came("rebinding").await;
    }

    #[tokio::test]
    async fn a_name_that_changes_its_address_before_a_redirect_or_a_resumption_gains_nothing() {
        for redirects in [true, false] {
            let scene = Scene::start().await;
            let url = scene.fill("http://name.example:PORT/");
            let refused = Denied(format!("{url}: {LOOPBACK}; {MEANT}"));
            let to = url.clone();
            let answer = move || {
                let cut = Reply::new(200, "0123456789").header("etag", "\"v1\"").cut_after(5);
                if redirects { Reply::redirect(302, &to) } else { cut }
            };
            let (_server, config) = good(&scene, answer).await;
            let names = Names::new().lead("name.example", &[&["127.0.0.2"], &["127.0.0.1"]]);
            let client = client_asking(Arc::new(names), [("e", config)]);
            let error = match send(&client, get(&url)).await {
                Ok(mut response) => read_body(&mut *response.body).await.1,
                Err(error) => Some(error),
            };
            assert_eq!(error.as_ref(), Some(&refused), "{redirects}");
            scene.assert_nobody_came("rebinding").await;
        }
    }
}

#[tokio::test]
async fn no_redirect_takes_the_credential_beyond_its_origin_or_from_https_to_http() {
    let scene = Scene::start().await;
    let locations = [
        ("http://localhost:PORT/v1/x", "http://localhost:PORT/v1/x"),
        ("https://localhost:PORT/v1/x", "https://localhost:PORT/v1/x"),
        ("//127.0.0.1:PORT/v1/x", "https://127.0.0.1:PORT/v1/x"),
        ("http://127.0.0.1:PORT/v1/x", "http://127.0.0.1:PORT/v1/x"),
        ("https://a.localhost:PORT/v1/x", "https://a.localhost:PORT/v1/x"),
    ];
    let filled: Vec<_> = locations.iter().map(|row| scene.fill(row.0)).collect();
    let authority = Authority::new();
    let origin = Server::start_tls(&authority, move |asked| {
        let nth: usize = asked.target.trim_start_matches("/v1/").parse().unwrap();
        Reply::redirect(302, &filled[nth])
    })
    .await;
    let ca = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(ca.path(), authority.pem()).unwrap();
    let base = format!("https://localhost:{}/v1", origin.port());
    let auth = Auth::Bearer { token: SecretRef("token".into()) };
    let client = client([("e", Config { ca: Some(ca.path().into()), auth, ..system(&base) })]);
    for (nth, (location, place)) in locations.iter().enumerate() {
        let not_allowed = "endpoint `e` and its `redirects` do not allow a redirect to";
        let expected = Denied(format!("{not_allowed} {}: {BELOW}", scene.fill(place)));
        assert_eq!(failure(&client, &nth.to_string()).await, expected, "{location}");
        assert_eq!(origin.asked()[nth].header("authorization"), Some("Bearer SENTINEL"));
    }
    scene.assert_nobody_came("a redirect with a credential").await;
}

const CREDENTIAL: &str = "credentials are the endpoint's `auth` to add";
const FRAMING: &str = "it frames the message";
const HOSTS_OWN: &str = "the host sets it";
const BAD_NAME: &str = "a header's name holds what no name may hold";

/// Headers that a message could bring along, and why they are refused. Capitals at the end stand for the reason above.
const HEADERS: &[(&str, &str, &str)] = &[
    ("x", "a\r\nhost: evil.example", "the value of header `x` holds a line break or another control character"),
    ("x", "a\nb", "the value of header `x` holds a line break or another control character"),
    ("x", "a\rb", "the value of header `x` holds a line break or another control character"),
    ("x", "a\0b", "the value of header `x` holds a line break or another control character"),
    ("x", "\u{1b}[31m", "the value of header `x` holds a line break or another control character"),
    ("x", "a\u{7f}", "the value of header `x` holds a line break or another control character"),
    ("x\r\nhost", "evil.example", BAD_NAME),
    ("x: y", "a", BAD_NAME),
    ("x ", "a", BAD_NAME),
    (" x", "a", BAD_NAME),
    ("x\0", "a", BAD_NAME),
    ("", "a", BAD_NAME),
    (":authority", "evil.example", BAD_NAME),
    ("hоst", "evil.example", BAD_NAME),
    ("Host", "evil.example", "header `host` may not be sent: HOSTS_OWN"),
    ("Content-Length", "0", "header `content-length` may not be sent: FRAMING"),
    ("Transfer-Encoding", "chunked", "header `transfer-encoding` may not be sent: FRAMING"),
    ("TE", "trailers", "header `te` may not be sent: FRAMING"),
    ("Trailer", "x", "header `trailer` may not be sent: FRAMING"),
    ("Connection", "x-key", "header `connection` may not be sent: FRAMING"),
    ("Keep-Alive", "timeout=5", "header `keep-alive` may not be sent: FRAMING"),
    ("Upgrade", "h2c", "header `upgrade` may not be sent: FRAMING"),
    ("HTTP2-Settings", "AAMAAABkAAQAoAAAAAIAAAAA", "header `http2-settings` may not be sent: FRAMING"),
    ("Expect", "100-continue", "header `expect` may not be sent: FRAMING"),
    ("Proxy-Authorization", "Basic x", "header `proxy-authorization` may not be sent: CREDENTIAL"),
    ("Proxy-Connection", "keep-alive", "header `proxy-connection` may not be sent: CREDENTIAL"),
    ("Authorization", "Bearer x", "header `authorization` may not be sent: CREDENTIAL"),
    ("Cookie", "a=b", "header `cookie` may not be sent: CREDENTIAL"),
    ("X-Key", "mine", "header `x-key` may not be sent: CREDENTIAL"),
    ("Accept-Encoding", "gzip", "header `accept-encoding` may not be sent: HOSTS_OWN"),
    ("Via", "1.1 x", "header `via` may not be sent: HOSTS_OWN"),
    ("Forwarded", "for=127.0.0.1", "header `forwarded` may not be sent: HOSTS_OWN"),
];

#[tokio::test]
async fn no_header_or_method_of_a_message_changes_what_is_sent() {
    let scene = Scene::start().await;
    let auth = Auth::Header { name: "x-key".into(), value: SecretRef("token".into()) };
    let client = client([("e", Config { auth, ..system(&scene.canary.url()) })]);
    let with = |method: &str, headers: &[(&str, &str)]| Request {
        method: method.to_owned(),
        headers: headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        ..get("/")
    };
    for (name, value, reason) in HEADERS {
        let reason = reason.replace("CREDENTIAL", CREDENTIAL).replace("FRAMING", FRAMING);
        let reason = reason.replace("HOSTS_OWN", HOSTS_OWN);
        let refused = send(&client, with("GET", &[("accept", "a/b"), (name, value)])).await.err();
        assert_eq!(refused, Some(Denied(reason)), "{name:?}: {value:?}");
    }
    for method in ["", "CONNECT", "connect", "TRACE", "Track", "GET /x HTTP/1.1\r\nx:", "GÉT", "GET ", "G\0T"] {
        let refused = send(&client, with(method, &[])).await.err();
        assert_eq!(refused, Some(Denied("endpoint `e`: this method may not be sent".into())), "{method:?}");
    }
    let many: Vec<_> = (0..40_000).map(|nth| format!("x-{nth}")).collect();
    let many: Vec<_> = many.iter().map(|name| (name.as_str(), "")).collect();
    let long = "a".repeat(64 << 10);
    for headers in [many.as_slice(), &many[..101], &[("x", long.as_str())]] {
        let refused = send(&client, with("GET", headers)).await.err();
        let reason = "the headers are more than 100, or longer than 65536 bytes";
        assert_eq!(refused, Some(Denied(reason.into())), "{} headers", headers.len());
    }
    scene.assert_nobody_came("a header or a method").await;
    assert_eq!(send(&client, with("GET", &[("accept", "a/b")])).await.unwrap().status, 200);
    assert_eq!(scene.canary.visitors().await, 1);
}
