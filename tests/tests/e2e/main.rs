//! Lockgate end to end: the real program in processes of its own, real components, real servers on loopback. One
//! binary, so that programs and components are built once.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests may")]

mod azurite;
mod claims;
mod commands;
mod demo;
mod event_hubs_emulator_and_azurite;
mod faulty;
mod hosts;
mod kafka_broker;
mod messages;
mod operators;
mod process;
mod scene;
mod secrets;
