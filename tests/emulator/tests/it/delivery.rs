//! Nothing is lost, doubled or out of order, whoever comes and goes.

use std::num::{NonZeroU64, NonZeroUsize};

use eventhubs_emulator::Emulator;
use eventhubs_emulator::config::{Hub, Retention};
use fe2o3_amqp_types::messaging::{Batch, Data, Message};
use fe2o3_amqp_types::primitives::Binary;

use crate::client::{Client, Received, Way, receive, receive_many, send, source};
use crate::scene::{config, emulator, hub, in_time, last, until};

fn sequences(events: &[Received]) -> Vec<i64> {
    events.iter().map(|event| event.sequence).collect()
}

fn from(sequence: i64) -> String {
    format!("amqp.annotation.x-opt-sequence-number > '{sequence}'")
}

/// Sends so many events, one after the other.
fn feed(mut client: Client, partition: &'static str, count: usize) -> tokio::task::JoinHandle<()> {
    tokio::spawn(async move {
        let mut sender = client.sender(&format!("hub/Partitions/{partition}")).await.unwrap();
        for index in 0..count {
            send(&mut sender, index.to_string()).await.unwrap();
        }
    })
}

#[tokio::test]
async fn every_receiver_gets_every_event() {
    let emulator = emulator().await;
    let mut receivers = Vec::new();
    for way in [Way::Amqp, Way::Ws, Way::Wss] {
        let mut client = Client::by(&emulator, way).await;
        let receiver = client.receiver("0", None).await;
        receivers.push((client, receiver));
    }
    let feeding = feed(Client::connect(&emulator).await, "0", 500);
    for (_, receiver) in &mut receivers {
        assert_eq!(sequences(&receive_many(receiver, 500).await), (0..500).collect::<Vec<_>>());
    }
    feeding.await.unwrap();
}

#[tokio::test]
async fn an_event_that_comes_while_a_receiver_looks_is_not_missed() {
    let emulator = emulator().await;
    let mut client = Client::connect(&emulator).await;
    let mut receiver = client.receiver("0", None).await;
    let mut other = Client::connect(&emulator).await;
    let mut sender = other.sender("hub/Partitions/0").await.unwrap();
    // Each is sent only after the one before has arrived, so each comes when the receiver has found the end.
    for sequence in 0..1000 {
        let (sent, received) = tokio::join!(send(&mut sender, "x"), receive(&mut receiver));
        sent.unwrap();
        assert_eq!(received.unwrap().sequence, sequence);
    }
}

#[tokio::test]
async fn a_partition_that_is_stolen_back_and_forth_loses_nothing() {
    const COUNT: i64 = 1500;
    let emulator = emulator().await;
    let feeding = feed(Client::connect(&emulator).await, "0", COUNT as usize);
    let mut clients = [Client::connect(&emulator).await, Client::by(&emulator, Way::Ws).await];
    let (mut seen, mut turn) = (-1, 0);
    let mut holder = clients[0].receiver("0", Some(0)).await;
    while seen < COUNT - 1 {
        // The next takes over while events are on their way to the holder, of which it gets what was sent by then.
        for _ in 0..7 {
            if seen < COUNT - 1 {
                let event = receive(&mut holder).await.unwrap();
                assert_eq!(event.sequence, seen + 1);
                seen += 1;
            }
        }
        turn += 1;
        let thief = clients[turn % 2].receiver_from(&source("0"), &from(seen), Some(0)).await.unwrap();
        let mut stolen = std::mem::replace(&mut holder, thief);
        let ended = loop {
            match receive(&mut stolen).await {
                Ok(event) => assert!(event.sequence > seen, "{event:?}"),
                Err(ended) => break ended,
            }
        };
        assert!(ended.contains("Stolen"), "{ended}");
    }
    feeding.await.unwrap();
}

#[tokio::test]
async fn a_dropped_receiver_resumes_after_what_it_has() {
    const COUNT: i64 = 600;
    let emulator = emulator().await;
    let mut sender_client = Client::connect(&emulator).await;
    let mut sender = sender_client.sender("hub/Partitions/0").await.unwrap();
    for _ in 0..COUNT {
        send(&mut sender, "x").await.unwrap();
    }
    let mut seen = -1;
    while seen < COUNT - 1 {
        let mut client = Client::connect(&emulator).await;
        let mut receiver = client.receiver_from(&source("0"), &from(seen), Some(0)).await.unwrap();
        for _ in 0..100 {
            let event = receive(&mut receiver).await.unwrap();
            assert_eq!(event.sequence, seen + 1);
            seen += 1;
        }
        emulator.drop_connections();
    }
}

#[tokio::test]
async fn a_batch_is_as_many_events() {
    let emulator = emulator().await;
    let mut client = Client::connect(&emulator).await;
    let mut sender = client.sender("hub/Partitions/0").await.unwrap();
    let inner = |index: u8| {
        let message = Message::builder().data(Binary::from(vec![index; 10])).build();
        let bytes =
            serde_amqp::to_vec(&fe2o3_amqp_types::messaging::message::__private::Serializable(message)).unwrap();
        Data(Binary::from(bytes))
    };
    let batch: Batch<Data> = (0..5).map(inner).collect::<Vec<_>>().into();
    let message = Message::builder().data_batch(batch).build();
    let sendable = fe2o3_amqp::Sendable::builder().message(message).message_format(0x8001_3700_u32).build();
    let outcome = in_time("an outcome", sender.send(sendable)).await.unwrap();
    assert!(outcome.is_accepted(), "{outcome:?}");
    let events = receive_many(&mut client.receiver("0", None).await, 5).await;
    assert_eq!(sequences(&events), [0, 1, 2, 3, 4]);
    assert!(events.iter().enumerate().all(|(index, event)| event.body == vec![index as u8; 10]));
}

#[tokio::test]
async fn what_retention_took_is_passed_over() {
    let retention = Retention { events: NonZeroUsize::new(10).unwrap(), bytes: NonZeroU64::MAX, seconds: None };
    let emulator = Emulator::start(config().with_hub("hub", Hub { retention, ..hub(1) })).await.unwrap();
    let mut client = Client::connect(&emulator).await;
    let mut sender = client.sender("hub").await.unwrap();
    for _ in 0..50 {
        send(&mut sender, "x").await.unwrap();
    }
    let mut receiver = client.receiver_from(&source("0"), &from(3), None).await.unwrap();
    assert_eq!(sequences(&receive_many(&mut receiver, 10).await), (40..50).collect::<Vec<_>>());
    let extent = emulator.extent("hub", "0").unwrap();
    assert_eq!((extent.first_sequence, extent.last_sequence), (40, 49));
}

#[tokio::test]
async fn a_receiver_that_does_not_take_what_comes_holds_up_nobody() {
    let emulator = emulator().await;
    let mut client = Client::connect(&emulator).await;
    let mut idle = client.receiver("0", None).await;
    let mut busy = client.receiver("1", None).await;
    let feeding = [feed(Client::connect(&emulator).await, "0", 300), feed(Client::connect(&emulator).await, "1", 300)];
    assert_eq!(receive_many(&mut busy, 300).await.len(), 300);
    until("all of it", || last(&emulator, "0") == 299).await;
    assert_eq!(sequences(&receive_many(&mut idle, 300).await), (0..300).collect::<Vec<_>>());
    for feeding in feeding {
        feeding.await.unwrap();
    }
}
