//! The demo on Event Hubs: its hubs and consumer groups, which Lockgate does not make, and what it lays over its spec.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::task::Domain;
use super::{Demo, state};
use crate::support::event_hubs::Namespace;

/// Partitions of each hub of a domain, and who reads it.
const HUBS: [(&str, u32, &[&str]); 5] = [
    ("downloads-pending", 4, &[DOWNLOADS]),
    ("downloads-cached", 4, &[UPLOADS]),
    ("downloads-results", 4, &[]),
    ("retry", 8, &[DOWNLOADS, UPLOADS]),
    ("dlq", 1, &[]),
];
/// Groups of a domain's pipelines, as the spec names them.
const DOWNLOADS: &str = "downloads-pipeline";
const UPLOADS: &str = "downloads-cached-pipeline";

impl Demo {
    /// Takes place in this namespace, in hubs that are made now and whose names begin with `mark`. `settings` stand beside
    /// the transport's kind, each on a line of its own.
    pub async fn on_event_hubs(&mut self, namespace: &Namespace, mark: &str, settings: &[&str]) -> anyhow::Result<()> {
        let mut hubs = BTreeMap::new();
        let mut pipelines = "pipelines:\n".to_owned();
        for domain in Domain::ALL {
            for (name, partitions, groups) in HUBS {
                let (topic, groups) = (domain.topic(name), groups.iter().map(|group| domain.topic(group)));
                let hub = format!("{mark}{topic}");
                namespace.add(&hub, partitions, &groups.collect::<Vec<_>>()).await?;
                hubs.insert(topic, hub);
            }
            for pipeline in ["download", "upload"] {
                // A hub takes no letter that is larger than its limit: the payload goes to a store then. Writing into a text
                // cannot fail.
                let _ = writeln!(pipelines, "  {}: {{ dead_letter: {{ spill: cache }} }}", domain.topic(pipeline));
            }
        }
        let overlay = namespace.overlay(settings, &hubs) + &pipelines;
        let file = self.folder.join("event-hubs.yaml");
        state::write(&file, overlay.as_bytes())?;
        self.lockgate.specs.push(file);
        Ok(())
    }
}
