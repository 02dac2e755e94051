//! The stream below a connection, kept in hand: the AMQP library reads and writes it in a task of its own, which would
//! stay for ever with a peer that takes nothing more. A line ends by itself when nothing could be sent for a while, and
//! soon after its holder has let go of it.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::oneshot;
use tokio::time::{Sleep, sleep};

/// How long a peer may take none of what is sent.
const STALL: Duration = Duration::from_secs(60);
/// How long a line lasts that was let go, for its end to be told.
const LINGER: Duration = Duration::from_secs(3);

/// What bytes go by, both ways.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin + std::fmt::Debug {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin + std::fmt::Debug> Stream for S {}

/// A stream that ends when its [`Hold`] is dropped.
#[derive(Debug)]
pub(super) struct Line {
    stream: Box<dyn Stream>,
    held: oneshot::Receiver<()>,
    /// Runs since it was let go.
    end: Option<Pin<Box<Sleep>>>,
    /// Runs while nothing can be sent.
    stall: Option<Pin<Box<Sleep>>>,
}

/// Keeps a line.
#[derive(Debug)]
pub(super) struct Hold(#[expect(dead_code, reason = "its drop is what the line waits for")] oneshot::Sender<()>);

impl Line {
    pub(super) fn new(stream: Box<dyn Stream>) -> (Self, Hold) {
        let (sender, held) = oneshot::channel();
        (Self { stream, held, end: None, stall: None }, Hold(sender))
    }

    /// An error where it is over.
    fn check(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        if self.end.is_none() && Pin::new(&mut self.held).poll(cx).is_ready() {
            self.end = Some(Box::pin(sleep(LINGER)));
        }
        match self.end.as_mut().map(|end| end.as_mut().poll(cx)) {
            Some(Poll::Ready(())) => Err(io::ErrorKind::ConnectionAborted.into()),
            Some(Poll::Pending) | None => Ok(()),
        }
    }

    /// What came of trying to send; an error where nothing could be sent for too long.
    fn watch<T>(&mut self, sent: Poll<io::Result<T>>, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        if sent.is_ready() {
            self.stall = None;
            return sent;
        }
        ready!(self.stall.get_or_insert_with(|| Box::pin(sleep(STALL))).as_mut().poll(cx));
        let reason = format!("nothing could be sent for {} seconds", STALL.as_secs());
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, reason)))
    }
}

impl AsyncRead for Line {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.check(cx)?;
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Line {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.check(cx)?;
        let sent = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.watch(sent, cx)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check(cx)?;
        let sent = Pin::new(&mut self.stream).poll_flush(cx);
        self.watch(sent, cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check(cx)?;
        let sent = Pin::new(&mut self.stream).poll_shutdown(cx);
        self.watch(sent, cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_line_that_was_let_go_ends_soon() {
        let (stream, _peer) = duplex(64);
        let (mut line, hold) = Line::new(Box::new(stream));
        let read = tokio::spawn(async move { line.read_u8().await });
        drop(hold);
        assert_eq!(read.await.unwrap().unwrap_err().kind(), io::ErrorKind::ConnectionAborted);
    }

    #[tokio::test(start_paused = true)]
    async fn a_line_that_was_let_go_can_still_say_so() {
        let (stream, mut peer) = duplex(64);
        let (mut line, hold) = Line::new(Box::new(stream));
        drop(hold);
        line.write_all(b"bye").await.unwrap();
        let mut told = [0; 3];
        peer.read_exact(&mut told).await.unwrap();
        assert_eq!(&told, b"bye");
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_takes_nothing_is_left() {
        let (stream, _peer) = duplex(1);
        let (mut line, _hold) = Line::new(Box::new(stream));
        assert_eq!(line.write_all(b"more than it takes").await.unwrap_err().kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_is_slow_is_waited_for() {
        let (stream, mut peer) = duplex(1);
        let (mut line, _hold) = Line::new(Box::new(stream));
        let sent = tokio::spawn(async move { line.write_all(b"slow").await });
        for byte in *b"slow" {
            sleep(STALL / 2).await;
            assert_eq!(peer.read_u8().await.unwrap(), byte);
        }
        sent.await.unwrap().unwrap();
    }
}
