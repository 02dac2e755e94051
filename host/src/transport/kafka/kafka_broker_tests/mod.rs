//! What only a real broker tells. Ignored where none runs: `cargo xtask test` starts one, names it in `LOCKGATE_KAFKA` and
//! runs these.

mod cluster;
mod contract;
mod holes;
mod members;
mod positions;
mod signing_in;
mod topics;
mod volume;
mod wire;
mod writing;

pub(super) use cluster::remember;
