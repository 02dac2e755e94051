//! A small HTTP/1.1 server for tests that answers byte by byte as told, over TCP or TLS: it can break off, hang and lie,
//! which a proper server cannot. It keeps what it was asked.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

use super::config::Config;
use super::resolver::Lookup;
use super::{Body, Client, EgressError, Http, Request, Response};
use crate::model::{Progress, Secret, Secrets};

/// What no error, log line or final URL may hold.
pub(super) const SENTINEL: &str = "SENTINEL";

/// A client of these endpoints; its one secret, `token`, is the sentinel.
pub(super) fn client(configs: impl IntoIterator<Item = (&'static str, Config)>) -> Client {
    let configs: BTreeMap<_, _> = configs.into_iter().map(|(name, config)| (name.to_owned(), config)).collect();
    Client::new(&configs, &Secrets([("token".to_owned(), Secret::new(SENTINEL))].into())).unwrap()
}

/// A client of one endpoint `e`, whose secret `token` stands in a file.
pub(super) fn client_with_file(config: Config, token: &Path) -> Client {
    let secrets = Secrets([("token".to_owned(), Secret::in_file("token", token).unwrap())].into());
    Client::new(&[("e".to_owned(), config)].into(), &secrets).unwrap()
}

/// The same, with names looked up by the test.
pub(super) fn client_asking(
    lookup: Arc<dyn Lookup>,
    configs: impl IntoIterator<Item = (&'static str, Config)>,
) -> Client {
    let configs: BTreeMap<_, _> = configs.into_iter().map(|(name, config)| (name.to_owned(), config)).collect();
    Client::asking(lookup, &configs, &Secrets([("token".to_owned(), Secret::new(SENTINEL))].into())).unwrap()
}

/// An endpoint that may connect to loopback.
pub(super) fn loopback() -> Config {
    Config { allow_addresses: vec!["127.0.0.0/8".parse().unwrap()], ..Config::default() }
}

/// An endpoint with the system at this URL.
pub(super) fn system(base_url: &str) -> Config {
    Config { base_url: Some(base_url.into()), ..loopback() }
}

/// An endpoint with these servers by their addresses.
pub(super) fn hosts<const N: usize>(servers: [&Server; N]) -> Config {
    Config { allow: servers.iter().map(|server| server.url("")).collect(), ..loopback() }
}

pub(super) fn get(target: &str) -> Request {
    Request { method: "GET".into(), target: target.into(), ..Request::default() }
}

/// Sends to endpoint `e`.
pub(super) async fn send(client: &Client, request: Request) -> Result<Response, EgressError> {
    client.send("e", request, &Progress::new()).await
}

/// Gets from endpoint `e`, and how that failed.
pub(super) async fn failure(client: &Client, target: &str) -> EgressError {
    send(client, get(target)).await.err().unwrap()
}

/// All bytes of a body, and how it ended.
pub(super) async fn read_body(body: &mut dyn Body) -> (Vec<u8>, Option<EgressError>) {
    let mut bytes = Vec::new();
    loop {
        match body.chunk().await {
            Ok(Some(chunk)) => bytes.extend_from_slice(&chunk),
            Ok(None) => return (bytes, None),
            Err(error) => return (bytes, Some(error)),
        }
    }
}

/// One request that came.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Asked {
    pub(super) method: String,
    pub(super) target: String,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

impl Asked {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|header| header.0 == name).map(|header| header.1.as_str())
    }
}

/// What to answer.
pub(super) struct Reply {
    head: String,
    body: Vec<u8>,
    /// Bytes of the body that are sent before it breaks off or hangs.
    cut: usize,
    hang: bool,
}

impl Reply {
    pub(super) fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        let body = body.into();
        let head = format!("HTTP/1.1 {status} X\r\nconnection: close\r\ncontent-length: {}\r\n", body.len());
        Self { head, cut: usize::MAX, body, hang: false }
    }

    pub(super) fn redirect(status: u16, location: &str) -> Self {
        Self::new(status, "").header("location", location)
    }

    /// The part of an entity that a request asks for, with its headers.
    pub(super) fn part(asked: &Asked, whole: &[u8]) -> Self {
        let first: usize =
            asked.header("range").unwrap().strip_prefix("bytes=").unwrap().strip_suffix('-').unwrap().parse().unwrap();
        let range = format!("bytes {first}-{}/{}", whole.len() - 1, whole.len());
        Self::new(206, &whole[first..]).header("content-range", &range)
    }

    pub(super) fn header(mut self, name: &str, value: &str) -> Self {
        self.head.push_str(&format!("{name}: {value}\r\n"));
        self
    }

    /// Closes the connection after so many bytes of the body.
    pub(super) fn cut_after(mut self, bytes: usize) -> Self {
        self.cut = bytes;
        self
    }

    /// Says nothing more after so many bytes of the body, and keeps the connection.
    pub(super) fn hang_after(self, bytes: usize) -> Self {
        Self { hang: true, ..self.cut_after(bytes) }
    }

    /// Never says anything.
    pub(super) fn silence() -> Self {
        Self { head: String::new(), body: Vec::new(), cut: 0, hang: true }
    }

    /// Closes the connection without a word.
    pub(super) fn hang_up() -> Self {
        Self { hang: false, ..Self::silence() }
    }
}

/// A running server; dropped, it stops.
pub(super) struct Server {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
    _accepting: JoinSet<()>,
}

impl Server {
    /// Listens on loopback.
    pub(super) async fn start(answer: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> Self {
        Self::listen("127.0.0.1:0", None, answer).await
    }

    /// Listens at one address of loopback.
    pub(super) async fn start_at(address: &str, answer: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> Self {
        Self::listen(address, None, answer).await
    }

    /// Listens on loopback and proves to be `localhost` and `secure.example`.
    pub(super) async fn start_tls(
        authority: &Authority,
        answer: impl Fn(&Asked) -> Reply + Send + Sync + 'static,
    ) -> Self {
        Self::listen("127.0.0.1:0", Some(authority.acceptor()), answer).await
    }

    async fn listen(
        at: &str,
        tls: Option<TlsAcceptor>,
        answer: impl Fn(&Asked) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind(at).await.unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let site = Arc::new(Site { asked: asked.clone(), answer: Box::new(answer) });
        let mut accepting = JoinSet::new();
        accepting.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (site, tls) = (site.clone(), tls.clone());
                connections.spawn(async move {
                    match tls {
                        None => serve(stream, &site).await,
                        Some(tls) => match tls.accept(stream).await {
                            Ok(stream) => serve(stream, &site).await,
                            Err(_) => None,
                        },
                    }
                });
            }
        });
        Self { address, asked, _accepting: accepting }
    }

    /// `http://127.0.0.1:port` and this path.
    pub(super) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) fn port(&self) -> u16 {
        self.address.port()
    }

    /// All that it was asked so far.
    pub(super) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    /// The targets of all that it was asked so far.
    pub(super) fn targets(&self) -> Vec<String> {
        self.asked().into_iter().map(|asked| asked.target).collect()
    }
}

struct Site {
    asked: Arc<Mutex<Vec<Asked>>>,
    answer: Box<dyn Fn(&Asked) -> Reply + Send + Sync>,
}

async fn serve(mut stream: impl AsyncRead + AsyncWrite + Unpin, site: &Site) -> Option<()> {
    let asked = read(&mut stream).await?;
    site.asked.lock().unwrap().push(asked.clone());
    let reply = (site.answer)(&asked);
    if !reply.head.is_empty() {
        stream.write_all(format!("{}\r\n", reply.head).as_bytes()).await.ok()?;
        stream.write_all(&reply.body[..reply.cut.min(reply.body.len())]).await.ok()?;
        stream.flush().await.ok()?;
    }
    if reply.hang {
        // Until the client goes.
        while stream.read(&mut [0; 64]).await.is_ok_and(|read| read > 0) {}
    }
    stream.shutdown().await.ok()
}

/// The next request on a connection.
pub(super) async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Option<Asked> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break end;
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let mut body = bytes.split_off(end + 4);
    let text = String::from_utf8(bytes).ok()?;
    let mut lines = text.trim_end().split("\r\n");
    let mut first = lines.next()?.split(' ');
    let headers: Vec<_> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_lowercase(), value.into()))
        .collect();
    let mut asked = Asked { method: first.next()?.into(), target: first.next()?.into(), headers, body: Vec::new() };
    let length = asked.header("content-length").map_or(0, |length| length.parse().unwrap());
    while body.len() < length {
        stream.read_buf(&mut body).await.ok()?;
    }
    asked.body = body;
    Some(asked)
}

/// A certificate authority made for one test.
pub(super) struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub(super) fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    /// Its certificate.
    pub(super) fn pem(&self) -> String {
        self.0.pem()
    }

    /// Proves to be `localhost` and `secure.example`.
    pub(super) fn acceptor(&self) -> TlsAcceptor {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(["localhost".to_owned(), "secure.example".to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], PrivateKeyDer::Pkcs8(key.serialize_der().into()))
            .unwrap();
        TlsAcceptor::from(Arc::new(config))
    }
}
