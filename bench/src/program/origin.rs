//! The origin of the files, a process of its own. It keeps no file: paths are `/{wait}/{bytes}/{name}`, and the answer
//! to one is so many bytes, begun so many milliseconds after it was asked for. The bytes come from memory that is made
//! once, so that the origin takes little of the machine from whoever fetches.

use std::convert::Infallible;
use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::Stdio;
use std::sync::LazyLock;
use std::time::Duration;

use anyhow::Context;
use axum::Router;
use axum::body::Body;
use axum::http::{StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::stream;
use sha2::{Digest, Sha256};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::net::TcpListener;
use tokio::process::Child;

use super::{ORIGIN, own};

/// Every file is this over and over, up to its size.
static BLOCK: LazyLock<Bytes> = LazyLock::new(block);
/// Bytes of the block.
const BLOCK_SIZE: usize = 1 << 20;
/// Bytes handed to the connection at a time.
const PIECE: usize = 256 << 10;
/// What files of the type begin with, for the plugin looks at it.
const OPENING: &[u8] = b"%PDF-1.7\n";

/// What a URL of the origin asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Asked {
    /// Until the first byte.
    pub(crate) wait: Duration,
    /// The size of the file, in bytes.
    pub(crate) bytes: u64,
}

/// A running origin; dropped, it is killed.
#[derive(Debug)]
pub(crate) struct Origin {
    address: SocketAddr,
    _child: Child,
}

impl Origin {
    /// Starts it.
    pub(crate) async fn start() -> anyhow::Result<Self> {
        let mut program = own(ORIGIN)?;
        let mut child =
            program.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().context("cannot start the origin")?;
        let output = child.stdout.take().context("the origin has no output")?;
        let line = BufReader::new(output).lines().next_line().await?.unwrap_or_default();
        let address = line.parse().with_context(|| format!("the origin said {line:?} instead of where it listens"))?;
        Ok(Self { address, _child: child })
    }

    /// Where it listens, as a spec allows it.
    pub(crate) fn base(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The URL of a file.
    pub(crate) fn url(&self, asked: Asked, name: &str) -> String {
        format!("{}/{}/{}/{name}", self.base(), asked.wait.as_millis(), asked.bytes)
    }
}

/// What the program does: says where it listens, and serves until its input ends, which it does with whoever started
/// it.
pub(crate) async fn serve() -> anyhow::Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.context("the origin cannot listen")?;
    let mut output = io::stdout();
    writeln!(output, "{}", listener.local_addr()?)?;
    output.flush()?;
    let server = axum::serve(listener, Router::new().fallback(answer));
    let mut nothing = [0; 1];
    tokio::select! {
        served = server => Ok(served?),
        read = async { tokio::io::stdin().read(&mut nothing).await } => read.map(drop).map_err(anyhow::Error::from),
    }
}

async fn answer(uri: Uri) -> Response {
    let Some(asked) = parse(uri.path()) else { return StatusCode::NOT_FOUND.into_response() };
    tokio::time::sleep(asked.wait).await;
    let response = Response::builder()
        .header(header::CONTENT_TYPE, "application/pdf")
        .header(header::CONTENT_LENGTH, asked.bytes)
        .body(Body::from_stream(stream::iter(pieces(asked.bytes).map(Ok::<_, Infallible>))));
    response.unwrap_or_else(|_| StatusCode::INTERNAL_SERVER_ERROR.into_response())
}

fn parse(path: &str) -> Option<Asked> {
    let mut segments = path.strip_prefix('/')?.split('/');
    let wait = Duration::from_millis(segments.next()?.parse().ok()?);
    let bytes = segments.next()?.parse().ok()?;
    (segments.next().is_some() && segments.next().is_none()).then_some(Asked { wait, bytes })
}

/// The content of a file of this size.
fn pieces(bytes: u64) -> impl Iterator<Item = Bytes> + Send {
    let mut at = 0;
    std::iter::from_fn(move || {
        let start = usize::try_from(at % BLOCK_SIZE as u64).unwrap_or_default();
        let left = usize::try_from(bytes - at).unwrap_or(usize::MAX);
        let length = PIECE.min(left).min(BLOCK_SIZE - start);
        at += length as u64;
        (length > 0).then(|| BLOCK.slice(start..start + length))
    })
}

/// SHA-256 of a file of this size, in lower-case hex.
pub(crate) fn sha256(bytes: u64) -> String {
    let mut hash = Sha256::new();
    pieces(bytes).for_each(|piece| hash.update(piece));
    format!("{:x}", hash.finalize())
}

/// Bytes that no compression shortens: xorshift, begun always alike.
fn block() -> Bytes {
    let mut block = OPENING.to_vec();
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    while block.len() < BLOCK_SIZE {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        block.extend_from_slice(&state.to_le_bytes());
    }
    block.truncate(BLOCK_SIZE);
    block.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_says_when_and_how_much() {
        let asked = Asked { wait: Duration::from_millis(200), bytes: 1 << 20 };
        assert_eq!(parse("/200/1048576/7.pdf"), Some(asked));
        for path in ["", "/", "/200/1048576", "/200/x/7.pdf", "/200/1/a/7.pdf", "/-1/1/7.pdf"] {
            assert_eq!(parse(path), None, "{path}");
        }
    }

    #[test]
    fn a_file_has_its_size_and_begins_as_its_type_does() {
        for bytes in [1, 9, PIECE as u64, BLOCK_SIZE as u64 + 1, 3 * BLOCK_SIZE as u64] {
            let pieces: Vec<Bytes> = pieces(bytes).collect();
            assert_eq!(pieces.iter().map(Bytes::len).sum::<usize>() as u64, bytes);
            let first = pieces.first().unwrap();
            assert!(OPENING.starts_with(&first[..first.len().min(OPENING.len())]), "{bytes}");
        }
        assert_eq!(pieces(0).count(), 0);
    }

    #[tokio::test]
    async fn the_answer_to_a_path_is_the_file_that_it_names() {
        let response = answer("/0/300000/7.pdf".parse().unwrap()).await;
        assert_eq!(response.headers()[header::CONTENT_LENGTH], "300000");
        let body = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
        assert_eq!(format!("{:x}", Sha256::digest(body)), sha256(300_000));
    }
}
