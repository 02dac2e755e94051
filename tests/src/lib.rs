//! Lockgate end to end: simulators of what it talks to, the demo, and what the tests that run the host share.

#[cfg(test)]
mod architecture;
pub mod demo;
#[cfg(test)]
mod documents;
pub mod simulators;
pub mod support;
