//! A value that must never be printed. Its `Debug` and `Display` say so instead of showing it.

use std::fmt;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A secret string. Read it only where it is used, with [`Secret::expose`].
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Arc<str>);

impl Secret {
    /// Wraps a value.
    pub fn new(value: impl Into<Arc<str>>) -> Self {
        Self(value.into())
    }

    /// The value, for the one place that sends it to its own origin.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

/// A reference to a secret, written `${secrets.NAME}`; holds the name only.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, JsonSchema)]
#[schemars(with = "String")]
pub struct SecretRef(pub String);

impl<'de> Deserialize<'de> for SecretRef {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.strip_prefix("${secrets.")
            .and_then(|rest| rest.strip_suffix('}'))
            .filter(|name| !name.is_empty() && !name.contains(['$', '{', '}']))
            .map(|name| Self(name.to_owned()))
            .ok_or_else(|| {
                serde::de::Error::custom("a secret is written `${secrets.NAME}`, with NAME declared under `secrets:`")
            })
    }
}

/// The secrets that a spec declares, by name, as they were read.
#[derive(Clone, Debug, Default)]
pub struct Secrets(pub std::collections::BTreeMap<String, Secret>);

impl Secrets {
    /// The value behind a reference. `spec` has checked that it exists.
    pub fn get(&self, reference: &SecretRef) -> Option<&Secret> {
        self.0.get(&reference.0)
    }
}
