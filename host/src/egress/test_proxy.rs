//! A small HTTP proxy for tests: it tunnels, it forwards, it resolves names by its own list, and it keeps what it was
//! asked.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use url::Url;

use super::test_server::{Asked, read};

/// A running proxy; dropped, it stops.
pub(super) struct Proxy {
    address: SocketAddr,
    site: Arc<Site>,
    _accepting: JoinSet<()>,
}

struct Site {
    names: BTreeMap<String, SocketAddr>,
    /// What `Proxy-Authorization` must say.
    credential: Mutex<Option<String>>,
    asked: Mutex<Vec<Asked>>,
}

impl Proxy {
    /// Listens on loopback; knows these names.
    pub(super) async fn start<const N: usize>(names: [(&str, SocketAddr); N]) -> Self {
        Self::listen(names, None).await
    }

    /// The same over TLS.
    pub(super) async fn start_tls<const N: usize>(names: [(&str, SocketAddr); N], tls: TlsAcceptor) -> Self {
        Self::listen(names, Some(tls)).await
    }

    async fn listen<const N: usize>(names: [(&str, SocketAddr); N], tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let names = names.map(|(name, address)| (name.to_owned(), address)).into();
        let site = Arc::new(Site { names, credential: Mutex::default(), asked: Mutex::default() });
        let mut accepting = JoinSet::new();
        let serving = site.clone();
        accepting.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (site, tls) = (serving.clone(), tls.clone());
                connections.spawn(async move {
                    match tls {
                        None => site.serve(stream).await,
                        Some(tls) => site.serve(tls.accept(stream).await.ok()?).await,
                    }
                });
            }
        });
        Self { address, site, _accepting: accepting }
    }

    /// From now on, asks for this credential.
    pub(super) fn asks_for(&self, credential: &str) {
        *self.site.credential.lock().unwrap() = Some(credential.to_owned());
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(super) fn port(&self) -> u16 {
        self.address.port()
    }

    /// All that it was asked so far.
    pub(super) fn asked(&self) -> Vec<Asked> {
        self.site.asked.lock().unwrap().clone()
    }

    /// Method and target of all that it was asked so far.
    pub(super) fn targets(&self) -> Vec<String> {
        self.asked().iter().map(|asked| format!("{} {}", asked.method, asked.target)).collect()
    }
}

impl Site {
    async fn serve(&self, mut stream: impl AsyncRead + AsyncWrite + Unpin) -> Option<()> {
        let asked = read(&mut stream).await?;
        self.asked.lock().unwrap().push(asked.clone());
        let credential = self.credential.lock().unwrap().clone();
        if credential.is_some() && asked.header("proxy-authorization") != credential.as_deref() {
            return refuse(&mut stream, 407).await;
        }
        let (host, head) = match asked.method.as_str() {
            "CONNECT" => (asked.target.rsplit_once(':')?.0.to_owned(), None),
            _ => {
                let url = Url::parse(&asked.target).ok()?;
                (url.host_str()?.to_owned(), Some(forwarded(&asked, &url)))
            }
        };
        let Some(address) = self.names.get(&host) else { return refuse(&mut stream, 502).await };
        let mut origin = TcpStream::connect(address).await.ok()?;
        match head {
            None => stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.ok()?,
            Some(head) => origin.write_all(&head).await.ok()?,
        }
        copy_bidirectional(&mut stream, &mut origin).await.ok().map(drop)
    }
}

async fn refuse(stream: &mut (impl AsyncWrite + Unpin), status: u16) -> Option<()> {
    let head = format!("HTTP/1.1 {status} No\r\nconnection: close\r\ncontent-length: 0\r\n\r\n");
    stream.write_all(head.as_bytes()).await.ok()?;
    stream.shutdown().await.ok()
}

/// The request as the origin gets it.
fn forwarded(asked: &Asked, url: &Url) -> Vec<u8> {
    let mut head = format!("{} {} HTTP/1.1\r\n", asked.method, &url[url::Position::BeforePath..]);
    for (name, value) in asked.headers.iter().filter(|(name, _)| !name.starts_with("proxy-")) {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    [head.into_bytes(), asked.body.clone()].concat()
}
