//! What writers are told.

use std::sync::Arc;

use eventhubs_emulator::{FailSends, Faults};

use super::scene::{Scene, record};
use crate::model::{Partition, Position, Record};
use crate::transport::{Sink, Transport, WriteError};

async fn payloads(hubs: &crate::transport::event_hubs::EventHubs, topic: &str, partition: u32) -> Vec<String> {
    let partition = Partition::new(topic, partition);
    let read = hubs.read(&partition, Position(0), 1000).await.unwrap();
    read.into_iter().map(|message| String::from_utf8(message.payload.to_vec()).unwrap()).collect()
}

#[tokio::test]
async fn what_is_too_large_is_refused_and_all_else_is_written() {
    let scene = Scene::new().await;
    let (topic, hubs) = (scene.hub(1), scene.transport());
    let sink = hubs.sink(&topic).await.unwrap();
    let large = record(0, vec![b'x'; 2 << 20]);
    let answers = sink.write(vec![record(0, "before"), large, record(0, "after")]).await;
    assert!(matches!(&answers[..], [Ok(_), Err(WriteError::Refused { .. }), Ok(_)]), "{answers:?}");
    assert_eq!(payloads(&hubs, &topic, 0).await, ["before", "after"]);
}

/// One batch of two in the same partition comes to nothing: the next one is not sent, and other partitions are.
#[tokio::test]
async fn a_batch_that_fails_keeps_those_behind_it_in_its_partition() {
    let scene = Scene::new().await;
    let (topic, hubs) = (scene.hub(2), scene.transport());
    let sink = hubs.sink(&topic).await.unwrap();
    sink.write(vec![record(0, "first"), record(1, "first")])
        .await
        .into_iter()
        .for_each(|answer| assert!(answer.is_ok(), "{answer:?}"));
    let fail_sends = Some(FailSends { count: 1, condition: "amqp:internal-error".to_owned() });
    scene.emulator.set_faults(Faults { fail_sends, ..Faults::default() });
    // Each of these is a batch of its own.
    let half = |name: &str| record(0, format!("{name}{}", "x".repeat(700_000)));
    let records = vec![half("a"), half("b"), half("c")];
    let answers = sink.write(records.clone()).await;
    assert!(answers.iter().all(|answer| matches!(answer, Err(WriteError::Unavailable { .. }))), "{answers:?}");
    assert_eq!(payloads(&hubs, &topic, 0).await, ["first"]);
    let answers = sink.write(records).await;
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    let order: Vec<String> = payloads(&hubs, &topic, 0).await.iter().map(|text| text[..1].to_owned()).collect();
    assert_eq!(order, ["f", "a", "b", "c"]);
}

/// Three refusals, of four together, of two, and of one, which is then sent with nothing beside it.
#[tokio::test]
async fn what_is_too_large_together_goes_in_smaller_batches() {
    let scene = Scene::new().await;
    let (topic, hubs) = (scene.hub(1), scene.transport());
    let sink = hubs.sink(&topic).await.unwrap();
    let fail_sends = Some(FailSends { count: 3, condition: "amqp:link:message-size-exceeded".to_owned() });
    scene.emulator.set_faults(Faults { fail_sends, ..Faults::default() });
    let records: Vec<Record> = ["a", "b", "c", "d"].map(|name| record(0, name)).into();
    for _ in 0..2 {
        let answers = sink.write(records.clone()).await;
        assert!(answers.iter().all(|answer| matches!(answer, Err(WriteError::Unavailable { .. }))), "{answers:?}");
    }
    let answers = sink.write(records).await;
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    assert_eq!(payloads(&hubs, &topic, 0).await, ["a", "b", "c", "d"]);
}

/// One message each, as pipelines write them: they go together, and each is answered for itself.
#[tokio::test]
async fn what_many_write_at_once_goes_together() {
    let scene = Scene::new().await;
    let (topic, hubs) = (scene.hub(1), scene.transport());
    let sink = hubs.sink(&topic).await.unwrap();
    sink.write(vec![record(0, "first")]).await.remove(0).unwrap();
    // Nothing is answered until all have begun: then the first two batches come to nothing, and the one of all the others.
    let fail_sends = Some(FailSends { count: 3, condition: "amqp:internal-error".to_owned() });
    let faults = Faults { fail_sends, ..Faults::default() };
    scene.emulator.set_faults(Faults { frozen: true, ..faults.clone() });
    let write = async |number: usize| {
        let record = record(0, number.to_string());
        let mut failures = 0;
        while sink.write(vec![record.clone()]).await.remove(0).is_err() {
            failures += 1;
        }
        failures
    };
    let answered = async {
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        scene.emulator.set_faults(faults);
    };
    let (failures, ()) = futures::future::join(futures::future::join_all((0..100).map(write)), answered).await;
    let failures: usize = failures.into_iter().sum();
    assert!(failures >= 100, "three batches failed {failures} writes");
    let mut read = payloads(&hubs, &topic, 0).await;
    assert_eq!(read.remove(0), "first");
    read.sort_unstable_by_key(|number| number.parse::<usize>().unwrap());
    assert_eq!(read, (0..100).map(|number| number.to_string()).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_busy_service_is_left_alone_for_as_long_as_it_says() {
    let scene = Scene::new().await;
    let (topic, hubs) = (scene.hub(1), scene.transport());
    let sink = hubs.sink(&topic).await.unwrap();
    sink.write(vec![record(0, "first")]).await.remove(0).unwrap();
    scene.emulator.set_faults(Faults { server_busy: true, ..Faults::default() });
    let began = hubs.0.clock.now();
    let refused = sink.write(vec![record(0, "second")]).await.remove(0).unwrap_err();
    assert!(matches!(&refused, WriteError::Unavailable { reason, .. } if reason.contains("throttled")), "{refused}");
    scene.emulator.set_faults(Faults::default());
    sink.write(vec![record(0, "second")]).await.remove(0).unwrap();
    assert!(hubs.0.clock.now() - began >= std::time::Duration::from_secs(1));
    assert_eq!(payloads(&hubs, &topic, 0).await, ["first", "second"]);
}

#[tokio::test]
async fn a_sink_whose_connection_was_dropped_connects_again() {
    let scene = Scene::new().await;
    let (topic, hubs) = (scene.hub(1), scene.transport());
    let sink: Arc<dyn Sink> = hubs.sink(&topic).await.unwrap();
    for _ in 0..3 {
        scene.emulator.drop_connections();
        let record = Record { key: Some("k".into()), payload: "x".into(), ..Record::default() };
        while sink.write(vec![record.clone()]).await.remove(0).is_err() {}
    }
    // One whose answer was lost may stand there twice.
    assert!(payloads(&hubs, &topic, 0).await.len() >= 3);
}
