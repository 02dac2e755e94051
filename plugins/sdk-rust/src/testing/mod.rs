//! A host that stands in, so that a whole plugin runs in `cargo test`: scripted answers instead of HTTP, stores in
//! memory, a clock that only moves when told. It holds the plugin to the contract as the real host does: what the
//! binding does not name and headers that are the host's are denied, an emission to an unbound output or with a header
//! of the host's fails the test.
//!
//! ```
//! # use lockgate_plugin::{Binding, Context, Message, Outcome, Worker, blobs};
//! # struct Keep;
//! # #[derive(serde::Deserialize, schemars::JsonSchema)]
//! # struct Config {}
//! # impl Worker for Keep {
//! #     const NAME: &'static str = "keep";
//! #     const VERSION: &'static str = "1";
//! #     const DESCRIPTION: &'static str = "keeps what comes";
//! #     type Config = Config;
//! #     fn configure(_: Config, binding: &mut Binding) -> Result<Self, String> {
//! #         binding.store("lake");
//! #         Ok(Self)
//! #     }
//! #     async fn process(&self, _: &Context, message: Message) -> Result<Outcome, Outcome> {
//! #         blobs::put_bytes("lake", &message.id, message.payload, Default::default()).await?;
//! #         Ok(Outcome::done())
//! #     }
//! # }
//! use lockgate_plugin::testing::{Host, Operation};
//!
//! let host = Host::new();
//! let keep = host.plugin::<Keep>(serde_json::json!({})).unwrap();
//! host.fail("lake", Operation::Put, blobs::Error::Unavailable { store: "lake".into(), reason: "down".into() });
//! assert_eq!(keep.call(Message::new("a")), Outcome::hold("store lake is unavailable: down"));
//! assert_eq!(keep.call(Message::new("a")), Outcome::done());
//! assert_eq!(host.blob("lake", &"0".repeat(64)).unwrap().bytes, b"a");
//! ```
#![expect(clippy::panic, reason = "a plugin that misuses its host is a test that fails")]

mod answer;
mod headers;
mod keyvalue;
mod run;
mod world;

use std::fmt;
use std::rc::Rc;
use std::time::{Duration, SystemTime};

use crate::log::Level;
use crate::{Binding, Context, Instance, Message, Outcome, Worker, blobs, http};

pub use answer::Answer;
pub(crate) use answer::Received;
pub(crate) use world::with_world;
pub use world::{Blob, Line, Operation};

use world::World;

/// The host that stands in. Plugins made by it share its stores, its answers and its clock.
#[derive(Clone, Default)]
pub struct Host {
    world: Rc<std::cell::RefCell<World>>,
}

impl Host {
    /// A host with nothing in it, at the Unix epoch.
    pub fn new() -> Self {
        Self::default()
    }

    /// Configures a plugin. An error is what the operator would read.
    pub fn plugin<W: Worker>(&self, config: serde_json::Value) -> Result<Plugin<W>, String> {
        let instance = Instance::new();
        let binding = world::enter(&self.world, || instance.configure(&config.to_string()))?;
        match instance.worker() {
            Some(worker) => Ok(Plugin { host: self.clone(), worker, binding }),
            None => Err("the plugin was not kept".into()),
        }
    }

    /// Sets the clock.
    pub fn set_now(&self, now: SystemTime) {
        let since = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        self.world.borrow_mut().now_ms = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
    }

    /// The clock: what was set, and what plugins slept since.
    pub fn now(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_millis(self.world.borrow().now_ms)
    }

    /// Answers requests to this target: one answer after another, the last one for good. A request without an answer
    /// fails the test.
    pub fn answer(&self, endpoint: &str, target: &str, answers: impl IntoIterator<Item = Answer>) {
        let answers = answers.into_iter().collect();
        self.world.borrow_mut().answers.insert((endpoint.into(), target.into()), answers);
    }

    /// The requests that were sent, in order.
    pub fn requests(&self) -> Vec<http::Request> {
        self.world.borrow().requests.clone()
    }

    /// Puts a blob into a store, whatever stands there.
    pub fn put(&self, store: &str, path: &str, bytes: impl Into<Vec<u8>>) {
        let blob = Blob { bytes: bytes.into(), content_type: None };
        self.world.borrow_mut().blobs.insert((store.into(), path.into()), blob);
    }

    /// Removes a blob.
    pub fn remove(&self, store: &str, path: &str) {
        self.world.borrow_mut().remove(blobs::Place { store, path });
    }

    /// A blob of a store.
    pub fn blob(&self, store: &str, path: &str) -> Option<Blob> {
        self.world.borrow().blobs.get(&(store.into(), path.into())).cloned()
    }

    /// The paths of all blobs in a store, sorted.
    pub fn paths(&self, store: &str) -> Vec<String> {
        let world = self.world.borrow();
        world.blobs.keys().filter(|place| place.0 == store).map(|place| place.1.clone()).collect()
    }

    /// Fails the next such operation on a store. A copy reads its source (`Copy`) and writes its target (`Put`).
    pub fn fail(&self, store: &str, operation: Operation, error: blobs::Error) {
        self.world.borrow_mut().faults.push((store.into(), operation, error));
    }

    /// What plugins wrote into the log, in order.
    pub fn lines(&self) -> Vec<Line> {
        self.world.borrow().lines.clone()
    }
}

/// Which try of a message a call is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Attempt {
    /// 1 for the first.
    pub number: u32,
    /// Calls left after this one.
    pub left: u32,
}

impl Attempt {
    /// The first of three.
    pub const FIRST: Self = Self { number: 1, left: 2 };
    /// The last of three.
    pub const LAST: Self = Self { number: 3, left: 0 };
}

/// What the host knows about a call.
pub(crate) struct Call {
    pub(crate) attempt: Attempt,
    pub(crate) trace_parent: Option<String>,
}

/// A plugin that is configured.
pub struct Plugin<W> {
    host: Host,
    worker: Rc<W>,
    binding: Binding,
}

impl<W: Worker> fmt::Debug for Plugin<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plugin").field("name", &W::NAME).field("binding", &self.binding).finish_non_exhaustive()
    }
}

impl<W: Worker> Plugin<W> {
    /// What the plugin says that it needs.
    pub fn binding(&self) -> &Binding {
        &self.binding
    }

    /// JSON Schema of the config, as the host reads it.
    pub fn schema() -> serde_json::Value {
        serde_json::from_str(&Instance::<W>::schema()).unwrap_or_default()
    }

    /// Calls the plugin with a message, the first of three tries.
    pub fn call(&self, message: Message) -> Outcome {
        self.try_call(message, Attempt::FIRST)
    }

    /// Calls the plugin with a message that may have been tried before.
    pub fn try_call(&self, message: Message, attempt: Attempt) -> Outcome {
        self.host.world.borrow_mut().binding = self.binding.clone();
        let trace_parent = message.header("traceparent").map(str::to_owned);
        let context = Context(Call { attempt, trace_parent });
        let process = self.worker.process(&context, message);
        let answer = world::enter(&self.host.world, || run::to_its_end(process));
        let Some(answer) = answer else { panic!("{} waits on nothing", W::NAME) };
        let outcome = answer.unwrap_or_else(|outcome| outcome);
        self.hold_to_contract(&outcome);
        outcome
    }

    fn hold_to_contract(&self, outcome: &Outcome) {
        for emission in &outcome.emit {
            let bound = self.binding.outputs.contains(&emission.output);
            assert!(bound, "{} emits to output {:?}, which it did not bind", W::NAME, emission.output);
            let reserved = emission.headers.iter().find(|header| header.name.starts_with("lockgate-"));
            assert!(reserved.is_none(), "{} sets a header of the host's: {reserved:?}", W::NAME);
        }
    }
}

impl Line {
    /// A line, to compare with.
    pub fn new(level: Level, text: &str) -> Self {
        Self { level, text: text.into(), fields: Vec::new() }
    }
}

#[cfg(test)]
mod tests;
