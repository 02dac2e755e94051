//! What is asked for one hub concerns that hub, and no other beside it.

use eventhubs_emulator::config::{ConfigError, Hub};
use eventhubs_emulator::{Emulator, FailSends, Faults, NotAdded};

use crate::client::{Client, receive, receive_many, send};
use crate::scene::{emulator, hub, in_time, until};

const BEGINNING: &str = "amqp.annotation.x-opt-offset > '-1'";

/// An emulator with a second hub, and a client.
async fn two() -> (Emulator, Client) {
    let emulator = emulator().await;
    emulator.add_hub("second", &hub(1)).unwrap();
    let client = Client::connect(&emulator).await;
    (emulator, client)
}

fn faults() -> Faults {
    Faults::default()
}

#[tokio::test]
async fn a_hub_is_added_while_clients_are_there() {
    let (emulator, mut client) = two().await;
    send(&mut client.sender("second").await.unwrap(), "kept").await.unwrap();
    assert_eq!(emulator.extent("SECOND", "0").unwrap().last_sequence, 0);
    assert!(matches!(emulator.add_hub("Second", &hub(3)), Err(NotAdded::Exists(name)) if name == "Second"));
    let twice = Hub { groups: vec!["a".to_owned(), "A".to_owned()], ..hub(1) };
    assert!(matches!(emulator.add_hub("third", &twice), Err(NotAdded::Invalid(ConfigError::Twice { .. }))));
    client.sender("third").await.unwrap_err();
    let address = "second/ConsumerGroups/Late/Partitions/0";
    client.receiver_from(address, BEGINNING, None).await.unwrap_err();
    emulator.add_group("second", "late").unwrap();
    emulator.add_group("second", "LATE").unwrap();
    let mut receiver = client.receiver_from(address, BEGINNING, None).await.unwrap();
    assert_eq!(receive(&mut receiver).await.unwrap().body, b"kept");
}

#[tokio::test]
async fn a_hub_gets_more_partitions_while_clients_are_there() {
    let (emulator, mut client) = two().await;
    send(&mut client.sender("second").await.unwrap(), "before").await.unwrap();
    client.sender("second/Partitions/1").await.unwrap_err();
    emulator.grow("second", 2).unwrap();
    emulator.grow("second", 1).unwrap();
    send(&mut client.sender("second/Partitions/1").await.unwrap(), "later").await.unwrap();
    let held = |partition| emulator.extent("second", partition).unwrap().last_sequence;
    assert_eq!((held("0"), held("1")), (0, 0));
}

#[tokio::test]
async fn a_hub_may_take_larger_messages_than_others() {
    let (emulator, mut client) = two().await;
    let large = Hub { max_message_size: (8 << 20).try_into().ok(), ..hub(1) };
    emulator.add_hub("large", &large).unwrap();
    let mut sender = client.sender("large").await.unwrap();
    send(&mut sender, vec![7; 4 << 20]).await.unwrap();
    assert_eq!(emulator.extent("large", "0").unwrap().last_sequence, 0);
}

#[tokio::test]
async fn receivers_of_a_hub_end_and_are_refused_until_that_is_taken_back() {
    let (emulator, mut client) = two().await;
    let mut receiver = client.receiver("0", Some(1)).await;
    let mut other = client.receiver_from("second/ConsumerGroups/$Default/Partitions/0", BEGINNING, None).await.unwrap();
    let refuse_receivers = Some("amqp:internal-error".to_owned());
    emulator.set_faults_of("hub", Faults { refuse_receivers, ..faults() }).unwrap();
    let ended = receive(&mut receiver).await.unwrap_err();
    assert!(ended.contains("InternalError"), "{ended}");
    let refused = client.receiver_from(&crate::client::source("0"), BEGINNING, None).await.unwrap_err();
    assert!(format!("{refused:?}").contains("InternalError"), "{refused:?}");
    send(&mut client.sender("hub/Partitions/0").await.unwrap(), "sent meanwhile").await.unwrap();
    send(&mut client.sender("second").await.unwrap(), "beside").await.unwrap();
    assert_eq!(receive(&mut other).await.unwrap().body, b"beside");
    emulator.set_faults_of("hub", faults()).unwrap();
    let mut receiver = client.receiver("0", Some(1)).await;
    assert_eq!(receive(&mut receiver).await.unwrap().body, b"sent meanwhile");
}

#[tokio::test]
async fn sends_to_a_hub_fail_and_those_to_others_do_not() {
    let (emulator, mut client) = two().await;
    let (mut sender, mut other) = (client.sender("hub").await.unwrap(), client.sender("second").await.unwrap());
    let fail_sends = Some(FailSends { count: 1, condition: "amqp:internal-error".to_owned() });
    emulator.set_faults_of("hub", Faults { fail_sends, ..faults() }).unwrap();
    send(&mut other, "kept").await.unwrap();
    assert!(send(&mut sender, "failed").await.unwrap_err().contains("InternalError"));
    emulator.set_faults_of("hub", Faults { server_busy: true, ..faults() }).unwrap();
    send(&mut other, "kept").await.unwrap();
    assert!(send(&mut sender, "busy").await.unwrap_err().contains("server-busy"));
    let refuse_links = Some("amqp:internal-error".to_owned());
    emulator.set_faults_of("hub", Faults { refuse_links, ..faults() }).unwrap();
    client.sender("second").await.unwrap();
    client.sender("hub").await.unwrap_err();
    send(&mut sender, "what is there stays").await.unwrap();
}

#[tokio::test]
async fn connections_with_a_link_to_a_hub_are_dropped() {
    let (emulator, mut client) = two().await;
    let mut other = Client::connect(&emulator).await;
    let mut beside = other.sender("second").await.unwrap();
    let mut receiver = client.receiver("0", None).await;
    emulator.drop_connections_of("hub").unwrap();
    receive(&mut receiver).await.unwrap_err();
    send(&mut beside, "kept").await.unwrap();
    let mut again = Client::connect(&emulator).await;
    send(&mut again.sender("hub").await.unwrap(), "kept").await.unwrap();
}

#[tokio::test]
async fn connections_with_a_link_to_a_hub_freeze() {
    let (emulator, mut client) = two().await;
    let mut other = Client::connect(&emulator).await;
    let mut beside = other.sender("second").await.unwrap();
    let mut sender = client.sender("hub/Partitions/0").await.unwrap();
    emulator.set_faults_of("hub", Faults { frozen: true, ..faults() }).unwrap();
    let sending = tokio::spawn(async move { send(&mut sender, "frozen").await });
    send(&mut beside, "kept").await.unwrap();
    assert!(!sending.is_finished());
    assert_eq!(emulator.extent("hub", "0").unwrap().last_sequence, -1);
    emulator.set_faults_of("hub", faults()).unwrap();
    in_time("the outcome", sending).await.unwrap().unwrap();
    // One that is frozen can be dropped, too.
    emulator.set_faults_of("hub", Faults { frozen: true, ..faults() }).unwrap();
    emulator.drop_connections_of("hub").unwrap();
    in_time("the end", client.connection.on_close()).await.unwrap_err();
}

#[tokio::test]
async fn tokens_for_a_hub_expire() {
    let (emulator, mut client) = two().await;
    let mut other = Client::connect(&emulator).await;
    let mut beside = other.sender("second").await.unwrap();
    let mut receiver = client.receiver("0", None).await;
    emulator.expire_tokens_of("hub").unwrap();
    assert!(receive(&mut receiver).await.unwrap_err().contains("ExpiredToken"));
    send(&mut beside, "kept").await.unwrap();
    emulator.set_faults_of("hub", Faults { refuse_tokens: true, ..faults() }).unwrap();
    let token = crate::client::sas(eventhubs_emulator::config::DEFAULT_KEY, crate::scene::SECRET, "", 60);
    client.put_token("second", &token).await.unwrap();
    assert!(client.put_token("hub", &token).await.unwrap_err().contains("401"));
}

#[tokio::test]
async fn what_is_forgotten_is_passed_over_by_whoever_reads() {
    let (emulator, mut client) = two().await;
    let mut sender = client.sender("hub/Partitions/0").await.unwrap();
    for _ in 0..10 {
        send(&mut sender, "x").await.unwrap();
    }
    emulator.forget("hub", "0", 7).unwrap();
    let mut receiver = client.receiver("0", None).await;
    let sequences: Vec<i64> = receive_many(&mut receiver, 3).await.iter().map(|event| event.sequence).collect();
    assert_eq!(sequences, [7, 8, 9]);
    emulator.forget("hub", "0", 100).unwrap();
    send(&mut sender, "x").await.unwrap();
    assert_eq!(receive(&mut receiver).await.unwrap().sequence, 10);
    until("the first", || emulator.extent("hub", "0").unwrap().first_sequence == 10).await;
    assert!(emulator.forget("hub", "2", 0).is_err() && emulator.forget("missing", "0", 0).is_err());
}
