//! The spec as it is written: one struct a section, in serde's and schemars' terms. It gathers the parts' own config
//! structs and adds what belongs to pipelines. What it holds may still make no sense; `check` makes a
//! [`Plan`](super::Plan) of it.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;
use std::num::NonZeroUsize;
use std::path::PathBuf;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde::{Deserialize, Serialize};

use super::read::PART;
use crate::flow::config::{InFlight, OnFatal, Order, Retry};
use crate::model::Period;
use crate::plugin::config::Grants;
use crate::transport::{OnLostPosition, Start};
use crate::{admin, egress, plugin, storage, transport};

/// Messages in a plugin at once, where a pipeline says nothing.
pub(super) const CONCURRENCY: NonZeroUsize = NonZeroUsize::MIN.saturating_add(15);

/// A Lockgate spec: transports, plugins, and the pipelines that join them.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(title = "Lockgate spec")]
pub struct Spec {
    /// The version of this file's format: 1.
    pub lockgate: Part<Format>,
    /// Secrets by name. A field that takes one says `${secrets.NAME}`.
    pub secrets: BTreeMap<String, Part<SecretSource>>,
    /// Where messages come from and go to.
    pub transports: BTreeMap<String, Part<transport::config::Config>>,
    /// Where blobs are kept.
    pub stores: BTreeMap<String, Part<storage::config::Config>>,
    /// What plugins may send HTTP requests to.
    pub endpoints: BTreeMap<String, Part<egress::config::Config>>,
    /// Components.
    pub plugins: BTreeMap<String, Part<plugin::config::Config>>,
    /// What every pipeline says unless it says something else.
    pub defaults: Part<Pipeline>,
    /// Where a running host tells how it is, and takes commands; nowhere where absent.
    pub admin: Part<admin::config::Config>,
    /// What a pipeline that fails for good does to the process; `stay` where absent.
    pub on_fatal: Part<OnFatal>,
    /// What runs.
    pub pipelines: BTreeMap<String, Pipeline>,
}

/// One pipeline: from a topic through a plugin to topics.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Pipeline {
    /// Where its messages come from.
    pub from: Part<From>,
    /// The plugin, by its name under `plugins`.
    pub plugin: Part<String>,
    /// What the plugin may use; nothing by default.
    pub grants: Part<Grants>,
    /// The plugin's own configuration. `lockgate plugin inspect` shows what it takes.
    pub config: Part<Config>,
    /// Where the plugin's outputs go: a topic, or `discard`.
    pub to: BTreeMap<String, Part<Target>>,
    /// Messages in the plugin at once; 16 where absent.
    pub concurrency: Part<NonZeroUsize>,
    /// What may be read but not settled.
    pub in_flight: Part<InFlight>,
    /// Which messages may run beside each other.
    pub order: Part<Order>,
    /// When to try again.
    pub retry: Part<Retry>,
    /// Where messages go that cannot be processed.
    pub dead_letter: Part<DeadLetter>,
    /// How often checkpoints are stored; `1s` where absent.
    pub checkpoint_every: Part<Period>,
    /// How long running messages may take to finish when the pipeline stops; `30s` where absent.
    pub drain_for: Part<Period>,
}

/// The topic that a pipeline reads.
#[derive(Clone, PartialEq, Eq, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct From {
    /// The transport; may be left out where there is only one.
    pub transport: Option<String>,
    /// The topic's name.
    pub topic: Option<String>,
    /// The consumer group; the pipeline's name where absent.
    pub group: Option<String>,
    /// Where a group begins that has no checkpoint.
    pub start: Start,
    /// What to do when unsettled messages are no longer kept.
    pub on_lost_position: OnLostPosition,
}

/// A topic to write to.
#[derive(Clone, PartialEq, Eq, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Topic {
    /// The transport; may be left out where there is only one.
    pub transport: Option<String>,
    /// The topic's name.
    pub topic: Option<String>,
}

/// Where messages go that cannot be processed.
#[derive(Clone, PartialEq, Eq, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DeadLetter {
    /// The transport; may be left out where there is only one.
    pub transport: Option<String>,
    /// The topic's name.
    pub topic: Option<String>,
    /// The store for payloads and headers that the topic does not take, or `none`. It needs no grant: the host writes
    /// it, not the plugin.
    pub spill: Option<String>,
}

/// Where an output goes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Target {
    /// Nowhere.
    Discard,
    /// To a topic.
    Topic(Topic),
}

/// Where a secret comes from.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum SecretSource {
    /// An environment variable.
    Env(String),
    /// A file, read again when it changes. Relative to the working directory.
    File(PathBuf),
}

/// The version of the spec's format.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(transparent)]
pub struct Format(pub u64);

/// A plugin's configuration: any map.
#[derive(Clone, PartialEq, Debug, Default, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Config(pub serde_json::Map<String, serde_json::Value>);

/// A value of the spec, and whether it can be relied on. What is broken has been reported where it was read; whoever
/// finds it broken says nothing more.
#[derive(Clone, PartialEq, Debug, Default)]
pub enum Part<T> {
    /// Not written.
    #[default]
    Absent,
    /// Written, but wrong.
    Broken,
    /// Written and right.
    Sound(T),
}

impl<T> Part<T> {
    /// The value, if it is written and right.
    pub fn get(&self) -> Option<&T> {
        match self {
            Self::Sound(value) => Some(value),
            _ => None,
        }
    }

    /// The value, or what stands for it where it is not written. Nothing where it is broken.
    pub fn or(&self, absent: T) -> Option<T>
    where
        T: Clone,
    {
        match self {
            Self::Absent => Some(absent),
            Self::Broken => None,
            Self::Sound(value) => Some(value.clone()),
        }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Part<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_newtype_struct(PART, PartVisitor(PhantomData))
    }
}

struct PartVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for PartVisitor<T> {
    type Value = Part<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    /// Nothing stands there.
    fn visit_none<E: serde::de::Error>(self) -> Result<Part<T>, E> {
        Ok(Part::Absent)
    }

    /// A hole stands there.
    fn visit_unit<E: serde::de::Error>(self) -> Result<Part<T>, E> {
        Ok(Part::Broken)
    }

    /// Something stands there that was mended; it is read for the sake of its further errors.
    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Part<T>, D::Error> {
        T::deserialize(deserializer).map(|_| Part::Broken)
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<Part<T>, D::Error> {
        T::deserialize(deserializer).map(Part::Sound)
    }
}

impl<T: JsonSchema> JsonSchema for Part<T> {
    fn inline_schema() -> bool {
        T::inline_schema()
    }

    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }

    fn schema_id() -> Cow<'static, str> {
        T::schema_id()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        T::json_schema(generator)
    }
}

impl<'de> Deserialize<'de> for Target {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TargetVisitor)
    }
}

struct TargetVisitor;

impl<'de> Visitor<'de> for TargetVisitor {
    type Value = Target;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("`discard` or a map with a `topic`")
    }

    fn visit_str<E: serde::de::Error>(self, word: &str) -> Result<Target, E> {
        match word {
            "discard" => Ok(Target::Discard),
            other => Err(E::unknown_variant(other, &["discard"])),
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Target, A::Error> {
        Topic::deserialize(MapAccessDeserializer::new(map)).map(Target::Topic)
    }
}

impl JsonSchema for Target {
    fn schema_name() -> Cow<'static, str> {
        "Target".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "Where an output goes: a topic, or `discard`.",
            "oneOf": [{ "type": "string", "const": "discard" }, generator.subschema_for::<Topic>()],
        })
    }
}

impl JsonSchema for Format {
    fn schema_name() -> Cow<'static, str> {
        "Format".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "integer", "const": 1 })
    }
}
