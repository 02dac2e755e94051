//! What cannot be had is refused within the attach, in the service's words.

use eventhubs_emulator::Emulator;
use eventhubs_emulator::config::{Hub, Status, Throughput};

use crate::client::{Client, receive, send, source};
use crate::scene::{config, emulator, hub, in_time, last};

const BEGINNING: &str = "amqp.annotation.x-opt-offset > '-1'";

async fn refused_sender(client: &mut Client, address: &str) -> String {
    format!("{:?}", client.sender(address).await.unwrap_err())
}

async fn refused_receiver(client: &mut Client, address: &str, selector: &str, epoch: Option<i64>) -> String {
    format!("{:?}", client.receiver_from(address, selector, epoch).await.unwrap_err())
}

#[tokio::test]
async fn what_does_not_exist_is_named() {
    let emulator = emulator().await;
    let mut client = Client::connect(&emulator).await;
    let refused = refused_sender(&mut client, "missing").await;
    assert!(refused.contains("NotFound") && refused.contains("sb://myns.servicebus.windows.net/missing"), "{refused}");
    let refused = refused_sender(&mut client, "hub/Partitions/2").await;
    assert!(refused.contains("argument-out-of-range") && refused.contains("between 0 and 1"), "{refused}");
    let group = "hub/ConsumerGroups/missing/Partitions/0";
    let refused = refused_receiver(&mut client, group, BEGINNING, None).await;
    assert!(refused.contains("NotFound") && refused.contains("hub|missing"), "{refused}");
    let refused = refused_receiver(&mut client, &source("x"), BEGINNING, None).await;
    assert!(refused.contains("argument-out-of-range"), "{refused}");
    let refused = refused_receiver(&mut client, &source("0"), "amqp.annotation.x-opt-offset > '5'", None).await;
    assert!(refused.contains("The last offset in the system is '-1'"), "{refused}");
    let refused = refused_receiver(&mut client, &source("0"), "colour = 'blue'", None).await;
    assert!(refused.contains("InvalidField"), "{refused}");
    // The session goes on.
    send(&mut client.sender("hub").await.unwrap(), "after").await.unwrap();
}

#[tokio::test]
async fn epochs_are_kept() {
    let emulator = emulator().await;
    let mut client = Client::connect(&emulator).await;
    let mut plain = client.receiver("0", None).await;
    let mut holder = client.receiver("0", Some(3)).await;
    assert!(receive(&mut plain).await.unwrap_err().contains("Stolen"));
    assert!(
        refused_receiver(&mut client, &source("0"), BEGINNING, Some(2)).await.contains("a higher epoch '3' already")
    );
    assert!(
        refused_receiver(&mut client, &source("0"), BEGINNING, None)
            .await
            .contains("non-epoch receiver is not allowed")
    );
    let _equal = client.receiver("0", Some(3)).await;
    assert!(receive(&mut holder).await.unwrap_err().contains("Stolen"));
}

#[tokio::test]
async fn an_epoch_ends_with_its_connection() {
    let emulator = emulator().await;
    let mut first = Client::connect(&emulator).await;
    let _holder = first.receiver("0", Some(9)).await;
    first.connection.close().await.unwrap();
    let mut second = Client::connect(&emulator).await;
    second.receiver("0", Some(1)).await;
}

#[tokio::test]
async fn the_largest_message_is_told_within_the_attach() {
    let mut config = config();
    config.max_message_size = 50_000.try_into().unwrap();
    let emulator = Emulator::start(config).await.unwrap();
    let mut client = Client::connect(&emulator).await;
    let mut sender = client.sender("hub/Partitions/0").await.unwrap();
    assert_eq!(sender.max_message_size(), Some(50_000));
    send(&mut sender, vec![0; 49_000]).await.unwrap();
    assert_eq!(last(&emulator, "0"), 0);
}

#[tokio::test]
async fn a_hub_that_is_switched_off_ends_its_links() {
    let emulator = emulator().await;
    let mut client = Client::connect(&emulator).await;
    let mut receiver = client.receiver("0", None).await;
    emulator.switch("hub", Status::ReceiveDisabled).unwrap();
    assert!(receive(&mut receiver).await.unwrap_err().contains("entity-disabled"));
    let mut sender = client.sender("hub/Partitions/0").await.unwrap();
    send(&mut sender, "still").await.unwrap();
    emulator.switch("hub", Status::Disabled).unwrap();
    let ended = in_time("the end", sender.on_detach()).await;
    assert!(format!("{ended:?}").contains("currently disabled"), "{ended:?}");
    assert!(refused_sender(&mut client, "hub").await.contains("entity-disabled"));
    emulator.switch("hub", Status::Active).unwrap();
    assert_eq!(receive(&mut client.receiver("0", None).await).await.unwrap().body, b"still");
}

#[tokio::test]
async fn more_than_a_hub_takes_is_refused_as_busy() {
    let throughput = Throughput { events_per_second: None, bytes_per_second: 1000.try_into().ok() };
    let emulator = Emulator::start(config().with_hub("hub", Hub { throughput, ..hub(1) })).await.unwrap();
    let mut client = Client::connect(&emulator).await;
    let mut sender = client.sender("hub").await.unwrap();
    // For more than an hour.
    send(&mut sender, vec![0; 1_000_000]).await.unwrap();
    send(&mut sender, vec![0; 900_000]).await.unwrap_err();
    let refused = send(&mut sender, "more").await.unwrap_err();
    assert!(refused.contains("server-busy") && refused.contains("50002"), "{refused}");
    assert_eq!(last(&emulator, "0"), 0);
}
