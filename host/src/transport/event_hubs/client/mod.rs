//! The client of a namespace: connections, signing in, receiving, sending, and asking about hubs. It speaks AMQP 1.0,
//! which the service is built on, and knows nothing of owners, checkpoints or messages of the host.
//!
//! It promises: what it hands out came in order and once for a receiver; what it says was sent the service has. It does
//! not promise that what it calls unsent was not kept, and it repeats nothing: whoever uses it decides what a
//! [`Failure`] means. A receiver has a connection of its own and ends with it; senders share one, and questions
//! another; they connect again when they are used again.

mod causes;
mod connection;
mod connection_string;
mod credentials;
mod credit;
mod dial;
mod entra;
mod failure;
mod from;
mod line;
mod management;
mod proxy;
mod receiver;
mod sas;
mod sender;
mod setup;
mod task;
mod token;
mod trust;

#[cfg(test)]
mod emulator_tests;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Mutex;

use self::connection::Connection;
use self::credentials::Credentials;
use self::dial::Dial;
use self::management::Management;
use crate::model::{Clock, Secrets};
use crate::transport::TransportError;
use crate::transport::event_hubs::config::Config;

pub(in crate::transport) use self::failure::Failure;
pub(in crate::transport) use self::from::From;
pub(in crate::transport) use self::management::{Bounds, Hub};
pub(in crate::transport) use self::receiver::{Receiver, Wanted};
pub(in crate::transport) use self::sender::Sender;
pub(in crate::transport) use self::task::Task;

/// A namespace. Connections are made when they are needed.
#[derive(Clone)]
pub(in crate::transport) struct Client(Arc<Inner>);

struct Inner {
    service: Arc<Service>,
    /// The connection of senders.
    shared: Mutex<Option<Arc<Connection>>>,
    /// The links of questions. Locked while one is asked.
    management: Mutex<Option<Management>>,
}

/// Where the service is, and who we are there.
struct Service {
    /// The transport's name in the spec.
    transport: Arc<str>,
    /// In full and in lower case.
    namespace: String,
    /// The only hub that there is for us.
    entity: Option<String>,
    dial: Dial,
    credentials: Credentials,
    clock: Clock,
    /// What this process calls itself.
    container: String,
    /// Counts what needs a name of its own.
    names: AtomicU64,
}

impl Client {
    /// Reads settings, secrets and certificates; opens no connection.
    pub(in crate::transport) fn new(
        transport: Arc<str>,
        config: &Config,
        secrets: &Secrets,
        clock: &Clock,
    ) -> Result<Self, TransportError> {
        let env = |variable: &str| std::env::var(variable).ok().filter(|value| !value.is_empty());
        let service = setup::read(Arc::clone(&transport), config, secrets, clock, env);
        let service = service.map_err(|reason| TransportError::Config { transport, reason })?;
        let (service, shared, management) = (Arc::new(service), Mutex::new(None), Mutex::new(None));
        Ok(Self(Arc::new(Inner { service, shared, management })))
    }

    /// The namespace in full and in lower case: `name.servicebus.windows.net`.
    pub(in crate::transport) fn namespace(&self) -> &str {
        &self.0.service.namespace
    }

    /// Asks about a hub.
    pub(in crate::transport) async fn hub(&self, hub: &str) -> Result<Hub, Failure> {
        self.0.hub(hub).await
    }

    /// Asks about a partition.
    pub(in crate::transport) async fn partition(&self, hub: &str, partition: u32) -> Result<Bounds, Failure> {
        self.0.partition(hub, partition).await
    }

    /// Fails where a hub has no such consumer group. It attaches a receiver that takes nothing from anybody, for the
    /// service tells nothing of groups otherwise.
    pub(in crate::transport) async fn group(&self, hub: &str, group: &str) -> Result<(), Failure> {
        let (hub, group, id) = (hub.to_owned(), group.to_owned(), "lockgate-look".to_owned());
        let (partition, from, epoch) = (0, From::Now, None);
        match self.receiver(&Wanted { hub, group, partition, from, epoch, id, bytes: 0, tells_end: false }).await {
            Ok(receiver) => {
                receiver.close().await;
                Ok(())
            }
            // Others read it, so there is one.
            Err(Failure::Stolen(_) | Failure::Quota(_)) => Ok(()),
            Err(failure) => Err(failure),
        }
    }

    /// Begins to receive a partition, on a connection of its own.
    pub(in crate::transport) async fn receiver(&self, wanted: &Wanted) -> Result<Receiver, Failure> {
        let service = &self.0.service;
        service.check_entity(&wanted.hub)?;
        let connection = Connection::open(Arc::clone(service)).await?;
        Receiver::attach(connection, wanted, service.unique("receiver")).await
    }

    /// Begins to send to a hub, or to one of its partitions.
    pub(in crate::transport) async fn sender(&self, hub: &str, partition: Option<u32>) -> Result<Sender, Failure> {
        Sender::open(Arc::clone(&self.0), hub, partition).await
    }
}

impl Inner {
    /// The connection of senders; a new one where that is over.
    async fn shared(&self) -> Result<Arc<Connection>, Failure> {
        let mut slot = self.shared.lock().await;
        if let Some(connection) = slot.as_ref().filter(|connection| !connection.is_over()) {
            return Ok(Arc::clone(connection));
        }
        let connection = Arc::new(Connection::open(Arc::clone(&self.service)).await?);
        *slot = Some(Arc::clone(&connection));
        Ok(connection)
    }
}

impl Service {
    /// What tokens for a hub are for.
    fn resource(&self, hub: &str) -> String {
        format!("sb://{}/{hub}", self.namespace)
    }

    /// What failures of connections are about.
    fn at(&self) -> String {
        match self.dial.name() {
            name if name.starts_with(&self.namespace) => name,
            name => format!("{} at {name}", self.namespace),
        }
    }

    /// A name that no other link of this process has, nor any of others.
    fn unique(&self, what: &str) -> String {
        format!("{}-{what}-{}", self.container, self.names.fetch_add(1, Ordering::Relaxed))
    }

    fn check_entity(&self, hub: &str) -> Result<(), Failure> {
        match &self.entity {
            Some(entity) if !entity.eq_ignore_ascii_case(hub) => {
                let reason = format!("the connection string is for hub {entity} only (`EntityPath`)");
                Err(Failure::not_allowed(&format!("hub {hub}"), reason))
            }
            _ => Ok(()),
        }
    }
}
