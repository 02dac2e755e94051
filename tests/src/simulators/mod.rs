//! Stand-ins for systems that Lockgate talks to in production. Each is a real server on loopback.

pub mod content;
pub mod file_origin;
