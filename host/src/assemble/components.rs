//! The components of a spec: loaded once, described and configured for the checker, and then given to pipelines.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use futures::future::join_all;

use super::Inspected;
use crate::egress::Http;
use crate::model::Clock;
use crate::plugin::config::{Config, Isolation, Limits};
use crate::plugin::{Component, Description, Engine, EngineSettings, LoadError, Plugin, PoolSettings};
use crate::spec::plan::Pipeline;
use crate::spec::{Descriptions, Loaded};
use crate::storage::Stores;

/// Where compiled components are kept, where the default does not fit.
const CACHE_VARIABLE: &str = "LOCKGATE_CACHE_DIR";

/// Components by the plugin's name.
pub(super) struct Components(BTreeMap<String, Component>);

/// Loads every component of a spec, and asks each about itself and about the configs that it is given.
pub(super) async fn load(loaded: &Loaded) -> (Components, Descriptions) {
    let engine = engine(loaded.slots());
    let loads = loaded.plugins().map(|(name, config)| {
        let engine = &engine;
        async move {
            let component = match engine {
                Ok(engine) => engine.load(name, config).await,
                Err(error) => Err(error.clone()),
            };
            (name.to_owned(), component)
        }
    });
    let results: BTreeMap<String, Result<Component, LoadError>> = join_all(loads).await.into_iter().collect();
    let told = |result: &Result<Component, LoadError>| match result {
        Ok(component) => Ok(component.describe().clone()),
        Err(error) => Err(error.to_string()),
    };
    let plugins = results.iter().map(|(name, result)| (name.clone(), told(result))).collect();
    let components: BTreeMap<String, Component> =
        results.into_iter().filter_map(|(name, result)| Some((name, result.ok()?))).collect();
    let bindings = loaded.configurations().filter_map(|(pipeline, plugin, config)| {
        let component = components.get(plugin)?;
        Some(async move { (pipeline.to_owned(), component.bind(&config.to_string()).await) })
    });
    let bindings = join_all(bindings).await.into_iter().collect();
    (Components(components), Descriptions { plugins, bindings })
}

fn engine(slots: usize) -> Result<Engine, LoadError> {
    Engine::new(EngineSettings { slots, cache: cache() })
}

/// The folder for compiled components; none where the machine has no home.
fn cache() -> Option<PathBuf> {
    let folder = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let base = || folder("XDG_CACHE_HOME").or_else(|| Some(folder("HOME")?.join(".cache")));
    folder(CACHE_VARIABLE).or_else(|| Some(base()?.join("lockgate/components")))
}

/// Looks at a component.
pub(super) async fn inspect(file: &Path, config_json: &str) -> anyhow::Result<Inspected> {
    let config =
        Config { component: file.to_owned(), sha256: None, limits: Limits::default(), isolation: Isolation::default() };
    let component = engine(1)?.load("inspected", &config).await?;
    let (binding, config_error) = match component.bind(config_json).await {
        Ok(binding) => (Some(binding), None),
        Err(reason) => (None, Some(reason)),
    };
    Ok(Inspected { description: component.describe().clone(), binding, config_error })
}

impl Components {
    /// The slots of one pipeline, and what their component says of itself.
    pub(super) fn pool(
        &self,
        pipeline: &Pipeline,
        http: &Arc<dyn Http>,
        stores: &Stores,
        clock: &Clock,
    ) -> anyhow::Result<(Arc<dyn Plugin>, Description)> {
        let component =
            self.0.get(&pipeline.plugin).with_context(|| format!("plugin {} was not loaded", pipeline.plugin))?;
        let pool = component.pool(PoolSettings {
            pipeline: pipeline.name.clone(),
            config_json: pipeline.config.to_string(),
            grants: pipeline.grants.clone(),
            concurrency: pipeline.concurrency,
            http: http.clone(),
            stores: stores.clone(),
            clock: clock.clone(),
        });
        Ok((pool, component.describe().clone()))
    }
}
