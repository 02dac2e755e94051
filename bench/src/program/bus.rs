//! The topics of a host, from outside of it: tasks go in, and what comes out is counted and timed by the topics' own
//! clocks. Another process on the same log, as `lockgate send` is one.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use lockgate::model::{Clock, Message, Partition, Position, Record, Timestamp};
use lockgate::transport::config::Config;
use lockgate::transport::{self, Means, Transport};
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::host::Host;

/// How often a topic is looked at while something is waited for. What is measured is read off the records' own times.
const LOOK: Duration = Duration::from_millis(50);
/// Messages read at once.
const READ: usize = 1000;
/// The dead-letter topic of every pipeline here: nothing may come into it.
pub(crate) const DEAD: &str = "dead-letters";

/// The topics.
pub(crate) struct Bus {
    transport: Arc<dyn Transport>,
    clock: Clock,
}

impl Bus {
    /// Opens the log in this folder.
    pub(crate) fn open(folder: &Path) -> anyhow::Result<Self> {
        let config: Config = serde_json::from_value(serde_json::json!({ "log": { "path": folder } }))?;
        let clock = Clock::system();
        Ok(Self { transport: transport::open("bus", &config, &Means::new(clock.clone()))?, clock })
    }

    /// What time it is for the topics.
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.wall()
    }

    /// Writes payloads to a topic, spread over its partitions; they are durable then.
    pub(crate) async fn publish(&self, topic: &str, payloads: Vec<Vec<u8>>) -> anyhow::Result<()> {
        let record = |payload: Vec<u8>| Record { payload: payload.into(), ..Record::default() };
        let sink = self.transport.sink(topic).await?;
        for written in sink.write(payloads.into_iter().map(record).collect()).await {
            written.with_context(|| format!("cannot publish to {topic}"))?;
        }
        Ok(())
    }

    /// How many messages a topic holds; none where there is no such topic yet.
    pub(crate) async fn count(&self, topic: &str) -> anyhow::Result<u64> {
        let topics = self.transport.topics().await?;
        let found = topics.iter().find(|found| found.name == topic);
        Ok(found.map_or(0, |found| {
            found.partitions.iter().map(|partition| u64::try_from(partition.end - partition.first).unwrap_or(0)).sum()
        }))
    }

    /// Waits until a topic holds so many messages. Fails when one is dead-lettered, the host ends, or it takes longer
    /// than `patience`.
    pub(crate) async fn until(
        &self,
        topic: &str,
        count: u64,
        host: &mut Host,
        patience: Duration,
    ) -> anyhow::Result<()> {
        let deadline = Instant::now() + patience;
        let mut look = interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            look.tick().await;
            let there = self.count(topic).await?;
            if there >= count {
                ensure!(there == count, "{topic} holds {there} messages, where {count} were to come");
                return self.none_died(host).await;
            }
            self.none_died(host).await?;
            host.lives()?;
            if Instant::now() > deadline {
                bail!("{topic} holds {there} of {count} messages after {patience:?}; the host's log:\n{}", host.log());
            }
        }
    }

    async fn none_died(&self, host: &Host) -> anyhow::Result<()> {
        let dead = self.count(DEAD).await?;
        ensure!(dead == 0, "{dead} messages were dead-lettered; the host's log:\n{}", host.log());
        Ok(())
    }

    /// Every message of a topic.
    pub(crate) async fn messages(&self, topic: &str) -> anyhow::Result<Vec<Message>> {
        let topics = self.transport.topics().await?;
        let found = topics.iter().find(|found| found.name == topic).with_context(|| format!("no topic {topic}"))?;
        let mut messages = Vec::new();
        for (index, partition) in (0..).zip(&found.partitions) {
            let place = Partition::new(topic, index);
            let mut from = partition.first;
            loop {
                let read = self.transport.read(&place, Position(from), READ).await?;
                let Some(last) = read.last() else { break };
                from = last.origin.position.0 + 1;
                messages.extend(read);
            }
        }
        Ok(messages)
    }
}
