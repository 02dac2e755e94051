//! Lockgate: a host for event pipelines that are declared in YAML and whose worker logic ships as WASM components.
//!
//! | module | is for | never |
//! |---|---|---|
//! | [`model`] | the nouns: message, position, checkpoint, outcome, clock | does I/O |
//! | [`flow`] | delivery: windows, lanes, retries, dead letters, the pipeline loop | knows a concrete transport or plugin |
//! | [`transport`] | where messages come from and go to | knows a plugin |
//! | [`plugin`] | the WASM boundary and what a guest may call | knows a transport |
//! | [`egress`] | HTTP out: allow-lists, address vetting, breakers, credentials | knows who asks |
//! | [`storage`] | blob stores by name | knows who asks |
//! | [`spec`] | the YAML file: parsing, checking, diagnostics | opens a connection |
//! | [`assemble`] | turns a checked plan into running pipelines; the only place that names concrete parts | |
//! | [`admin`] | health, metrics, status and commands of a running host, over HTTP | sees a payload |
//! | [`cli`] | one file a command | |
//! | [`codes`] | every word by which the host names what is wrong, explained | decides anything |
//! | [`telemetry`] | logging set-up, and every metric's name | |
//!
//! Who may import whom is held by a test, `tests/src/architecture.rs`.

pub mod admin;
pub mod assemble;
pub mod cli;
pub mod codes;
pub mod egress;
pub mod flow;
pub mod model;
pub mod plugin;
pub mod spec;
pub mod storage;
pub mod telemetry;
pub mod transport;
