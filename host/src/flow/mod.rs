//! Delivery: every message that a source hands out is settled exactly once, and a checkpoint never passes one that is
//! not. The pure parts (window, lanes, retry, triage, dead letter) know no runtime; one loop a pipeline owns them.

pub mod config;
