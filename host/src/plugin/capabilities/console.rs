//! A guest's standard output and standard error, cut into lines as they are written.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use async_trait::async_trait;
use bytes::Bytes;
use tokio::io::AsyncWrite;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamError, StreamResult};

use super::log::{Journal, TEXT_LIMIT};

/// Bytes that a guest may write in one go; it is never made to wait.
const PERMIT: usize = 64 << 10;

/// Which of a guest's standard streams.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Stream {
    /// Standard output.
    Out,
    /// Standard error.
    Error,
}

/// One standard stream of a guest.
#[derive(Clone)]
pub(super) struct Console {
    /// Where its lines go.
    pub(super) journal: Journal,
    /// Which one it is.
    pub(super) stream: Stream,
}

impl IsTerminal for Console {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Console {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

#[async_trait]
impl Pollable for Console {
    async fn ready(&mut self) {}
}

impl OutputStream for Console {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        // A host call cannot be ended, so none may be long; and lines are more in the host than they were in the guest.
        if bytes.len() > PERMIT {
            return Err(StreamError::trap("cannot write more than `check-write` allows"));
        }
        self.journal.write(self.stream, &bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(PERMIT)
    }
}

impl AsyncWrite for Console {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.journal.write(self.stream, bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// Cuts bytes into lines. A line that never ends is cut where it is too long.
#[derive(Default)]
pub(super) struct Lines {
    open: Vec<u8>,
}

impl Lines {
    /// The lines that end with these bytes.
    pub(super) fn take(&mut self, bytes: &[u8]) -> Vec<String> {
        let mut lines = Vec::new();
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            for piece in part.chunks(TEXT_LIMIT) {
                if self.open.len() + piece.len() > TEXT_LIMIT {
                    lines.extend(self.rest());
                }
                self.open.extend_from_slice(piece);
            }
            if part.ends_with(b"\n") {
                lines.extend(self.rest());
            }
        }
        lines
    }

    /// What stands in a line that has not ended.
    pub(super) fn rest(&mut self) -> Option<String> {
        let open = std::mem::take(&mut self.open);
        let line = String::from_utf8_lossy(&open);
        (!open.is_empty()).then(|| line.trim_end_matches(['\r', '\n']).to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_is_as_long_as_was_permitted_or_traps() {
        let mut console = Console { journal: Journal::default(), stream: Stream::Out };
        let permitted = console.check_write().unwrap();
        assert!(console.write(vec![b'\n'; permitted].into()).is_ok());
        let refused = console.write(vec![b'\n'; permitted + 1].into());
        assert!(matches!(refused, Err(StreamError::Trap(_))), "{refused:?}");
    }

    #[test]
    fn lines_come_when_they_end_however_they_are_written() {
        let mut lines = Lines::default();
        assert_eq!(lines.take(b"one"), Vec::<String>::new());
        assert_eq!(lines.take(b" line\r\ntwo\n\nth"), ["one line", "two", ""]);
        assert_eq!(lines.rest().as_deref(), Some("th"));
        assert_eq!(lines.rest(), None);
    }

    #[test]
    fn a_line_without_an_end_holds_a_bounded_part() {
        let mut lines = Lines::default();
        let cut: usize = (0..100).map(|_| lines.take(&[b'x'; 1000]).len()).sum();
        assert!(cut >= 100 * 1000 / TEXT_LIMIT && lines.open.len() <= TEXT_LIMIT);
        let pieces = lines.take(&[b'y'; 3 * TEXT_LIMIT]);
        assert!(pieces.iter().all(|piece| piece.len() <= TEXT_LIMIT) && lines.open.len() <= TEXT_LIMIT);
    }
}
