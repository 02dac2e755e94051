//! Event Hubs in a build without their client: their part of the spec is read and checked, and opening them says what is
//! missing.

#[path = "config.rs"]
pub mod config;
