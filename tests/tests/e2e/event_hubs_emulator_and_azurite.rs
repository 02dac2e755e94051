//! Topics in Event Hubs, by secure WebSocket, with ownership and checkpoints in Azure blobs: both emulators. Tests here are
//! named for them, so that they can be left out.

mod claims;
mod commands;
mod hosts;
mod network;
mod processors;

use std::collections::BTreeMap;

use e2e::support::event_hubs::{self, Namespace};

use crate::hosts::Copying;

/// Short enough for tests to wait until a host is followed that was killed.
const SETTINGS: &[&str] = &["lease: 6s", "poll: 500ms"];

/// Topics of a pipeline that copies, and their partitions.
const TOPICS: &[(&str, u32)] = &[("work", 8), ("made", 4), ("retry", 4), ("dlq", 1)];
/// The consumer group that it reads in.
const GROUP: &str = "copy";

/// A pipeline that makes one message of each, in hubs of the shared namespace whose names begin with `mark`.
async fn copying(mark: &str) -> (Copying, &'static Namespace) {
    let namespace = event_hubs::shared().await.unwrap();
    let mut hubs = BTreeMap::new();
    for (topic, partitions) in TOPICS {
        let hub = hub(mark, topic);
        namespace.add(&hub, *partitions, &[GROUP.to_owned()]).await.unwrap();
        hubs.insert((*topic).to_owned(), hub);
    }
    let mut copying = Copying::on("{ log: { path: bus } }").await;
    let spill = "pipelines: { copy: { dead_letter: { spill: none } } }\n";
    let overlay = namespace.overlay(SETTINGS, &hubs) + spill;
    let file = copying.lockgate.folder.join("event-hubs.yaml");
    std::fs::write(&file, overlay).unwrap();
    copying.lockgate.specs.push(file);
    (copying, namespace)
}

fn hub(mark: &str, topic: &str) -> String {
    format!("{mark}-{topic}")
}
