//! Every metric by its name, in one table. Names and labels are those of the OpenTelemetry messaging conventions as
//! Prometheus writes them, where those have one; the rest begins with `lockgate_`. A test holds the operators' handbook
//! to it.

/// How a metric behaves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// It only grows while the host runs; its samples end in `_total`.
    Counter,
    /// It is what it is now.
    Gauge,
    /// Its samples are buckets, their sum and their count.
    Histogram,
}

/// One metric.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Metric {
    /// Its name, of a counter without `_total`.
    pub name: &'static str,
    /// How it behaves.
    pub kind: Kind,
    /// What it says.
    pub help: &'static str,
}

/// Labels that every metric of a pipeline has: whose it is.
pub mod label {
    /// The pipeline.
    pub const PIPELINE: &str = "pipeline";
    /// The kind of messaging system.
    pub const SYSTEM: &str = "messaging_system";
    /// The topic.
    pub const TOPIC: &str = "messaging_destination_name";
    /// The consumer group.
    pub const GROUP: &str = "messaging_consumer_group_name";
    /// What is done with messages: `receive` or `process`.
    pub const OPERATION: &str = "messaging_operation_name";
    /// The partition.
    pub const PARTITION: &str = "messaging_destination_partition_id";
    /// How a message was settled: `done`, `skipped` or `dead`.
    pub const OUTCOME: &str = "outcome";
    /// The plugin's reason to skip, or the code of the dead letter: at most 100 a pipeline, then `other`.
    pub const REASON: &str = "reason";
    /// What a pipeline does.
    pub const STATE: &str = "state";
    /// The host's version.
    pub const VERSION: &str = "version";
}

const fn counter(name: &'static str, help: &'static str) -> Metric {
    Metric { name, kind: Kind::Counter, help }
}

const fn gauge(name: &'static str, help: &'static str) -> Metric {
    Metric { name, kind: Kind::Gauge, help }
}

const fn histogram(name: &'static str, help: &'static str) -> Metric {
    Metric { name, kind: Kind::Histogram, help }
}

/// Messages admitted.
pub const CONSUMED: Metric =
    counter("messaging_client_consumed_messages", "Messages that were admitted, repeats after a restart included.");
/// Time in the plugin.
pub const PROCESS_DURATION: Metric = histogram("messaging_process_duration_seconds", "Time in the plugin, by call.");
/// Messages settled.
pub const SETTLED: Metric =
    counter("lockgate_settled_messages", "Messages that were settled, by outcome and by reason or code.");
/// Tries repeated.
pub const RETRIED: Metric = counter("lockgate_retried_tries", "Tries that failed and were repeated.");
/// Bytes moved.
pub const MOVED: Metric = counter("lockgate_moved_bytes", "Bytes that the plugin moved between origins and stores.");
/// First entry to settlement.
pub const LATENCY: Metric = histogram(
    "lockgate_message_latency_seconds",
    "Time from a message's first entry into Lockgate to its settlement as processed.",
);
/// Messages in the plugin.
pub const IN_PLUGIN: Metric = gauge("lockgate_in_plugin_messages", "Messages in the plugin.");
/// The state.
pub const STATE: Metric =
    gauge("lockgate_pipeline_state", "1 for the state that the pipeline is in, 0 for the others.");
/// The base.
pub const BASE: Metric =
    gauge("lockgate_partition_base_offset", "The last offset such that it and all before it are settled.");
/// Settled above the base.
pub const SETTLED_ABOVE: Metric =
    gauge("lockgate_partition_settled_above_messages", "Messages that are settled above the base.");
/// Unsettled.
pub const UNSETTLED: Metric = gauge("lockgate_partition_unsettled_messages", "Messages that are read and not settled.");
/// Lag.
pub const LAG: Metric = gauge("lockgate_partition_lag_messages", "Messages that are not settled, read or not.");
/// Age of the oldest.
pub const OLDEST_AGE: Metric = gauge(
    "lockgate_partition_oldest_age_seconds",
    "Time since the oldest unsettled message was admitted; 0 where there is none.",
);
/// The build.
pub const BUILD: Metric = gauge("lockgate_build", "1, with the version of the host.");

/// Every metric.
pub const ALL: [Metric; 14] = [
    CONSUMED,
    PROCESS_DURATION,
    SETTLED,
    RETRIED,
    MOVED,
    LATENCY,
    IN_PLUGIN,
    STATE,
    BASE,
    SETTLED_ABOVE,
    UNSETTLED,
    LAG,
    OLDEST_AGE,
    BUILD,
];

impl Metric {
    /// The name that queries use: of a counter with `_total`.
    pub fn queried(&self) -> String {
        let suffix = if self.kind == Kind::Counter { "_total" } else { "" };
        format!("{}{suffix}", self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_operators_handbook_names_every_metric_and_no_other() {
        let handbook = include_str!("../../../docs/operators.md");
        for metric in ALL {
            assert!(handbook.contains(&format!("| `{}` |", metric.queried())), "{} has no row", metric.queried());
        }
        let word = |c: char| !(c.is_ascii_lowercase() || c == '_' || c.is_ascii_digit());
        let named = handbook.split(word).filter(|word| word.starts_with("lockgate_") || word.starts_with("messaging_"));
        let labels = [label::SYSTEM, label::TOPIC, label::GROUP, label::OPERATION, label::PARTITION];
        for name in named.filter(|name| !labels.contains(name)) {
            let is = |metric: &Metric| metric.queried() == name || name == format!("{}_bucket", metric.name);
            assert!(ALL.iter().any(is), "the handbook names {name}, which is no metric");
        }
    }
}
