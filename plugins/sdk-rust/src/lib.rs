//! Write Lockgate plugins in Rust: one trait, typed JSON helpers, one macro.
//!
//! A plugin is a [`Worker`]. It takes one message a call and answers with an [`Outcome`]: what becomes of the message,
//! and what to publish. It may touch nothing but what this crate wraps ([`http`], [`blobs`], [`keyvalue`], [`timers`],
//! [`log`]), by names that its config gives and the pipeline granted. It never learns which transport it runs on.
//!
//! ```
//! use lockgate_plugin::{Binding, Context, Emission, Message, Outcome, Worker, http};
//! use schemars::JsonSchema;
//! use serde::{Deserialize, Serialize};
//!
//! /// Looks up the price of what was ordered.
//! struct Pricing {
//!     endpoint: String,
//! }
//!
//! #[derive(Deserialize, JsonSchema)]
//! #[serde(deny_unknown_fields)]
//! struct Config {
//!     /// The endpoint of the price list.
//!     endpoint: String,
//! }
//!
//! #[derive(Deserialize)]
//! struct Order {
//!     article: String,
//! }
//!
//! #[derive(Deserialize, Serialize)]
//! struct Price {
//!     cents: u64,
//! }
//!
//! impl Worker for Pricing {
//!     const NAME: &'static str = "pricing";
//!     const VERSION: &'static str = env!("CARGO_PKG_VERSION");
//!     const DESCRIPTION: &'static str = "looks up the price of what was ordered";
//!     type Config = Config;
//!
//!     fn configure(config: Config, binding: &mut Binding) -> Result<Self, String> {
//!         binding.output("priced").endpoint(&config.endpoint);
//!         Ok(Self { endpoint: config.endpoint })
//!     }
//!
//!     async fn process(&self, _: &Context, message: Message) -> Result<Outcome, Outcome> {
//!         let order: Order = message.json()?;
//!         let answer = http::get(&self.endpoint, format!("/prices/{}", order.article)).send().await?;
//!         if answer.status() == 404 {
//!             return Ok(Outcome::reject("unknown-article", format!("no price for {}", order.article)));
//!         }
//!         let price: Price = answer.json(64 << 10).await?;
//!         Ok(Outcome::done().emit(Emission::json("priced", &price)?.key(order.article)))
//!     }
//! }
//!
//! lockgate_plugin::export!(Pricing);
//!
//! // The whole plugin runs in an ordinary test, against a host that stands in.
//! use lockgate_plugin::testing::{Answer, Host};
//! let host = Host::new();
//! host.answer("shop", "/prices/chair", [Answer::status(200).body(r#"{ "cents": 1999 }"#)]);
//! let pricing = host.plugin::<Pricing>(serde_json::json!({ "endpoint": "shop" })).unwrap();
//! let outcome = pricing.call(Message::new(r#"{ "article": "chair" }"#));
//! assert!(outcome.is_done());
//! ```
//!
//! `?` turns an error into the outcome that operators expect of it: a payload that cannot be read is rejected, a
//! system that is down holds the pipeline, a timeout is retried. Each error type has the table in its documentation.
//!
//! Build with `cargo build --target wasm32-wasip2`; the crate needs `crate-type = ["cdylib"]` (and `"rlib"`, for
//! tests in `tests/`). What a plugin prints, and its panics, become lines in the host's log.

#[cfg(target_family = "wasm")]
#[doc(hidden)]
pub mod bindings;
pub mod blobs;
mod context;
mod export;
#[cfg_attr(target_family = "wasm", path = "host/wasm.rs")]
#[cfg_attr(not(target_family = "wasm"), path = "host/native.rs")]
mod host;
pub mod http;
pub mod json;
pub mod keyvalue;
pub mod log;
mod message;
mod outcome;
#[cfg(not(target_family = "wasm"))]
pub mod testing;
pub mod timers;
mod worker;

pub use context::Context;
#[doc(hidden)]
pub use export::Instance;
pub use message::{Header, Message};
pub use outcome::{Emission, Outcome, Verdict};
pub use worker::{Binding, Worker};
