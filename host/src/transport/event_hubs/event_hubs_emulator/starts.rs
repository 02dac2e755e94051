//! Where groups begin.

use std::time::Duration;

use super::scene::{Reader, Scene, record, subscription, write};
use crate::model::{Partition, Position, Timestamp};
use crate::transport::{OnLostPosition, SourceEvent, Start, Transport, TransportError};

#[tokio::test]
async fn a_group_may_begin_at_a_time() {
    let scene = Scene::new().await;
    let (topic, hubs) = (scene.hub(1), scene.transport());
    let sink = hubs.sink(&topic).await.unwrap();
    write(&*sink, 0, 5).await;
    // The clock of the emulator goes on before the last one is written.
    let partition = Partition::new(topic.as_str(), 0);
    let before = hubs.read(&partition, Position(4), 1).await.unwrap()[0].origin.enqueued;
    while hubs.0.clock.wall() <= before {
        tokio::task::yield_now().await;
    }
    write(&*sink, 0, 2).await;
    let time = hubs.read(&partition, Position(5), 1).await.unwrap()[0].origin.enqueued;
    let at = |time| subscription(&topic, Start::At(time), OnLostPosition::Fail);
    let mut reader = Reader::open(&hubs, &at(time)).await;
    assert_eq!(reader.positions(2).await, [5, 6]);
    // No message is so late: the group begins with the next one.
    let mut future = at(Timestamp(time.0 + 3_600_000));
    future.group = "other".into();
    let mut reader = Reader::open(&hubs, &future).await;
    reader.until_assigned(1).await;
    sink.write(vec![record(0, "late")]).await.remove(0).unwrap();
    assert_eq!(reader.positions(1).await, [7]);
}

/// Nobody was there to read them when they came.
#[tokio::test]
async fn partitions_that_a_hub_gets_later_are_read_from_their_beginning() {
    let scene = Scene::new().await;
    let topic = scene.hub(1);
    write(&*scene.transport().sink(&topic).await.unwrap(), 0, 3).await;
    let hubs = scene.transport().asking_for_more(Duration::from_millis(100));
    let mut reader = Reader::open(&hubs, &subscription(&topic, Start::Latest, OnLostPosition::Fail)).await;
    reader.until_assigned(1).await;
    scene.emulator.grow(&topic, 2).unwrap();
    write(&*scene.transport().sink(&topic).await.unwrap(), 1, 3).await;
    let mut positions = Vec::new();
    while positions.len() < 3 {
        let batch = reader.batch().await;
        positions.extend(batch.messages.iter().map(|it| (it.origin.partition.index, it.origin.position.0)));
    }
    assert_eq!(positions, [(1, 0), (1, 1), (1, 2)]);
}

/// Says what a group that is beyond the end does.
async fn beyond(on_lost_position: OnLostPosition) -> Result<Vec<i64>, TransportError> {
    let scene = Scene::new().await;
    let (topic, hubs) = (scene.hub(1), scene.transport());
    write(&*hubs.sink(&topic).await.unwrap(), 0, 10).await;
    let mut reader = Reader::of(&hubs, &topic).await;
    reader.positions(10).await;
    reader.commit(0, 9).await;
    drop(reader);
    // The same name, another hub.
    let scene = scene.anew().await;
    scene.add(&topic, 1);
    let hubs = scene.transport();
    let sink = hubs.sink(&topic).await.unwrap();
    write(&*sink, 0, 2).await;
    let mut reader = Reader::open(&hubs, &subscription(&topic, Start::Earliest, on_lost_position)).await;
    if on_lost_position == OnLostPosition::Fail {
        return Err(reader.failure().await);
    }
    reader.until_assigned(1).await;
    write(&*sink, 0, 1).await;
    let positions = reader.positions(if on_lost_position == OnLostPosition::Latest { 1 } else { 3 }).await;
    drop(reader);
    // It stays so: a group that fails finds nothing wrong.
    let mut reader = Reader::of(&hubs, &topic).await;
    assert_eq!(reader.positions(positions.len()).await, positions);
    Ok(positions)
}

#[tokio::test]
async fn a_hub_that_was_made_anew_is_not_taken_for_the_old_one() {
    assert_eq!(beyond(OnLostPosition::Earliest).await, Ok(vec![0, 1, 2]));
    assert_eq!(beyond(OnLostPosition::Latest).await, Ok(vec![2]));
    let failed = beyond(OnLostPosition::Fail).await;
    assert!(matches!(&failed, Err(TransportError::BeyondEnd { .. })), "{failed:?}");
}

#[tokio::test]
async fn a_consumer_group_that_is_missing_is_named() {
    let scene = Scene::new().await;
    let (topic, hubs) = (scene.hub(2), scene.transport());
    hubs.look_at_group(&topic, "g").await.unwrap();
    hubs.look_at_group(&topic, "$default").await.unwrap();
    let missing = hubs.look_at_group(&topic, "nobody").await.unwrap_err();
    assert!(matches!(&missing, TransportError::UnknownGroup { group, .. } if **group == *"nobody"), "{missing}");
    assert!(!missing.is_transient() && missing.to_string().contains("Basic"), "{missing}");
    // Who finds out only when it reads fails for good, too.
    let mut subscription = subscription(&topic, Start::Earliest, OnLostPosition::Fail);
    subscription.group = "nobody".into();
    let failure = Reader::open(&hubs, &subscription).await.failure().await;
    assert_eq!(failure, missing);
}

#[tokio::test]
async fn a_wrong_key_says_so_and_shows_none() {
    let scene = Scene::new().await;
    let topic = scene.hub(1);
    let port = scene.emulator.address().port();
    let wrong = format!(
        "Endpoint=sb://localhost:{port};SharedAccessKeyName=RootManageSharedAccessKey;SharedAccessKey=T1RIRVI="
    );
    let scene = scene.with_connection_string(&wrong);
    let refused = scene.transport().sink(&topic).await.err().unwrap();
    let text = refused.to_string();
    assert!(refused.is_transient() && text.contains("check the key"), "{text}");
    assert!(!text.contains("T1RIRVI"), "{text}");
}

/// Who begins tells it though nothing is there.
#[tokio::test]
async fn an_empty_hub_is_known_to_be_empty() {
    let scene = Scene::new().await;
    let (topic, hubs) = (scene.hub(32), scene.transport());
    let mut reader = Reader::of(&hubs, &topic).await;
    let mut empty = std::collections::BTreeSet::new();
    while empty.len() < 32 {
        if let SourceEvent::Messages(batch) = reader.next().await {
            assert_eq!((batch.lag, batch.messages.len()), (0, 0));
            empty.insert(batch.partition.index);
        }
    }
}
