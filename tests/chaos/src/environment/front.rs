//! What stands before an origin: it hands connections on, or does what an origin does that is down. Its port stays its
//! own all the time, so that a refused connection is refused and reaches nobody else.

use std::net::{Ipv4Addr, SocketAddr};

use anyhow::Context;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

/// What is answered where a request is to fail.
const FAILURE: &[u8] = b"HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
/// The longest head of a request that is waited for, in bytes.
const HEAD: usize = 16 << 10;
/// Connections that may wait to be taken.
const BACKLOG: u32 = 1024;

/// What the origin does to those who ask. Connections that are open when it changes are broken off.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mood {
    /// It answers.
    Well,
    /// It takes no connection.
    Refusing,
    /// It answers 500.
    Failing,
    /// It takes requests and says nothing.
    Hanging,
}

impl Mood {
    /// The ways to be down.
    pub const DOWN: [Self; 3] = [Self::Refusing, Self::Failing, Self::Hanging];

    /// A word to count by.
    pub fn word(self) -> &'static str {
        match self {
            Self::Well => "well",
            Self::Refusing => "refusing",
            Self::Failing => "failing",
            Self::Hanging => "hanging",
        }
    }
}

/// The front; dropped, it closes.
#[derive(Debug)]
pub struct Front {
    port: u16,
    mood: watch::Sender<Mood>,
    /// Keeps the port while nobody listens there.
    _reserved: TcpSocket,
    task: JoinHandle<()>,
}

impl Front {
    /// Opens one before a port of the loopback.
    pub fn before(origin: u16) -> anyhow::Result<Self> {
        let reserved = socket(0)?;
        let port = reserved.local_addr()?.port();
        let (mood, told) = watch::channel(Mood::Well);
        // Listens when this returns.
        let listener = listen(port)?;
        let task = tokio::spawn(async move {
            if let Err(error) = stand(listener, port, origin, told).await {
                eprintln!("the front of the origin has ended: {error:#}");
            }
        });
        Ok(Self { port, mood, _reserved: reserved, task })
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Changes what it does.
    pub fn be(&self, mood: Mood) {
        self.mood.send_replace(mood);
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn socket(port: u16) -> anyhow::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    // Two may have the port as long as one at most listens.
    socket.set_reuseaddr(true)?;
    socket.bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).context("the front has no port")?;
    Ok(socket)
}

fn listen(port: u16) -> anyhow::Result<TcpListener> {
    socket(port)?.listen(BACKLOG).context("the front cannot listen")
}

async fn stand(first: TcpListener, port: u16, origin: u16, mut told: watch::Receiver<Mood>) -> anyhow::Result<()> {
    let mut listener = Some(first);
    loop {
        let mood = *told.borrow_and_update();
        if mood == Mood::Refusing {
            listener = None;
        } else if listener.is_none() {
            listener = Some(listen(port)?);
        }
        let changed = tokio::select! {
            changed = told.changed() => changed,
            never = serve(listener.as_ref(), mood, origin) => never,
        };
        if changed.is_err() {
            return Ok(());
        }
    }
}

/// Takes connections in one mood; dropped, it breaks them off.
async fn serve(listener: Option<&TcpListener>, mood: Mood, origin: u16) -> Result<(), watch::error::RecvError> {
    let Some(listener) = listener else { return std::future::pending().await };
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        if let Ok((stream, _)) = listener.accept().await {
            connections.spawn(connection(stream, mood, origin));
        }
    }
}

/// One connection. What fails in it ends it: who asked sees that.
async fn connection(mut stream: TcpStream, mood: Mood, origin: u16) {
    match mood {
        Mood::Well => {
            if let Ok(mut onward) = TcpStream::connect((Ipv4Addr::LOCALHOST, origin)).await {
                let _ = copy_bidirectional(&mut stream, &mut onward).await;
            }
        }
        Mood::Failing => {
            if until_asked(&mut stream).await {
                let _ = stream.write_all(FAILURE).await;
                let _ = stream.shutdown().await;
            }
        }
        Mood::Hanging | Mood::Refusing => {
            until_asked(&mut stream).await;
            std::future::pending().await
        }
    }
}

/// Reads the head of a request; whether one came.
async fn until_asked(stream: &mut TcpStream) -> bool {
    let mut head = Vec::new();
    while head.len() < HEAD && !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;

    use super::*;

    /// What a request to the front gets; none where nothing comes.
    async fn ask(front: &Front) -> Result<Option<String>, ErrorKind> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, front.port())).await.map_err(|error| error.kind())?;
        stream.write_all(b"GET / HTTP/1.1\r\n\r\n").await.map_err(|error| error.kind())?;
        let mut answer = String::new();
        let read = tokio::time::timeout(std::time::Duration::from_millis(200), stream.read_to_string(&mut answer));
        Ok(read.await.is_ok().then_some(answer))
    }

    #[tokio::test]
    async fn the_origin_is_as_it_is_told_to_be_at_one_port() {
        let origin = listen(0).unwrap();
        let front = Front::before(origin.local_addr().unwrap().port()).unwrap();
        let answering = tokio::spawn(async move {
            loop {
                let (mut stream, _) = origin.accept().await.unwrap();
                stream.write_all(b"fine").await.unwrap();
            }
        });
        let until = async |mood: Mood, expected: Result<Option<&str>, ErrorKind>| {
            front.be(mood);
            // It is told in a task of its own.
            for _ in 0..100 {
                if ask(&front).await.as_ref().map(Option::as_deref).map_err(|kind| *kind) == expected {
                    return;
                }
            }
            panic!("{mood:?}: {:?}", ask(&front).await);
        };
        for _ in 0..2 {
            until(Mood::Well, Ok(Some("fine"))).await;
            until(Mood::Refusing, Err(ErrorKind::ConnectionRefused)).await;
            until(Mood::Failing, Ok(Some(std::str::from_utf8(FAILURE).unwrap()))).await;
            until(Mood::Hanging, Ok(None)).await;
        }
        answering.abort();
    }
}
