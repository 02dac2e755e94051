//! From files to running pipelines: the only place that names concrete parts. It loads components for the checker,
//! opens what the plan names, and hands each pipeline its own; it decides nothing that the spec does not say.

use std::collections::{BTreeMap, BTreeSet};
use std::env::VarError;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::bail;
use serde::Serialize;

use crate::admin::{About, Served};
use crate::egress::Http;
use crate::flow::dead_letter::Maker;
use crate::flow::supervisor::{Handle, supervise};
use crate::model::{Secret, Secrets};
use crate::plugin::{Binding, Description};
use crate::spec::plan::{self, Missing, Pipeline, SecretSource, TransportKind};
use crate::spec::{self, Descriptions, Diagnostics, Loaded, Plan};
use crate::storage::Stores;

#[cfg(feature = "wasm")]
mod components;
#[cfg(not(feature = "wasm"))]
#[path = "assemble/without_components.rs"]
mod components;
mod left;
mod opening;
mod spill;
mod surroundings;
mod transports;

use components::Components;
use opening::{opener, too_few_partitions};
pub use spill::spilled;
pub use surroundings::Surroundings;
use transports::{Looked, Transports};
pub use transports::{Reach, reach, transport};

/// A spec that is right, and its plugins.
pub struct Checked {
    plan: Plan,
    components: Components,
    surroundings: Surroundings,
}

impl Checked {
    /// What the spec says.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The same, to run in these surroundings instead of the machine's.
    #[must_use]
    pub fn within(self, surroundings: Surroundings) -> Self {
        Self { surroundings, ..self }
    }
}

/// Checks a spec without a look at its plugins.
pub fn plan(files: &[PathBuf], sets: &[String]) -> Result<Plan, Diagnostics> {
    spec::check(&load(files, sets)?, &Descriptions::default())
}

/// Checks a spec, its plugins and their configs. Opens no connection.
pub async fn check(files: &[PathBuf], sets: &[String]) -> Result<Checked, Diagnostics> {
    let loaded = load(files, sets)?;
    let (components, descriptions) = components::load(&loaded).await;
    let plan = spec::check(&loaded, &descriptions)?;
    Ok(Checked { plan, components, surroundings: Surroundings::default() })
}

fn load(files: &[PathBuf], sets: &[String]) -> Result<Loaded, Diagnostics> {
    spec::load(files, sets, &|name| std::env::var(name).ok())
}

/// Says when one of these is no pipeline of the spec.
pub fn check_names(plan: &Plan, names: &[String]) -> Result<(), String> {
    let all = || plan.pipelines.keys().map(|name| &**name).collect::<Vec<_>>().join(", ");
    match names.iter().find(|name| !plan.pipelines.contains_key(name.as_str())) {
        None => Ok(()),
        Some(unknown) => Err(format!("the spec has no pipeline `{unknown}`; it has {}", all())),
    }
}

/// Whether a pipeline is one of these; every one is where none is named.
pub fn is_chosen(pipeline: &Pipeline, only: &[String]) -> bool {
    only.is_empty() || only.iter().any(|name| **name == *pipeline.name)
}

/// The transports of which the spec names a topic.
pub fn users_of(plan: &Plan, topic: &str) -> Vec<String> {
    plan.transports.keys().filter(|transport| topics_of(plan, transport).contains(topic)).cloned().collect()
}

/// The topics of a transport that the spec names: those that pipelines use, and those with settings.
pub fn topics_of<'a>(plan: &'a Plan, transport: &str) -> BTreeSet<&'a str> {
    let used = plan.pipelines.values().flat_map(places).filter(|place| place.0 == transport).map(|place| place.1);
    let set = plan.transports.get(transport).into_iter().flat_map(|transport| transport.topics.keys());
    used.chain(set.map(String::as_str)).collect()
}

/// Transport and topic of everything that a pipeline reads and writes.
fn places(pipeline: &Pipeline) -> impl Iterator<Item = (&str, &str)> {
    let from = (pipeline.from.transport.as_str(), &*pipeline.from.topic);
    // What it parks it reads again.
    std::iter::once(from).chain(pipeline.writes().map(|place| (place.transport.as_str(), place.topic.as_str())))
}

/// What `lockgate plugin inspect` tells.
#[derive(Serialize)]
pub struct Inspected {
    /// What the component says of itself.
    #[serde(flatten)]
    pub description: Description,
    /// What it needs with the given config.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub binding: Option<Binding>,
    /// Why it does not take the config.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config_error: Option<String>,
}

/// Looks at a component.
pub async fn inspect(file: &Path, config_json: &str) -> anyhow::Result<Inspected> {
    components::inspect(file, config_json).await
}

/// Reads the secrets that the spec declares; names every one that cannot be read, and where it is declared.
pub fn secrets(plan: &Plan) -> Result<Secrets, Diagnostics> {
    secrets_of(plan, |_| true)
}

/// Reads those of the secrets that are wanted.
fn secrets_of(plan: &Plan, wanted: impl Fn(&str) -> bool) -> Result<Secrets, Diagnostics> {
    let (mut secrets, mut missing) = (Secrets::default(), Vec::new());
    for (name, secret) in plan.secrets.iter().filter(|(name, _)| wanted(name)) {
        match read_secret(name, &secret.source) {
            Ok(secret) => drop(secrets.0.insert(name.clone(), secret)),
            Err(reason) => missing.push((name.as_str(), reason)),
        }
    }
    if missing.is_empty() { Ok(secrets) } else { Err(plan.missing_secrets(&missing)) }
}

fn read_secret(name: &str, source: &SecretSource) -> Result<Secret, Missing> {
    match source {
        SecretSource::Env(variable) => std::env::var(variable).map(Secret::new).map_err(|error| Missing {
            reason: match error {
                VarError::NotPresent => format!("the variable {variable} is not set"),
                VarError::NotUnicode(_) => format!("the variable {variable} holds no text"),
            },
            help: format!("set {variable} where the host is started"),
        }),
        SecretSource::File(path) => Secret::in_file(name, path).map_err(|error| Missing {
            reason: format!("cannot read {}: {error}", path.display()),
            help: "let the host read it; a relative path counts from the working directory".to_owned(),
        }),
    }
}

/// Running pipelines, and what they run on.
pub struct Host {
    handles: Vec<Handle>,
    transports: Transports,
    /// What each pipeline reads.
    reads: BTreeMap<Arc<str>, Vec<plan::From>>,
    /// What is told of each pipeline besides how it is.
    abouts: BTreeMap<Arc<str>, About>,
}

/// Starts the pipelines of a spec, or those of `only`. Fails when something is wrong that does not pass by itself,
/// such as a topic that is missing, and names all of it; what is only unreachable keeps its pipeline waiting.
pub async fn start(checked: Checked, secrets: &Secrets, only: &[String]) -> anyhow::Result<Host> {
    let Checked { plan, components, surroundings } = checked;
    let pipelines: Vec<&Pipeline> = plan.pipelines.values().filter(|pipeline| is_chosen(pipeline, only)).collect();
    let used: BTreeSet<(&str, &str)> = pipelines.iter().flat_map(|pipeline| places(pipeline)).collect();
    let transports = Transports::new(&plan, used.iter().map(|place| place.0), &surroundings, secrets)?;
    let reads: Vec<plan::From> = pipelines.iter().flat_map(|pipeline| pipeline.reads()).collect();
    let Looked { mut errors, partitions } = transports.look(&used, &reads).await;
    errors.extend(pipelines.iter().filter_map(|pipeline| {
        let partitions = partitions.get(&retry_place(pipeline)?)?;
        too_few_partitions(pipeline, *partitions)
    }));
    let stores = open_stores(&plan, &pipelines, secrets, &mut errors);
    let http = crate::egress::Client::new(&plan.endpoints, secrets);
    errors.extend(http.as_ref().err().map(ToString::to_string));
    if !errors.is_empty() {
        bail!("{}; nothing was started", errors.join("; "));
    }
    let http: Arc<dyn Http> = Arc::new(http?);
    let mut handles = Vec::new();
    for pipeline in &pipelines {
        let (plugin, description) = components.pool(pipeline, &http, &stores, &surroundings.clock)?;
        let maker = Maker {
            pipeline: pipeline.name.clone(),
            plugin: pipeline.plugin.as_str().into(),
            version: description.version.into(),
            sha256: description.sha256.into(),
        };
        let spill = spill::of(pipeline, &stores);
        handles.push(supervise(pipeline.name.clone(), opener(pipeline, maker, plugin, &transports, spill)));
    }
    let reads = pipelines.iter().map(|pipeline| (pipeline.name.clone(), pipeline.reads())).collect();
    let abouts = pipelines.iter().map(|pipeline| (pipeline.name.clone(), about(&plan, pipeline))).collect();
    Ok(Host { handles, reads, abouts, transports })
}

fn about(plan: &Plan, pipeline: &Pipeline) -> About {
    let system = match plan.transports.get(&pipeline.from.transport).map(|transport| &transport.kind) {
        Some(TransportKind::Log(_)) => "lockgate_log",
        // These are the words of the OpenTelemetry conventions for messaging.
        Some(TransportKind::Kafka(_)) => "kafka",
        Some(TransportKind::EventHubs(_)) => "eventhubs",
        Some(TransportKind::Memory(_)) => "lockgate_memory",
        None => "",
    };
    About { system, topic: pipeline.from.topic.clone(), group: pipeline.from.group.clone() }
}

/// Transport and topic that a pipeline parks in, if it does.
fn retry_place(pipeline: &Pipeline) -> Option<(&str, &str)> {
    let place = &pipeline.retry.later.as_ref()?.topic;
    Some((&place.transport, &place.topic))
}

/// The stores that these pipelines were granted, and those that their dead letters spill into. Of those that cannot be
/// opened it says why, and what to do.
fn open_stores(plan: &Plan, pipelines: &[&Pipeline], secrets: &Secrets, errors: &mut Vec<String>) -> Stores {
    let names = pipelines.iter().flat_map(|pipeline| pipeline.grants.stores.iter().chain(&pipeline.dead_letter.spill));
    let names: BTreeSet<&String> = names.collect();
    let mut stores = Stores::new();
    for (name, config) in names.into_iter().filter_map(|name| plan.stores.get_key_value(name)) {
        match crate::storage::open(name, config, secrets) {
            Ok(store) => drop(stores.insert(name.clone(), store)),
            Err(error) => errors.push(format!("{error}; {}", error.help())),
        }
    }
    stores
}

#[cfg(test)]
impl Host {
    /// Pipelines without transports.
    pub(crate) fn of(handles: Vec<Handle>) -> Self {
        Self { handles, transports: Transports::default(), reads: BTreeMap::new(), abouts: BTreeMap::new() }
    }
}

impl Host {
    /// The pipelines.
    pub fn pipelines(&self) -> &[Handle] {
        &self.handles
    }

    /// The pipelines as others may look at them while they run.
    pub fn served(&self) -> Vec<Served> {
        let served = self.handles.iter().filter_map(|handle| {
            let about = self.abouts.get(&handle.pipeline)?.clone();
            Some(Served { remote: handle.remote(), about })
        });
        served.collect()
    }
}

#[cfg(all(test, feature = "event-hubs"))]
mod event_hubs_tests;
#[cfg(test)]
#[path = "assemble/tests.rs"]
mod tests;
