//! Connections that break, fall silent, or are taken by others.

use std::time::Duration;

use eventhubs_emulator::Faults;

use super::proxy::Proxy;
use super::scene::{Reader, Scene, record, subscription, write};
use crate::storage::conditional::Fields;
use crate::transport::event_hubs::config::Config;
use crate::transport::event_hubs::layout::{Kind, owned_by};
use crate::transport::{OnLostPosition, SourceEvent, Start, Transport};

/// Reads everything in the order in which it stands, and nothing twice.
async fn reads_all(reader: &mut Reader, count: i64, mut each: impl FnMut(i64)) {
    let mut next = 0;
    while next < count {
        for message in reader.batch().await.messages {
            assert_eq!(message.origin.position.0, next);
            next += 1;
            each(next);
        }
    }
}

#[tokio::test]
async fn connections_that_drop_lose_nothing_and_repeat_nothing() {
    let scene = Scene::new().await;
    let (topic, hubs) = (scene.hub(1), scene.transport());
    let sink = hubs.sink(&topic).await.unwrap();
    write(&*sink, 0, 3000).await;
    let mut reader = Reader::of(&hubs, &topic).await;
    reads_all(&mut reader, 3000, |next| {
        if next % 500 == 1 {
            scene.emulator.drop_connections();
        }
    })
    .await;
}

#[tokio::test]
async fn a_link_that_was_stolen_is_opened_again_while_the_partition_is_ours() {
    let scene = Scene::new().await;
    let (topic, hubs) = (scene.hub(1), scene.transport());
    let sink = hubs.sink(&topic).await.unwrap();
    write(&*sink, 0, 2000).await;
    let mut reader = Reader::of(&hubs, &topic).await;
    reads_all(&mut reader, 2000, |next| {
        if next % 700 == 1 {
            scene.emulator.steal(&topic, "g", "0").unwrap();
        }
    })
    .await;
}

#[tokio::test]
async fn a_partition_that_another_client_took_is_lost() {
    let scene = Scene::new().await;
    let (topic, hubs) = (scene.hub(2), scene.transport());
    let mut reader = Reader::of(&hubs, &topic).await;
    reader.until_assigned(2).await;
    let (entries, layout) = (hubs.0.entries.clone(), hubs.0.layout(&topic, "g"));
    let name = layout.entry(Kind::Ownership, 1);
    loop {
        let stands = entries.read(&name).await.unwrap().unwrap();
        let python: Fields = owned_by("a-python-processor");
        if entries.put(&name, &python, Some(&stands.version)).await.unwrap().is_some() {
            break;
        }
    }
    scene.emulator.steal(&topic, "g", "1").unwrap();
    loop {
        match reader.next().await {
            SourceEvent::Lost(lost) => {
                assert_eq!(lost.iter().map(|partition| partition.index).collect::<Vec<_>>(), [1]);
                break;
            }
            SourceEvent::Failed(error) => assert!(error.is_transient(), "{error}"),
            event => assert!(matches!(event, SourceEvent::Messages(_)), "{event:?}"),
        }
    }
    // What is still its own flows on.
    write(&*hubs.sink(&topic).await.unwrap(), 0, 3).await;
    assert_eq!(reader.positions(3).await, [0, 1, 2]);
}

/// A network that has forgotten a connection tells nobody.
#[tokio::test]
async fn a_link_that_is_silent_is_opened_again() {
    let scene = Scene::new().await;
    let topic = scene.hub(2);
    let proxy = Proxy::start(scene.emulator.address()).await;
    let endpoint = Some(format!("localhost:{}", proxy.address.port()));
    let hubs = scene.transport_with(&Config { endpoint, ..scene.config() });
    let direct = scene.transport().sink(&topic).await.unwrap();
    hubs.0.partitions(&topic).await.unwrap();
    let before = proxy.made();
    let mut reader = Reader::of(&hubs, &topic).await;
    for partition in 0..2 {
        write(&*direct, partition, 3).await;
    }
    reader.positions(6).await;
    proxy.silence_from(before);
    for partition in 0..2 {
        write(&*direct, partition, 3).await;
    }
    let mut positions = reader.positions(6).await;
    positions.sort_unstable();
    assert_eq!(positions, [3, 3, 4, 4, 5, 5]);
}

#[tokio::test]
async fn a_failure_is_told_once_it_lasts_and_its_end_is_told_too() {
    let scene = Scene::new().await;
    let (topic, hubs) = (scene.hub(1), scene.transport());
    let mut reader = Reader::of(&hubs, &topic).await;
    reader.until_assigned(1).await;
    let faults = Faults { refuse_receivers: Some("amqp:internal-error".to_owned()), ..Faults::default() };
    scene.emulator.set_faults_of(&topic, faults).unwrap();
    let failure = reader.failure().await;
    assert!(failure.is_transient() && failure.to_string().contains(&topic), "{failure}");
    scene.emulator.set_faults_of(&topic, Faults::default()).unwrap();
    loop {
        match reader.next().await {
            SourceEvent::Assigned(assigned) => break assert_eq!(assigned, []),
            SourceEvent::Failed(error) => assert!(error.is_transient(), "{error}"),
            event => assert!(matches!(event, SourceEvent::Messages(_)), "{event:?}"),
        }
    }
}

#[tokio::test]
async fn tokens_that_expire_lose_nothing() {
    let scene = Scene::new().await;
    let (topic, hubs) = (scene.hub(1), scene.transport());
    let sink = hubs.sink(&topic).await.unwrap();
    let mut reader = Reader::of(&hubs, &topic).await;
    for round in 0..3 {
        let mut left = vec![record(0, "x"); 20];
        while !left.is_empty() {
            let answers = sink.write(left.clone()).await;
            left =
                left.into_iter().zip(answers).filter(|(_, answer)| answer.is_err()).map(|(record, _)| record).collect();
        }
        if round < 2 {
            scene.emulator.expire_tokens();
        }
    }
    let mut next = 0;
    while next < 60 {
        for message in reader.batch().await.messages {
            // What was written though its writer was told otherwise stands there twice.
            assert_eq!(message.origin.position.0, next);
            next += 1;
        }
    }
}

/// The lag is known of a partition that nothing is read of.
#[tokio::test]
async fn a_partition_that_nobody_wants_tells_how_far_it_goes() {
    let scene = Scene::new().await;
    let (topic, hubs) = (scene.hub(1), scene.transport());
    let sink = hubs.sink(&topic).await.unwrap();
    let subscription = subscription(&topic, Start::Earliest, OnLostPosition::Fail);
    let mut reader = Reader::open(&hubs, &subscription).await;
    reader.until_assigned(1).await;
    write(&*sink, 0, 5000).await;
    let deadline = tokio::time::Instant::now() + Duration::from_secs(30);
    loop {
        assert!(tokio::time::Instant::now() < deadline, "the lag is not told");
        let event = reader.event(&crate::transport::Rooms::default()).await;
        if let SourceEvent::Messages(batch) = event
            && batch.lag == 5000
        {
            break;
        }
    }
}
