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
use std::ops::Deref;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use tracing::{Instrument, Span, error_span};
use wasmtime::component::{Accessor, HasSelf, ResourceTable};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

use self::console::{Console, Stream};
use self::log::Journal;
use super::bindings::types;
use super::config::Grants;
use super::limits::{Exceeded, MemoryLimit};
use crate::egress::Http;
use crate::model::{Clock, Message, Progress};
use crate::storage::Stores;

/// Handles of the host that an instance may hold at once: responses, contexts, and those of WASI. A call that wants more
/// breaks the contract.
pub(super) const HANDLES: usize = 1024;
/// Handles left behind by calls that ended, above which an instance is not used again, lest the next call traps.
const HANDLES_LEFT: usize = HANDLES / 2;
/// Host calls that one call may have under way at once.
pub(super) const HOST_CALLS: usize = 64;

/// The longest name that an answer to the guest repeats, in bytes.
const NAME_LIMIT: usize = 128;

/// What a pipeline lends to the calls of its plugin.
pub(super) struct Lent {
    /// The pipeline's name.
    pub(super) pipeline: Arc<str>,
    /// The plugin's name in the spec.
    pub(super) plugin: Arc<str>,
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
    /// What it is about.
    pub(super) message: Arc<Message>,
    /// Made with the first line that is to be told, for most calls tell nothing.
    span: OnceLock<Span>,
    /// The call's stall clock.
    pub(super) progress: Progress,
    /// Host calls under way.
    under_way: AtomicUsize,
    /// Bytes that host calls hold in the host for the guest.
    held: AtomicU64,
}

impl Call {
    /// A call that begins now.
    pub(super) fn new(lent: Arc<Lent>, message: Arc<Message>) -> Self {
        let (under_way, held) = (AtomicUsize::new(0), AtomicU64::new(0));
        Self { lent, message, span: OnceLock::new(), progress: Progress::new(), under_way, held }
    }

    /// What stands on every log line of the call. Of the highest level, so that no filter takes it off the lines.
    pub(super) fn span(&self) -> &Span {
        let Self { lent, message, .. } = self;
        self.span.get_or_init(|| {
            error_span!(
                "call",
                pipeline = &*lent.pipeline,
                plugin = &*lent.plugin,
                partition = %message.origin.partition,
                offset = message.origin.position.0,
                message_id = message.id.as_str(),
                trace_id = message.trace_id(),
            )
        })
    }

    /// Waits on the outside: the time counts against `stall` unless something moves.
    async fn wait<F: Future>(&self, outside: F) -> F::Output {
        let _under_way = self.progress.host_call();
        outside.instrument(self.span().clone()).await
    }

    /// Bytes went into a store.
    fn moved(&self, bytes: usize) {
        self.progress.touch();
        self.lent.bytes_moved.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Takes note of bytes that the host holds for the guest until the answer is there: what the guest sent, all of it,
    /// and what comes.
    fn holding(self: &Arc<Self>, sent: impl IntoIterator<Item = usize>) -> Result<Holding, HoldsTooMuch> {
        let mut holding = Holding { call: self.clone(), bytes: 0 };
        sent.into_iter().try_for_each(|bytes| holding.grow(bytes))?;
        Ok(holding)
    }

    /// The longest value to hand over when the guest asked for at most `max` bytes.
    fn value_limit(&self, max: u32) -> u64 {
        self.lent.value_limit.min(u64::from(max))
    }
}

/// One host call that is under way. Counts until it is dropped.
struct HostCall(Arc<Call>);

impl HostCall {
    fn begin(call: Arc<Call>) -> Result<Self, Exceeded> {
        let before = call.under_way.fetch_add(1, Ordering::Relaxed);
        let host_call = Self(call);
        if before < HOST_CALLS { Ok(host_call) } else { Err(Exceeded::HostCalls) }
    }
}

impl Drop for HostCall {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Deref for HostCall {
    type Target = Arc<Call>;

    fn deref(&self) -> &Arc<Call> {
        &self.0
    }
}

/// Bytes of one host call that lie in the host. All host calls of a call together hold at most twice the guest's
/// memory: what a guest can have sent, and what it can take.
struct Holding {
    call: Arc<Call>,
    bytes: u64,
}

/// The host would hold too much for a guest. Answered to the guest, which may do less at once.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("host calls of this call hold {limit} bytes already, twice the plugin's memory: move fewer at once")]
struct HoldsTooMuch {
    limit: u64,
}

impl Holding {
    /// This many bytes more.
    fn grow(&mut self, bytes: usize) -> Result<(), HoldsTooMuch> {
        let limit = self.call.lent.value_limit.saturating_mul(2);
        let bytes = bytes as u64;
        self.bytes = self.bytes.saturating_add(bytes);
        let before = self.call.held.fetch_add(bytes, Ordering::Relaxed);
        if before.saturating_add(bytes) <= limit { Ok(()) } else { Err(HoldsTooMuch { limit }) }
    }
}

impl Drop for Holding {
    fn drop(&mut self) {
        self.call.held.fetch_sub(self.bytes, Ordering::Relaxed);
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

    /// A call ended: the bodies of its responses are let go, with the places that they hold at their endpoints. What
    /// the guest does with such a response later is answered as if the body had been read. Contexts stay, for a
    /// guest may drop a handle late, and its number must not be another's by then.
    pub(super) fn let_go(&mut self) {
        self.phase = Phase::Closed;
        let held = self.table.iter_mut().filter_map(|entry| entry.downcast_mut::<http::Response>());
        held.for_each(http::Response::let_go);
    }

    /// Whether calls left so much behind that one of the next could run out of handles, or of memory.
    pub(super) fn is_worn(&mut self) -> bool {
        self.memory.is_filled() || self.table.iter_mut().count() > HANDLES_LEFT
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

/// Begins a host call of the call that is under way, for `import`.
fn call_of(accessor: &Accessor<State, HasSelf<State>>, import: &'static str) -> wasmtime::Result<HostCall> {
    let call = accessor.with(|mut access| access.get().call(import))?;
    Ok(HostCall::begin(call)?)
}

/// Whether a pipeline was granted `name`; the error is for the guest.
fn granted(kind: &str, grants: &[String], name: &str) -> Result<(), String> {
    if grants.iter().any(|grant| grant == name) {
        return Ok(());
    }
    Err(format!("{kind} `{}` is not granted to this pipeline", log::presentable(name, NAME_LIMIT)))
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
