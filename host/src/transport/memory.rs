//! A transport in this process's memory, for tests and trials. Nothing survives the process.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The shape of `memory:` in the spec: nothing to set.
#[derive(Clone, PartialEq, Eq, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {}
