//! From an address to a stream that AMQP is spoken on: TCP, or a proxy's tunnel; TLS; a WebSocket. Only a namespace that
//! is called an emulator is spoken to without TLS.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use fe2o3_amqp_ws::WebSocketStream;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::pki_types::ServerName;

use super::causes::words;
use super::failure::Failure;
use super::line::Stream;
use super::proxy::Proxy;
use crate::transport::event_hubs::config::Protocol;

/// How long each step may take.
const STEP: Duration = Duration::from_secs(15);
/// Where the service takes WebSockets.
const PATH: &str = "/$servicebus/websocket/";

/// Where the service answers, and how it is reached.
#[derive(Debug)]
pub(super) struct Dial {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) protocol: Protocol,
    /// None only for an emulator.
    pub(super) tls: Option<Arc<ClientConfig>>,
    pub(super) proxy: Option<Proxy>,
}

impl Dial {
    /// Connects.
    pub(super) async fn stream(&self) -> Result<Box<dyn Stream>, Failure> {
        let tcp = self.tcp().await?;
        let stream: Box<dyn Stream> = match &self.tls {
            Some(config) => Box::new(self.step("TLS", secured(Arc::clone(config), &self.host, tcp)).await?),
            None => Box::new(tcp),
        };
        match self.protocol {
            Protocol::AmqpTcp => Ok(stream),
            Protocol::Websocket => {
                let opened = WebSocketStream::connect_with_stream(self.url(), stream);
                Ok(Box::new(self.step("the WebSocket", async { opened.await.map_err(io::Error::other) }).await?))
            }
        }
    }

    async fn tcp(&self) -> Result<TcpStream, Failure> {
        let (host, port) = self.proxy.as_ref().map_or((&self.host, self.port), |proxy| (&proxy.host, proxy.port));
        let connected = self.step("connecting", TcpStream::connect((bare(host), port))).await;
        let mut stream = connected?;
        // Small frames wait for nothing.
        let _ = stream.set_nodelay(true);
        if let Some(proxy) = &self.proxy {
            self.step("the proxy", proxy.connect(&mut stream, &self.host, self.port)).await?;
        }
        Ok(stream)
    }

    /// What connections are made to, for people.
    pub(super) fn name(&self) -> String {
        let by = match &self.proxy {
            Some(proxy) => format!(" by proxy {}:{}", proxy.host, proxy.port),
            None => String::new(),
        };
        format!("{}:{}{by}", self.host, self.port)
    }

    fn url(&self) -> String {
        let scheme = if self.tls.is_some() { "wss" } else { "ws" };
        format!("{scheme}://{}:{}{PATH}", self.host, self.port)
    }

    async fn step<T>(&self, what: &str, doing: impl Future<Output = io::Result<T>>) -> Result<T, Failure> {
        match timeout(STEP, doing).await {
            Ok(Ok(done)) => Ok(done),
            Ok(Err(error)) => {
                let help = advice(&error);
                Err(Failure::unavailable(&self.name(), format!("{what} failed: {}{help}", words(&error))))
            }
            Err(_) => Err(Failure::unavailable(&self.name(), format!("{what} took longer than {} s", STEP.as_secs()))),
        }
    }
}

/// An address of version 6 has brackets in a URL, and none where it is resolved.
fn bare(host: &str) -> &str {
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
}

async fn secured<S: Stream>(
    config: Arc<ClientConfig>,
    host: &str,
    stream: S,
) -> io::Result<tokio_rustls::client::TlsStream<S>> {
    let name = ServerName::try_from(bare(host).to_owned()).map_err(io::Error::other)?;
    TlsConnector::from(config).connect(name, stream).await
}

/// What to do about an error that it is known of.
fn advice(error: &io::Error) -> &'static str {
    match words(error) {
        text if text.contains("UnknownIssuer") => {
            "; its certificate is of an authority that this machine does not know: say `ca`, or SSL_CERT_FILE"
        }
        text if text.contains("not valid for name") || text.contains("NotValidForName") => {
            "; its certificate is for other names: `endpoint` must be one of them"
        }
        _ => "",
    }
}
