//! A running emulator, as programs and tests have it.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tracing::info;

use crate::certificates::{CertificateError, Certificates};
use crate::config::{Config, ConfigError, Hub, Status};
use crate::control::{self, Control};
use crate::faults::Faults;
use crate::hub::Extent;
use crate::namespace::Namespace;
use crate::server;

/// A running emulator; dropped, it ends, and with it every connection.
pub struct Emulator {
    address: SocketAddr,
    control_address: SocketAddr,
    ca: String,
    config: Config,
    control: Control,
    _tasks: JoinSet<()>,
}

/// Why it does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Nobody can be listened to.
    #[error("cannot listen on {address}: {error}; choose another address under `{key}`, or port 0 for any")]
    Listen {
        /// Where that was to be.
        address: SocketAddr,
        /// What says so.
        key: &'static str,
        /// Why not.
        error: std::io::Error,
    },
    /// There are no certificates.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// The authority's certificate cannot be written.
    #[error("cannot write the authority's certificate to {path}: {error}", path = path.display())]
    Ca {
        /// Where it was to be.
        path: PathBuf,
        /// Why not.
        error: std::io::Error,
    },
}

/// What was asked for does not exist.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no {what} `{name}`")]
pub struct Unknown {
    /// Of what kind it would be.
    pub what: &'static str,
    /// Its name.
    pub name: String,
}

/// Why a hub is not added.
#[derive(Debug, thiserror::Error)]
pub enum NotAdded {
    /// It is there.
    #[error("there is a hub `{0}` already")]
    Exists(String),
    /// It cannot be.
    #[error(transparent)]
    Invalid(#[from] ConfigError),
}

impl Emulator {
    /// Listens, with hubs that are empty.
    pub async fn start(config: Config) -> Result<Self, StartError> {
        let certificates = Certificates::new(&config.names)?;
        let ca = certificates.ca;
        if let Some(path) = &config.ca {
            write(path, &ca).map_err(|error| StartError::Ca { path: path.clone(), error })?;
        }
        let (listener, address) = listen(config.listen, "listen").await?;
        let (http, control_address) = listen(config.control, "control").await?;
        let namespace = Arc::new(Namespace::new(&config));
        let control = Control::new(namespace.clone());
        let mut tasks = JoinSet::new();
        tasks.spawn(server::accept(listener, certificates.acceptor, namespace));
        tasks.spawn(control::serve(http, control.clone()));
        info!(%address, control = %control_address, "emulator listens");
        Ok(Self { address, control_address, ca, config, control, _tasks: tasks })
    }

    /// Where clients connect.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where faults are asked for, over HTTP.
    pub fn control_address(&self) -> SocketAddr {
        self.control_address
    }

    /// The certificate, in PEM, that clients have to trust.
    pub fn ca(&self) -> &str {
        &self.ca
    }

    /// What clients connect with that have this key; by whatever way.
    pub fn connection_string(&self, key: &str) -> Result<String, Unknown> {
        let unknown = || Unknown { what: "key", name: key.to_owned() };
        let secret = &self.config.keys.get(key).ok_or_else(unknown)?.key;
        let port = self.address.port();
        Ok(format!("Endpoint=sb://localhost:{port};SharedAccessKeyName={key};SharedAccessKey={secret}"))
    }

    /// Adds an empty hub.
    pub fn add_hub(&self, name: &str, hub: &Hub) -> Result<(), NotAdded> {
        self.control.add_hub(name, hub)
    }

    /// Adds a consumer group to a hub, unless there is one of that name.
    pub fn add_group(&self, hub: &str, group: &str) -> Result<(), Unknown> {
        self.control.add_group(hub, group)
    }

    /// Adds empty partitions to a hub until it has so many; it never has less than before.
    pub fn grow(&self, hub: &str, partitions: usize) -> Result<(), Unknown> {
        self.control.grow(hub, partitions)
    }

    /// Switches a hub on or off.
    pub fn switch(&self, hub: &str, status: Status) -> Result<(), Unknown> {
        self.control.switch(hub, status)
    }

    /// What goes wrong everywhere.
    pub fn faults(&self) -> Faults {
        self.control.faults()
    }

    /// What goes wrong everywhere from now on, and nothing else.
    pub fn set_faults(&self, faults: Faults) {
        self.control.set_faults(faults);
    }

    /// What goes wrong with a hub from now on, and nothing else.
    pub fn set_faults_of(&self, hub: &str, faults: Faults) -> Result<(), Unknown> {
        self.control.set_faults_of(hub, faults)
    }

    /// Drops every connection, without a word.
    pub fn drop_connections(&self) {
        self.control.drop_connections();
    }

    /// Drops every connection that has a link to a hub.
    pub fn drop_connections_of(&self, hub: &str) -> Result<(), Unknown> {
        self.control.drop_connections_of(hub)
    }

    /// Lets every token that was put expire now.
    pub fn expire_tokens(&self) {
        self.control.expire_tokens();
    }

    /// The same for the tokens that are good for a hub, on connections that have a link to it.
    pub fn expire_tokens_of(&self, hub: &str) -> Result<(), Unknown> {
        self.control.expire_tokens_of(hub)
    }

    /// Ends those that read a partition in a consumer group, as if a receiver with a higher epoch had come and gone; how
    /// many there were.
    pub fn steal(&self, hub: &str, group: &str, partition: &str) -> Result<usize, Unknown> {
        self.control.steal(hub, group, partition)
    }

    /// Lets go of a partition's events before a sequence number, as retention does.
    pub fn forget(&self, hub: &str, partition: &str, before: i64) -> Result<(), Unknown> {
        self.control.forget(hub, partition, before)
    }

    /// What a partition holds.
    pub fn extent(&self, hub: &str, partition: &str) -> Result<Extent, Unknown> {
        self.control.extent(hub, partition)
    }
}

async fn listen(address: SocketAddr, key: &'static str) -> Result<(TcpListener, SocketAddr), StartError> {
    let listen = async {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        Ok((listener, address))
    };
    listen.await.map_err(|error| StartError::Listen { address, key, error })
}

fn write(path: &std::path::Path, ca: &str) -> std::io::Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    std::fs::write(path, ca)
}
