//! What can be asked of a running emulator: hubs, and faults on demand. As calls; [`http`] is the same over HTTP.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::config::{self, Status};
use crate::emulator::{NotAdded, Unknown};
use crate::faults::Faults;
use crate::hub::{Extent, Hub, Partition};
use crate::namespace::Namespace;

mod http;

pub(crate) use http::serve;

/// What is behind every request.
#[derive(Clone)]
pub(crate) struct Control(Arc<Namespace>);

impl Control {
    /// That of a namespace.
    pub(crate) fn new(namespace: Arc<Namespace>) -> Self {
        Self(namespace)
    }

    /// Adds an empty hub.
    pub(crate) fn add_hub(&self, name: &str, hub: &config::Hub) -> Result<(), NotAdded> {
        hub.check()?;
        let is_added = self.0.hubs.add(name, hub, Timestamp::now());
        if is_added { Ok(()) } else { Err(NotAdded::Exists(name.to_owned())) }
    }

    /// Adds a consumer group to a hub, unless there is one of that name.
    pub(crate) fn add_group(&self, hub: &str, group: &str) -> Result<(), Unknown> {
        self.hub(hub)?.add_group(group);
        Ok(())
    }

    /// Adds empty partitions to a hub until it has so many; it never has less than before.
    pub(crate) fn grow(&self, hub: &str, partitions: usize) -> Result<(), Unknown> {
        self.hub(hub)?.grow(partitions);
        Ok(())
    }

    /// Switches a hub on or off.
    pub(crate) fn switch(&self, hub: &str, status: Status) -> Result<(), Unknown> {
        self.hub(hub)?.switch(status);
        self.0.switchboard.tell();
        Ok(())
    }

    /// What goes wrong everywhere.
    pub(crate) fn faults(&self) -> Faults {
        self.0.switchboard.faults()
    }

    /// What goes wrong everywhere from now on, and nothing else.
    pub(crate) fn set_faults(&self, faults: Faults) {
        self.0.switchboard.set(faults);
    }

    /// What goes wrong with a hub from now on, and nothing else.
    pub(crate) fn set_faults_of(&self, hub: &str, faults: Faults) -> Result<(), Unknown> {
        self.hub(hub)?.switchboard.set(faults);
        self.0.switchboard.tell();
        Ok(())
    }

    /// Drops every connection.
    pub(crate) fn drop_connections(&self) {
        self.0.switchboard.drop_connections();
    }

    /// Drops every connection that has a link to a hub.
    pub(crate) fn drop_connections_of(&self, hub: &str) -> Result<(), Unknown> {
        self.hub(hub)?.switchboard.drop_connections();
        self.0.switchboard.tell();
        Ok(())
    }

    /// Lets every token expire.
    pub(crate) fn expire_tokens(&self) {
        self.0.switchboard.expire_tokens();
    }

    /// Lets every token expire that is good for a hub, on connections that have a link to it.
    pub(crate) fn expire_tokens_of(&self, hub: &str) -> Result<(), Unknown> {
        self.hub(hub)?.switchboard.expire_tokens();
        self.0.switchboard.tell();
        Ok(())
    }

    /// Ends those that read a partition in a consumer group; how many there were.
    pub(crate) fn steal(&self, hub: &str, group: &str, partition: &str) -> Result<usize, Unknown> {
        let hub = self.hub(hub)?;
        if !hub.has_group(group) {
            return Err(Unknown { what: "consumer group", name: group.to_owned() });
        }
        // As receivers name it, whose addresses are read in lower case.
        Ok(in_hub(&hub, partition)?.steal(&group.to_lowercase()))
    }

    /// Lets go of a partition's events before a sequence number.
    pub(crate) fn forget(&self, hub: &str, partition: &str, before: i64) -> Result<(), Unknown> {
        let hub = self.hub(hub)?;
        in_hub(&hub, partition)?.forget_before(before);
        Ok(())
    }

    /// What a partition holds.
    pub(crate) fn extent(&self, hub: &str, partition: &str) -> Result<Extent, Unknown> {
        let hub = self.hub(hub)?;
        Ok(in_hub(&hub, partition)?.extent(Timestamp::now()))
    }

    fn hub(&self, name: &str) -> Result<Arc<Hub>, Unknown> {
        self.0.hubs.get(name).ok_or_else(|| Unknown { what: "hub", name: name.to_owned() })
    }

    /// What goes wrong, what hubs hold, and who reads them.
    fn state(&self) -> Value {
        let now = Timestamp::now();
        let partitions = |hub: &Hub| {
            let partition =
                |partition: &Partition| json!({ "extent": partition.extent(now), "receivers": partition.receivers() });
            hub.partitions().iter().map(|it| partition(it)).collect::<Vec<_>>()
        };
        let hub = |hub: Arc<Hub>| {
            let (status, faults) = (hub.status(), hub.switchboard.faults());
            (hub.name.clone(), json!({ "status": status, "faults": faults, "partitions": partitions(&hub) }))
        };
        let hubs: serde_json::Map<_, _> = self.0.hubs.all().into_iter().map(hub).collect();
        json!({ "faults": self.faults(), "hubs": hubs })
    }
}

fn in_hub(hub: &Hub, partition: &str) -> Result<Arc<Partition>, Unknown> {
    let found = hub.partition(partition).and_then(|index| hub.at(index)).ok();
    found.ok_or_else(|| Unknown { what: "partition", name: partition.to_owned() })
}
