//! The shape of `endpoints:` in the spec.

use std::num::{NonZeroU32, NonZeroUsize};
use std::path::PathBuf;

use ipnet::IpNet;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::{Period, SecretRef, Size};

/// One endpoint: either one system below a base URL, or a list of hosts whose absolute URLs messages may carry.
#[derive(Clone, PartialEq, Eq, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// One system: plugins give paths below this URL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_url: Option<String>,
    /// Many hosts: plugins give absolute URLs. An entry is `host`, `host:port` or `*.domain`; `http://host:port`
    /// allows plain HTTP.
    #[serde(default)]
    pub allow: Vec<String>,
    /// Networks that are private or loopback and may be connected to all the same. Behind a `proxy` this holds for
    /// addresses that stand in URLs, and for names such as `localhost` that tell where they lead.
    #[serde(default)]
    #[schemars(with = "Vec<String>")]
    pub allow_addresses: Vec<IpNet>,
    /// What the host adds to requests, only towards `base_url`'s own origin.
    #[serde(default)]
    pub auth: Auth,
    /// How long to wait.
    #[serde(default)]
    pub timeouts: Timeouts,
    /// The longest body that is read; one that is longer, or never ends, breaks off with an error. 16 GiB unless said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_body: Option<Size>,
    /// Requests under way at once, in this process; one is under way until its body ends. Like `rate` and `breaker`,
    /// this counts for each host name by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_concurrent: Option<NonZeroUsize>,
    /// Requests a time, such as `10/s` or `600/m`: evenly spread, after a burst of at most what a second brings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<Rate>,
    /// When to stop trying for a while.
    #[serde(default)]
    pub breaker: Breaker,
    /// Endpoints that a redirect may lead to, besides this one. There, that endpoint's own rules hold: what it allows,
    /// its limits and credential, and where its redirects may lead on to.
    #[serde(default)]
    pub redirects: Vec<String>,
    /// A PEM file of certificate authorities to trust besides the machine's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<PathBuf>,
    /// A proxy that this endpoint's requests go through, and no other endpoint's. No proxy is ever taken from the
    /// environment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proxy: Option<Proxy>,
}

/// A proxy: `https` goes through it in a tunnel (`CONNECT`), `http` is asked of it. The proxy resolves names, this host
/// does not: what a URL may name is judged here, by `base_url`, `allow` and `allow_addresses`, before the proxy is
/// asked, but what a name leads to only the proxy can judge. It must refuse private networks itself.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Proxy {
    /// `http://host:port` or `https://host:port`. Its own address is trusted, and needs no entry in `allow_addresses`.
    pub url: String,
    /// What the host shows to the proxy, and to nobody else.
    #[serde(default)]
    pub auth: ProxyAuth,
}

/// How the host signs in at a proxy. Every value is a secret: `${secrets.NAME}`.
#[derive(Clone, PartialEq, Eq, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum ProxyAuth {
    /// Not at all.
    #[default]
    None,
    /// `Proxy-Authorization: Bearer …`.
    Bearer {
        /// The token.
        token: SecretRef,
    },
    /// `Proxy-Authorization: Basic …`.
    Basic {
        /// The part after `Basic`, encoded already.
        encoded: SecretRef,
    },
}

/// How the host signs requests. Every value is a secret: `${secrets.NAME}`.
#[derive(Clone, PartialEq, Eq, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Auth {
    /// Not at all.
    #[default]
    None,
    /// `Authorization: Bearer …`.
    Bearer {
        /// The token.
        token: SecretRef,
    },
    /// `Authorization: Basic …`.
    Basic {
        /// The part after `Basic`, encoded already.
        encoded: SecretRef,
    },
    /// A header of its own.
    Header {
        /// Its name.
        name: String,
        /// Its value.
        value: SecretRef,
    },
}

/// How long to wait for an endpoint.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Timeouts {
    /// For a connection, name look-up and TLS included.
    pub connect: Period,
    /// For the head of the response, connecting included.
    pub first_byte: Period,
    /// Between two pieces of a body. A body that brings fewer than 64 bytes a second for so long has stalled, too.
    pub stall: Period,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self { connect: Period::from_secs(10), first_byte: Period::from_secs(30), stall: Period::from_secs(60) }
    }
}

/// Requests a time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rate {
    /// So many.
    pub count: NonZeroU32,
    /// In so long.
    pub per: Period,
}

/// When to stop trying an endpoint's host. Only connect errors, timeouts and 5xx in a row open a breaker.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Breaker {
    /// Failures in a row that open it.
    pub failures: NonZeroU32,
    /// Successes in a row that close it again.
    pub successes: NonZeroU32,
    /// How long it stays open before trials.
    pub open_for: Period,
    /// Trials at once while half open.
    pub trials: NonZeroU32,
}

impl Default for Breaker {
    fn default() -> Self {
        const fn n(value: u32) -> NonZeroU32 {
            match NonZeroU32::new(value) {
                Some(value) => value,
                None => NonZeroU32::MIN,
            }
        }
        Self { failures: n(5), successes: n(2), open_for: Period::from_secs(60), trials: n(3) }
    }
}

mod rate {
    //! `10/s`, `600/m`, `5/h`.

    use std::borrow::Cow;
    use std::fmt;
    use std::num::NonZeroU32;
    use std::str::FromStr;

    use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

    use super::Rate;
    use crate::model::Period;

    impl FromStr for Rate {
        type Err = String;

        fn from_str(text: &str) -> Result<Self, String> {
            let bad = || format!("`{text}` is not a rate: write a number and a time, such as `10/s` or `600/m`");
            let (count, unit) = text.split_once('/').ok_or_else(bad)?;
            let count: NonZeroU32 = count.trim().parse().map_err(|_| bad())?;
            let seconds = match unit.trim() {
                "s" => 1,
                "m" => 60,
                "h" => 3600,
                _ => return Err(bad()),
            };
            Ok(Self { count, per: Period::from_secs(seconds) })
        }
    }

    impl fmt::Display for Rate {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            let unit = match self.per.0.as_secs() {
                3600 => "h",
                60 => "m",
                _ => "s",
            };
            write!(f, "{}/{unit}", self.count)
        }
    }

    impl<'de> Deserialize<'de> for Rate {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
        }
    }

    impl Serialize for Rate {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.collect_str(self)
        }
    }

    impl JsonSchema for Rate {
        fn schema_name() -> Cow<'static, str> {
            "Rate".into()
        }

        fn json_schema(_: &mut SchemaGenerator) -> Schema {
            json_schema!({ "type": "string", "pattern": "^\\s*[0-9]+\\s*/\\s*[smh]\\s*$" })
        }
    }
}
