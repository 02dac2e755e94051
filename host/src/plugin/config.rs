//! The shape of `plugins:` in the spec.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

use crate::model::{Period, Size};

/// One plugin: a component and how it may run.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The `.wasm` file. Relative to the working directory.
    pub component: PathBuf,
    /// The component's SHA-256 in hex; another file is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// What one call may use.
    #[serde(default)]
    pub limits: Limits,
    /// How long an instance lives.
    #[serde(default)]
    pub isolation: Isolation,
}

/// What one call may use.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Linear memory and tables of one instance.
    pub memory: Size,
    /// Time spent computing.
    pub cpu: Period,
    /// Time since the last progress while the call waits on the outside.
    pub stall: Period,
    /// Time in all; `none`, or absent, where there is no such limit.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "period_or_none")]
    #[schemars(with = "Option<String>")]
    pub deadline: Option<Period>,
}

impl Default for Limits {
    fn default() -> Self {
        Self { memory: Size(64 << 20), cpu: Period::from_secs(2), stall: Period::from_secs(120), deadline: None }
    }
}

fn period_or_none<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Period>, D::Error> {
    match Option::<String>::deserialize(deserializer)?.as_deref() {
        None | Some("none") => Ok(None),
        Some(text) => text.parse().map(Some).map_err(D::Error::custom),
    }
}

/// How long an instance lives. `shared` comes with the guests that need it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Isolation {
    /// One call at a time; dropped on trap, stall, limit or broken contract.
    #[default]
    Exclusive,
    /// Dropped after each call.
    Fresh,
}

/// What a pipeline lets its plugin use: names of the spec. Nothing is granted by default.
#[derive(Clone, PartialEq, Eq, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Grants {
    /// Endpoints that requests may name.
    pub endpoints: Vec<String>,
    /// Stores that blob calls may name.
    pub stores: Vec<String>,
    /// Key-value stores that calls may name.
    pub keyvalues: Vec<String>,
}
