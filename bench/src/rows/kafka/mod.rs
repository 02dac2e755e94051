//! On Kafka: the host as the real program, beside plain `rdkafka` clients, on a broker that each row starts for itself and
//! that shares the machine with them. So CPU is that of the process that is the client.

mod backlog;
mod idle;
mod pass;
mod waits;

pub(super) use backlog::run as run_backlog;
pub(super) use idle::run as run_idle;
pub(super) use pass::run as run_pass;
pub(super) use waits::run as run_waits;

use std::cell::Cell;

use anyhow::ensure;

use crate::Setup;
use crate::program::bus::DEAD;
use crate::program::host::Host;
use crate::program::kafka::{Client, Cluster, Link, Topic};
use crate::program::{Site, quoted};

/// Where a row runs: the machine's part, and the broker.
struct Ground<'a> {
    site: Site<'a>,
    cluster: Cluster,
    /// Where the host writes what it cannot do: nothing may come into it.
    dead: Topic,
    /// Names given so far.
    named: Cell<usize>,
}

impl<'a> Ground<'a> {
    fn open(setup: &'a Setup) -> anyhow::Result<Self> {
        let (site, cluster) = (Site::open(setup)?, Cluster::start()?);
        let dead = site.drive(cluster.make(DEAD, 1, &[]))?;
        Ok(Self { site, cluster, dead, named: Cell::new(0) })
    }

    /// A name that nothing else has.
    fn name(&self, of: &str) -> String {
        self.named.set(self.named.get() + 1);
        format!("{of}-{}", self.named.get())
    }

    /// From topic to topic by a group that has read nothing.
    fn link(&self, from: &Topic, to: &Topic) -> Link {
        let brokers = self.cluster.brokers().to_owned();
        Link { brokers, group: self.name("group"), from: from.name.clone(), to: to.name.clone() }
    }

    /// Starts the host on one pipeline with the plugin `enrich`. `kafka` and `pipeline` are what else the spec says of
    /// the transport and of the pipeline, as YAML.
    fn host(&self, link: &Link, kafka: &str, pipeline: &str) -> anyhow::Result<Client> {
        let Link { brokers, group, from, to } = link;
        let enrich = quoted(&self.site.setup.enrich);
        let spec = format!(
            r#"lockgate: 1
transports: {{ bus: {{ kafka: {{ brokers: ["{brokers}"], {kafka} }} }} }}
plugins: {{ enrich: {{ component: {enrich} }} }}
pipelines:
  bench:
    from: {{ topic: {from}, group: {group}, start: earliest }}
    plugin: enrich
    to: {{ enriched: {{ topic: {to} }} }}
    dead_letter: {{ topic: {DEAD} }}
    {pipeline}
"#
        );
        let folder = self.site.folder()?;
        Ok(Client::Host(Host::start(&self.site, folder.path(), &spec)?, folder))
    }

    /// Stops a client. Fails unless it has committed everything that it read from a topic, and given up none of it.
    async fn finish(&self, client: Client, link: &Link, from: &Topic) -> anyhow::Result<()> {
        let said = client.stop().await?;
        let (committed, ends) = (self.cluster.committed(&link.group, from)?, self.cluster.ends(from)?);
        ensure!(committed == ends, "{} is committed up to {committed:?}, and ends at {ends:?}\n{said}", from.name);
        let dead = self.cluster.count(&self.dead)?;
        ensure!(dead == 0, "{dead} messages were dead-lettered");
        Ok(())
    }
}
