//! All ways to the service.

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::transport::event_hubs::config::{Proxy, ProxyAuth};

/// With TLS, as `name.servicebus.windows.net`.
fn secured(scene: &Scene, protocol: Protocol) -> Client {
    let config = Config {
        endpoint: Some(format!("localhost:{}", scene.emulator.address().port())),
        ca: Some(scene.folder.path().join("ca.pem")),
        protocol,
        ..scene.config()
    };
    let string =
        format!("Endpoint=sb://Name.servicebus.windows.net;SharedAccessKeyName={DEFAULT_KEY};SharedAccessKey={KEY}");
    scene.client_of(&config, &string)
}

async fn check(client: &Client) {
    assert_eq!(in_time("a hub", client.hub("orders")).await, Ok(Hub { partitions: 2 }));
    send(client, 1, 0..3).await;
    let mut receiver = in_time("a receiver", client.receiver(&wanted(1, From::Earliest))).await.unwrap();
    assert_eq!(payloads(receive(&mut receiver, 3).await), ["0", "1", "2"]);
    in_time("its end", receiver.close()).await;
}

#[tokio::test]
async fn amqp_in_the_clear() {
    let scene = Scene::new().await;
    let client = scene.client_of(&Config { protocol: Protocol::AmqpTcp, ..scene.config() }, &scene.connection_string());
    check(&client).await;
    assert_eq!(client.namespace(), "localhost");
}

#[tokio::test]
async fn a_websocket_in_the_clear() {
    let scene = Scene::new().await;
    check(&scene.client()).await;
}

#[tokio::test]
async fn amqp_with_tls() {
    let scene = Scene::new().await;
    let client = secured(&scene, Protocol::AmqpTcp);
    check(&client).await;
    assert_eq!(client.namespace(), "name.servicebus.windows.net");
}

#[tokio::test]
async fn a_websocket_with_tls() {
    let scene = Scene::new().await;
    check(&secured(&scene, Protocol::Websocket)).await;
}

#[tokio::test]
async fn a_server_of_an_unknown_authority_is_not_spoken_to() {
    let scene = Scene::new().await;
    let config = Config { endpoint: Some(scene.emulator.address().to_string()), ..scene.config() };
    let string = format!("Endpoint=sb://n.example;SharedAccessKeyName={DEFAULT_KEY};SharedAccessKey={KEY}");
    let failure = in_time("a failure", scene.client_of(&config, &string).hub("orders")).await.unwrap_err();
    assert!(failure.is_transient() && failure.to_string().contains("say `ca`"), "{failure}");
}

#[tokio::test]
async fn through_a_proxy() {
    let scene = Scene::new().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let proxy = Proxy { url: format!("http://{}", listener.local_addr().unwrap()), auth: ProxyAuth::None };
    let asked = tokio::spawn(async move {
        let (mut client, _) = listener.accept().await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(client.read_u8().await.unwrap());
        }
        let head = String::from_utf8(head).unwrap();
        let target = head.split(' ').nth(1).unwrap().to_owned();
        let mut server = TcpStream::connect(&target).await.unwrap();
        client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await.unwrap();
        let _ = copy_bidirectional(&mut client, &mut server).await;
        target
    });
    let client = scene.client_of(&Config { proxy: Some(proxy), ..scene.config() }, &scene.connection_string());
    assert_eq!(in_time("a hub", client.hub("orders")).await, Ok(Hub { partitions: 2 }));
    drop(client);
    let target = in_time("its end", asked).await.unwrap();
    assert_eq!(target, format!("localhost:{}", scene.emulator.address().port()));
}

#[tokio::test]
async fn nobody_who_listens_is_unavailable() {
    let scene = Scene::new().await;
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let config = Config { endpoint: Some(free.to_string()), ..scene.config() };
    let failure = in_time("a failure", scene.client_of(&config, &scene.connection_string()).hub("orders")).await;
    let failure = failure.unwrap_err();
    assert!(failure.is_transient() && failure.to_string().contains(&free.to_string()), "{failure}");
}
