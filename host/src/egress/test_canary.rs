//! What must not be reached, for tests: a canary that counts every connection, and names that lead where a test wants.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::net::{Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::resolver::Lookup;
use super::test_server::read;

/// Listens on `127.0.0.1`, and at the same port of `::1` where there is IPv6. It counts whoever connects, before a byte
/// is read, and answers every request with 200, so it also passes for a proxy.
pub(super) struct Canary {
    port: u16,
    listening: Vec<SocketAddr>,
    connections: Arc<Mutex<usize>>,
    _accepting: JoinSet<()>,
}

impl Canary {
    pub(super) async fn start() -> Self {
        let (port, listeners) = listeners().await;
        let listening = listeners.iter().map(|listener| listener.local_addr().unwrap()).collect();
        let connections = Arc::new(Mutex::new(0));
        let mut accepting = JoinSet::new();
        for listener in listeners {
            let connections = connections.clone();
            accepting.spawn(async move {
                let mut serving = JoinSet::new();
                while let Ok((stream, _)) = listener.accept().await {
                    *connections.lock().unwrap() += 1;
                    serving.spawn(serve(stream));
                }
            });
        }
        Self { port, listening, connections, _accepting: accepting }
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// `http://127.0.0.1:port`.
    pub(super) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Whether it listens on IPv6.
    pub(super) fn has_v6(&self) -> bool {
        self.listening.len() > 1
    }

    /// How many have connected since this was asked last. Connections are accepted in their order, so a last one of our
    /// own at each address comes behind all others.
    pub(super) async fn visitors(&self) -> usize {
        for address in &self.listening {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
            stream.read_to_end(&mut Vec::new()).await.unwrap();
        }
        std::mem::take(&mut *self.connections.lock().unwrap()) - self.listening.len()
    }
}

async fn listeners() -> (u16, Vec<TcpListener>) {
    loop {
        let v4 = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = v4.local_addr().unwrap().port();
        match TcpListener::bind((Ipv6Addr::LOCALHOST, port)).await {
            Ok(v6) => return (port, vec![v4, v6]),
            // Somebody else's port there: try another.
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
            Err(_) => return (port, vec![v4]),
        }
    }
}

async fn serve(mut stream: TcpStream) {
    if read(&mut stream).await.is_some() {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n").await;
    }
}

/// Names and what they lead to: one answer a look-up, of which the last one stays.
#[derive(Default)]
pub(super) struct Names {
    answers: Mutex<BTreeMap<String, VecDeque<Vec<SocketAddr>>>>,
    asked: Mutex<Vec<String>>,
}

impl Names {
    /// No name leads anywhere yet.
    pub(super) fn new() -> Self {
        Self::default()
    }

    /// Lets a name lead to these addresses, first the first ones.
    pub(super) fn lead(self, name: &str, answers: &[&[&str]]) -> Self {
        let address = |text: &&str| match text.parse().map(|ip| SocketAddr::new(ip, 0)) {
            Ok(address) => address,
            // With a scope.
            Err(_) => format!("[{text}]:0").parse().unwrap(),
        };
        let answers = answers.iter().map(|answer| answer.iter().map(address).collect()).collect();
        self.answers.lock().unwrap().insert(name.to_owned(), answers);
        self
    }

    /// All names that were looked up, in order.
    pub(super) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

#[async_trait]
impl Lookup for Names {
    async fn addresses(&self, name: &str) -> io::Result<Vec<SocketAddr>> {
        self.asked.lock().unwrap().push(name.to_owned());
        let mut answers = self.answers.lock().unwrap();
        // A name of its own, or what all others lead to.
        let known = if answers.contains_key(name) { name } else { "*" };
        let answers = answers.get_mut(known).ok_or_else(|| io::Error::other(format!("nobody knows {name}")))?;
        if answers.len() > 1 { Ok(answers.pop_front().unwrap()) } else { Ok(answers[0].clone()) }
    }
}
