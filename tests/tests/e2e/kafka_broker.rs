//! Topics in Kafka: a real broker, and what Kafka's own tools say of it. Tests here are named for it, so that they can be
//! left out without Java.

mod claims;
mod clusters;
mod commands;
mod hosts;
mod large;

use e2e::support::kafka::{self, Broker};

use crate::hosts::Copying;

/// Short enough for tests to wait until a group goes on without a member that was killed.
const CLASSIC: &str = "properties: { session.timeout.ms: 6000, heartbeat.interval.ms: 200 }";

/// Topics of a pipeline that copies, and how many partitions they are made with.
const TOPICS: &[(&str, u32)] = &[("work", 8), ("made", 4), ("retry", 4), ("dlq", 1)];

/// A transport on a broker, in a spec, whose topics nobody else has: their names there begin with `mark`.
fn transport(broker: &Broker, mark: &str, topics: &[(&str, u32)]) -> String {
    let topic = |(name, partitions): &(&str, u32)| {
        format!("{name}: {{ name: {mark}-{name}, create: {{ partitions: {partitions} }} }}")
    };
    let topics = topics.iter().map(topic).collect::<Vec<_>>().join(", ");
    format!("{{ kafka: {{ brokers: [\"{}\"], {CLASSIC} }}, topics: {{ {topics} }} }}", broker.bootstrap())
}

/// A pipeline that makes one message of each, on the shared broker, and its group.
async fn copying(mark: &str) -> (Copying, &'static Broker) {
    let broker = kafka::shared().await.unwrap();
    let mut copying = Copying::on(&transport(broker, mark, TOPICS)).await;
    copying.lockgate.sets.push(format!("pipelines.copy.from.group={mark}"));
    (copying, broker)
}
