//! A component that was found fit to be a plugin: compiled, linked, described. From here come the checks of a
//! pipeline's config and the pools that run messages.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use tokio::task::spawn_blocking;
use tracing::{Instrument, debug, error_span};
use wasmtime::component::Component as Compiled;

use super::artifact::Artifact;
use super::bindings::{WorkerPre, lifecycle};
use super::capabilities::State;
use super::config::{Config, Isolation, Limits};
use super::described::Described;
use super::engine::Parts;
use super::error::LoadError;
use super::slots::Slot;
use super::wasm::{Pool, PoolSettings};
use super::{Binding, Description, Plugin, imports, nesting};

/// A plugin's component. Cheap to clone.
#[derive(Clone)]
pub struct Component {
    loaded: Arc<Loaded>,
    description: Arc<Description>,
}

/// What slots need of their component.
pub(super) struct Loaded {
    /// The plugin's name in the spec.
    pub(super) plugin: Arc<str>,
    pub(super) engine: Arc<Parts>,
    pub(super) worker: WorkerPre<State>,
    pub(super) limits: Limits,
    pub(super) isolation: Isolation,
}

impl Component {
    pub(super) async fn load(engine: Arc<Parts>, name: &str, config: &Config) -> Result<Self, LoadError> {
        let artifact = Artifact::read(config).await?;
        let sha256 = artifact.sha256.clone();
        let compiled = compile(engine.clone(), artifact, &config.component).await?;
        let (imports, contract) = check(&engine, &compiled, &config.component)?;
        let worker = engine.linker.instantiate_pre(&compiled).and_then(WorkerPre::new);
        let unfit = |error| LoadError::Contract { component: config.component.clone(), reason: format!("{error:#}") };
        let (limits, isolation) = (config.limits, config.isolation);
        let loaded = Loaded { plugin: name.into(), engine, worker: worker.map_err(unfit)?, limits, isolation };
        let loaded = Arc::new(loaded);
        let undescribed = |reason| LoadError::Describe { component: config.component.clone(), reason };
        let info = describe(&loaded).await.map_err(undescribed)?;
        let described = Described::read(info).map_err(undescribed)?;
        let Described { name, version, description, config_schema } = described;
        let description = Description { name, version, description, config_schema, sha256, contract, imports };
        Ok(Self { loaded, description: Arc::new(description) })
    }

    /// What the component says of itself.
    pub fn describe(&self) -> &Description {
        &self.description
    }

    /// What the plugin needs with this config, asked of an instance that is thrown away. The error is for whoever wrote
    /// the config, in the plugin's own words where it has some.
    pub async fn bind(&self, config_json: &str) -> Result<Binding, String> {
        let span = error_span!("bind", plugin = &*self.loaded.plugin);
        let bind = async { Slot::open(self.loaded.clone()).await?.configure(config_json).await };
        bind.instrument(span).await
    }

    /// The slots of one pipeline. Instances are made as messages need them.
    pub fn pool(&self, settings: PoolSettings) -> Arc<dyn Plugin> {
        Arc::new(Pool::new(self.loaded.clone(), settings))
    }
}

impl fmt::Debug for Component {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { loaded, description } = self;
        write!(f, "Component({} = {} {})", loaded.plugin, description.name, description.version)
    }
}

async fn describe(loaded: &Arc<Loaded>) -> Result<lifecycle::PluginInfo, String> {
    let span = error_span!("describe", plugin = &*loaded.plugin);
    async { Slot::open(loaded.clone()).await?.describe().await }.instrument(span).await
}

/// Where compiled code came from.
#[derive(Clone, Copy, Debug)]
enum Source {
    Cache,
    Compiler,
}

/// Compiles a component, or takes it from the cache. On a thread of its own, for it takes long.
async fn compile(engine: Arc<Parts>, artifact: Artifact, component: &Path) -> Result<Compiled, LoadError> {
    let failed = |reason| LoadError::Compile { component: component.to_owned(), reason };
    let compiled = spawn_blocking(move || compile_blocking(&engine, &artifact)).await;
    let compiled = compiled.map_err(|error| failed(error.to_string()))?;
    let (compiled, source) = compiled.map_err(|error| failed(format!("{error:#}")))?;
    debug!(component = %component.display(), ?source, "component is there as machine code");
    Ok(compiled)
}

fn compile_blocking(engine: &Parts, artifact: &Artifact) -> wasmtime::Result<(Compiled, Source)> {
    let Artifact { bytes, sha256 } = artifact;
    if let Some(compiled) = engine.cache.as_ref().and_then(|cache| cache.read(&engine.wasmtime, sha256)) {
        return Ok((compiled, Source::Cache));
    }
    nesting::check(bytes).map_err(wasmtime::Error::msg)?;
    let compiled = Compiled::new(&engine.wasmtime, bytes)?;
    if let Some(cache) = &engine.cache {
        cache.write(sha256, &compiled);
    }
    Ok((compiled, Source::Compiler))
}

/// What a component imports and the contract it was built against, when a plugin may have both.
fn check(engine: &Parts, compiled: &Compiled, component: &Path) -> Result<(Vec<String>, String), LoadError> {
    let interface = compiled.component_type();
    let names: Vec<String> = interface.imports(&engine.wasmtime).map(|import| import.0.to_owned()).collect();
    let refused = imports::refused(names.iter().map(String::as_str));
    if !refused.is_empty() {
        return Err(LoadError::Imports { component: component.to_owned(), imports: refused });
    }
    let contract = imports::contract(interface.exports(&engine.wasmtime).map(|export| export.0))
        .map_err(|reason| LoadError::Contract { component: component.to_owned(), reason })?;
    Ok((names, contract))
}
