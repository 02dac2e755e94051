//! What the demo and the tests share: the host as a program, the components, real servers.
//!
//! | module | is for |
//! |---|---|
//! | [`lockgate`] | commands of the host, and what they answer |
//! | [`host`] | a host that runs, is signalled and is killed |
//! | [`built`] | programs and components, built once a process |
//! | [`azurite`] | the blob emulator |
//! | [`event_hubs`] | a namespace of Event Hubs, with its checkpoints |
//! | [`kafka`] | a Kafka broker |
//! | [`files`] | folders of files, hashed |

pub mod azurite;
pub mod built;
pub mod event_hubs;
pub mod files;
pub mod host;
pub mod kafka;
pub mod lockgate;
