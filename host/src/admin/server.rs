//! Connections: bounded in number, time and size, and ended with the host.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::{JoinHandle, JoinSet};
use tracing::{debug, info};

use super::config::Config;
use super::{Served, routes};
use crate::model::Clock;

/// Connections at once; more wait until one ends.
const CONNECTIONS: usize = 64;
/// How long the head of a request may take, and a connection may be idle.
const HEAD_PATIENCE: Duration = Duration::from_secs(10);
/// The longest head of a request, in bytes.
const HEAD_LIMIT: usize = 16 << 10;
/// How long a connection lives, whatever it does.
const LONGEST_CONNECTION: Duration = Duration::from_secs(300);
/// How long the end waits for answers under way.
const GRACE: Duration = Duration::from_secs(2);
/// The wait after a connection could not be taken, such as for want of file descriptors.
const REST: Duration = Duration::from_millis(100);

/// Why nobody can be listened to.
#[derive(Debug, thiserror::Error)]
#[error("admin: cannot listen on {listen}: {error}; choose another address under `admin.listen`, or leave `admin` out")]
pub struct BindError {
    listen: SocketAddr,
    error: std::io::Error,
}

/// A bound address at which nothing is answered yet.
pub struct Listener {
    tcp: TcpListener,
    address: SocketAddr,
}

impl Listener {
    /// Binds the address.
    pub async fn bind(config: Config) -> Result<Self, BindError> {
        let bind = async { TcpListener::bind(config.listen).await.and_then(|tcp| Ok((tcp.local_addr()?, tcp))) };
        let (address, tcp) = bind.await.map_err(|error| BindError { listen: config.listen, error })?;
        info!(%address, "admin listens");
        Ok(Self { tcp, address })
    }

    /// What is bound; the port is a real one.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers for these pipelines from now on.
    pub fn serve(self, pipelines: Vec<Served>, clock: Clock) -> Server {
        let (stop, stopped) = watch::channel(());
        let router = routes::router(pipelines, self.address, clock);
        Server { stop, task: tokio::spawn(accept(self.tcp, router, stopped)) }
    }
}

/// A running server; dropping it ends it at once.
pub struct Server {
    stop: watch::Sender<()>,
    task: JoinHandle<()>,
}

impl Server {
    /// Takes no more requests, and waits a little for answers under way.
    pub async fn stop(mut self) {
        self.stop.send_replace(());
        let _ = (&mut self.task).await;
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(tcp: TcpListener, router: Router, mut stopped: watch::Receiver<()>) {
    let (places, mut connections) = (Arc::new(Semaphore::new(CONNECTIONS)), JoinSet::new());
    loop {
        tokio::select! {
            biased;
            _ = stopped.changed() => break,
            Some(_) = connections.join_next() => {}
            stream = next(&tcp, &places) => match stream {
                Ok((stream, place)) => {
                    connections.spawn(connection(stream, place, router.clone(), stopped.clone()));
                }
                Err(error) => {
                    debug!(%error, "admin: a connection could not be taken");
                    tokio::time::sleep(REST).await;
                }
            },
        }
    }
    // What is left is aborted with the set.
    let _ = tokio::time::timeout(GRACE, async { while connections.join_next().await.is_some() {} }).await;
}

/// The next connection, once there is a place for it.
async fn next(tcp: &TcpListener, places: &Arc<Semaphore>) -> std::io::Result<(TcpStream, OwnedSemaphorePermit)> {
    let place = places.clone().acquire_owned().await.map_err(std::io::Error::other)?;
    Ok((tcp.accept().await?.0, place))
}

async fn connection(stream: TcpStream, place: OwnedSemaphorePermit, router: Router, mut stopped: watch::Receiver<()>) {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD_PATIENCE).max_buf_size(HEAD_LIMIT);
    let serving = http.serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    tokio::pin!(serving);
    let served = tokio::time::timeout(LONGEST_CONNECTION, async {
        tokio::select! {
            served = serving.as_mut() => served,
            _ = stopped.changed() => {
                serving.as_mut().graceful_shutdown();
                serving.as_mut().await
            }
        }
    });
    if let Ok(Err(error)) = served.await {
        debug!(%error, "admin: a connection failed");
    }
    drop(place);
}
