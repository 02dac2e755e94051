//! What goes wrong on demand, goes wrong; and after it is taken back, everything is as before.

use eventhubs_emulator::{FailSends, Faults};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

use crate::client::{Client, Way, receive, receive_many, send};
use crate::scene::{emulator, in_time, last, until};

#[tokio::test]
async fn connections_are_dropped_and_the_log_stays() {
    let emulator = emulator().await;
    for way in [Way::Amqp, Way::Wss] {
        let mut client = Client::by(&emulator, way).await;
        let mut sender = client.sender("hub/Partitions/0").await.unwrap();
        let mut receiver = client.receiver("1", None).await;
        send(&mut sender, "kept").await.unwrap();
        emulator.drop_connections();
        receive(&mut receiver).await.unwrap_err();
        send(&mut sender, "lost").await.unwrap_err();
    }
    let mut client = Client::connect(&emulator).await;
    let bodies = receive_many(&mut client.receiver("0", None).await, 2).await;
    assert!(bodies.iter().all(|event| event.body == b"kept"));
    assert_eq!(last(&emulator, "0"), 1);
}

#[tokio::test]
async fn a_dropped_connection_gives_up_its_epoch() {
    let emulator = emulator().await;
    let mut client = Client::connect(&emulator).await;
    let mut holder = client.receiver("0", Some(9)).await;
    emulator.drop_connections();
    receive(&mut holder).await.unwrap_err();
    // The other side hears of it by itself: until then the epoch may still stand.
    let mut again = Client::connect(&emulator).await;
    in_time("the place", async {
        while again
            .receiver_from(&crate::client::source("0"), "amqp.annotation.x-opt-offset > '-1'", Some(1))
            .await
            .is_err()
        {}
    })
    .await;
}

#[tokio::test]
async fn a_server_that_freezes_says_nothing_and_then_goes_on() {
    let emulator = emulator().await;
    let mut client = Client::connect(&emulator).await;
    let mut sender = client.sender("hub/Partitions/0").await.unwrap();
    let mut receiver = client.receiver("0", None).await;
    send(&mut sender, "before").await.unwrap();
    assert_eq!(receive(&mut receiver).await.unwrap().body, b"before");
    emulator.set_faults(Faults { frozen: true, ..Faults::default() });
    let sending = tokio::spawn(async move {
        send(&mut sender, "during").await.unwrap();
        sender
    });
    // A new client is not even greeted.
    let mut tcp = TcpStream::connect(emulator.address()).await.unwrap();
    tokio::io::AsyncWriteExt::write_all(&mut tcp, b"AMQP\x00\x01\x00\x00").await.unwrap();
    let mut byte = [0];
    let greeted = tokio::time::timeout(std::time::Duration::from_millis(200), tcp.read(&mut byte)).await;
    assert!(greeted.is_err() && !sending.is_finished());
    assert_eq!(last(&emulator, "0"), 0);
    emulator.set_faults(Faults::default());
    in_time("the outcome", sending).await.unwrap();
    assert_eq!(receive(&mut receiver).await.unwrap().body, b"during");
    in_time("a greeting", tcp.read_exact(&mut byte)).await.unwrap();
    assert_eq!(byte, *b"A");
}

#[tokio::test]
async fn connections_and_links_are_refused() {
    let emulator = emulator().await;
    let mut client = Client::connect(&emulator).await;
    emulator.set_faults(Faults { refuse_connections: true, ..Faults::default() });
    assert!(Client::without_token(&emulator, Way::Amqp).await.is_err());
    emulator.set_faults(Faults { refuse_links: Some("amqp:internal-error".to_owned()), ..Faults::default() });
    let refused = client.sender("hub").await.unwrap_err();
    assert!(format!("{refused:?}").contains("InternalError"), "{refused:?}");
    emulator.set_faults(Faults::default());
    send(&mut client.sender("hub").await.unwrap(), "after").await.unwrap();
    Client::connect(&emulator).await;
}

#[tokio::test]
async fn the_next_sends_fail_and_those_after_them_do_not() {
    let emulator = emulator().await;
    let mut client = Client::connect(&emulator).await;
    let mut sender = client.sender("hub/Partitions/0").await.unwrap();
    let fail_sends = Some(FailSends { count: 2, condition: "amqp:internal-error".to_owned() });
    emulator.set_faults(Faults { fail_sends, ..Faults::default() });
    for _ in 0..2 {
        let failed = send(&mut sender, "failed").await.unwrap_err();
        assert!(failed.contains("InternalError"), "{failed}");
    }
    send(&mut sender, "kept").await.unwrap();
    emulator.set_faults(Faults { server_busy: true, ..Faults::default() });
    let busy = send(&mut sender, "busy").await.unwrap_err();
    assert!(busy.contains("server-busy"), "{busy}");
    emulator.set_faults(Faults::default());
    send(&mut sender, "kept").await.unwrap();
    assert_eq!(last(&emulator, "0"), 1);
}

#[tokio::test]
async fn a_send_is_kept_before_it_is_settled() {
    let emulator = emulator().await;
    let mut client = Client::connect(&emulator).await;
    let mut sender = client.sender("hub/Partitions/0").await.unwrap();
    // Longer than any test lasts: what ends the wait is the connection's end.
    emulator.set_faults(Faults { settle_ms: 3_600_000, ..Faults::default() });
    let sending = tokio::spawn(async move { send(&mut sender, "kept").await });
    until("the event", || last(&emulator, "0") == 0).await;
    assert!(!sending.is_finished());
    emulator.drop_connections();
    // The library waits for ever for an outcome that a lost connection took along.
    sending.abort();
    emulator.set_faults(Faults { settle_ms: 1, ..Faults::default() });
    let mut client = Client::connect(&emulator).await;
    let mut sender = client.sender("hub/Partitions/0").await.unwrap();
    for _ in 0..20 {
        send(&mut sender, "settled later").await.unwrap();
    }
    assert_eq!(last(&emulator, "0"), 20);
}

#[tokio::test]
async fn a_partition_is_stolen() {
    let emulator = emulator().await;
    let mut client = Client::connect(&emulator).await;
    let mut receiver = client.receiver("0", Some(7)).await;
    assert_eq!(emulator.steal("hub", "$default", "0"), Ok(1));
    let ended = receive(&mut receiver).await.unwrap_err();
    assert!(ended.contains("Stolen") && ended.contains("higher epoch of '8'"), "{ended}");
    assert_eq!(emulator.steal("hub", "$Default", "0"), Ok(0));
    client.receiver("0", Some(0)).await;
    for (hub, group, partition) in [("missing", "$Default", "0"), ("hub", "missing", "0"), ("hub", "$Default", "9")] {
        assert!(emulator.steal(hub, group, partition).is_err());
    }
}
