//! All four ways to connect lead to the same hubs.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::client::{Client, Way, receive_many, send};
use crate::scene::{emulator, in_time};

#[tokio::test]
async fn what_is_sent_one_way_is_received_every_way() {
    let emulator = emulator().await;
    let ways = [Way::Amqp, Way::Amqps, Way::Ws, Way::Wss];
    // In several frames, each way.
    let body = |index: usize| vec![index as u8; 100_000];
    for (index, way) in ways.into_iter().enumerate() {
        let mut client = Client::by(&emulator, way).await;
        let mut sender = client.sender("hub/Partitions/0").await.unwrap();
        send(&mut sender, body(index)).await.unwrap();
    }
    for way in ways {
        let mut client = Client::by(&emulator, way).await;
        let mut receiver = client.receiver("0", None).await;
        let events = receive_many(&mut receiver, ways.len()).await;
        let expected: Vec<Vec<u8>> = (0..ways.len()).map(body).collect();
        assert!(events.into_iter().map(|event| event.body).eq(expected), "{way:?}");
    }
}

async fn answer(request: &[u8]) -> Vec<u8> {
    let emulator = emulator().await;
    let mut tcp = TcpStream::connect(emulator.address()).await.unwrap();
    tcp.write_all(request).await.unwrap();
    let mut answer = Vec::new();
    in_time("the end", tcp.read_to_end(&mut answer)).await.unwrap();
    answer
}

#[tokio::test]
async fn a_websocket_that_does_not_speak_amqp_is_refused() {
    let request = "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                   Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
                   Sec-WebSocket-Protocol: chat\r\n\r\n";
    let answer = answer(request.as_bytes()).await;
    assert!(answer.starts_with(b"HTTP/1.1 400"), "{}", String::from_utf8_lossy(&answer));
}

#[tokio::test]
async fn a_version_that_is_not_spoken_is_answered_with_the_one_that_is() {
    assert_eq!(answer(b"AMQP\x00\x00\x09\x01").await, b"AMQP\x03\x01\x00\x00");
}

#[tokio::test]
async fn what_is_no_frame_ends_the_connection_with_an_error() {
    let opened = [&b"AMQP\x00\x01\x00\x00"[..], &[0xff; 8]].concat();
    let answer = answer(&opened).await;
    assert!(answer.starts_with(b"AMQP\x00\x01\x00\x00"), "{answer:02x?}");
    assert!(String::from_utf8_lossy(&answer).contains("amqp:connection:framing-error"), "{answer:02x?}");
}
