//! Sockets: those that are listened at, and one task for each that is connected.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use jiff::Timestamp;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tracing::{debug, info};

use crate::connection::Connection;
use crate::faults::Signals;
use crate::namespace::Namespace;
use crate::stream::Stream;

/// How much is read at once, at least.
const READ: usize = 64 << 10;
/// How long the last words of a connection may take.
const GRACE: Duration = Duration::from_secs(2);
/// The wait after a connection could not be taken, such as for want of file descriptors.
const REST: Duration = Duration::from_millis(100);

/// Lets clients in until it is dropped, and drops them with itself.
pub(crate) async fn accept(listener: TcpListener, tls: TlsAcceptor, namespace: Arc<Namespace>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((tcp, _)) if namespace.switchboard.faults().refuse_connections => drop(tcp),
                Ok((tcp, peer)) => {
                    let served = serve(tcp, tls.clone(), namespace.clone());
                    connections.spawn(async move {
                        match served.await {
                            Ok(()) => info!(%peer, "connection over"),
                            Err(error) => info!(%peer, %error, "connection lost"),
                        }
                    });
                }
                Err(error) => {
                    debug!(%error, "a connection could not be taken");
                    tokio::time::sleep(REST).await;
                }
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

/// Serves one client until it goes, or is dropped on demand.
async fn serve(tcp: TcpStream, tls: TlsAcceptor, namespace: Arc<Namespace>) -> io::Result<()> {
    let mut signals = namespace.switchboard.subscribe();
    let drops = signals.borrow_and_update().drops;
    let served = async {
        thawed(&mut namespace.switchboard.subscribe()).await;
        let stream = Stream::accept(tcp, &tls).await?;
        converse(stream, namespace.clone()).await
    };
    tokio::select! {
        served = served => served,
        // Without a word: what was not written yet never is.
        _ = signals.wait_for(|signals| signals.drops != drops) => Ok(()),
    }
}

/// Speaks with a client. Whatever is waited for can be called off without a loss: bytes that were read are in `input`,
/// bytes that were not written are in the connection's output, and a wake-up that comes while nobody waits is kept.
async fn converse(stream: Stream, namespace: Arc<Namespace>) -> io::Result<()> {
    let Stream { mut reader, mut writer } = stream;
    let mut signals = namespace.switchboard.subscribe();
    let wake = Arc::new(Notify::new());
    let mut connection = Connection::new(namespace, wake.clone(), &signals.borrow(), Timestamp::now());
    let mut input = BytesMut::new();
    let mut is_flushed = true;
    loop {
        let heard = thawed(&mut signals).await;
        connection.heed(heard, Timestamp::now());
        if connection.is_dropped() {
            return Ok(());
        }
        if connection.is_frozen() {
            // Never over: what it is told by is in the namespace, which the connection holds.
            let _ = signals.changed().await;
            continue;
        }
        connection.receive(&mut input, Timestamp::now());
        connection.turn(Timestamp::now());
        if connection.is_over() {
            return part(&mut writer, connection.output()).await;
        }
        let (deadline, is_reading) = (connection.deadline(), connection.is_reading());
        let is_writing = !connection.output().is_empty() || !is_flushed;
        input.reserve(READ);
        // Not biased: neither direction may hold up the other.
        tokio::select! {
            written = write(&mut writer, connection.output(), &mut is_flushed), if is_writing => written?,
            read = reader.read_buf(&mut input), if is_reading => if read? == 0 { return Ok(()) },
            () = wake.notified() => {}
            _ = signals.changed() => {}
            () = until(deadline) => {}
        }
    }
}

/// Says the last words, and no more. Whoever does not listen misses them.
async fn part<W: AsyncWriteExt + Unpin>(writer: &mut W, output: &mut BytesMut) -> io::Result<()> {
    let parted = tokio::time::timeout(GRACE, async {
        writer.write_all_buf(output).await?;
        writer.shutdown().await
    });
    parted.await.unwrap_or(Ok(()))
}

/// Writes a part of the output, or what is behind it on its way.
async fn write<W: AsyncWriteExt + Unpin>(
    writer: &mut W,
    output: &mut BytesMut,
    is_flushed: &mut bool,
) -> io::Result<()> {
    if output.is_empty() {
        writer.flush().await?;
        *is_flushed = true;
    } else {
        *is_flushed = false;
        writer.write_buf(output).await?;
    }
    Ok(())
}

/// What is heard, once nothing is frozen.
async fn thawed(signals: &mut watch::Receiver<Signals>) -> Signals {
    let heard = signals.wait_for(|signals| !signals.faults.frozen).await.map(|signals| signals.clone());
    match heard {
        Ok(signals) => signals,
        // The sender is in the namespace, which whoever waits here holds.
        Err(_) => std::future::pending().await,
    }
}

async fn until(deadline: Option<Timestamp>) {
    match deadline {
        Some(deadline) => {
            // What is past already is not waited for.
            let left = Duration::try_from(deadline.duration_since(Timestamp::now())).unwrap_or_default();
            tokio::time::sleep(left).await;
        }
        None => std::future::pending().await,
    }
}
