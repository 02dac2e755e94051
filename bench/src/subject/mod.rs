//! What is measured: messages, plugins, and pipelines of the library in this process, as the host runs them.

pub(crate) mod messages;
pub(crate) mod pipeline;
pub(crate) mod plugins;

use std::num::NonZeroU32;
use std::sync::Arc;

use lockgate::model::Clock;
use lockgate::transport::Transport;
use lockgate::transport::config::{Create, Topic};
use lockgate::transport::memory::Memory;
use tokio::runtime::{Builder, Runtime};

/// A runtime as the host's own: as many threads as there are processors.
pub(crate) fn runtime() -> anyhow::Result<Runtime> {
    Ok(Builder::new_multi_thread().enable_all().build()?)
}

/// A transport in memory whose topics have so many partitions.
pub(crate) fn memory(partitions: u32, clock: Clock) -> Arc<dyn Transport> {
    let create = Create { partitions: NonZeroU32::new(partitions), ..Create::default() };
    let topic = Topic { create: Some(create), ..Topic::default() };
    let topics = [pipeline::FROM, pipeline::TO].map(|name| (name.to_owned(), topic.clone()));
    Arc::new(Memory::new("memory", topics.into(), clock))
}
