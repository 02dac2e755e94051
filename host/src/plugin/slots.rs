//! A slot: one instance in a store of its own, configured, that takes one call at a time. It enforces the limits of a
//! call and says why one failed. A slot that failed is dropped by whoever owns it and never called again; so is one
//! whose call was given up, for a guest cannot be taken out of the middle of a call.

use std::sync::Arc;
use std::time::Duration;

use tokio::select;
use tokio::time::timeout;
use tracing::debug;
use wasmtime::component::ResourceTableError;
use wasmtime::{Store, Trap, UpdateDeadline};

use super::bindings::{Worker, lifecycle, to_guest, types};
use super::capabilities::context::Context;
use super::capabilities::log::presentable;
use super::capabilities::{Call, HANDLES, Phase, State};
use super::component::Loaded;
use super::described::check_binding;
use super::limits::{Exceeded, MemoryLimit, Meter, Overdue, watch};
use super::{Attempt, Binding, CallError};
use crate::model::Outcome;
use crate::model::header;

/// How long an instance may take to start, describe and configure itself, none of which should wait.
const START_LIMIT: Duration = Duration::from_secs(30);
/// The most messages that one outcome may publish.
const EMISSIONS_LIMIT: usize = 10_000;
/// The longest word of a guest's that a reason quotes, in bytes.
const QUOTE_LIMIT: usize = 128;
/// The longest text in which a guest refuses its config, in bytes.
const REFUSAL_LIMIT: usize = 4 << 10;
/// Handles that a guest may hold of anything: host resources, calls under way, waits, and what it makes for itself.
const GUEST_HANDLES: usize = 4096;

/// One configured instance.
pub(super) struct Slot {
    loaded: Arc<Loaded>,
    store: Store<State>,
    worker: Worker,
    meter: Arc<Meter>,
    outputs: Vec<String>,
    /// Tasks and the like that the engine counts in the store while no call runs.
    at_rest: usize,
}

impl Slot {
    /// Makes an instance. The error says why there is none.
    pub(super) async fn open(loaded: Arc<Loaded>) -> Result<Self, String> {
        let meter = Arc::new(Meter::new(loaded.engine.ticks.clone(), loaded.limits.cpu.0));
        let mut store = store(&loaded, meter.clone());
        let worker = starting(&meter, loaded.worker.instantiate_async(&mut store)).await;
        let worker = worker.map_err(|error| explain(&error, &store))?;
        Ok(Self { loaded, store, worker, meter, outputs: Vec::new(), at_rest: 0 })
    }

    /// What the component says of itself. The instance is used up.
    pub(super) async fn describe(mut self) -> Result<lifecycle::PluginInfo, String> {
        self.begin(Phase::Closed);
        let guest = self.worker.lockgate_plugin_lifecycle();
        let described = starting(&self.meter, guest.call_describe(&mut self.store)).await;
        self.end();
        described.map_err(|error| explain(&error, &self.store))
    }

    /// Configures the instance, once. The error is the guest's own, or says how it failed.
    pub(super) async fn configure(&mut self, config_json: &str) -> Result<Binding, String> {
        self.begin(Phase::Configuring);
        let guest = self.worker.lockgate_plugin_lifecycle();
        let configured = starting(&self.meter, guest.call_configure(&mut self.store, config_json)).await;
        self.end();
        let configured = configured.map_err(|error| explain(&error, &self.store))?;
        let binding: Binding = configured.map_err(|refusal| presentable(&refusal, REFUSAL_LIMIT))?.into();
        check_binding(&binding)?;
        self.outputs.clone_from(&binding.outputs);
        self.at_rest = self.store.concurrent_state_table_size();
        self.store.data_mut().memory.rest();
        Ok(binding)
    }

    /// Runs one message. After an error the slot must be dropped. Not cancel safe: neither may it be used again after
    /// this future was dropped.
    pub(super) async fn call(&mut self, call: Arc<Call>, attempt: Attempt) -> Result<Outcome, CallError> {
        let (limits, clock) = (self.loaded.limits, call.lent.clock.clone());
        let deadline = limits.deadline.and_then(|deadline| clock.now().checked_add(deadline.0));
        let context = Context::new(&call.message, attempt, deadline, clock);
        self.begin(Phase::Processing(call.clone()));
        let ended = select! {
            biased; // an answer that is there counts, however late
            answer = self.process(context, to_guest(&call.message)) => Ok(answer),
            overdue = watch(&call.progress, limits.stall.0, deadline) => Err(overdue),
        };
        self.end();
        match ended {
            Ok(Ok(answer)) => self.accept(answer.into()),
            Ok(Err(error)) => Err(self.failed(&error)),
            Err(overdue) => Err(self.overdue(overdue)),
        }
    }

    /// Whether another call may run here. Not when the last one left work behind, which would go on in the next one's
    /// name, nor when too many handles were left or the memory is nearly filled.
    pub(super) fn is_reusable(&mut self, call: &Call) -> bool {
        let is_idle = self.store.concurrent_state_table_size() <= self.at_rest;
        let is_worn = self.store.data_mut().is_worn();
        if !is_idle {
            call.span().in_scope(|| debug!("instance dropped: the call left work behind"));
        } else if is_worn {
            call.span()
                .in_scope(|| debug!("instance dropped: calls left too many handles or too little memory behind"));
        }
        is_idle && !is_worn
    }

    async fn process(&mut self, context: Context, message: types::Message) -> wasmtime::Result<types::Outcome> {
        let context = self.store.data_mut().lend(context)?;
        let guest = self.worker.lockgate_plugin_processor();
        let process = async |accessor: &_| guest.call_process(accessor, context, message).await;
        self.meter.run(self.store.run_concurrent(process)).await?
    }

    fn begin(&mut self, phase: Phase) {
        self.store.set_epoch_deadline(1);
        let state = self.store.data_mut();
        state.journal.begin(match &phase {
            Phase::Processing(call) => Some(call.clone()),
            Phase::Closed | Phase::Configuring => None,
        });
        state.phase = phase;
    }

    fn end(&mut self) {
        let state = self.store.data_mut();
        state.journal.end();
        state.let_go();
    }

    fn accept(&self, outcome: Outcome) -> Result<Outcome, CallError> {
        match breach(&outcome, &self.outputs) {
            Some(reason) => Err(CallError::Contract { plugin: self.loaded.plugin.clone(), reason }),
            None => Ok(outcome),
        }
    }

    fn failed(&self, error: &wasmtime::Error) -> CallError {
        let (plugin, limits) = (self.loaded.plugin.clone(), &self.loaded.limits);
        match error.downcast_ref() {
            Some(Exceeded::Cpu) => CallError::Cpu { plugin, limit: limits.cpu.0 },
            Some(Exceeded::Memory) => CallError::Memory { plugin, limit: limits.memory.0 },
            Some(exceeded @ (Exceeded::Table | Exceeded::HostCalls)) => {
                CallError::Contract { plugin, reason: exceeded.to_string() }
            }
            None if matches!(error.downcast_ref(), Some(ResourceTableError::Full)) => {
                CallError::Contract { plugin, reason: format!("it holds more than {HANDLES} handles of the host") }
            }
            None => CallError::Trap { plugin, reason: explain(error, &self.store) },
        }
    }

    fn overdue(&self, overdue: Overdue) -> CallError {
        let (plugin, limits) = (self.loaded.plugin.clone(), &self.loaded.limits);
        match overdue {
            Overdue::Stalled => CallError::Stalled { plugin, limit: limits.stall.0 },
            Overdue::Deadline => {
                CallError::Deadline { plugin, limit: limits.deadline.map_or(Duration::ZERO, |deadline| deadline.0) }
            }
            Overdue::Idle => {
                let stall = limits.stall;
                CallError::Contract { plugin, reason: format!("it waited {stall} on nothing that the host knows of") }
            }
        }
    }
}

/// A store whose guest is bounded.
fn store(loaded: &Loaded, meter: Arc<Meter>) -> Store<State> {
    let state = State::new(MemoryLimit::new(loaded.limits.memory.0));
    let mut store = Store::new(&loaded.engine.wasmtime, state);
    store.limiter(|state| &mut state.memory);
    // What a guest hands over in one call lies in its memory, and is little larger in the host.
    store.set_hostcall_fuel(usize::try_from(loaded.limits.memory.0).unwrap_or(usize::MAX).saturating_mul(2));
    store.set_max_component_handles(GUEST_HANDLES);
    store.set_epoch_deadline(1);
    store.epoch_deadline_callback(move |store| {
        if let Phase::Processing(call) = &store.data().phase {
            call.progress.touch(); // computing is no stall
        }
        if meter.is_over() { Err(Exceeded::Cpu.into()) } else { Ok(UpdateDeadline::Yield(1)) }
    });
    store
}

/// Runs what should not wait.
async fn starting<T>(meter: &Meter, work: impl Future<Output = wasmtime::Result<T>>) -> wasmtime::Result<T> {
    let waited = |_| wasmtime::format_err!("it waited for {START_LIMIT:?}; nothing may wait before the first message");
    timeout(START_LIMIT, meter.run(work)).await.map_err(waited)?
}

/// Why a guest failed, in one line: the cause, and what it last wrote to its standard error.
fn explain(error: &wasmtime::Error, store: &Store<State>) -> String {
    let cause = match error.downcast_ref::<Trap>() {
        Some(trap) => trap.to_string(),
        None => error.root_cause().to_string(),
    };
    match store.data().journal.last_words() {
        Some(words) => format!("{cause}; it last wrote: {words}"),
        None => cause,
    }
}

/// How an outcome breaks the contract, if it does.
pub(super) fn breach(outcome: &Outcome, outputs: &[String]) -> Option<String> {
    if outcome.emit.len() > EMISSIONS_LIMIT {
        return Some(format!("it emits {} messages at once; {EMISSIONS_LIMIT} are the most", outcome.emit.len()));
    }
    outcome.emit.iter().find_map(|emission| {
        if !outputs.contains(&emission.output) {
            let (output, known) = (presentable(&emission.output, QUOTE_LIMIT), outputs.join(", "));
            return Some(format!("it emits to `{output}`, which is none of its outputs ({known})"));
        }
        let reserved = emission.headers.iter().find(|header| is_reserved(&header.name))?;
        Some(format!(
            "it sets header `{}`; names that begin with `{}` are the host's",
            presentable(&reserved.name, QUOTE_LIMIT),
            header::RESERVED_PREFIX
        ))
    })
}

fn is_reserved(name: &str) -> bool {
    name.get(..header::RESERVED_PREFIX.len()).is_some_and(|start| start.eq_ignore_ascii_case(header::RESERVED_PREFIX))
}
