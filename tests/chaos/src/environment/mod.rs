//! What hosts stand on, as scenarios let it misbehave.
//!
//! | module | is |
//! |---|---|
//! | [`disk`] | a disk that can be filled |
//! | [`namespace`] | where disks are mounted, so that nobody else sees them |
//! | [`front`] | what stands before an origin of files, and goes down |
//! | [`fetching`] | a host that fetches files, and whether each is there at the end |
//! | [`status`] | what a running host says of itself |
//! | [`rate`] | how quickly messages end |

pub mod disk;
pub mod fetching;
pub mod front;
pub mod namespace;
pub mod rate;
pub mod status;
