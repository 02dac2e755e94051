//! The transport on the emulator, which each test starts for itself, so that what one lets go wrong concerns no other.

pub(super) mod contract;
mod faults;
mod losses;
mod memory;
mod proxy;
mod scene;
mod starts;
mod writing;
