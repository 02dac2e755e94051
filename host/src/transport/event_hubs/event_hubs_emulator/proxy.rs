//! Stands between a client and the emulator, and lets connections fall silent without a word, as a network does that has
//! forgotten them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// A way to the emulator. It ends with the test's runtime.
pub(super) struct Proxy {
    pub(super) address: SocketAddr,
    /// Connections with these numbers are silent.
    silent: watch::Sender<std::ops::Range<usize>>,
    made: Arc<AtomicUsize>,
}

impl Proxy {
    pub(super) async fn start(to: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (silent, made) = (watch::Sender::new(0..0), Arc::new(AtomicUsize::new(0)));
        let (silence, count) = (silent.clone(), made.clone());
        tokio::spawn(async move {
            loop {
                let (client, _) = listener.accept().await.unwrap();
                let number = count.fetch_add(1, Ordering::Relaxed);
                let server = TcpStream::connect(to).await.unwrap();
                let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
                tokio::spawn(forward(from_client, to_server, silence.subscribe(), number));
                tokio::spawn(forward(from_server, to_client, silence.subscribe(), number));
            }
        });
        Self { address, silent, made }
    }

    /// How many connections there were.
    pub(super) fn made(&self) -> usize {
        self.made.load(Ordering::Relaxed)
    }

    /// Lets the connections that were made from this one on, and until now, fall silent.
    pub(super) fn silence_from(&self, first: usize) {
        self.silent.send_replace(first..self.made());
    }
}

async fn forward(
    mut from: impl AsyncReadExt + Unpin,
    mut to: impl AsyncWriteExt + Unpin,
    mut silent: watch::Receiver<std::ops::Range<usize>>,
    number: usize,
) {
    let mut buffer = vec![0; 64 << 10];
    loop {
        let read = from.read(&mut buffer).await.unwrap_or(0);
        // One that is silent holds what came.
        if silent.wait_for(|silent| !silent.contains(&number)).await.is_err() || read == 0 {
            return;
        }
        if to.write_all(&buffer[..read]).await.is_err() {
            return;
        }
    }
}
