//! The four ways to connect, told apart by their first bytes, and made one: bytes in, bytes out.
//!
//! | first byte | is | within it |
//! |---|---|---|
//! | `A` | AMQP | |
//! | `G` | HTTP, to become a WebSocket | AMQP in binary messages, wherever they are cut |
//! | 0x16 | TLS | one of the two above |

use std::io;

use bytes::Bytes;
use futures::{SinkExt, StreamExt, future};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, BufReader};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::http::{HeaderValue, StatusCode};
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_util::io::{CopyToBytes, SinkWriter, StreamReader};
use tracing::debug;

/// A connection's bytes, however they come.
pub(crate) struct Stream {
    pub(crate) reader: Box<dyn AsyncRead + Send + Unpin>,
    pub(crate) writer: Box<dyn AsyncWrite + Send + Unpin>,
}

const TLS: u8 = 0x16;
const HTTP: u8 = b'G';
const PROTOCOL: &str = "sec-websocket-protocol";
/// What clients call AMQP in a WebSocket: the service's name, and the one that the official Rust client uses.
const PROTOCOLS: [&str; 2] = ["AMQPWSB10", "amqp"];

impl Stream {
    /// Finds out how a client comes, and lets it in.
    pub(crate) async fn accept(tcp: TcpStream, tls: &TlsAcceptor) -> io::Result<Self> {
        tcp.set_nodelay(true)?;
        let (first, tcp) = first_byte(tcp).await?;
        if first != TLS {
            return Self::plain(first, tcp).await;
        }
        let (first, tls) = first_byte(tls.accept(tcp).await?).await?;
        Self::plain(first, tls).await
    }

    async fn plain<S: AsyncRead + AsyncWrite + Send + Unpin + 'static>(first: u8, stream: S) -> io::Result<Self> {
        if first == HTTP {
            return Self::websocket(stream).await;
        }
        let (reader, writer) = tokio::io::split(stream);
        Ok(Self { reader: Box::new(reader), writer: Box::new(writer) })
    }

    async fn websocket<S: AsyncRead + AsyncWrite + Send + Unpin + 'static>(stream: S) -> io::Result<Self> {
        let websocket = tokio_tungstenite::accept_hdr_async(stream, agree).await.map_err(io::Error::other)?;
        let (sink, stream) = websocket.split();
        let bytes = stream.filter_map(|message| future::ready(bytes_of(message)));
        let sink = sink.sink_map_err(io::Error::other);
        let sink = sink.with(|bytes: Bytes| future::ok::<_, io::Error>(Message::Binary(bytes)));
        let writer = SinkWriter::new(CopyToBytes::new(sink));
        Ok(Self { reader: Box::new(StreamReader::new(bytes)), writer: Box::new(writer) })
    }
}

/// The first byte, and a stream that it comes from once more.
async fn first_byte<S: AsyncRead + AsyncWrite + Unpin>(stream: S) -> io::Result<(u8, BufReader<S>)> {
    let mut stream = BufReader::new(stream);
    match stream.fill_buf().await?.first() {
        Some(first) => Ok((*first, stream)),
        None => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

/// The path is not looked at: clients put their own behind whatever they are told.
// The error is the library's.
#[allow(clippy::result_large_err)]
fn agree(request: &Request, mut response: Response) -> Result<Response, ErrorResponse> {
    let asked = request.headers().get(PROTOCOL).and_then(|asked| asked.to_str().ok()).unwrap_or_default();
    let asked = asked.split(',').map(str::trim).find(|asked| PROTOCOLS.contains(asked));
    debug!(path = %request.uri(), protocol = asked, "websocket");
    match asked.and_then(|asked| HeaderValue::from_str(asked).ok()) {
        Some(agreed) => {
            response.headers_mut().insert(PROTOCOL, agreed);
            Ok(response)
        }
        None => {
            let mut refused = ErrorResponse::new(Some(format!("speak one of {PROTOCOLS:?}")));
            *refused.status_mut() = StatusCode::BAD_REQUEST;
            Err(refused)
        }
    }
}

/// What a message adds to the stream; `None` for those that are about the WebSocket itself.
fn bytes_of(message: Result<Message, tungstenite::Error>) -> Option<io::Result<Bytes>> {
    match message {
        Ok(Message::Binary(bytes)) => Some(Ok(bytes)),
        Ok(Message::Text(_)) => Some(Err(io::Error::other("AMQP comes in binary messages"))),
        Ok(_) => None,
        Err(error) => Some(Err(io::Error::other(error))),
    }
}
