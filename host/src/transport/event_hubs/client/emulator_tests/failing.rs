//! What is missing, refused, dropped or silent.

use eventhubs_emulator::Faults;
use eventhubs_emulator::config::Status;

use super::*;

async fn refused(client: &Client, wanted: &Wanted) -> Failure {
    match in_time("a receiver", client.receiver(wanted)).await {
        Ok(_) => panic!("it was attached"),
        Err(failure) => failure,
    }
}

async fn unsent(client: &Client, hub: &str) -> Failure {
    match in_time("a sender", client.sender(hub, None)).await {
        Ok(_) => panic!("it was attached"),
        Err(failure) => failure,
    }
}

#[tokio::test]
async fn a_hub_a_group_or_a_partition_that_is_missing_is_told() {
    let scene = Scene::new().await;
    let client = scene.client();
    let group = Wanted { group: "none".into(), ..wanted(0, From::Earliest) };
    let hub = Wanted { hub: "none".into(), ..wanted(0, From::Earliest) };
    let asked = in_time("a hub", client.hub("none")).await.unwrap_err();
    for failure in [asked, refused(&client, &group).await, refused(&client, &hub).await, unsent(&client, "none").await]
    {
        assert!(matches!(failure, Failure::NotFound(_)) && failure.to_string().contains("none"), "{failure}");
    }
    let failure = refused(&client, &wanted(9, From::Earliest)).await;
    assert!(matches!(failure, Failure::NotAllowed(_)), "{failure}");
    assert_eq!(in_time("a hub", client.hub("orders")).await, Ok(Hub { partitions: 2 }), "the others go on");
    send(&client, 0, 0..1).await;
}

#[tokio::test]
async fn a_wrong_key_and_a_key_without_the_right_are_told() {
    let scene = Scene::new().await;
    let wrong = scene.client_of(&scene.config(), &scene.connection_string().replace(KEY, "SENTINEL"));
    let listens = format!("{};UseDevelopmentEmulator=true", scene.emulator.connection_string("listener").unwrap());
    let listens = scene.client_of(&scene.config(), &listens);
    let asked = in_time("a hub", wrong.hub("orders")).await.unwrap_err();
    let received = refused(&wrong, &wanted(0, From::Earliest)).await;
    for failure in [asked, received, unsent(&wrong, "orders").await, unsent(&listens, "orders").await] {
        let text = failure.to_string();
        assert!(matches!(failure, Failure::Unauthorized(_)) && text.contains("check the key"), "{text}");
        assert!(!text.contains("SENTINEL"), "{text}");
    }
    assert!(in_time("a receiver", listens.receiver(&wanted(0, From::Earliest))).await.is_ok());
}

#[tokio::test]
async fn a_hub_that_is_switched_off_is_told() {
    let scene = Scene::new().await;
    let client = scene.client();
    let mut receiver = in_time("a receiver", client.receiver(&wanted(0, From::Earliest))).await.unwrap();
    scene.emulator.switch("orders", Status::ReceiveDisabled).unwrap();
    let ended = in_time("an end", receiver.next(1, 1)).await.unwrap_err();
    for failure in [ended, refused(&client, &wanted(0, From::Earliest)).await] {
        assert!(matches!(failure, Failure::Disabled(_)), "{failure}");
    }
    scene.emulator.switch("orders", Status::SendDisabled).unwrap();
    let failure = unsent(&client, "orders").await;
    assert!(matches!(failure, Failure::Disabled(_)), "{failure}");
}

#[tokio::test]
async fn too_many_receivers_are_told() {
    let scene = Scene::new().await;
    let client = scene.client();
    let mut receivers = Vec::new();
    for _ in 0..5 {
        receivers.push(in_time("a receiver", client.receiver(&wanted(0, From::Earliest))).await.unwrap());
    }
    let failure = refused(&client, &wanted(0, From::Earliest)).await;
    assert!(matches!(failure, Failure::Quota(_)) && failure.to_string().contains("five"), "{failure}");
    in_time("a group", client.group("orders", "g")).await.unwrap();
}

#[tokio::test]
async fn a_connection_that_drops_ends_what_uses_it_and_the_next_use_connects_again() {
    let scene = Scene::new().await;
    let client = scene.client();
    let sender = in_time("a sender", client.sender("orders", Some(0))).await.unwrap();
    in_time("an outcome", sender.send(vec![encoded("0")], None)).await.unwrap();
    let mut receiver = in_time("a receiver", client.receiver(&wanted(0, From::Earliest))).await.unwrap();
    assert_eq!(payloads(receive(&mut receiver, 1).await), ["0"]);
    in_time("a hub", client.hub("orders")).await.unwrap();
    scene.emulator.drop_connections();
    let failure = in_time("an end", receiver.next(1, 1)).await.unwrap_err();
    assert!(failure.is_transient(), "{failure}");
    assert_eq!(in_time("a hub", client.hub("orders")).await, Ok(Hub { partitions: 2 }));
    in_time("an outcome", async {
        // It may go out on a link whose end was not heard of yet.
        while sender.send(vec![encoded("1")], None).await.is_err() {}
    })
    .await;
    let mut again = in_time("a receiver", client.receiver(&wanted(0, From::After(Position(0))))).await.unwrap();
    assert_eq!(payloads(receive(&mut again, 1).await), ["1"]);
}

#[tokio::test]
async fn a_batch_that_was_on_its_way_when_the_connection_dropped_is_not_called_sent() {
    let scene = Scene::new().await;
    let client = scene.client();
    let sender = in_time("a sender", client.sender("orders", Some(0))).await.unwrap();
    scene.emulator.set_faults(Faults { settle_ms: 3_600_000, ..Faults::default() });
    let sent = sender.send(vec![encoded("0")], None);
    let dropped = async {
        // It is kept, and its outcome is not told.
        while scene.emulator.extent("orders", "0").unwrap().last_sequence < 0 {
            tokio::task::yield_now().await;
        }
        scene.emulator.drop_connections();
    };
    let (sent, ()) = in_time("an outcome", async { tokio::join!(sent, dropped) }).await;
    assert!(sent.unwrap_err().is_transient());
}

#[tokio::test]
async fn links_that_the_service_refuses_for_a_while_are_told() {
    let scene = Scene::new().await;
    let client = scene.client();
    scene.emulator.set_faults(Faults { refuse_receivers: Some("amqp:internal-error".into()), ..Faults::default() });
    for _ in 0..10 {
        let failure = refused(&client, &wanted(0, From::Earliest)).await;
        assert_eq!(failure.told().condition.as_deref(), Some("amqp:internal-error"), "{failure}");
        assert!(failure.is_transient());
    }
    scene.emulator.set_faults(Faults::default());
    assert!(in_time("a receiver", client.receiver(&wanted(0, From::Earliest))).await.is_ok());
}

#[tokio::test]
async fn connections_that_are_refused_are_unavailable() {
    let scene = Scene::new().await;
    scene.emulator.set_faults(Faults { refuse_connections: true, ..Faults::default() });
    for protocol in [Protocol::Websocket, Protocol::AmqpTcp] {
        let client = scene.client_of(&Config { protocol, ..scene.config() }, &scene.connection_string());
        let failure = in_time("a hub", client.hub("orders")).await.unwrap_err();
        assert!(failure.is_transient(), "{failure}");
    }
}
