//! A value that must never be printed. Its `Debug` and `Display` say so instead of showing it. One that stands in a
//! file is what the file holds now.

mod file;
mod made;

use std::borrow::Cow;
use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserializer, Error as _, Unexpected, Visitor};
use serde::{Deserialize, Serialize};

pub use made::Made;

/// A secret string. Read it only where it is used, with [`Secret::expose`], and keep nothing that was made of it but
/// in a [`Made`]: it may change. Cheap to clone.
#[derive(Clone)]
pub struct Secret(Source);

#[derive(Clone)]
enum Source {
    Fixed(Arc<str>),
    File(Arc<file::SecretFile>),
}

impl Secret {
    /// Wraps a value that stays.
    pub fn new(value: impl Into<Arc<str>>) -> Self {
        Self(Source::Fixed(value.into()))
    }

    /// The content of a file, less the line break at its end; read now, and again when the file has changed. `name` is
    /// what the spec calls the secret.
    pub fn in_file(name: &str, path: &Path) -> io::Result<Self> {
        Ok(Self(Source::File(Arc::new(file::SecretFile::read(name, path)?))))
    }

    /// The value as it is now, for the one place that sends it to its own origin. Looks at the file, where there is
    /// one: a matter of microseconds on a local disk.
    pub fn expose(&self) -> Arc<str> {
        match &self.0 {
            Source::Fixed(value) => value.clone(),
            Source::File(file) => file.value(),
        }
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
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct SecretRef(pub String);

impl SecretRef {
    /// The name in `${secrets.NAME}`.
    fn name_in(text: &str) -> Option<&str> {
        let name = text.strip_prefix("${secrets.")?.strip_suffix('}')?;
        (!name.is_empty() && !name.contains(['$', '{', '}'])).then_some(name)
    }
}

impl<'de> Deserialize<'de> for SecretRef {
    /// Asks for a newtype called `SecretRef`, by which a format knows that a secret belongs here.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_newtype_struct("SecretRef", ReferenceVisitor)
    }
}

struct ReferenceVisitor;

impl<'de> Visitor<'de> for ReferenceVisitor {
    type Value = SecretRef;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a secret, written `${secrets.NAME}`, with NAME declared under `secrets:`")
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<SecretRef, D::Error> {
        let text = String::deserialize(deserializer)?;
        match SecretRef::name_in(&text) {
            Some(name) => Ok(SecretRef(name.to_owned())),
            None => Err(D::Error::invalid_type(Unexpected::Other("something else"), &self)),
        }
    }
}

impl JsonSchema for SecretRef {
    fn schema_name() -> Cow<'static, str> {
        "SecretRef".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "a secret by its name under `secrets`: `${secrets.NAME}`",
            "pattern": r"^\$\{secrets\.[^${}]+\}$",
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
