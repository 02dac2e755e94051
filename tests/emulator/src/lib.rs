//! A local Azure Event Hubs, for tests and laptops, that needs no container: AMQP, AMQPS, WebSocket and secure WebSocket
//! on one port, tokens that are checked, and faults on demand.
//!
//! ```no_run
//! # async fn example() -> anyhow::Result<()> {
//! use eventhubs_emulator::config::{Config, Hub};
//! use eventhubs_emulator::{Emulator, Faults};
//!
//! let hub = Hub::new(4.try_into()?);
//! let emulator = Emulator::start(Config::default().with_key("root", "secret").with_hub("orders", hub)).await?;
//! println!("{}", emulator.connection_string("root")?);
//! emulator.set_faults(Faults { settle_ms: 200, ..Faults::default() });
//! # Ok(())
//! # }
//! ```
//!
//! | module | is for | never |
//! |---|---|---|
//! | [`config`] | what the emulator is told | |
//! | `amqp` | frames, performatives and messages on the wire | knows of hubs |
//! | `connection` | one connection, its sessions and links, without its socket | waits |
//! | `hub` | hubs, partitions, their logs and readers | knows of AMQP's links |
//! | `auth` | tokens, and what they grant | |
//! | `faults`, `control` | what goes wrong on demand; how that, and hubs, are asked for | |
//! | `server`, `stream`, `certificates` | sockets, by all four ways | knows what is said |

mod address;
mod amqp;
mod auth;
mod certificates;
pub mod config;
mod connection;
mod control;
mod emulator;
mod faults;
mod hub;
mod namespace;
mod refusal;
mod server;
mod stream;

pub use certificates::CertificateError;
pub use emulator::{Emulator, NotAdded, StartError, Unknown};
pub use faults::{FailSends, Faults};
pub use hub::Extent;
