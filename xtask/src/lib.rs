//! All set-up of Lockgate, as a library, so that `cargo xtask` and a plain `cargo test` do it in the same way. It runs
//! other programs and moves files; it never contains a part of the host.
//!
//! | module | is for |
//! |---|---|
//! | [`workspace`] | where things are |
//! | [`cargo`] | builds, and what came out of them |
//! | [`guests`] | the components: plugins, and guests for tests |
//! | [`azurite`] | the blob emulator, from npm |
//! | [`kafka`] | a Kafka broker, from Maven |
//! | [`eventhubs`] | the Event Hubs emulator, from the workspace |
//! | [`official_clients`] | the official Event Hubs clients, from PyPI and npm |
//! | `cache` | what is fetched once and kept over clones |
//! | [`fuzz`] | the fuzzer, from build to finds |
//! | [`tools`] | what must be on the machine |

pub mod azurite;
mod cache;
pub mod cargo;
pub mod eventhubs;
pub mod fuzz;
pub mod guests;
pub mod kafka;
pub mod official_clients;
pub mod tools;
pub mod workspace;
