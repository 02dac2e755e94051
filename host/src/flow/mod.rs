//! Delivery: a message that a source hands out is settled at most once an assignment, and a checkpoint never passes one
//! that is not. The pure parts know no runtime; one loop a pipeline owns them, so nothing here is locked.
//!
//! | part | is for |
//! |---|---|
//! | [`window`] | what is settled in one partition; tickets |
//! | [`lanes`] | which messages may start, in which order |
//! | [`in_flight`] | windows, lanes and bounds together: admission, demand, checkpoints to store |
//! | [`retry`] | how often and when again |
//! | [`parking`] | the record that a message is between two rounds, and back |
//! | [`hold`] | waiting for a cause that is not the message's |
//! | [`triage`] | from an outcome to its effect |
//! | [`dead_letter`] | the record that a message becomes at its end |
//! | `history` | what both of these records tell of the past |
//! | [`router`] | from emissions to durable records |
//! | [`measures`] | how long things take, in buckets |
//! | [`status`] | what the oldest message waits for, in words |
//! | [`spill`] | what topics refuse goes to a store, and comes back |
//! | [`letters`] | what stands in a dead-letter topic |
//! | [`redrive`] | the record that a dead letter becomes when it runs again |
//! | `stage` | what is under way: calls and effects |
//! | `runners` | the tasks that calls run in |
//! | `timers` | what is due later |
//! | [`pipeline`] | the loop |
//! | [`snapshot`] | what the loop tells of itself |
//! | `backoff` | when what many wait for is tried again |
//! | `lives` | what is told of a pipeline over all its lives |
//! | [`remote`] | asks and tells a pipeline from elsewhere |
//! | [`supervisor`] | keeps a pipeline running, and stops it |

mod backoff;
#[cfg(test)]
mod chaos_tests;
pub mod config;
pub mod dead_letter;
mod history;
pub mod hold;
pub mod in_flight;
pub mod lanes;
pub mod letters;
mod lives;
pub mod measures;
pub mod parking;
pub mod pipeline;
pub mod redrive;
pub mod remote;
pub mod retry;
pub mod router;
mod runners;
pub mod snapshot;
pub mod spill;
mod stage;
pub mod status;
pub mod supervisor;
mod timers;
pub mod triage;
pub mod window;
