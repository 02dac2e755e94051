//! The same over HTTP.

use eventhubs_emulator::Emulator;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::client::{Client, receive, send};
use crate::scene::{emulator, in_time};

async fn ask(emulator: &Emulator, method: &str, path: &str, body: &Value) -> (u16, Value) {
    let body = body.to_string();
    let head = format!("{method} {path} HTTP/1.0\r\nContent-Length: {}\r\n\r\n", body.len());
    let mut tcp = TcpStream::connect(emulator.control_address()).await.unwrap();
    tcp.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
    let mut answer = String::new();
    in_time("an answer", tcp.read_to_string(&mut answer)).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, serde_json::from_str(body).unwrap_or(Value::Null))
}

#[tokio::test]
async fn faults_are_set_and_taken_back() {
    let emulator = emulator().await;
    let (status, answer) = ask(&emulator, "PUT", "/faults", &json!({ "settle_ms": 7, "server_busy": true })).await;
    assert_eq!((status, &answer["settle_ms"]), (200, &json!(7)));
    assert!(emulator.faults().server_busy);
    let (status, answer) = ask(&emulator, "PUT", "/faults", &json!({ "server_bussy": true })).await;
    assert!(status == 400 && answer["error"].as_str().unwrap().contains("server_bussy"), "{answer}");
    ask(&emulator, "PUT", "/faults", &json!({})).await;
    assert_eq!(emulator.faults(), eventhubs_emulator::Faults::default());
}

#[tokio::test]
async fn connections_tokens_partitions_and_hubs_are_within_reach() {
    let emulator = emulator().await;
    let mut client = Client::connect(&emulator).await;
    let mut receiver = client.receiver("0", Some(1)).await;
    let (_, state) = ask(&emulator, "GET", "/", &json!({})).await;
    assert_eq!(state["hubs"]["hub"]["partitions"][0]["receivers"], json!({ "$default": 1 }));
    let place = json!({ "hub": "hub", "group": "$Default", "partition": "0" });
    assert_eq!(ask(&emulator, "POST", "/steal", &place).await, (200, json!({ "stolen": 1 })));
    assert!(receive(&mut receiver).await.unwrap_err().contains("Stolen"));
    let mut receiver = client.receiver("0", Some(1)).await;
    ask(&emulator, "POST", "/expire", &json!({})).await;
    assert!(receive(&mut receiver).await.unwrap_err().contains("ExpiredToken"));
    let mut client = Client::connect(&emulator).await;
    let mut receiver = client.receiver("0", Some(1)).await;
    ask(&emulator, "POST", "/drop", &json!({})).await;
    receive(&mut receiver).await.unwrap_err();
    let mut client = Client::connect(&emulator).await;
    assert_eq!(ask(&emulator, "PUT", "/hubs/hub", &json!({ "status": "send_disabled" })).await.0, 200);
    assert!(format!("{:?}", client.sender("hub").await.unwrap_err()).contains("entity-disabled"));
    ask(&emulator, "PUT", "/hubs/HUB", &json!({ "status": "active" })).await;
    send(&mut client.sender("hub").await.unwrap(), "after").await.unwrap();
}

#[tokio::test]
async fn a_hub_is_added_and_has_faults_of_its_own() {
    let emulator = emulator().await;
    let hub = json!({ "partitions": 2, "groups": ["g"], "max_message_size": 8 << 20 });
    assert_eq!(ask(&emulator, "POST", "/hubs/new", &hub).await, (201, json!({ "status": "active" })));
    let (status, answer) = ask(&emulator, "POST", "/hubs/NEW", &hub).await;
    assert_eq!((status, answer), (409, json!({ "error": "there is a hub `NEW` already" })));
    assert_eq!(ask(&emulator, "POST", "/hubs/none", &json!({ "partitions": 0 })).await.0, 400);
    let mut client = Client::connect(&emulator).await;
    let mut sender = client.sender("new/Partitions/1").await.unwrap();
    for _ in 0..3 {
        send(&mut sender, "kept").await.unwrap();
    }
    let forget = json!({ "partition": "1", "before": 2 });
    let (_, extent) = ask(&emulator, "POST", "/hubs/new/forget", &forget).await;
    assert_eq!((&extent["first_sequence"], &extent["last_sequence"]), (&json!(2), &json!(2)));
    let (status, _) = ask(&emulator, "PUT", "/hubs/new/faults", &json!({ "server_busy": true })).await;
    assert!(status == 200 && send(&mut sender, "busy").await.unwrap_err().contains("server-busy"));
    ask(&emulator, "PUT", "/hubs/new/faults", &json!({})).await;
    ask(&emulator, "POST", "/hubs/new/expire", &json!({})).await;
    let ended = in_time("the end", sender.on_detach()).await;
    assert!(format!("{ended:?}").contains("ExpiredToken"), "{ended:?}");
    let mut client = Client::connect(&emulator).await;
    let _sender = client.sender("new").await.unwrap();
    ask(&emulator, "POST", "/hubs/new/drop", &json!({})).await;
    in_time("the end", client.connection.on_close()).await.unwrap_err();
}

#[tokio::test]
async fn what_is_not_there_is_named() {
    let emulator = emulator().await;
    let (status, answer) = ask(&emulator, "PUT", "/hubs/missing", &json!({ "status": "active" })).await;
    assert_eq!((status, answer), (404, json!({ "error": "there is no hub `missing`" })));
    let place = json!({ "hub": "hub", "group": "missing", "partition": "0" });
    let (status, answer) = ask(&emulator, "POST", "/steal", &place).await;
    assert_eq!((status, answer), (404, json!({ "error": "there is no consumer group `missing`" })));
}
