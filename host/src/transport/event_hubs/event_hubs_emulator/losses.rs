//! What retention took before it was settled.

use super::scene::{Reader, Scene, subscription, write};
use crate::model::Position;
use crate::transport::{OnLostPosition, Start, Transport, TransportError};

/// Removes what a group has not read while it is away, and says how it then goes on.
async fn away(on_lost_position: OnLostPosition) -> Result<Vec<i64>, TransportError> {
    let scene = Scene::new().await;
    let (topic, hubs) = (scene.hub(1), scene.transport());
    let sink = hubs.sink(&topic).await.unwrap();
    write(&*sink, 0, 1).await;
    let mut reader = Reader::of(&hubs, &topic).await;
    reader.positions(1).await;
    reader.commit(0, 0).await;
    drop(reader);
    write(&*sink, 0, 9).await;
    scene.emulator.forget(&topic, "0", 5).unwrap();
    let mut reader = Reader::open(&hubs, &subscription(&topic, Start::Earliest, on_lost_position)).await;
    if on_lost_position == OnLostPosition::Fail {
        return Err(reader.failure().await);
    }
    reader.until_assigned(1).await;
    write(&*sink, 0, 1).await;
    Ok(reader.positions(if on_lost_position == OnLostPosition::Latest { 1 } else { 6 }).await)
}

fn is_lost(found: &Result<Vec<i64>, TransportError>, from: i64, to: i64) -> bool {
    let expected = (Position(from), Position(to));
    matches!(found, Err(TransportError::LostPosition { from, to, .. }) if (*from, *to) == expected)
}

#[tokio::test]
async fn what_is_gone_at_the_start_is_treated_as_it_is_said() {
    assert_eq!(away(OnLostPosition::Earliest).await, Ok(vec![5, 6, 7, 8, 9, 10]));
    assert_eq!(away(OnLostPosition::Latest).await, Ok(vec![10]));
    let lost = away(OnLostPosition::Fail).await;
    assert!(is_lost(&lost, 1, 4), "{lost:?}");
}

/// The same while it reads: its link is broken, and where it would go on is gone.
async fn reading(on_lost_position: OnLostPosition) -> Result<Vec<i64>, TransportError> {
    let scene = Scene::new().await;
    let (topic, hubs) = (scene.hub(1), scene.transport());
    let sink = hubs.sink(&topic).await.unwrap();
    write(&*sink, 0, 1).await;
    let mut reader = Reader::open(&hubs, &subscription(&topic, Start::Earliest, on_lost_position)).await;
    reader.positions(1).await;
    let faults = eventhubs_emulator::Faults {
        refuse_receivers: Some("amqp:internal-error".to_owned()),
        ..eventhubs_emulator::Faults::default()
    };
    scene.emulator.set_faults_of(&topic, faults).unwrap();
    assert!(reader.failure().await.is_transient());
    write(&*sink, 0, 9).await;
    scene.emulator.forget(&topic, "0", 5).unwrap();
    scene.emulator.set_faults_of(&topic, eventhubs_emulator::Faults::default()).unwrap();
    if on_lost_position == OnLostPosition::Fail {
        loop {
            let failure = reader.failure().await;
            if !failure.is_transient() {
                return Err(failure);
            }
        }
    }
    if on_lost_position == OnLostPosition::Latest {
        // Nothing comes of what is there; `passed` tells when it is passed.
        while reader.batch().await.passed < Position(9) {}
        write(&*sink, 0, 1).await;
        return Ok(reader.positions(1).await);
    }
    Ok(reader.positions(5).await)
}

#[tokio::test]
async fn a_gap_that_retention_made_is_noticed_and_treated_as_it_is_said() {
    assert_eq!(reading(OnLostPosition::Earliest).await, Ok(vec![5, 6, 7, 8, 9]));
    assert_eq!(reading(OnLostPosition::Latest).await, Ok(vec![10]));
    let lost = reading(OnLostPosition::Fail).await;
    assert!(is_lost(&lost, 1, 4), "{lost:?}");
}
