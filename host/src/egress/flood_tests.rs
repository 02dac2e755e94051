//! Answers without end, by the flood and by the drop, and answers that would grow: each ends in time and with a reason,
//! and none is ever held in memory whole.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::config::{Breaker, Config};
use super::test_server::{Asked, Reply, Server, client, get, hosts, loopback, read, read_body, send};
use super::{Client, EgressError};
use crate::model::Size;

/// Answers each request with a beginning, and then with the same bytes over and over, as long as anybody listens.
struct Spring {
    url: String,
    poured: Arc<AtomicU64>,
    _accepting: JoinSet<()>,
}

impl Spring {
    async fn start(beginning: &'static str, drop: &'static [u8], every: Duration) -> Self {
        Self::answering(move |_| beginning.to_owned(), drop, every).await
    }

    async fn answering(
        beginning: impl Fn(&Asked) -> String + Send + Sync + 'static,
        drop: &'static [u8],
        every: Duration,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let poured = Arc::new(AtomicU64::new(0));
        let mut accepting = JoinSet::new();
        let count = poured.clone();
        let beginning = Arc::new(beginning);
        accepting.spawn(async move {
            let mut serving = JoinSet::new();
            while let Ok((mut stream, _)) = listener.accept().await {
                let (count, beginning) = (count.clone(), beginning.clone());
                serving.spawn(async move {
                    let Some(asked) = read(&mut stream).await else { return };
                    let mut next = beginning(&asked).into_bytes();
                    while stream.write_all(&next).await.is_ok() {
                        count.fetch_add(next.len() as u64, Ordering::Relaxed);
                        next = drop.to_vec();
                        if !every.is_zero() {
                            tokio::time::sleep(every).await;
                        }
                    }
                });
            }
        });
        Self { url, poured, _accepting: accepting }
    }

    fn client(&self, config: Config) -> Client {
        client([("e", Config { base_url: Some(self.url.clone()), ..config })])
    }

    fn poured(&self) -> u64 {
        self.poured.load(Ordering::Relaxed)
    }
}

const DROP: Duration = Duration::from_secs(1);
const FLOOD: Duration = Duration::ZERO;

#[tokio::test]
async fn a_head_without_end_is_refused_soon() {
    for (beginning, drop) in [
        ("HTTP/1.1 200 OK\r\n", b"x-more: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n".as_slice()),
        ("HTTP/1.1 200 OK\r\nx-long: ", b"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"),
        ("HTTP/1.1 200 ", b"OKOKOKOKOKOKOKOKOKOKOKOKOKOKOKOKOKOKOKOKOKOKOKOKOKOKOKOKOKOKOK"),
    ] {
        let spring = Spring::start(beginning, drop, FLOOD).await;
        let error = send(&spring.client(loopback()), get("/x?sig=1")).await.err().unwrap();
        let reason = "error sending request: client error (SendRequest): message head is too large";
        assert_eq!(error, EgressError::Other(format!("{}/x: {reason}", spring.url)), "{beginning}");
    }
}

/// The time for the head is one for the whole head.
#[tokio::test(start_paused = true)]
async fn a_head_by_the_drop_is_given_up_in_the_time_for_the_first_byte() {
    for (beginning, drop) in [
        ("HTTP/1.1 200 ", b"O".as_slice()),
        ("HTTP/1.1 200 OK\r\n", b"x-more: a\r\n"),
        ("HTTP/1.1 200 OK\r\nx-long: ", b"a"),
        ("HTTP/1.1 103 Early Hints\r\n\r\n", b"HTTP/1.1 103 Early Hints\r\n\r\n"),
    ] {
        let spring = Spring::start(beginning, drop, DROP).await;
        let error = send(&spring.client(loopback()), get("/x?sig=1")).await.err().unwrap();
        let text = format!("{}/x: no answer within 30s", spring.url);
        assert_eq!(error, EgressError::Timeout(text), "{beginning}");
    }
}

const CHUNKED: &str = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";

/// A drop a second never stalls, and would hold its place for ever.
#[tokio::test(start_paused = true)]
async fn a_body_by_the_drop_has_stalled() {
    for (beginning, drop) in [
        (CHUNKED, b"1\r\na\r\n".as_slice()),
        ("HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n", b"a"),
        ("HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n", b"a"),
    ] {
        let spring = Spring::start(beginning, drop, DROP).await;
        let mut response = send(&spring.client(loopback()), get("/x?sig=1")).await.unwrap();
        let (bytes, error) = read_body(&mut *response.body).await;
        assert!((55..=60).contains(&bytes.len()), "{}", bytes.len());
        let text = format!("{}/x: fewer than 64 bytes a second for 1m, after {} bytes", spring.url, bytes.len());
        assert_eq!(error, Some(EgressError::Timeout(text)));
    }
}

/// Nor does one that can be resumed go on by the drop: attempts that bring nothing much are counted.
#[tokio::test(start_paused = true)]
async fn a_body_by_the_drop_that_is_resumed_is_given_up_too() {
    let beginning = |asked: &Asked| match asked.header("range") {
        None => "HTTP/1.1 200 OK\r\netag: \"v1\"\r\ncontent-length: 1000000\r\n\r\n".to_owned(),
        Some(range) => {
            let first: u64 = range.trim_start_matches("bytes=").trim_end_matches('-').parse().unwrap();
            let length = 1_000_000 - first;
            let range = format!("content-length: {length}\r\ncontent-range: bytes {first}-999999/1000000");
            format!("HTTP/1.1 206 Part\r\netag: \"v1\"\r\n{range}\r\n\r\n")
        }
    };
    let spring = Spring::answering(beginning, b"a", DROP).await;
    let breaker = Breaker { failures: NonZeroU32::new(100).unwrap(), ..Breaker::default() };
    let mut response = send(&spring.client(Config { breaker, ..loopback() }), get("/x")).await.unwrap();
    let (bytes, error) = read_body(&mut *response.body).await;
    // The first and five that follow, a minute each.
    assert!((330..=360).contains(&bytes.len()), "{}", bytes.len());
    let text = format!("{}/x: fewer than 64 bytes a second for 1m, after {} bytes", spring.url, bytes.len());
    assert_eq!(error, Some(EgressError::Timeout(text)));
}

/// Only what is waited for counts: a slow reader is not the origin's fault.
#[tokio::test(start_paused = true)]
async fn a_body_that_is_read_slowly_has_not_stalled() {
    let body = "a".repeat(200);
    let server = Server::start(move |_| Reply::new(200, body.clone())).await;
    let mut response = send(&client([("e", hosts([&server]))]), get(&server.url("/"))).await.unwrap();
    tokio::time::advance(Duration::from_secs(600)).await;
    let (bytes, error) = read_body(&mut *response.body).await;
    assert_eq!((bytes.len(), error), (200, None));
}

#[tokio::test(start_paused = true)]
async fn a_body_that_comes_slowly_but_not_by_the_drop_is_read() {
    const PIECE: &[u8] = &[b'a'; 100];
    let spring = Spring::start("HTTP/1.1 200 OK\r\ncontent-length: 20000\r\n\r\n", PIECE, DROP).await;
    let mut response = send(&spring.client(loopback()), get("/")).await.unwrap();
    let (bytes, error) = read_body(&mut *response.body).await;
    assert_eq!((bytes.len(), error), (20_000, None));
}

#[tokio::test]
async fn a_body_without_end_breaks_off_at_the_endpoints_limit() {
    const PIECE: &[u8] = &[b'a'; 1024];
    let spring = Spring::start("HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n", PIECE, FLOOD).await;
    let config = Config { max_body: Some(Size(1 << 20)), ..loopback() };
    let mut response = send(&spring.client(config), get("/x?sig=1")).await.unwrap();
    let (bytes, error) = read_body(&mut *response.body).await;
    assert!(bytes.len() <= 1 << 20, "{}", bytes.len());
    let text = format!("{}/x: the body is longer than 1.0 MiB, the endpoint's `max_body`", spring.url);
    assert_eq!(error, Some(EgressError::Denied(text)));
}

#[tokio::test]
async fn a_body_that_says_it_is_longer_than_the_limit_is_not_read_and_one_that_fits_is() {
    for (most, fits) in [(999, false), (1000, true)] {
        let server = Server::start(|_| Reply::new(200, "a".repeat(1000))).await;
        let config = Config { max_body: Some(Size(most)), ..hosts([&server]) };
        let mut response = send(&client([("e", config)]), get(&server.url("/"))).await.unwrap();
        let (bytes, error) = read_body(&mut *response.body).await;
        assert_eq!((bytes.len(), error.is_none()), if fits { (1000, true) } else { (0, false) }, "{most}");
    }
}

/// An origin gets rid of no more than what is read and what the system's buffers hold.
#[tokio::test]
async fn nothing_of_a_body_is_read_ahead_without_bound_and_what_is_dropped_is_cut_off() {
    const PIECE: &[u8] = &[b'a'; 64 << 10];
    let spring = Spring::start("HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n", PIECE, FLOOD).await;
    let mut response = send(&spring.client(loopback()), get("/")).await.unwrap();
    response.body.chunk().await.unwrap().unwrap();
    // Pours until the buffers are full.
    let mut before = u64::MAX;
    while before != spring.poured() {
        before = spring.poured();
        for _ in 0..1000 {
            tokio::task::yield_now().await;
        }
    }
    assert!(spring.poured() < 64 << 20, "{}", spring.poured());
    drop(response);
}

#[tokio::test]
async fn framing_without_end_is_refused() {
    for (framing, drop) in [
        ("1;x=", b"aaaaaaaaaaaaaaaa".as_slice()),
        ("0\r\n", b"x-more: aaaaaaaaaaaaaaaa\r\n"),
        ("fffffffffffffffff\r\n", b"a"),
        ("-1\r\n", b"a"),
    ] {
        let spring = Spring::answering(move |_| format!("{CHUNKED}{framing}"), drop, FLOOD).await;
        let mut response = send(&spring.client(loopback()), get("/")).await.unwrap();
        let ended = read_body(&mut *response.body).await;
        assert_eq!(ended, (vec![], Some(EgressError::Interrupted { received: 0 })), "{framing}");
    }
}

/// What frames a body and brings nothing of it is nothing.
#[tokio::test(start_paused = true)]
async fn framing_that_never_comes_to_a_body_has_stalled() {
    let spring = Spring::start(CHUNKED, b"0", DROP).await;
    let mut response = send(&spring.client(loopback()), get("/")).await.unwrap();
    let text = format!("{}/: nothing more within 1m, after 0 bytes", spring.url);
    assert_eq!(read_body(&mut *response.body).await, (vec![], Some(EgressError::Timeout(text))));
}

/// We ask for what is stored as it is, and unpack nothing: a bomb stays as small as it came.
#[tokio::test]
async fn what_is_compressed_is_never_unpacked() {
    // 1 MiB of nothing, by gzip.
    let bomb = bomb();
    for header in [("content-encoding", "gzip"), ("content-encoding", "gzip, gzip"), ("content-encoding", "br")] {
        let body = bomb.clone();
        let server = Server::start(move |_| Reply::new(200, body.clone()).header(header.0, header.1)).await;
        let mut response = send(&client([("e", hosts([&server]))]), get(&server.url("/"))).await.unwrap();
        assert_eq!(read_body(&mut *response.body).await, (bomb.clone(), None), "{header:?}");
        assert!(response.headers.contains(&(header.0.to_owned(), header.1.to_owned())), "{:?}", response.headers);
        assert_eq!(server.asked()[0].header("accept-encoding"), Some("identity"));
    }
}

/// A gzip member of a mebibyte of zeros, about a thousand times smaller: one literal, and then runs of 258 at distance
/// one, thirteen bits each.
fn bomb() -> Vec<u8> {
    let mut bits: Vec<bool> = vec![true, true, false];
    let code = |bits: &mut Vec<bool>, code: u32, length: u32| {
        bits.extend((0..length).rev().map(|nth| code >> nth & 1 == 1));
    };
    code(&mut bits, 0b0011_0000, 8);
    for _ in 0..(1 << 20) / 258 {
        code(&mut bits, 0b1100_0101, 8);
        code(&mut bits, 0, 5);
    }
    code(&mut bits, 0, 7);
    let mut bytes = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
    bytes.extend(bits.chunks(8).map(|chunk| chunk.iter().rev().fold(0, |byte, bit| byte << 1 | u8::from(*bit))));
    bytes.extend([0; 8]);
    bytes
}
