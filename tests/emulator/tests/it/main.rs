//! The emulator over real connections: by a client that shares no code with it, and by the official ones.

#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

mod client;
mod control;
mod delivery;
mod faults;
mod hubs;
mod official_clients;
mod program;
mod refusals;
mod scene;
mod tokens;
mod ways;
