//! What is measured, by name. A row runs its subjects in turn, and gives the lines that it adds to the table.

mod core;
mod event_hubs;
mod files;
mod giant;
mod idle;
mod kafka;
mod log;
mod platform;
mod waits;
mod warm_call;

use anyhow::bail;

use crate::Setup;
use crate::table::Line;

/// A row of the table.
pub(crate) struct Row {
    /// By what it is asked for.
    pub(crate) name: &'static str,
    /// What it measures.
    pub(crate) about: &'static str,
    /// Measures it.
    pub(crate) run: fn(&Setup) -> anyhow::Result<Vec<Line>>,
}

/// All rows, in the order of the table.
pub(crate) const ROWS: &[Row] = &[
    Row {
        name: "waits",
        about: "messages that wait in the plugin, in each order, beside a bare loop",
        run: waits::run,
    },
    Row { name: "warm-call", about: "a warm plugin call, beside the same code native", run: warm_call::run },
    Row { name: "core", about: "the CPU of a message from memory to memory", run: core::run },
    Row { name: "log", about: "log to plugin to log, beside bare rusqlite", run: log::run },
    Row { name: "files", about: "500 files of a slow origin, beside a plain loop and one at a time", run: files::run },
    Row {
        name: "uneven",
        about: "500 files of an origin that is slow at times, beside a plain loop",
        run: files::run_uneven,
    },
    Row { name: "giant", about: "files of 1 GiB, beside a plain loop, and the memory that they take", run: giant::run },
    Row { name: "platform", about: "the platform's load: events as they come, and a backlog", run: platform::run },
    Row { name: "idle", about: "what 18 idle pipelines take", run: idle::run },
    Row { name: "kafka", about: "Kafka to plugin to Kafka, beside bare rdkafka", run: kafka::run_pass },
    Row {
        name: "kafka-waits",
        about: "messages from Kafka that wait in the plugin, in each order, beside a bare loop",
        run: kafka::run_waits,
    },
    Row {
        name: "kafka-backlog",
        about: "the memory of a host that is 1,000,000 messages behind",
        run: kafka::run_backlog,
    },
    Row {
        name: "kafka-idle",
        about: "what 18 idle pipelines on Kafka take, beside as many bare clients",
        run: kafka::run_idle,
    },
    Row {
        name: "event-hubs",
        about: "reading and writing on Event Hubs, beside the official client",
        run: event_hubs::run_moves,
    },
    Row {
        name: "event-hubs-pass",
        about: "Event Hubs to plugin to Event Hubs, beside the official client",
        run: event_hubs::run_pass,
    },
    Row {
        name: "event-hubs-take-over",
        about: "how long partitions on Event Hubs are nobody's when a host goes",
        run: event_hubs::run_take_over,
    },
    Row {
        name: "event-hubs-idle",
        about: "what an idle pipeline on 32 partitions of Event Hubs takes",
        run: event_hubs::run_idle,
    },
    Row { name: "flat", about: "the CPU of a message over partitions and messages in flight", run: core::run_flat },
];

/// The rows of these names; all where none is named.
pub(crate) fn chosen(names: &[String]) -> anyhow::Result<Vec<&'static Row>> {
    if let Some(unknown) = names.iter().find(|name| ROWS.iter().all(|row| row.name != **name)) {
        let known: Vec<&str> = ROWS.iter().map(|row| row.name).collect();
        bail!("there is no row `{unknown}`; there are {}", known.join(", "));
    }
    Ok(ROWS.iter().filter(|row| names.is_empty() || names.iter().any(|name| *name == row.name)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_chosen_in_the_order_of_the_table_and_unknown_ones_are_told() {
        assert_eq!(chosen(&[]).unwrap().len(), ROWS.len());
        let refused = chosen(&["warm-cal".into()]).err().map(|error| error.to_string());
        assert!(refused.is_some_and(|told| told.contains("no row `warm-cal`; there are")));
    }

    #[test]
    fn names_are_unique() {
        let mut names: Vec<&str> = ROWS.iter().map(|row| row.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), ROWS.len());
    }
}
