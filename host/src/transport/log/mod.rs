//! The embedded log: topics, partitions, groups and checkpoints in one SQLite file, for several processes on one
//! machine (not on a network file system).

mod config;

pub use config::Config;
