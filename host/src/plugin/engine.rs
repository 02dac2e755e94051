//! The one engine of a host: compiles components, and keeps the pool that instances live in. It knows nothing of
//! pipelines.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use wasmtime::component::{HasSelf, Linker};
use wasmtime::{Enabled, InstanceAllocationStrategy, PoolingAllocationConfig};
use wasmtime_wasi::cli::{WasiCli, WasiCliView};
use wasmtime_wasi::p2;
use wasmtime_wasi::random::{WasiRandom, WasiRandomView};

use super::bindings::Worker;
use super::cache::Cache;
use super::capabilities::State;
use super::component::Component;
use super::config::Config;
use super::error::LoadError;
use super::limits::TABLE_ELEMENTS;
use super::ticker::Ticks;

/// Instances beyond the pipelines' slots: throw-away ones that describe and check configs.
const SPARE: u32 = 8;
/// Core instances, and tables, that one component may hold: those of interpreted languages are many. The pool has as
/// many for each slot, so that no component takes what another one's slot was promised.
const MODULES: u32 = 64;
/// Linear memories that one component may hold. Each takes 4 GiB of address space.
const MEMORIES: u32 = 1;
/// Linear memory that stays with a slot between two instances, in bytes.
const RESIDENT_MEMORY: usize = 1 << 20;
/// Table space that stays with a slot between two instances, in bytes.
const RESIDENT_TABLE: usize = 64 << 10;
/// The most that `limits.memory` can allow: what 32 bits address.
const ADDRESSABLE: usize = 1 << 32;

/// How an engine is made.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct EngineSettings {
    /// Instances that may live at once: the sum of all pipelines' `concurrency`, for old and new versions together.
    pub slots: usize,
    /// Where compiled components are kept: a folder that only the host's user writes. Nowhere where absent.
    pub cache: Option<PathBuf>,
}

/// The engine. Cheap to clone.
#[derive(Clone)]
pub struct Engine(Arc<Parts>);

/// What components need of their engine.
pub(super) struct Parts {
    pub(super) wasmtime: wasmtime::Engine,
    pub(super) linker: Linker<State>,
    pub(super) ticks: Ticks,
    pub(super) cache: Option<Cache>,
}

impl Engine {
    /// Makes the engine. Address space for every slot is reserved here, 4 GiB each; memory is used as guests use it.
    pub fn new(settings: EngineSettings) -> Result<Self, LoadError> {
        let failed = |error: wasmtime::Error| LoadError::Engine(format!("{error:#}"));
        let slots = u32::try_from(settings.slots).unwrap_or(u32::MAX).saturating_add(SPARE);
        let wasmtime = wasmtime::Engine::new(&config(slots)).map_err(failed)?;
        let linker = linker(&wasmtime).map_err(failed)?;
        let cache = settings.cache.map(|folder| Cache::open(&folder, &wasmtime)).transpose()?;
        let ticks = Ticks::default();
        ticks.start(wasmtime.weak()).map_err(|error| LoadError::Engine(error.to_string()))?;
        Ok(Self(Arc::new(Parts { wasmtime, linker, ticks, cache })))
    }

    /// Loads a component: reads and hashes it, compiles it or takes it from the cache, refuses it if it imports what
    /// no plugin is given, and has it describe itself. `name` is the plugin's name in the spec.
    pub async fn load(&self, name: &str, config: &Config) -> Result<Component, LoadError> {
        Component::load(self.0.clone(), name, config).await
    }

    /// What lives in the pool: instances of components, memories, tables, stacks.
    #[cfg(test)]
    pub(super) fn living(&self) -> [u64; 4] {
        let pool = self.0.wasmtime.pooling_allocator_metrics().unwrap();
        [pool.component_instances(), pool.memories() as u64, pool.tables() as u64, pool.stacks() as u64]
    }
}

impl Drop for Parts {
    fn drop(&mut self) {
        self.ticks.end();
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine").field("cache", &self.0.cache).finish_non_exhaustive()
    }
}

fn config(slots: u32) -> wasmtime::Config {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(slots)
        .total_core_instances(slots.saturating_mul(MODULES))
        .total_memories(slots.saturating_mul(MEMORIES))
        .total_tables(slots.saturating_mul(MODULES))
        .total_stacks(slots.saturating_mul(2))
        .max_core_instances_per_component(MODULES)
        .max_tables_per_component(MODULES)
        .max_memories_per_component(MEMORIES)
        .table_elements(TABLE_ELEMENTS)
        .max_component_instance_size(8 << 20)
        .max_core_instance_size(8 << 20)
        // The bound that counts is each store's own; with the default reservation this one costs nothing.
        .max_memory_size(ADDRESSABLE)
        .linear_memory_keep_resident(RESIDENT_MEMORY)
        .table_keep_resident(RESIDENT_TABLE)
        // Without it, what stays resident is cleared whole for each instance, used or not.
        .pagemap_scan(Enabled::Auto);
    let mut config = wasmtime::Config::new();
    config.epoch_interruption(true).allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    config
}

/// Links the contract, and of WASI what leads nowhere: no files, no sockets.
fn linker(engine: &wasmtime::Engine) -> wasmtime::Result<Linker<State>> {
    use p2::bindings::{cli, random};
    let mut linker = Linker::new(engine);
    Worker::add_to_linker::<State, HasSelf<State>>(&mut linker, |state| state)?;
    p2::add_to_linker_proxy_interfaces_async(&mut linker)?;
    random::insecure::add_to_linker::<State, WasiRandom>(&mut linker, State::random)?;
    random::insecure_seed::add_to_linker::<State, WasiRandom>(&mut linker, State::random)?;
    cli::environment::add_to_linker::<State, WasiCli>(&mut linker, State::cli)?;
    cli::exit::add_to_linker::<State, WasiCli>(&mut linker, State::cli)?;
    cli::terminal_input::add_to_linker::<State, WasiCli>(&mut linker, State::cli)?;
    cli::terminal_output::add_to_linker::<State, WasiCli>(&mut linker, State::cli)?;
    cli::terminal_stdin::add_to_linker::<State, WasiCli>(&mut linker, State::cli)?;
    cli::terminal_stdout::add_to_linker::<State, WasiCli>(&mut linker, State::cli)?;
    cli::terminal_stderr::add_to_linker::<State, WasiCli>(&mut linker, State::cli)?;
    Ok(linker)
}
