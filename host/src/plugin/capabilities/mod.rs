//! What a guest may call: the host's side of the contract's imports. Each file is one interface; all of them answer
//! for the call that is under way, within what its pipeline was granted. Nothing here knows a transport.

pub(super) mod blobs;
pub(super) mod console;
pub(super) mod context;
pub(super) mod http;
mod keyvalue;
pub(super) mod log;
mod timers;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use wasmtime::component::{Accessor, HasSelf, ResourceTable};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

use self::console::{Console, Stream};
use self::log::Journal;
use super::bindings::types;
use super::config::Grants;
use super::limits::MemoryLimit;
use crate::egress::Http;
use crate::model::{Clock, Progress};
use crate::storage::Stores;

/// Handles that a guest may hold at once. One that leaks them traps here.
const HANDLES: usize = 1024;

/// What a pipeline lends to the calls of its plugin.
pub(super) struct Lent {
    /// What of the following the plugin may use.
    pub(super) grants: Grants,
    /// The endpoints.
    pub(super) http: Arc<dyn Http>,
    /// The stores.
    pub(super) stores: Stores,
    /// Time.
    pub(super) clock: Clock,
    /// The longest value that may be handed into the guest, in bytes: what its memory could hold.
    pub(super) value_limit: u64,
    /// Bytes that went into stores so far.
    pub(super) bytes_moved: AtomicU64,
}

/// One call that is under way.
pub(super) struct Call {
    /// What the pipeline lends.
    pub(super) lent: Arc<Lent>,
    /// The call's stall clock.
    pub(super) progress: Progress,
}

impl Call {
    /// Waits on the outside: the time counts against `stall` unless something moves.
    async fn wait<F: Future>(&self, outside: F) -> F::Output {
        let _under_way = self.progress.host_call();
        outside.await
    }

    /// Bytes went into a store.
    fn moved(&self, bytes: usize) {
        self.progress.touch();
        self.lent.bytes_moved.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// The longest value to hand over when the guest asked for at most `max` bytes.
    fn value_limit(&self, max: u32) -> u64 {
        self.lent.value_limit.min(u64::from(max))
    }
}

/// What the guest may call now.
pub(super) enum Phase {
    /// Nothing: it describes itself, or does not run.
    Closed,
    /// Only `log`: it is being configured.
    Configuring,
    /// Everything that is granted.
    Processing(Arc<Call>),
}

/// The guest called an import that it may not call now. Travels through the guest as the error that ends it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("it called `{import}`, which may not be called {when}")]
pub(super) struct Forbidden {
    import: &'static str,
    when: &'static str,
}

/// What a store holds besides the guest.
pub(super) struct State {
    table: ResourceTable,
    wasi: WasiCtx,
    /// Bounds the guest's memory.
    pub(super) memory: MemoryLimit,
    /// What the guest says.
    pub(super) journal: Journal,
    /// What it may call.
    pub(super) phase: Phase,
}

impl State {
    /// For a new instance. WASI denies everything: no files, no sockets, no environment, no arguments.
    pub(super) fn new(memory: MemoryLimit) -> Self {
        let journal = Journal::default();
        let console = |stream| Console { journal: journal.clone(), stream };
        let wasi = WasiCtx::builder().stdout(console(Stream::Out)).stderr(console(Stream::Error)).build();
        let mut table = ResourceTable::new();
        table.set_max_capacity(HANDLES);
        Self { table, wasi, memory, journal, phase: Phase::Closed }
    }

    /// The context of the next call.
    pub(super) fn lend(
        &mut self,
        context: context::Context,
    ) -> wasmtime::Result<wasmtime::component::Resource<context::Context>> {
        Ok(self.table.push(context)?)
    }

    /// The call that is under way, for `import`.
    fn call(&self, import: &'static str) -> Result<Arc<Call>, Forbidden> {
        match &self.phase {
            Phase::Processing(call) => Ok(call.clone()),
            Phase::Configuring => Err(Forbidden { import, when: "while it is configured" }),
            Phase::Closed => Err(Forbidden { import, when: "while it describes itself" }),
        }
    }
}

/// The call that is under way, for `import`.
fn call_of(accessor: &Accessor<State, HasSelf<State>>, import: &'static str) -> Result<Arc<Call>, Forbidden> {
    accessor.with(|mut access| access.get().call(import))
}

/// Whether a pipeline was granted `name`; the error is for the guest.
fn granted(kind: &str, grants: &[String], name: &str) -> Result<(), String> {
    if grants.iter().any(|grant| grant == name) {
        return Ok(());
    }
    Err(format!("{kind} `{name}` is not granted to this pipeline"))
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl types::Host for State {}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State").field("memory", &self.memory).finish_non_exhaustive()
    }
}
