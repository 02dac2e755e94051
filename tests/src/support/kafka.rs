//! A Kafka broker: one that all tests of a process share, each with topics and groups that no other has, and brokers of a
//! test's own. None outlives the process, however that ends.

use std::sync::OnceLock;

use anyhow::{Context, anyhow};
pub use xtask::kafka::Broker;

use super::built;

/// The broker that the tests of this process share; started when it is first asked for.
pub async fn shared() -> anyhow::Result<&'static Broker> {
    static SHARED: OnceLock<Result<Broker, String>> = OnceLock::new();
    let get = || SHARED.get_or_init(|| start().map_err(|error| format!("{error:#}")));
    tokio::task::spawn_blocking(get).await?.as_ref().map_err(|error| anyhow!(error.clone()))
}

/// A broker of its own, to be killed.
pub async fn own() -> anyhow::Result<Broker> {
    tokio::task::spawn_blocking(start).await?
}

/// Starts it; installs it before, where it is missing.
fn start() -> anyhow::Result<Broker> {
    Broker::start(&built::kafka()?)
}

/// Where a group stands in one partition, as Kafka's own tool tells it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Stand {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: u32,
    /// The offset that is committed.
    pub current: i64,
    /// The offset of the next message that is written.
    pub end: i64,
    /// What is between them.
    pub lag: u64,
}

/// Where a group stands in the partitions in which it has committed, in order.
pub fn stands(broker: &Broker, group: &str) -> anyhow::Result<Vec<Stand>> {
    let tool = "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand";
    let told = broker.tool(tool, &["--describe", "--group", group])?;
    let rows = told.lines().filter(|line| line.split_whitespace().next() == Some(group));
    let mut stands = rows.map(stand).collect::<Result<Vec<_>, _>>()?;
    stands.sort();
    Ok(stands)
}

/// Columns: group, topic, partition, current offset, end offset, lag, and who reads it.
fn stand(line: &str) -> anyhow::Result<Stand> {
    let columns: Vec<&str> = line.split_whitespace().collect();
    let [_, topic, partition, current, end, lag, ..] = columns.as_slice() else {
        return Err(anyhow!("no row of a group: {line}"));
    };
    let number = |text: &str| text.parse::<i64>().with_context(|| format!("no number in {line}"));
    let (partition, lag) = (u32::try_from(number(partition)?)?, u64::try_from(number(lag)?)?);
    Ok(Stand { topic: (*topic).to_owned(), partition, current: number(current)?, end: number(end)?, lag })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_of_a_group_is_read_as_the_tool_writes_it() {
        let line = "copy   work   3   17   20   3   -   -   -";
        let stand = stand(line).unwrap();
        assert_eq!(stand, Stand { topic: "work".into(), partition: 3, current: 17, end: 20, lag: 3 });
    }
}
