//! Chaos: real hosts on one log, broker or namespace, messages that flow, faults of every kind, and an oracle that knows every message and
//! where it has to end. `cargo xtask chaos` runs it.
//!
//! | module | is for |
//! |---|---|
//! | [`scenario`] | what a scenario is, and what a fault is |
//! | [`scenarios`], [`faults`] | those there are |
//! | [`stage`] | where a scenario takes place, and what it does faults with |
//! | [`fleet`] | the hosts, as processes |
//! | [`setting`] | what they run, as a spec |
//! | [`message`], [`load`] | what is sent, and how quickly |
//! | [`on`], [`broker`] | which system of topics they share, and the broker where it is one |
//! | [`bus`] | the topics that the hosts share, as they are used here |
//! | [`found`], [`oracle`], [`ledger`] | what is found where messages end, and what is wrong about it |
//! | [`environment`], [`weather`], [`leaky`] | what hosts stand on, and how it misbehaves |
//! | [`checkpoints`] | that nothing stored goes back |
//! | [`run`], [`table`] | scenarios beside each other, and what is said of them |

pub mod broker;
pub mod bus;
pub mod checkpoints;
pub mod environment;
pub mod faults;
pub mod fleet;
pub mod found;
pub mod leaky;
pub mod ledger;
pub mod load;
pub mod message;
pub mod on;
pub mod oracle;
pub mod run;
pub mod scenario;
pub mod scenarios;
pub mod setting;
pub mod stage;
pub mod table;
pub mod weather;
